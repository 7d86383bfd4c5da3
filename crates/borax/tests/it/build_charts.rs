//! `borax build --enable-helm`: what kustomize 5.8.2 with Helm 4.2.1 prints was recorded here.

use std::fs;
use std::path::Path;
use std::process::Command;

const FILES: [(&str, &str); 8] = [
    ("base/charts/demo/Chart.yaml", "apiVersion: v2\nname: demo\nversion: 1.2.3\n"),
    (
        "base/charts/demo/values.yaml",
        "who: world\ncount: 3\ngone: here\nnested:\n  a: 1\n  b: two\nlist: [x, y]\n",
    ),
    (
        "base/charts/demo/templates/all.yaml",
        r#"apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-config
  namespace: {{ .Release.Namespace }}
data:
  who: {{ .Values.who | quote }}
  values: {{ .Values | toJson | quote }}
  kube: {{ .Capabilities.KubeVersion.Version | quote }}
  widgets: {{ .Capabilities.APIVersions.Has "example.org/v1" | quote }}
---
apiVersion: v1
kind: Pod
metadata:
  name: {{ .Release.Name }}-test
  annotations:
    helm.sh/hook: test
spec:
  containers:
  - name: c
    image: busybox
    envFrom:
    - configMapRef:
        name: {{ .Release.Name }}-config
"#,
    ),
    (
        "base/charts/demo/crds/widget.yaml",
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: widgets.example.org\nspec:\n  group: example.org\n",
    ),
    ("base/more.yaml", "count: 9\nmore: file\n"),
    (
        "base/kustomization.yaml",
        r"namespace: shop
namePrefix: pre-
helmCharts:
- name: demo
  releaseName: rel
  includeCRDs: true
  kubeVersion: 1.31.0
  apiVersions: [example.org/v1]
  valuesInline:
    who: you
    gone: null
    nested: {b: null, c: [1]}
  additionalValuesFiles: [more.yaml]
",
    ),
    (
        "over/kustomization.yaml",
        r#"resources: [../base]
nameSuffix: -s
helmGlobals: {chartHome: ../base/charts}
helmCharts:
- name: demo
  releaseName: other
  namespace: direct
  skipTests: true
  valuesMerge: merge
  valuesInline: {who: you, extra: 1, nested: {c: 3}}
patches:
- patch: |-
    - {op: add, path: /data/patched, value: "1"}
  target: {kind: ConfigMap}
"#,
    ),
    (
        "replace/kustomization.yaml",
        r"helmGlobals: {chartHome: ../base/charts}
helmCharts:
- name: demo
  releaseName: other
  skipHooks: true
  valuesMerge: replace
  valuesInline: {who: 5}
",
    ),
];

const OVER: &str = r#"apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: widgets.example.org
spec:
  group: example.org
---
apiVersion: v1
data:
  kube: v1.36.0
  patched: "1"
  values: '{"count":3,"extra":1,"gone":"here","list":["x","y"],"nested":{"a":1,"b":"two","c":3},"who":"world"}'
  who: world
  widgets: "false"
kind: ConfigMap
metadata:
  name: other-config-s
  namespace: direct
---
apiVersion: v1
data:
  kube: v1.31.0
  patched: "1"
  values: '{"count":9,"gone":"here","list":["x","y"],"more":"file","nested":{"a":1,"b":"two","c":[1]},"who":"you"}'
  who: you
  widgets: "true"
kind: ConfigMap
metadata:
  name: pre-rel-config-s
  namespace: shop
---
apiVersion: v1
kind: Pod
metadata:
  annotations:
    helm.sh/hook: test
  name: pre-rel-test-s
spec:
  containers:
  - envFrom:
    - configMapRef:
        name: rel-config
    image: busybox
    name: c
"#;

const REPLACE: &str = r#"apiVersion: v1
data:
  kube: v1.36.0
  values: '{"count":3,"gone":"here","list":["x",true],"nested":{"a":1,"b":"two"},"who":5}'
  who: "5"
  widgets: "false"
kind: ConfigMap
metadata:
  name: other-config
  namespace: default
"#;

fn build(dir: &Path, flags: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_borax"));
    let output = command.arg("build").args(flags).arg(dir).output().unwrap();
    let text = if output.status.success() { output.stdout } else { output.stderr };
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[test]
fn charts_of_kustomizations_come_out_as_helm_makes_them() {
    let scratch = tempfile::tempdir().unwrap();
    for (path, text) in FILES {
        let path = scratch.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let flags = ["--enable-helm", "--load-restrictor=LoadRestrictionsNone"];
    for (dir, expected) in [("over", OVER), ("replace", REPLACE)] {
        assert_eq!(build(&scratch.path().join(dir), &flags), (true, expected.to_owned()), "{dir}");
    }
    let (built, text) = build(&scratch.path().join("over"), &[]);
    assert!(!built && text.contains("must specify --enable-helm"), "{text}");
    // Values files are files like others: they may not lie above the kustomization.
    let (built, text) = build(&scratch.path().join("over"), &["--enable-helm"]);
    assert!(!built && text.contains("is not in or below"), "{text}");
}
