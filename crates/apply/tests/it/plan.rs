//! Plans: stages, decisions, what is stale.

use borax_apply::{
    Action, ChangeSet, Decision, Fingerprint, Known, Options, Owner, StageKind, Takeover, Written,
    parse_kinds, plan, prepare,
};
use borax_object::{Digest, Entry, GroupKind};
use serde_json::{Value, json};

fn owner() -> Owner {
    Owner::kustomization("app", "flux-system")
}

fn object(api_version: &str, kind: &str, name: &str) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": "shop"}})
}

fn takeover() -> Takeover {
    Takeover::new("kustomize.toolkit.fluxcd.io", "kustomize-controller", &[])
}

fn live(desired: &Value, fields: Value) -> Value {
    let mut live = desired.clone();
    live["metadata"]["managedFields"] =
        json!([{"manager": "kustomize-controller", "operation": "Apply", "fieldsV1": fields}]);
    live
}

fn decide(desired: &Value, known: Known) -> Decision {
    let plan = plan(vec![desired.clone()], &[], &|_| Some(known), &owner(), &Options::default());
    plan.steps().next().expect("one object, one step").decision
}

#[test]
fn stages_come_in_flux_order_and_objects_within_them() {
    let options = Options {
        custom_stage_kinds: parse_kinds("example.com/Widget, Node"),
        ..Options::default()
    };
    let objects = vec![
        object("apps/v1", "Deployment", "web"),
        object("storage.k8s.io/v1", "StorageClass", "fast"),
        object("v1", "ConfigMap", "b"),
        object("example.com/v1", "Widget", "w"),
        object("v1", "ConfigMap", "a"),
        object("rbac.authorization.k8s.io/v1", "ClusterRole", "r"),
        object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "c"),
        object("v1", "Namespace", "shop"),
    ];
    let plan = plan(objects, &[], &|_| None, &owner(), &options);
    let stages: Vec<(StageKind, Vec<String>)> = plan
        .stages
        .iter()
        .map(|stage| {
            (stage.kind, stage.steps.iter().map(|step| step.entry.id.kind.clone()).collect())
        })
        .collect();
    let kinds = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        stages,
        [
            (
                StageKind::Definitions,
                kinds(&["CustomResourceDefinition", "Namespace", "ClusterRole"])
            ),
            (StageKind::Classes, kinds(&["StorageClass"])),
            (StageKind::Custom, kinds(&["Widget"])),
            (StageKind::Resources, kinds(&["ConfigMap", "ConfigMap", "Deployment"])),
        ]
    );
    assert!(StageKind::Definitions.waits() && !StageKind::Custom.waits());
    assert_eq!(
        parse_kinds("example.com/Widget").into_iter().next(),
        Some(GroupKind::new("example.com", "Widget"))
    );
}

#[test]
fn what_is_no_longer_wanted_is_stale_and_recorded_until_it_is_gone() {
    let desired = object("v1", "ConfigMap", "a");
    let entry = |text: &str| Entry::parse(text, "v1").expect("an inventory id");
    let last = [
        entry("shop_a__ConfigMap"),
        entry("shop_old__ConfigMap"),
        entry("_shop__Namespace"),
        entry("shop_web_apps_Deployment"),
    ];
    let plan = plan(vec![desired], &last, &|_| None, &owner(), &Options::default());
    let ids =
        |entries: &[Entry]| entries.iter().map(|entry| entry.id.to_string()).collect::<Vec<_>>();
    assert_eq!(ids(&plan.stale), ["Deployment/shop/web", "ConfigMap/shop/old", "Namespace/shop"]);
    assert_eq!(
        ids(&plan.recorded()),
        ["ConfigMap/shop/a", "Deployment/shop/web", "ConfigMap/shop/old", "Namespace/shop"]
    );
}

