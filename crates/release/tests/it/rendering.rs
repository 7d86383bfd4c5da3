//! From a rendering to what a release records of it.

use std::sync::Arc;

use borax_helm::{Chart, FixedEnv, HookEvent, Options, render};
use borax_release::hooks::order;
use borax_release::objects;
use borax_release::{PostRender, Release, StoredChart};
use serde_json::{Value, json};

fn rendered(files: &[(&str, &str)]) -> borax_helm::Rendered {
    let chart = [("Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n")];
    let files = chart.iter().chain(files);
    let files = files.map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()));
    let chart = Arc::new(Chart::from_folder(files).unwrap());
    let options = Options::new("web", Arc::new(FixedEnv::at(0)));
    render(&chart, &serde_json::Map::new(), &options).unwrap()
}

const CONFIG: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: config}\ndata: {a: b}\n";

fn hook(name: &str, weight: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n  annotations:\n    helm.sh/hook: pre-install\n    helm.sh/hook-weight: \"{weight}\"\n"
    )
}

#[test]
fn every_object_names_its_helm_release() {
    let rendered = rendered(&[("templates/c.yaml", CONFIG), ("templates/h.yaml", &hook("h", "0"))]);
    let output = PostRender::of(&crate::object(json!({}), json!({}))).run(&rendered).unwrap();
    let parsed = objects::parse(&output.manifest).unwrap();
    assert_eq!(parsed.len(), 1);
    assert_eq!(
        parsed[0]["metadata"],
        json!({"name": "config", "labels": {
            "helm.toolkit.fluxcd.io/name": "web",
            "helm.toolkit.fluxcd.io/namespace": "apps",
        }})
    );
    assert!(output.manifest.starts_with("---\n# Source: web/templates/c.yaml\n"));
    assert_eq!(output.hooks.len(), 1);
    assert_eq!(output.hooks[0].path, "web/templates/h.yaml");
    assert!(output.hooks[0].manifest.contains("helm.toolkit.fluxcd.io/name: web"));
}

#[test]
fn patches_images_and_common_metadata_apply_in_turn() {
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  template:\n    spec:\n      containers: [{name: c, image: \"nginx:1\"}]\n";
    let rendered = rendered(&[("templates/d.yaml", deployment), ("templates/c.yaml", CONFIG)]);
    let object = crate::object(
        json!({
            "postRenderers": [{"kustomize": {
                "images": [{"name": "nginx", "newTag": "2"}],
                "patches": [{"target": {"kind": "ConfigMap"}, "patch": "- {op: add, path: /data/c, value: d}"}],
            }}],
            "commonMetadata": {"labels": {"team": "a"}, "annotations": {"note": "x"}},
        }),
        json!({}),
    );
    let output = PostRender::of(&object).run(&rendered).unwrap();
    let parsed = objects::parse(&output.manifest).unwrap();
    let of = |kind: &str| parsed.iter().find(|object| object["kind"] == kind).unwrap();
    assert_eq!(of("ConfigMap")["data"], json!({"a": "b", "c": "d"}));
    assert_eq!(
        of("Deployment").pointer("/spec/template/spec/containers/0/image"),
        Some(&Value::from("nginx:2"))
    );
    for object in &parsed {
        assert_eq!(object["metadata"]["labels"]["team"], "a");
        assert_eq!(object["metadata"]["annotations"], json!({"note": "x"}));
    }
}

#[test]
fn hooks_go_through_renderers_as_the_strategy_says() {
    let rendered = rendered(&[("templates/c.yaml", CONFIG), ("templates/h.yaml", &hook("h", "0"))]);
    for (strategy, touched) in [("combined", true), ("separate", true), ("nohooks", false)] {
        let spec = json!({
            "postRenderStrategy": strategy, "commonMetadata": {"labels": {"team": "a"}},
        });
        let output = PostRender::of(&crate::object(spec, json!({}))).run(&rendered).unwrap();
        assert_eq!(output.hooks[0].manifest.contains("team: a"), touched, "{strategy}");
        assert!(output.manifest.contains("team: a"), "{strategy}");
    }
}

#[test]
fn hooks_run_by_weight_then_name() {
    let files = [("b", "1"), ("a", "1"), ("c", "-1")];
    let texts: Vec<(String, String)> = files
        .iter()
        .map(|(name, weight)| (format!("templates/{name}.yaml"), hook(name, weight)))
        .collect();
    let files: Vec<(&str, &str)> = texts.iter().map(|(p, t)| (&**p, &**t)).collect();
    let rendered = rendered(&files);
    let output = PostRender::of(&crate::object(json!({}), json!({}))).run(&rendered).unwrap();
    let release = Release { hooks: output.hooks, ..Release::default() };
    let names: Vec<&str> = order(&release, HookEvent::PreInstall, &[])
        .into_iter()
        .map(|place| release.hooks[place].name.as_str())
        .collect();
    assert_eq!(names, ["c", "a", "b"]);
    assert!(order(&release, HookEvent::PostInstall, &[]).is_empty());
}

#[test]
fn a_record_holds_the_chart_as_helm_writes_it() {
    let rendered = rendered(&[("templates/c.yaml", CONFIG), ("values.yaml", "a: 1\n")]);
    let files = [
        ("Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n"),
        ("templates/c.yaml", "x"),
        ("README.md", "hi"),
    ];
    let files = files.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
    let chart = Chart::from_folder(files).unwrap();
    let stored = StoredChart::of(&chart, &rendered.metadata, &rendered.chart_values);
    assert_eq!(
        &*stored.json,
        r#"{"metadata":{"name":"web","version":"1.0.0","apiVersion":"v2"},"lock":null,"templates":[{"name":"templates/c.yaml","data":"eA=="}],"values":{"a":1},"schema":null,"schemamodtime":"0001-01-01T00:00:00Z","files":[{"name":"README.md","data":"aGk="}]}"#
    );
}

#[test]
fn ownership_is_told_in_helms_words() {
    let mut object = json!({"metadata": {"name": "x"}});
    assert!(objects::check_owner(&object, "web", "apps").is_err());
    objects::mark(&mut object, "web", "apps");
    assert_eq!(objects::check_owner(&object, "web", "apps"), Ok(()));
    assert_eq!(
        objects::check_owner(&object, "other", "apps").unwrap_err(),
        "invalid ownership metadata; annotation validation error: key \"meta.helm.sh/release-name\" must equal \"other\": current value is \"web\""
    );
}
