//! Random small trees of bases, overlays and components: the same for the same seed.
//!
//! Names come from a short list, so that objects meet: references find their objects, patches their
//! targets, generators what they merge with. Values come from a list of texts that YAML readers disagree
//! about. Some trees end in an error, which is as good a question as any.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use borax_stdx::files::MemoryFiles;

/// Files by path.
pub(crate) type Tree = BTreeMap<String, String>;

/// A source of choices (splitmix64).
pub(crate) struct Dice {
    state: u64,
    /// Kind and name of the objects that the tree has so far.
    known: Vec<(&'static str, &'static str)>,
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        let state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bd1_e995;
        Dice { state, known: Vec::new() }
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }

    /// Once in `of` throws.
    fn once_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }

    /// Kind and name of an object that is there; now and then of one that may not be.
    fn target(&mut self) -> (&'static str, &'static str) {
        if self.known.is_empty() || self.once_in(12) {
            return (self.pick(&KINDS), self.pick(&NAMES));
        }
        let at = self.below(self.known.len());
        self.known[at]
    }

    /// Kind and name of an object that is not there yet, as a rule.
    fn new_object(&mut self) -> (&'static str, &'static str) {
        let mut found = (self.pick(&KINDS), self.pick(&NAMES));
        for _ in 0..if self.once_in(30) { 0 } else { 20 } {
            if !self.known.contains(&found) {
                break;
            }
            found = (self.pick(&KINDS), self.pick(&NAMES));
        }
        self.known.push(found);
        found
    }

    fn pick<'l>(&mut self, list: &[&'l str]) -> &'l str {
        list[self.below(list.len())]
    }
}

const NAMES: [&str; 4] = ["a", "b", "web", "db"];
const SPACES: [&str; 3] = ["one", "two", "default"];
const SCALARS: [&str; 28] = [
    "x",
    "\"yes\"",
    "yes",
    "on",
    "0x1F",
    "010",
    "0o17",
    "1e3",
    "1.50",
    ".5",
    "12345678901234567890",
    "~",
    "null",
    "\"\"",
    "''",
    "'it''s'",
    "\"tab\\tand\\nline\"",
    "2001-01-01",
    "1_000",
    "!!str 5",
    "y",
    "-",
    "\"a: b\"",
    "'# no comment'",
    "true",
    "\"1\"",
    "caf\u{e9}",
    "'12:30:45'",
];
const KINDS: [&str; 14] = [
    "Deployment",
    "StatefulSet",
    "Service",
    "ConfigMap",
    "Secret",
    "ServiceAccount",
    "RoleBinding",
    "Role",
    "ClusterRole",
    "ClusterRoleBinding",
    "Ingress",
    "CronJob",
    "Namespace",
    "Widget",
];

/// The tree of a seed; the directory to build is `/t/top`.
pub(crate) fn tree(seed: u64) -> Tree {
    let dice = &mut Dice::new(seed);
    let mut tree = Tree::new();
    let n_bases = 1 + dice.below(2);
    for base in 0..n_bases {
        directory(dice, &mut tree, &format!("/t/base{base}"), &[], true);
    }
    let mut below: Vec<String> = (0..n_bases).map(|base| format!("../base{base}")).collect();
    if dice.once_in(3) {
        directory(dice, &mut tree, "/t/middle", &below.split_off(n_bases - 1), false);
        below.push("../middle".to_owned());
    }
    if dice.once_in(4) {
        directory(dice, &mut tree, "/t/part", &[], false);
        let file = tree.get_mut("/t/part/kustomization.yaml").expect("it was just written");
        *file = format!("apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n{file}");
        directory(dice, &mut tree, "/t/top", &below, false);
        let file = tree.get_mut("/t/top/kustomization.yaml").expect("it was just written");
        file.push_str("components: [../part]\n");
    } else {
        directory(dice, &mut tree, "/t/top", &below, false);
    }
    tree
}

/// The tree as files.
pub(crate) fn files(tree: &Tree) -> MemoryFiles {
    tree.iter().map(|(path, text)| (path.as_str(), text.as_bytes())).collect()
}

