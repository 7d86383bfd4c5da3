//! `borax template` beside the real helm, on our own chart.

use std::process::{Command, Output};

use borax_testkit::oracle;

use crate::harness::project;

fn rendered(program: impl AsRef<std::ffi::OsStr>, flags: &[&str]) -> Output {
    Command::new(program)
        .args(["template", "borax", "charts/borax", "--namespace=flux-system"])
        .args(flags)
        .current_dir(project(""))
        .output()
        .unwrap()
}

#[test]
fn our_chart_renders_as_helm_renders_it() {
    let Some(helm) = oracle::require("helm") else { return };
    for flags in [
        &[][..],
        &["--set=multitenancy.enabled=true,replicas=2,metrics.serviceMonitor.enabled=true"],
        &[
            "--set=crds.install=false,rbac.clusterAdmin=false",
            "--set-json=controllers=[\"source\"]",
        ],
        &["--show-only=templates/deployment.yaml", "--set=log.level=debug"],
    ] {
        let (ours, theirs) = (rendered(env!("CARGO_BIN_EXE_borax"), flags), rendered(&helm, flags));
        assert!(ours.status.success(), "{flags:?}: {}", String::from_utf8_lossy(&ours.stderr));
        assert!(ours.stdout == theirs.stdout, "{flags:?}: the output differs from helm's");
    }
}

#[test]
fn what_went_to_files_is_no_longer_there_to_be_shown() {
    let Some(helm) = oracle::require("helm") else { return };
    let outcome = |program: &std::ffi::OsStr| {
        let dir = tempfile::tempdir().unwrap();
        let flag = format!("--output-dir={}", dir.path().display());
        let output = rendered(program, &[&flag, "--show-only=templates/service.yaml"]);
        let told = String::from_utf8(output.stdout).unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        let folder = dir.path().display().to_string();
        let last = error.lines().last().unwrap_or_default().to_ascii_lowercase();
        assert!(dir.path().join("borax/templates/service.yaml").is_file());
        (output.status.code(), told.replace(&folder, "DIR"), last)
    };
    assert_eq!(outcome(env!("CARGO_BIN_EXE_borax").as_ref()), outcome(helm.as_os_str()));
}

#[test]
fn what_is_not_supported_is_named() {
    for (flag, name) in [
        ("--post-renderer=x", "--post-renderer"),
        ("--verify", "--verify"),
        ("--validate", "--validate"),
        ("--dry-run=server", "--dry-run=server"),
    ] {
        let refused = rendered(env!("CARGO_BIN_EXE_borax"), &[flag]);
        assert!(!refused.status.success(), "{flag}");
        let error = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(error.contains(name) && error.contains("not supported"), "{flag}: {error}");
    }
}
