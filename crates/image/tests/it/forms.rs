//! Single forms of YAML, what becomes of them, and what Flux makes of them; and the files of the reference load.

use std::fs;
use std::path::{Path, PathBuf};

use borax_image::ImageRef;
use borax_image::setters::{Policies, edit, is_candidate, may_be_marked};
use borax_image::update::Update;
use borax_testkit::oracle::project_root;

use crate::flux::Flux;
use crate::generated::policies;

const APP: &str = r#"# {"$imagepolicy": "ns:app"}"#;
const TAG: &str = r#"# {"$imagepolicy": "ns:app:tag"}"#;

fn edited(text: &str) -> String {
    match edit("f.yaml", text.as_bytes(), &policies()).unwrap() {
        Some(edit) => String::from_utf8(edit.bytes).unwrap(),
        None => text.to_owned(),
    }
}

#[test]
fn forms_that_flux_leaves_or_spoils() {
    for (input, want) in [
        // The comment is the mapping's to go-yaml.
        (
            format!("image: {{repository: foo, tag: v1}} {TAG}\n"),
            format!("image: {{repository: foo, tag: 2.1.0}} {TAG}\n"),
        ),
        (format!("- [a, {{b: c}}]  {TAG}\n"), format!("- [a, {{b: 2.1.0}}]  {TAG}\n")),
        // No annotation can be put on a sequence, so Flux calls the file a problem.
        (format!("- image: a {APP}\n"), format!("- image: ghcr.io/org/app:2.1.0 {APP}\n")),
        // Items of a list have no path, so Flux writes them nowhere.
        (
            format!("kind: List\nitems:\n- kind: A\n  image: a {APP}\n"),
            format!("kind: List\nitems:\n- kind: A\n  image: ghcr.io/org/app:2.1.0 {APP}\n"),
        ),
        // Text after the separator.
        (
            format!("--- {{a: b}}\n--- {{tag: c}} {TAG}\n"),
            format!("--- {{a: b}}\n--- {{tag: 2.1.0}} {TAG}\n"),
        ),
        // A document that ends in dots.
        (format!("a: b\n...\n---\ntag: c {TAG}\n"), format!("a: b\n...\n---\ntag: 2.1.0 {TAG}\n")),
        // A number: Flux keeps its tag and writes `!!int 2.1.0`.
        (format!("tag: 5 {TAG}\n"), format!("tag: 2.1.0 {TAG}\n")),
        // Only carriage returns.
        (format!("a: b\rtag: c {TAG}\r"), format!("a: b\rtag: 2.1.0 {TAG}\r")),
    ] {
        assert_eq!(edited(&input), want, "{input}");
    }
}

#[test]
fn what_is_not_marked_stays() {
    for text in [
        // Above a key it is the key's comment, and keys have no setters.
        format!("{APP}\nimage: foo\n"),
        format!("image: foo\n{APP}\n"),
        format!("? foo {APP}\n: bar\n"),
        format!("tag: {TAG}\nother: x\n"),
        format!("text: \"{}\"\n", APP.replace('"', "\\\"")),
        format!("text: 'x {APP}'\n"),
        format!("text: |\n  x {APP}\n"),
        format!("# image: foo {APP}\n"),
        format!("#image: foo {APP}\nb: c\n"),
        "image: foo # {\"$imagepolicy\": \"ns:unknown\"}\n".to_owned(),
        format!("image: ghcr.io/org/app:2.1.0 {APP}\n"),
    ] {
        assert!(may_be_marked(text.as_bytes()) || text.contains('\\'), "{text}");
        assert_eq!(edited(&text), text);
    }
}