/// One more change to a tree: a file gets the content that another seed gives it, or a line is lost.
pub(crate) fn change(tree: &mut Tree, seed: u64) {
    let dice = &mut Dice::new(seed ^ 0xc0ff_ee00);
    let paths: Vec<String> = tree.keys().cloned().collect();
    let path = &paths[dice.below(paths.len())];
    let other = self::tree(seed);
    let text = match other.get(path) {
        Some(text) if dice.once_in(2) => text.clone(),
        _ if path.ends_with("objects.yaml") => objects(dice),
        _ => {
            let mut lines: Vec<&str> = tree[path].lines().collect();
            if lines.len() > 1 {
                lines.remove(dice.below(lines.len()));
            }
            lines.join("\n") + "\n"
        }
    };
    tree.insert(path.clone(), text);
}

fn directory(dice: &mut Dice, tree: &mut Tree, at: &str, below: &[String], is_base: bool) {
    let mut text = String::new();
    let mut resources: Vec<String> = below.to_vec();
    if is_base || dice.once_in(3) {
        tree.insert(format!("{at}/objects.yaml"), objects(dice));
        resources.insert(dice.below(resources.len() + 1), "objects.yaml".to_owned());
    }
    let _ = writeln!(text, "resources: [{}]", resources.join(", "));
    fields(dice, &mut text);
    tree.insert(format!("{at}/kustomization.yaml"), text);
}

fn objects(dice: &mut Dice) -> String {
    let objects = (0..1 + dice.below(5)).map(|_| object(dice));
    objects.collect::<Vec<_>>().join("---\n")
}

fn fields(dice: &mut Dice, text: &mut String) {
    if dice.once_in(3) {
        let _ = writeln!(text, "namespace: {}", dice.pick(&SPACES));
    }
    if dice.once_in(3) {
        let _ = writeln!(text, "namePrefix: {}-", dice.pick(&["p", "q", "pre"]));
    }
    if dice.once_in(4) {
        let _ = writeln!(text, "nameSuffix: -{}", dice.pick(&["s", "t", "v1"]));
    }
    if dice.once_in(4) {
        let (pair, flags) = (labels(dice), dice.below(4));
        let flag = ["", "\n  includeSelectors: true", "\n  includeTemplates: true", ""][flags];
        let _ = writeln!(text, "labels:\n- pairs: {pair}{flag}");
    }
    if dice.once_in(6) {
        let _ = writeln!(text, "commonLabels: {}", labels(dice));
    }
    if dice.once_in(5) {
        let _ = writeln!(text, "commonAnnotations: {}", labels(dice));
    }
    if dice.once_in(4) {
        let what = dice.pick(&[
            "newTag: v2",
            "newName: other/img",
            "digest: sha256:abc",
            "newTag: \"1.0\"",
        ]);
        let _ =
            writeln!(text, "images:\n- name: {}\n  {what}", dice.pick(&["app", "reg.io/x/app"]));
    }
    let is_workload = |known: &&(&str, &str)| ["Deployment", "StatefulSet"].contains(&known.0);
    let workload = dice.known.iter().find(is_workload).copied();
    if let Some((_, name)) = workload.filter(|_| dice.once_in(6)) {
        let _ = writeln!(text, "replicas:\n- name: {name}\n  count: {}", dice.below(9));
    }
    for (field, secret) in [("configMapGenerator", false), ("secretGenerator", true)] {
        if dice.once_in(4) {
            let made = dice.pick(&["made", "more", "own"]);
            let made = if dice.once_in(8) { dice.pick(&NAMES) } else { made };
            let _ = writeln!(text, "{field}:\n- name: {made}");
            let _ =
                writeln!(text, "  literals: [k=v{}, {}=x]", dice.below(3), dice.pick(&["l", "m"]));
            if dice.once_in(6) {
                let _ =
                    writeln!(text, "  behavior: {}", dice.pick(&["merge", "replace", "create"]));
            }
            if dice.once_in(4) {
                let _ = writeln!(text, "  namespace: {}", dice.pick(&SPACES));
            }
            if secret && dice.once_in(3) {
                text.push_str("  type: example.org/own\n");
            }
            if dice.once_in(3) {
                text.push_str("  options: {disableNameSuffixHash: true, labels: {made: here}}\n");
            }
        }
    }
    if dice.once_in(8) {
        let _ = writeln!(
            text,
            "generatorOptions: {}",
            dice.pick(&[
                "{disableNameSuffixHash: true}",
                "{immutable: true}",
                "{annotations: {g: o}}",
            ])
        );
    }
    if dice.once_in(2) {
        text.push_str("patches:\n");
        for _ in 0..1 + dice.below(2) {
            text.push_str(&patch(dice));
        }
    }
    if dice.once_in(5) {
        text.push_str(&replacement(dice));
    }
    if dice.once_in(8) {
        let _ = writeln!(
            text,
            "buildMetadata: [{}]",
            dice.pick(&[
                "originAnnotations",
                "transformerAnnotations",
                "managedByLabel",
                "originAnnotations, transformerAnnotations",
            ])
        );
    }
    if dice.once_in(8) {
        let _ =
            writeln!(text, "sortOptions: {}", dice.pick(&[
            "{order: fifo}", "{order: legacy}",
            "{order: legacy, legacySortOptions: {orderFirst: [Widget], orderLast: [Service]}}",
        ]));
    }
}