#[test]
fn an_object_is_left_alone_only_when_wish_and_life_are_unchanged() {
    let mut desired = vec![object("v1", "ConfigMap", "a")];
    prepare(&mut desired, &owner(), &Default::default()).expect("a plain object");
    let desired = desired.remove(0);
    let fields = json!({"f:data": {"f:a": {}}});
    let print = |object: &Value| Fingerprint::of(object, &takeover());
    let was = live(&desired, fields.clone());
    let written = Some(Written { desired: Digest::of_desired(&desired), fingerprint: print(&was) });

    assert_eq!(decide(&desired, Known::default()), Decision::Check);
    assert_eq!(decide(&desired, Known { live: Some(print(&was)), written: None }), Decision::Check);
    assert_eq!(decide(&desired, Known { live: None, written }), Decision::Check);
    assert_eq!(decide(&desired, Known { live: Some(print(&was)), written }), Decision::Unchanged);

    let mut wanted_else = desired.clone();
    wanted_else["data"] = json!({"a": "b"});
    assert_eq!(decide(&wanted_else, Known { live: Some(print(&was)), written }), Decision::Check);

    // Someone else's field: not ours to look at.
    let mut scaled = was.clone();
    scaled["data"] = json!({"other": "x"});
    assert_eq!(
        decide(&desired, Known { live: Some(print(&scaled)), written }),
        Decision::Unchanged
    );

    // One of our fields was taken from us.
    let taken = live(&desired, json!({}));
    let mut taken = taken;
    taken["data"] = json!({"a": "edited"});
    assert_eq!(decide(&desired, Known { live: Some(print(&taken)), written }), Decision::Check);

    // kubectl apply leaves its traces even where no field changes.
    let mut kubectl = was.clone();
    kubectl["metadata"]["annotations"] =
        json!({"kubectl.kubernetes.io/last-applied-configuration": "{}"});
    assert_eq!(decide(&desired, Known { live: Some(print(&kubectl)), written }), Decision::Check);
}

#[test]
fn objects_that_ask_for_it_are_left_alone() {
    let with = |key: &str, value: &str| {
        let mut object = object("v1", "ConfigMap", "a");
        object["metadata"]["annotations"] =
            json!({(format!("kustomize.toolkit.fluxcd.io/{key}")): value});
        object
    };
    let plain = object("v1", "ConfigMap", "a");
    let lives =
        |object: &Value| Known { live: Some(Fingerprint::of(object, &takeover())), written: None };
    assert_eq!(decide(&with("reconcile", "Disabled"), Known::default()), Decision::Skip);
    assert_eq!(decide(&with("ssa", "ignore"), Known::default()), Decision::Skip);
    assert_eq!(decide(&with("ssa", "IfNotPresent"), Known::default()), Decision::Check);
    assert_eq!(decide(&with("ssa", "ifnotpresent"), lives(&plain)), Decision::Skip);
    assert_eq!(decide(&with("ssa", "Override"), lives(&plain)), Decision::Check);
    assert_eq!(decide(&plain, lives(&with("reconcile", "disabled"))), Decision::Skip);
}

#[test]
fn a_plan_is_data() {
    let plan =
        plan(vec![object("v1", "ConfigMap", "a")], &[], &|_| None, &owner(), &Options::default());
    let text = serde_json::to_string(&plan).expect("plans serialise");
    assert_eq!(serde_json::from_str::<borax_apply::Plan>(&text).expect("and back"), plan);
}

#[test]
fn change_sets_print_as_flux_prints_them() {
    let mut changes = ChangeSet::default();
    for (name, action) in [
        ("a", Action::Created),
        ("b", Action::Unchanged),
        ("c", Action::Configured),
        ("d", Action::Skipped),
        ("e", Action::Deleted),
    ] {
        changes.push(Entry::of(&object("v1", "ConfigMap", name)), action);
    }
    assert_eq!(
        changes.changed().to_string(),
        "ConfigMap/shop/a created\nConfigMap/shop/c configured\nConfigMap/shop/e deleted"
    );
    assert_eq!(changes.inventory().len(), 5);
    assert_eq!(changes.ids_to_check().len(), 4);
}
