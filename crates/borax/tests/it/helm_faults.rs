//! Seeded faults: the first 200 characters of Ready name the object and the cause, and no secret value shows anywhere.

use serde_json::json;

use crate::harness::{
    CONFIG, Kube, Release, VALUES, World, conditions, message, oci_repository, ready, tail,
};

/// The first 200 characters of what a HelmRelease's Ready condition says, once it is False and holds `part`.
async fn cause(app: &Release<'_>, part: &str) -> String {
    let part = part.to_owned();
    let object = app
        .kube
        .until_some(&format!("Ready says {part:?}"), &app.release, |object| {
            ready(object) == Some("False") && message(object, "Ready").contains(&part)
        })
        .await;
    message(&object, "Ready").chars().take(200).collect()
}

/// A chart whose only template is this.
async fn fault(world: &'static World, name: &str, template: &str, more: &str, parts: &[&str]) {
    let files = [("templates/it.yaml", template), ("values.yaml", VALUES)];
    let app = Release::place(world, name, &files, more).await;
    told(&app, parts).await;
}

async fn told(app: &Release<'_>, parts: &[&str]) {
    let text = cause(app, parts[parts.len() - 1]).await;
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_values_and_schemas_that_are_wrong_are_named() {
    let Some(world) = World::shared().await else { return };
    fault(
        world,
        "f-template",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: {{ .Values.a.b.c }}}\n",
        "",
        &["web/templates/it.yaml", "nil pointer evaluating"],
    )
    .await;
    fault(
        world,
        "f-type",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: {{ .Values.greeting.word }}}\n",
        "",
        &["web/templates/it.yaml", "can't evaluate field word"],
    )
    .await;
    let schema = r#"{"type": "object", "properties": {"greeting": {"type": "integer"}}}"#;
    let files = [
        ("templates/config.yaml", CONFIG),
        ("values.yaml", VALUES),
        ("values.schema.json", schema),
    ];
    let app = Release::place(world, "f-schema", &files, "").await;
    told(&app, &["don't meet the specifications of the schema(s)", "greeting"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_the_server_refuses_are_named() {
    let Some(world) = World::shared().await else { return };
    fault(
        world,
        "f-crd",
        "apiVersion: nothing.example.org/v1\nkind: Missing\nmetadata: {name: a}\n",
        "",
        &["Missing/a", "no matches for kind \"Missing\""],
    )
    .await;
    fault(
        world,
        "f-field",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nnonsense: 1\n",
        "",
        &["ConfigMap/f-field/a", "nonsense"],
    )
    .await;
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: c, image: x}]}\n";
    let kube = world.kube().await;
    kube.apply("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: f-quota\n---\napiVersion: v1\nkind: ResourceQuota\nmetadata: {name: none, namespace: f-quota}\nspec: {hard: {pods: \"0\"}}\n").await;
    fault(world, "f-quota", pod, "", &["Pod/f-quota/a", "exceeded quota"]).await;
    fault(
        world,
        "f-forbidden",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
        "serviceAccountName: nobody\n",
        &["f-forbidden", "system:serviceaccount:f-forbidden:nobody", "cannot"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_become_ready_in_time_is_named() {
    let Some(world) = World::shared().await else { return };
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  selector: {matchLabels: {app: a}}\n  template:\n    metadata:\n      labels: {app: a}\n      annotations: {borax.test/outcome: never}\n    spec: {containers: [{name: c, image: x}]}\n";
    fault(
        world,
        "f-ready",
        deployment,
        "timeout: 2s\n",
        &["Deployment/f-ready/a", "timeout waiting for"],
    )
    .await;
    let job = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: a, annotations: {helm.sh/hook: pre-install}}\nspec:\n  backoffLimit: 0\n  template:\n    metadata: {annotations: {borax.test/outcome: fail}}\n    spec: {restartPolicy: Never, containers: [{name: c, image: x}]}\n";
    fault(world, "f-hook", job, "", &["web/templates/it.yaml", "Job/f-hook/a"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_immutable_field_and_a_taken_name_are_named() {
    let Some(world) = World::shared().await else { return };
    let service = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nimmutable: true\ndata: {x: {{ .Values.greeting }}}\n";
    let files = [("templates/it.yaml", service), ("values.yaml", VALUES)];
    let app = Release::place(world, "f-immutable", &files, "").await;
    app.until_ready("1.0.0").await;
    app.patch(json!({"spec": {"values": {"greeting": "other"}}})).await;
    told(&app, &["ConfigMap/f-immutable/a", "immutable"]).await;

    let kube = world.kube().await;
    kube.apply("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: f-taken\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: web, namespace: f-taken}\ndata: {a: b}\n").await;
    let files = [("templates/config.yaml", CONFIG), ("values.yaml", VALUES)];
    let app =
        Release::place(world, "f-taken", &files, "install:\n  disableTakeOwnership: true\n").await;
    told(&app, &["ConfigMap \"web\" in namespace \"f-taken\"", "exists and cannot be imported"])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn charts_and_dependencies_that_are_not_there_are_named() {
    let Some(world) = World::shared().await else { return };
    let files = [("templates/config.yaml", CONFIG), ("values.yaml", VALUES)];
    let app = Release::place(world, "f-depends", &files, "dependsOn: [{name: nothing}]\n").await;
    told(&app, &["f-depends/nothing", "not found"]).await;
    let app = Release::place(world, "f-source", &files, "").await;
    let missing = oci_repository("f-source", &app.registry.url("org/none"));
    app.kube.delete(&app.release).await;
    app.kube.until_gone(&app.release).await;
    app.kube.apply(&(missing + &crate::harness::helm_release("f-source", "web", ""))).await;
    told(&app, &["OCIRepository 'f-source/chart' is not ready", "org/none"]).await;
    let range =
        oci_repository("f-source", &app.registry.url("org/web")).replace(">=0.0.0", ">=9.0.0");
    app.kube.apply(&range).await;
    told(&app, &["OCIRepository 'f-source/chart' is not ready", "9.0.0"]).await;
}

/// Everything that people and tools see of a namespace.
async fn seen(world: &World, kube: &Kube, namespace: &str) -> String {
    let mut text = tail(&world.borax.log(), usize::MAX);
    for (api, kind) in [
        ("helm.toolkit.fluxcd.io/v2", "HelmRelease"),
        ("v1", "Event"),
        ("source.toolkit.fluxcd.io/v1", "OCIRepository"),
    ] {
        for object in kube.list(api, kind, namespace).await {
            let said: Vec<&serde_json::Value> = conditions(&object).iter().collect();
            text.push_str(&format!("{said:?} {} {}", object["status"], object["message"]));
        }
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn secret_values_show_nowhere() {
    const MARK: &str = "hunter2-7f3a";
    let Some(world) = World::shared().await else { return };
    let kube = world.kube().await;
    kube.apply(&format!("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: f-secret\n---\napiVersion: v1\nkind: Secret\nmetadata: {{name: values, namespace: f-secret}}\nstringData:\n  values.yaml: |\n    greeting: {MARK}\n  broken.yaml: |\n    - {MARK}\n  word: \"{MARK}\"\n")).await;
    let from = "valuesFrom: [{kind: Secret, name: values}]\n";
    let broken = "valuesFrom: [{kind: Secret, name: values, valuesKey: broken.yaml}]\n";
    let secret =
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {x: {{ .Values.greeting }}}\n";
    let nonsense = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {x: {{ .Values.greeting }}}\nimmutable: {{ .Values.greeting }}\n";
    let config =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nimmutable: {{ .Values.greeting }}\n";
    let telltale = "{{ fail (printf \"no good: %s\" .Values.greeting) }}";
    for (template, more, part) in [
        (config, from, "ConfigMap/f-secret/a"),
        (telltale, from, "no good: ***"),
        (secret, from, "Secret/f-secret/a"),
        (nonsense, from, "Secret/f-secret/a"),
        (secret, broken, "could not resolve Secret"),
    ] {
        let files = [("templates/it.yaml", template), ("values.yaml", VALUES)];
        let app = Release::place(world, "f-secret", &files, more).await;
        cause(&app, part).await;
        app.kube.delete(&app.release).await;
        app.kube.until_gone(&app.release).await;
    }
    let text = seen(world, &kube, "f-secret").await;
    let at = text.find(MARK);
    assert!(at.is_none(), "…{}…", &text[at.unwrap_or(0).saturating_sub(300)..][..400]);
}