fn labels(dice: &mut Dice) -> String {
    format!(
        "{{{}: {}}}",
        dice.pick(&["app", "tier", "x.io/y"]),
        dice.pick(&["v", "\"1\"", "\"on\"", "web"])
    )
}

fn metadata(dice: &mut Dice, name: &str) -> String {
    let mut text = format!("metadata:\n  name: {name}\n");
    if dice.once_in(3) {
        let _ = writeln!(text, "  namespace: {}", dice.pick(&SPACES));
    }
    if dice.once_in(3) {
        let _ = writeln!(text, "  labels: {}", labels(dice));
    }
    if dice.once_in(5) {
        let _ = writeln!(
            text,
            "  annotations:\n    note: {}",
            dice.pick(&["plain", "\"7\"", "\"a\\nb\""])
        );
    }
    text
}

fn api_version(kind: &str) -> &'static str {
    match kind {
        "Deployment" | "StatefulSet" => "apps/v1",
        "RoleBinding" | "Role" | "ClusterRole" | "ClusterRoleBinding" => {
            "rbac.authorization.k8s.io/v1"
        }
        "Ingress" => "networking.k8s.io/v1",
        "CronJob" => "batch/v1",
        "Widget" => "example.org/v1",
        _ => "v1",
    }
}

fn object(dice: &mut Dice) -> String {
    let (kind, name) = dice.new_object();
    let mut text =
        format!("apiVersion: {}\nkind: {kind}\n{}", api_version(kind), metadata(dice, name));
    let other = dice.pick(&NAMES);
    match kind {
        "Deployment" | "StatefulSet" => {
            let _ = write!(text, "spec:\n  replicas: {}\n", dice.below(4));
            if dice.once_in(2) {
                let _ = write!(text, "  selector:\n    matchLabels: {}\n", labels(dice));
            }
            let _ = write!(text, "  template:\n{}", pod(dice, "    "));
            if kind == "StatefulSet" && dice.once_in(2) {
                let _ = writeln!(text, "  serviceName: {other}");
            }
        }
        "CronJob" => {
            let _ = write!(
                text,
                "spec:\n  schedule: \"*/5 * * * *\"\n  jobTemplate:\n    spec:\n      template:\n{}",
                pod(dice, "        ")
            );
        }
        "Service" => {
            let _ = write!(text, "spec:\n  selector: {}\n  ports:\n", labels(dice));
            for _ in 0..1 + dice.below(2) {
                let _ = write!(
                    text,
                    "  - port: {}\n    name: {}\n",
                    80 + dice.below(3),
                    dice.pick(&["http", "admin"])
                );
            }
        }
        "ConfigMap" => {
            let _ =
                write!(text, "data:\n  k: {}\n  l: {}\n", dice.pick(&SCALARS), dice.pick(&SCALARS));
            if dice.once_in(3) {
                text.push_str("  file: |\n    one: 1\n    two:\n    - x\n");
            }
        }
        "Secret" => {
            text.push_str("stringData:\n  password: hunter\n");
        }
        "RoleBinding" | "ClusterRoleBinding" => {
            let role = dice.pick(&["Role", "ClusterRole"]);
            let _ = write!(
                text,
                "roleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: {role}\n  name: {other}\nsubjects:\n- kind: ServiceAccount\n  name: {}\n",
                dice.pick(&["a", "b", "default"])
            );
            if dice.once_in(2) {
                let _ = writeln!(text, "  namespace: {}", dice.pick(&SPACES));
            }
        }
        "Role" | "ClusterRole" => {
            text.push_str("rules:\n- apiGroups: [\"\"]\n  resources: [pods]\n  verbs: [get]\n");
        }
        "Ingress" => {
            let _ = write!(
                text,
                "spec:\n  tls:\n  - secretName: {other}\n  rules:\n  - host: x\n    http:\n      paths:\n      - path: /\n        pathType: Prefix\n        backend:\n          service:\n            name: {}\n            port: {{number: 80}}\n",
                dice.pick(&NAMES)
            );
        }
        "Widget" => {
            let _ = write!(
                text,
                "spec:\n  size: {}\n  list:\n  - name: a\n    v: {}\n  - name: b\n  flags: [{}, two]\n",
                dice.pick(&SCALARS),
                dice.pick(&SCALARS),
                dice.pick(&SCALARS)
            );
        }
        _ => {}
    }
    text
}

