//! The plain install is what the chart renders, and the chart's CRDs are those of the binary.

use std::fs;
use std::process::Command;

use borax_testkit::oracle;

use crate::harness::project;

/// Holds a generated file to its text; with `BORAX_UPDATE=1` writes it instead.
fn assert_fresh(path: &str, text: &str) {
    if std::env::var_os("BORAX_UPDATE").is_some_and(|value| value == "1") {
        fs::write(project(path), text).unwrap();
    }
    let there = fs::read_to_string(project(path)).unwrap_or_default();
    assert!(there == text, "{path} is not fresh; run `BORAX_UPDATE=1 cargo test -p borax install`");
}

const MADE: &str = "`BORAX_UPDATE=1 cargo test -p borax install`. Do not edit.";

#[test]
fn the_crds_of_the_plain_install_are_those_of_the_binary() {
    let crds = Command::new(env!("CARGO_BIN_EXE_borax")).arg("crds").output().unwrap();
    let crds = String::from_utf8(crds.stdout).unwrap();
    assert_fresh("config/install/crds.yaml", &format!("# Made from config/crds by {MADE}\n{crds}"));
}

#[test]
fn the_plain_install_is_what_the_chart_renders() {
    let Some(helm) = oracle::require("helm") else { return };
    let rendered = Command::new(helm)
        .args([
            "template",
            "borax",
            "charts/borax",
            "--namespace=flux-system",
            "--set=crds.install=false",
        ])
        .current_dir(project(""))
        .output()
        .unwrap();
    assert!(rendered.status.success(), "{}", String::from_utf8_lossy(&rendered.stderr));
    let rendered = String::from_utf8(rendered.stdout).unwrap();
    // What says that Helm manages it is not true of a plain install.
    let of_helm = ["# Source: ", "helm.sh/chart: ", "app.kubernetes.io/managed-by: Helm"];
    let kept = rendered.lines().filter(|line| !of_helm.iter().any(|mark| line.contains(mark)));
    let text: String = kept.map(|line| format!("{line}\n")).collect();
    assert_fresh(
        "config/install/borax.yaml",
        &format!("# Made from charts/borax with its default values by {MADE}\n{text}"),
    );
}
