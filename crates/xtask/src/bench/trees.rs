//! Trees of kustomizations to measure with, of any size and always the same.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Context as _;

/// Files by their path from the tree's root.
pub(super) type Tree = Vec<(String, String)>;

/// Objects of an application.
const PER_APP: usize = 100;

/// `apps` applications of 100 objects each: a base of ten files, and an overlay with a namespace, a prefix, labels,
/// images, patches of both sorts and replacements. The root lists them all.
pub(super) fn patched(apps: usize) -> Tree {
    let mut tree = Tree::new();
    let mut root = String::from("resources:\n");
    for app in 0..apps {
        let _ = writeln!(root, "- apps/app-{app}/overlay");
        let mut base = String::from("resources:\n");
        for file in 0..PER_APP / 10 {
            let _ = writeln!(base, "- part-{file}.yaml");
            let parts = (0..3).map(|n| workload(file * 3 + n)).collect::<String>();
            let text = format!("{parts}{}", config(&format!("shared-{file}"), app));
            tree.push((format!("apps/app-{app}/base/part-{file}.yaml"), text));
        }
        tree.push((format!("apps/app-{app}/base/kustomization.yaml"), base));
        tree.push((format!("apps/app-{app}/overlay/kustomization.yaml"), overlay(app)));
        tree.push((format!("apps/app-{app}/overlay/memory.yaml"), MEMORY.to_owned()));
    }
    tree.push(("kustomization.yaml".to_owned(), root));
    tree
}

/// `overlays` overlays over one base of 50 objects, listed by the root.
pub(super) fn overlays(overlays: usize) -> Tree {
    let mut tree = Tree::new();
    let mut root = String::from("resources:\n");
    for at in 0..overlays {
        let _ = writeln!(root, "- overlay-{at}");
        let text = format!(
            "resources: [../base]\nnamespace: space-{at}\nnameSuffix: -v{at}\nlabels:\n- pairs: {{overlay: o{at}}}\n  \
             includeSelectors: true\nimages:\n- name: example.org/app\n  newTag: v{at}\n"
        );
        tree.push((format!("overlay-{at}/kustomization.yaml"), text));
    }
    let objects = (0..16).map(workload).chain([config("shared-0", 0), config("shared-1", 0)]);
    tree.push(("base/objects.yaml".to_owned(), objects.collect()));
    tree.push(("base/kustomization.yaml".to_owned(), "resources: [objects.yaml]\n".to_owned()));
    tree.push(("kustomization.yaml".to_owned(), root));
    tree
}

/// Writes a tree below a folder.
pub(super) fn write(tree: &Tree, folder: &Path) -> anyhow::Result<()> {
    for (path, text) in tree {
        let path = folder.join(path);
        let parent = path.parent().context("a file has a folder")?;
        fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

fn config(name: &str, seed: usize) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  seed: \"{seed}\"\n  settings.ini: |\n    \
         [main]\n    level = info\n    retries = 3\n---\n"
    )
}

/// A Deployment with its Service and ServiceAccount: three objects.
fn workload(at: usize) -> String {
    format!(
        r#"apiVersion: apps/v1
kind: Deployment
metadata:
  name: app-{at}
  labels:
    app: app-{at}
spec:
  replicas: 2
  selector:
    matchLabels:
      app: app-{at}
  template:
    metadata:
      labels:
        app: app-{at}
    spec:
      serviceAccountName: app-{at}
      containers:
      - name: app
        image: example.org/app:v0
        args: ["--listen=:8080", "--verbose"]
        env:
        - name: SEED
          value: unset
        - name: LEVEL
          valueFrom:
            configMapKeyRef:
              name: shared-0
              key: settings.ini
        ports:
        - name: http
          containerPort: 8080
        resources:
          requests:
            cpu: 100m
            memory: 64Mi
        volumeMounts:
        - name: config
          mountPath: /etc/app
      volumes:
      - name: config
        configMap:
          name: shared-1
---
apiVersion: v1
kind: Service
metadata:
  name: app-{at}
spec:
  selector:
    app: app-{at}
  ports:
  - name: http
    port: 80
    targetPort: http
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: app-{at}
---
"#
    )
}

const MEMORY: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: all
spec:
  template:
    spec:
      containers:
      - name: app
        resources:
          limits:
            memory: 128Mi
";

fn overlay(app: usize) -> String {
    format!(
        r#"resources: [../base]
namespace: team-{app}
namePrefix: team-{app}-
labels:
- pairs: {{team: team-{app}}}
  includeSelectors: true
images:
- name: example.org/app
  newName: registry.example.org/app
  newTag: v{app}
patches:
- path: memory.yaml
  target: {{kind: Deployment}}
- target: {{kind: Deployment, name: app-1}}
  patch: |-
    - op: replace
      path: /spec/replicas
      value: 5
- patch: |-
    apiVersion: v1
    kind: Service
    metadata:
      name: app-2
    spec:
      ports:
      - port: 80
        nodePort: 30080
replacements:
- source: {{kind: ConfigMap, name: shared-0, fieldPath: data.seed}}
  targets:
  - select: {{kind: Deployment}}
    fieldPaths: ["spec.template.spec.containers.[name=app].env.[name=SEED].value"]
"#
    )
}