fn pod(dice: &mut Dice, indent: &str) -> String {
    let mut text = String::new();
    if dice.once_in(2) {
        let _ = writeln!(text, "metadata:\n  labels: {}", labels(dice));
    }
    text.push_str("spec:\n");
    if dice.once_in(3) {
        let _ = writeln!(text, "  serviceAccountName: {}", dice.pick(&NAMES));
    }
    text.push_str("  containers:\n");
    for name in ["main", "side"].iter().take(1 + dice.below(2)) {
        let _ = writeln!(
            text,
            "  - name: {name}\n    image: {}",
            dice.pick(&["app", "app:v1", "reg.io/x/app@sha256:00", "z"])
        );
        if dice.once_in(2) {
            let _ = writeln!(
                text,
                "    env:\n    - name: E\n      value: {}",
                dice.pick(&["\"1\"", "x", "\"on\"", "$(X)"])
            );
            if dice.once_in(2) {
                let kind = dice.pick(&["configMapKeyRef", "secretKeyRef"]);
                let _ = writeln!(
                    text,
                    "    - name: F\n      valueFrom:\n        {kind}: {{name: {}, key: k}}",
                    dice.pick(&NAMES)
                );
            }
        }
        if dice.once_in(3) {
            let _ = writeln!(
                text,
                "    ports:\n    - containerPort: {}\n      protocol: {}",
                80 + dice.below(2),
                dice.pick(&["TCP", "UDP"])
            );
        }
        if dice.once_in(4) {
            let _ = writeln!(text, "    args: [--flag, {}]", dice.pick(&SCALARS));
        }
    }
    if dice.once_in(3) {
        let kind = dice.pick(&["configMap: {name: ", "secret: {secretName: "]);
        let _ = writeln!(text, "  volumes:\n  - name: v\n    {kind}{}}}", dice.pick(&NAMES));
    }
    text.lines().map(|line| format!("{indent}{line}\n")).collect()
}

fn patch(dice: &mut Dice) -> String {
    let (kind, name) = dice.target();
    let workload = ["Deployment", "StatefulSet"].contains(&kind);
    let target = match dice.below(5) {
        0 => format!("  target: {{kind: {kind}}}\n"),
        1 => {
            let names = dice.pick(&["a|b", ".*", "web", "d"]);
            format!("  target: {{kind: {kind}, name: {names}}}\n")
        }
        2 => {
            let labels = dice.pick(&["app=web", "tier", "app!=v"]);
            format!("  target: {{labelSelector: \"{labels}\"}}\n")
        }
        _ => String::new(),
    };
    if dice.once_in(3) {
        let operation = operation(dice, workload);
        return format!(
            "- patch: |-\n    - {operation}\n  target: {{kind: {kind}, name: {name}}}\n"
        );
    }
    let body = merge(dice, kind, workload);
    let head =
        format!("apiVersion: {}\nkind: {kind}\nmetadata:\n  name: {name}\n", api_version(kind));
    let body = match body.strip_prefix("metadata:\n") {
        Some(rest) => format!("{head}{rest}"),
        None => format!("{head}{body}"),
    };
    let lines: String = body.lines().map(|line| format!("    {line}\n")).collect();
    format!("- patch: |\n{lines}{target}")
}

