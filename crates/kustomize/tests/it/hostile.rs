//! Input that means harm, or merely nonsense, gives an error and not a panic.

use borax_kustomize::{Options, build};
use borax_stdx::files::MemoryFiles;

fn run(files: &[(&str, &str)]) -> Result<String, String> {
    let files = MemoryFiles::from_iter(files.iter().map(|(path, text)| (*path, text.as_bytes())));
    build(&files, "/a", &Options::default())
        .map(|objects| objects.to_yaml())
        .map_err(|found| found.to_string())
}

#[test]
fn a_circle_of_directories_is_named() {
    let found = run(&[
        ("/a/kustomization.yaml", "resources: [../b]"),
        ("/b/kustomization.yaml", "resources: [../a]"),
    ])
    .unwrap_err();
    assert!(found.contains("cycle detected"), "{found}");
}

#[test]
fn files_above_the_root_stay_out_of_reach() {
    let found = run(&[("/a/kustomization.yaml", "resources: [../x.yaml]"), ("/x.yaml", "a: b")])
        .unwrap_err();
    assert!(found.contains("is not in or below"), "{found}");
}

#[test]
fn a_billion_laughs_are_refused() {
    let mut text = String::from("apiVersion: v1\nkind: X\nmetadata: {name: x}\na0: &a0 [lol]\n");
    for level in 1..30 {
        let below = level - 1;
        text.push_str(&format!(
            "a{level}: &a{level} [*a{below}, *a{below}, *a{below}, *a{below}, *a{below}]\n"
        ));
    }
    run(&[("/a/kustomization.yaml", "resources: [x.yaml]"), ("/a/x.yaml", &text)]).unwrap_err();
}

#[test]
fn deep_nesting_is_refused() {
    let deep = format!(
        "apiVersion: v1\nkind: X\nmetadata: {{name: x}}\nspec: {}{}",
        "[".repeat(900),
        "]".repeat(900)
    );
    let patch = "patches: [{path: x.yaml}]\nresources: [x.yaml]";
    let _ = run(&[("/a/kustomization.yaml", patch), ("/a/x.yaml", &deep)]);
}

#[test]
fn endless_lists_are_not_merged_item_by_item() {
    let ports: String = (0..50_000).map(|port| format!("  - port: {port}\n")).collect();
    let service =
        format!("apiVersion: v1\nkind: Service\nmetadata: {{name: s}}\nspec:\n  ports:\n{ports}");
    let patch = "resources: [x.yaml]\npatches:\n- patch: '{apiVersion: v1, kind: Service, metadata: \
                 {name: s, labels: {a: b}}}'\n";
    let found = run(&[("/a/kustomization.yaml", patch), ("/a/x.yaml", &service)]).unwrap_err();
    assert!(found.contains("can't be merged"), "{found}");
}

#[test]
fn several_mistakes_are_told_at_once() {
    let found = run(&[("/a/kustomization.yaml", "resources: [one.yaml, two.yaml]")]).unwrap_err();
    assert!(found.contains("one.yaml") && found.contains("two.yaml"), "{found}");
}

#[test]
fn unknown_fields_are_named_with_their_line() {
    let found = run(&[("/a/kustomization.yaml", "namespace: x\nresuorces: []\n")]).unwrap_err();
    assert!(found.contains("/a/kustomization.yaml:2:1"), "{found}");
    assert!(found.contains("did you mean \"resources\"?"), "{found}");
}

#[test]
fn nonsense_is_no_panic() {
    for text in
        ["", "---", "[]", "{", "a: *b", "patches: [[]]", "- - -", "resources: {}", "\u{feff}"]
    {
        let _ = run(&[("/a/kustomization.yaml", text)]);
        let _ = run(&[
            ("/a/kustomization.yaml", "resources: [x.yaml]\nnamePrefix: p-\nnamespace: n\n"),
            ("/a/x.yaml", text),
        ]);
    }
}
