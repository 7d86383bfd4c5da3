//! Any texts may be a kustomization, its objects and its base: a build gives objects or errors, the same
//! each time, and a memo gives what a build from nothing gives.
#![no_main]

use borax_kustomize::{Memo, Options, build};
use borax_stdx::files::MemoryFiles;
use libfuzzer_sys::fuzz_target;

/// Between the files of an input.
const CUT: &[u8] = b"\n=====\n";
const PATHS: [&str; 5] = [
    "/top/kustomization.yaml",
    "/top/objects.yaml",
    "/base/kustomization.yaml",
    "/base/objects.yaml",
    "/top/patch.yaml",
];
const OBJECTS: &[u8] = b"apiVersion: apps/v1
kind: Deployment
metadata: {name: a, labels: {app: a}}
spec:
  template:
    spec:
      containers: [{name: c, image: 'i:1', env: [{name: E, valueFrom: {configMapKeyRef: {name: b, key: k}}}]}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: b}
data: {k: v}
";

fuzz_target!(|data: &[u8]| {
    let mut files = MemoryFiles::new();
    files.insert("/base/kustomization.yaml", &b"resources: [objects.yaml]"[..]);
    files.insert("/base/objects.yaml", OBJECTS);
    files.insert("/top/objects.yaml", OBJECTS);
    let mut rest = data;
    let mut memo = Memo::default();
    let options = Options::default();
    for path in PATHS {
        let cut = rest.windows(CUT.len()).position(|window| window == CUT);
        let (text, after) = match cut {
            Some(at) => (&rest[..at], &rest[at + CUT.len()..]),
            None => (rest, &b""[..]),
        };
        files.insert(path, text);
        let anew = build(&files, "/top", &options);
        assert_eq!(memo.build(&files, "/top", &options), anew);
        if let Ok(objects) = &anew {
            let _ = (objects.to_yaml(), objects.to_files());
        }
        if cut.is_none() {
            break;
        }
        rest = after;
    }
});
