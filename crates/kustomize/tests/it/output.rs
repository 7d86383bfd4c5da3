//! What a caller gets besides the text.

use borax_kustomize::{Objects, Options, build};
use borax_stdx::files::MemoryFiles;

const OBJECTS: &str = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: A}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: d, namespace: other}
---
apiVersion: v1
kind: Namespace
metadata: {name: other}
";

fn objects(kustomization: &str) -> Objects {
    let files = MemoryFiles::from_iter([
        ("/a/kustomization.yaml", kustomization.as_bytes()),
        ("/a/x.yaml", OBJECTS.as_bytes()),
    ]);
    build(&files, "/a", &Options::default()).expect("the objects are well formed")
}

#[test]
fn files_are_named_after_namespace_kind_and_name() {
    let files = objects("resources: [x.yaml]").to_files();
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "v1_namespace_other.yaml",
        "default_v1_configmap_a.yaml",
        "other_apps_v1_deployment_d.yaml",
    ];
    assert_eq!(names, expected);
}

#[test]
fn objects_know_their_file_and_identity() {
    let objects = objects("resources: [x.yaml]");
    let deployment = &objects.as_slice()[2];
    assert_eq!((deployment.api_version(), deployment.kind()), ("apps/v1", "Deployment"));
    assert_eq!((deployment.name(), deployment.namespace()), ("d", "other"));
    assert_eq!(deployment.file.as_deref(), Some("/a/x.yaml"));
}

#[test]
fn deprecated_fields_are_warned_of_once() {
    let objects = objects("bases: []\nresources: [x.yaml]\ncommonLabels: {a: b}");
    assert_eq!(objects.warnings().len(), 2);
    assert!(objects.warnings()[0].contains("'bases' is deprecated"));
}

#[test]
fn builds_run_side_by_side_with_equal_results() {
    let texts: Vec<String> = std::thread::scope(|scope| {
        let run = |_| scope.spawn(|| objects("resources: [x.yaml]\nnamePrefix: p-").to_yaml());
        let threads: Vec<_> = (0..4).map(run).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(texts.windows(2).all(|pair| pair[0] == pair[1]));
}