#[test]
fn what_can_not_be_written_is_reported_and_left() {
    for (input, want) in [
        (
            format!("a: [\nb: c {APP}\n"),
            "f.yaml:3: yaml: line 2: did not find expected ',' or ']'; the file has image policy markers and was left as it is",
        ),
        (
            "{{ if .Values.x }}\nimage: a # {\"$imagepolicy\": \"ns:app\"}\n{{ end }}\n".to_owned(),
            "f.yaml:2: yaml: line 1: did not find expected <document start>; the file has image policy markers and was left as it is",
        ),
        (
            "digest: x # {\"$imagepolicy\": \"ns:app:digest\"}\n".to_owned(),
            "f.yaml:1: the image of \"ns:app:digest\" has no such part; for a digest, set digestReflectionPolicy in ImagePolicy ns:app",
        ),
        (
            format!("a: &x foo\nb: *x {APP}\n"),
            "f.yaml:2: the marker of \"ns:app\" is on the alias *x; put it on the value with the anchor &x",
        ),
        (
            format!("n: !!int 5 {TAG}\n"),
            "f.yaml:1: the value's tag makes something else than a string of it; the file was left as it is",
        ),
    ] {
        let problem = edit("f.yaml", input.as_bytes(), &policies()).unwrap_err();
        assert_eq!(problem.to_string(), want);
    }
    // Beside what can be written, the rest is reported.
    let text = format!("a: b {APP}\nd: x # {{\"$imagepolicy\": \"ns:app:digest\"}}\n");
    let edit = edit("f.yaml", text.as_bytes(), &policies()).unwrap().unwrap();
    assert_eq!((edit.changes.len(), edit.problems.len(), edit.problems[0].line), (1, 1, 2));
    assert!(String::from_utf8(edit.bytes).unwrap().ends_with("\"ns:app:digest\"}\n"));
}

#[test]
fn changes_are_told_by_file_and_object() {
    let text = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n  namespace: shop\nspec:\n  a: x {APP}\n  b: y {TAG}\n  c: y {TAG}\n---\nkind: Kustomization\ntag: y {TAG}\n"
    );
    let edit = edit("apps/web.yaml", text.as_bytes(), &policies()).unwrap().unwrap();
    let lines: Vec<u32> = edit.changes.iter().map(|change| change.line).collect();
    assert_eq!(lines, [7, 8, 9, 12]);
    let mut update = Update::default();
    assert!(update.is_empty());
    update.add("apps/web.yaml", &edit.changes);
    let told: Vec<String> = update
        .objects()
        .iter()
        .map(|(id, changes)| format!("{}/{}/{} {}", id.kind, id.namespace, id.name, changes.len()))
        .collect();
    assert_eq!(told, ["Kustomization// 1", "Deployment/shop/web 3"]);
    let different: Vec<(&str, &str, &str)> =
        update.changes().iter().map(|c| (&*c.old, &*c.new, &*c.setter)).collect();
    assert_eq!(different, [("y", "2.1.0", "ns:app:tag"), ("x", "ghcr.io/org/app:2.1.0", "ns:app")]);
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files_below(&path, found) } else { found.push(path) }
    }
}

#[test]
fn the_reference_load_changes_in_its_marked_values_alone() {
    let mut files = Vec::new();
    files_below(&project_root().join("config/d1"), &mut files);
    let mut policies = Policies::new();
    let texts: Vec<(PathBuf, String)> = files
        .into_iter()
        .filter_map(|path| Some((path.clone(), fs::read_to_string(path).ok()?)))
        .collect();
    for (_, text) in &texts {
        for piece in text.split("\"$imagepolicy\": \"").skip(1) {
            let name: Vec<&str> = piece.split('"').next().unwrap().split(':').collect();
            let image = ImageRef {
                name: "ghcr.io/new/name".into(),
                tag: "99.1.0".into(),
                digest: String::new(),
            };
            policies.insert(format!("{}:{}", name[0], name[1]), image);
        }
    }
    let mut flux = Flux::start("flux-setters");
    let mut marked = 0;
    for (path, text) in &texts {
        let name = path.file_name().unwrap().to_str().unwrap();
        if !is_candidate(name) {
            continue;
        }
        let edit = edit(name, text.as_bytes(), &policies).unwrap();
        assert_eq!(edit.is_some(), text.contains("$imagepolicy"), "{}", path.display());
        let Some(edit) = edit else { continue };
        let new = String::from_utf8(edit.bytes).unwrap();
        let differing = text.lines().zip(new.lines()).filter(|(a, b)| a != b).count();
        assert_eq!((differing, text.lines().count()), (edit.changes.len(), new.lines().count()));
        marked += edit.changes.len();
        if let Some(flux) = &mut flux {
            let theirs = flux.set(name, text.as_bytes(), &policies);
            assert!(!theirs.problem, "{}", path.display());
            assert_eq!(theirs.changes.unwrap_or_default().len(), edit.changes.len());
        }
    }
    assert!(marked >= 8, "only {marked} marked values in the reference load");
}
