//! The plain install is what the chart renders, and the chart's CRDs are those of the binary.

use std::fs;
use std::path::Path;
use std::process::Command;

use borax_testkit::oracle;
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::harness::project;

/// Holds a generated file to its text; with `BORAX_UPDATE=1` writes it instead.
fn assert_fresh(path: &str, text: &str) {
    if std::env::var_os("BORAX_UPDATE").is_some_and(|value| value == "1") {
        fs::write(project(path), text).unwrap();
    }
    let there = fs::read_to_string(project(path)).unwrap_or_default();
    assert!(there == text, "{path} is not fresh; run `BORAX_UPDATE=1 cargo test -p borax install`");
}

/// What the chart renders with these values: one object a document.
fn rendered(helm: &Path, values: &str) -> Vec<Value> {
    let set = format!("--set={values}");
    let output = Command::new(helm)
        .args(["template", "borax", "charts/borax", "--namespace=flux-system", &set])
        .current_dir(project(""))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let documents = serde_norway::Deserializer::from_slice(&output.stdout);
    let all = documents.map(|document| Value::deserialize(document).unwrap());
    all.filter(Value::is_object).collect()
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

#[test]
fn helm_has_nothing_to_say_of_the_chart() {
    let Some(helm) = oracle::require("helm") else { return };
    let output = Command::new(helm)
        .args(["lint", "--strict", "charts/borax"])
        .current_dir(project(""))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn the_defaults_give_the_container_nothing_it_does_not_need() {
    let Some(helm) = oracle::require("helm") else { return };
    let objects = rendered(&helm, "crds.install=false");
    let deployment = of_kind(&objects, "Deployment")[0];
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    let container = &pod["containers"][0];
    assert_eq!(
        container["securityContext"],
        json!({
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        })
    );
    let policies = of_kind(&objects, "NetworkPolicy");
    assert_eq!(policies[0]["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
}

/// Flux's documentation on multi-tenancy lockdown: three flags, and the root Kustomization acts as its controller's own
/// service account.
#[test]
fn the_lockdown_value_does_what_fluxs_documentation_does() {
    let Some(helm) = oracle::require("helm") else { return };
    let objects = rendered(&helm, "multitenancy.enabled=true,rbac.clusterAdmin=false");
    let deployment = of_kind(&objects, "Deployment")[0];
    let args = deployment["spec"]["template"]["spec"]["containers"][0]["args"].as_array().unwrap();
    for flag in [
        "--no-cross-namespace-refs=true",
        "--no-remote-bases=true",
        "--default-service-account=default",
        "--insecure-kubeconfig-exec=false",
        "--insecure-kubeconfig-tls=false",
    ] {
        assert!(args.iter().any(|arg| arg == flag), "no {flag} in {args:#?}");
    }
    let bindings = of_kind(&objects, "ClusterRoleBinding");
    assert!(bindings.iter().all(|binding| binding["roleRef"]["name"] != "cluster-admin"));
    let open = rendered(&helm, "crds.install=false");
    let args = of_kind(&open, "Deployment")[0]["spec"]["template"]["spec"]["containers"][0]["args"]
        .as_array()
        .unwrap()
        .clone();
    assert!(args.iter().all(|arg| arg != "--no-cross-namespace-refs=true"), "{args:#?}");
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
