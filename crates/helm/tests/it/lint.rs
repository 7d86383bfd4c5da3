//! Every chart under `tests/cases/lint` gives the messages that `helm lint` gave.
//! `tests/oracles/helm/record-lint.sh` records them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use borax_helm::{FixedEnv, Folder, KubeVersion, LintFlags, LintOptions, Severity, lint};

use crate::charts::{chart_files, sections};
use crate::snippets::files;

fn found(sections: &BTreeMap<String, String>) -> (LintFlags, borax_helm::Findings) {
    let flags = LintFlags::parse(sections["args"].lines().map(str::to_owned)).unwrap();
    let values = flags.values.options(Vec::new()).merge(&|_| Err("no files".into())).unwrap();
    let options = LintOptions {
        values,
        namespace: flags.namespace.clone().unwrap_or_else(|| "default".into()),
        kube_version: flags.kube_version.as_deref().map(|v| KubeVersion::parse(v).unwrap()),
        skip_schema_validation: flags.skip_schema_validation,
        env: Arc::new(FixedEnv::at(1_700_000_000)),
    };
    let folder = Folder { path: "chart".into(), files: chart_files(sections), folders: Vec::new() };
    let found = lint(&folder, &options);
    (flags, found)
}

#[test]
fn every_chart_gives_what_helm_gave() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/lint");
    let (mut total, mut wrong) = (0, Vec::new());
    for path in files(&dir) {
        total += 1;
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let sections = sections(&std::fs::read_to_string(&path).unwrap());
        let want = &sections["want"];
        let messages = match want.strip_prefix("==> Linting chart\n") {
            Some(rest) => rest.rsplit_once("\n\n").map_or("", |(messages, _)| messages),
            None => "",
        };
        let failed = want.contains("1 chart(s) failed");
        let (flags, found) = found(&sections);
        let least = if flags.strict { Severity::Warning } else { Severity::Error };
        let fails = found.messages.iter().any(|m| m.severity >= least);
        let shown = found.messages.iter().filter(|m| !flags.quiet || m.severity > Severity::Info);
        let shown: Vec<String> = shown.map(ToString::to_string).collect();
        let shown = shown.join("\n");
        if shown != messages.trim_start_matches('\n') || fails != failed {
            wrong.push(format!("{name}\n  want {failed} {messages}\n  got  {fails} {shown}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {total} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(total >= 25, "only {total} cases found");
}

#[test]
fn what_required_misses_is_told_with_its_place() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/lint/required_passes.txt");
    let sections = sections(&std::fs::read_to_string(path).unwrap());
    let (_, found) = found(&sections);
    let told =
        found.notices.iter().map(|n| format!("{}: {}: {}", n.location, n.function, n.message));
    let told: Vec<String> = told.collect();
    assert_eq!(
        told,
        ["c/templates/d.yaml:5:6: required: need b", "c/templates/d.yaml:6:7: fail: no"]
    );
}