fn replacement(dice: &mut Dice) -> String {
    let ((source, name), (target, _)) = (dice.target(), dice.target());
    let workload = ["Deployment", "StatefulSet"].contains(&target);
    let from = match (source, dice.below(3)) {
        ("ConfigMap", 0) => "data.k",
        ("Deployment" | "StatefulSet", 0) => "spec.replicas",
        ("Service", 0) => "spec.ports.0",
        _ => "metadata.name",
    };
    let (to, options) = match (target, dice.below(4)) {
        (_, 0) if workload => (
            "spec.template.spec.containers.[name=main].image",
            "    options: {delimiter: \":\", index: 1}\n",
        ),
        (_, 1) if workload => ("spec.template.spec.containers.*.image", ""),
        ("Widget", 0) => ("spec.list.*.v", ""),
        ("ConfigMap", 0) => ("data.file", ""),
        (_, 1) => ("metadata.name", "    options: {delimiter: \"-\", index: -1}\n"),
        _ => ("metadata.annotations.copied", "    options: {create: true}\n"),
    };
    format!(
        "replacements:\n- source: {{kind: {source}, name: {name}, fieldPath: {from}}}\n  targets:\n  - select: {{kind: {target}}}\n    fieldPaths: [\"{to}\"]\n{options}"
    )
}

/// A step of a JSON patch, mostly one that can be taken.
fn operation(dice: &mut Dice, workload: bool) -> &'static str {
    match (workload, dice.once_in(12)) {
        (_, true) => dice.pick(&[
            "{op: add, path: /metadata/labels/new, value: \"1\"}",
            "{op: test, path: /kind, value: Deployment}",
            "{op: copy, from: /metadata/name, path: /metadata/labels/was}",
            "{op: add, path: /spec/template/spec/containers/0/args/-, value: more}",
            "{op: add, path: /spec/list/0, value: {name: c}}",
            "{op: replace, path: /metadata/name, value: renamed}",
        ]),
        (true, false) => dice.pick(&[
            "{op: remove, path: /spec/replicas}",
            "{op: replace, path: /spec/replicas, value: 7}",
            "{op: move, from: /spec/template/spec/containers/0, path: /spec/moved}",
            "{op: add, path: /spec/template/spec/containers/-, value: {name: z, image: 'app:v9'}}",
            "{op: replace, path: /spec/template/spec/containers/0/name, value: \"on\"}",
        ]),
        (false, false) => dice.pick(&[
            "{op: add, path: /metadata/annotations, value: {z: y}}",
            "{op: add, path: /metadata/labels, value: {app: web}}",
            "{op: copy, from: /metadata/name, path: /was}",
            "{op: add, path: /spec, value: {list: [1, yes]}}",
        ]),
    }
}

/// What a strategic merge says below its head.
fn merge(dice: &mut Dice, kind: &str, workload: bool) -> String {
    let pod = |rest: &str| format!("spec:\n  template:\n    spec:\n{rest}");
    let throw = dice.below(6);
    if throw == 0 {
        return "metadata:\n  labels:\n    added: \"on\"\n  annotations:\n    note: null\n"
            .to_owned();
    }
    if throw == 1 && dice.once_in(2) {
        return "$patch: delete\n".to_owned();
    }
    match (kind, throw) {
        _ if workload && throw == 1 => "spec:\n  replicas: 9\n".to_owned(),
        _ if workload && (throw == 2 || throw == 5) => {
            let container = dice.pick(&["main", "side", "new"]);
            let value = dice.pick(&["\"2\"", "y", "\"\""]);
            pod(&format!(
                "      containers:\n      - name: {container}\n        env:\n        - name: E\n          value: {value}\n        - name: G\n          value: g\n"
            ))
        }
        _ if workload => pod(dice.pick(&[
            "      containers:\n      - name: side\n        $patch: delete\n",
            "      containers:\n      - $patch: replace\n      - name: only\n        image: one\n",
            "      volumes:\n      - name: v\n        $retainKeys: [name, emptyDir]\n        emptyDir: {}\n",
            "      $setElementOrder/containers:\n      - name: side\n      - name: main\n      containers:\n      - name: main\n        image: last\n",
        ])),
        ("Service", _) => {
            "spec:\n  ports:\n  - port: 80\n    targetPort: http\n  - port: 99\n".to_owned()
        }
        ("Widget", _) => format!(
            "spec:\n  list:\n  - name: {}\n    v: new\n  flags: [{}]\n  size: null\n",
            dice.pick(&["a", "c"]),
            dice.pick(&SCALARS)
        ),
        _ => format!("data:\n  k: {}\n  extra: {}\n", dice.pick(&SCALARS), dice.pick(&SCALARS)),
    }
}
