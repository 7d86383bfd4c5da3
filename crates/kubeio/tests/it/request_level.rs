//! What is sent, without a server: headers, limits, errors, refused kubeconfigs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use borax_kubeio::{Cluster, ConnectError, ConnectOptions, Source, kubeconfig_from_secret};
use http::{Request, Response};
use kube::client::Body;

type Seen = Arc<Mutex<Vec<(String, Option<String>)>>>;

fn cluster(status: u16, body: &'static str) -> (Cluster, Seen) {
    let seen: Seen = Arc::default();
    let log = Arc::clone(&seen);
    let service = tower::service_fn(move |request: Request<Body>| {
        let user = request
            .headers()
            .get("impersonate-user")
            .and_then(|v| v.to_str().ok())
            .map(str::to_owned);
        log.lock()
            .expect("no test panics with the lock")
            .push((format!("{} {}", request.method(), request.uri()), user));
        let response =
            Response::builder().status(status).body(Body::from(body.as_bytes().to_vec()));
        async move { Ok::<_, tower::BoxError>(response?) }
    });
    (Cluster::from_client(kube::Client::new(service, "default")), seen)
}

async fn get(cluster: &Cluster) -> Result<serde_json::Value, kube::Error> {
    cluster
        .client()
        .request(Request::get("/api/v1/pods").body(Vec::new()).expect("a valid request"))
        .await
}

#[tokio::test]
async fn every_request_of_a_view_carries_its_user() {
    let (cluster, seen) = cluster(200, "{}");
    let tenant = cluster.as_user("system:serviceaccount:a:b");
    get(&cluster).await.unwrap();
    get(&tenant).await.unwrap();
    get(&tenant.as_self()).await.unwrap();
    let users: Vec<Option<String>> =
        seen.lock().unwrap().iter().map(|(_, user)| user.clone()).collect();
    assert_eq!(users, [None, Some("system:serviceaccount:a:b".to_owned()), None]);
    assert_eq!(cluster.requests(), 3);
    assert!(tenant.is_same_server(&cluster));
}

#[tokio::test]
async fn a_user_that_is_no_header_is_refused_before_anything_is_sent() {
    let (cluster, seen) = cluster(200, "{}");
    assert!(get(&cluster.as_user("a\nimpersonate-group: system:masters")).await.is_err());
    assert!(seen.lock().unwrap().is_empty());
}

fn kubeconfig(cluster: &str, user: &str) -> Source {
    let text = format!(
        "{{apiVersion: v1, kind: Config, current-context: c, contexts: [{{name: c, context: {{cluster: c, user: u}}}}], \
          clusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:1', {cluster}}}}}], \
          users: [{{name: u, user: {{{user}}}}}]}}"
    );
    Source::Foreign(text.into_bytes())
}

#[tokio::test]
async fn foreign_kubeconfigs_reach_for_nothing_of_this_machine() {
    let refused = async |cluster: &str, user: &str| match Cluster::connect(
        kubeconfig(cluster, user),
        ConnectOptions::default(),
    )
    .await
    {
        Err(ConnectError::Refused { field, .. }) => Some(field),
        _ => None,
    };
    assert_eq!(
        refused("", "exec: {apiVersion: client.authentication.k8s.io/v1, command: id}").await,
        Some("exec")
    );
    assert_eq!(refused("", "tokenFile: /etc/passwd").await, Some("tokenFile"));
    assert_eq!(refused("", "client-certificate: /a").await, Some("client-certificate"));
    assert_eq!(refused("", "client-key: /a").await, Some("client-key"));
    assert_eq!(
        refused("certificate-authority: /a", "token: x").await,
        Some("certificate-authority")
    );
    assert_eq!(
        refused("insecure-skip-tls-verify: true", "token: x").await,
        Some("insecure-skip-tls-verify")
    );
    assert!(Cluster::connect(kubeconfig("", "token: x"), ConnectOptions::default()).await.is_ok());
    let insecure = ConnectOptions { allow_insecure_tls: true, ..ConnectOptions::default() };
    assert!(
        Cluster::connect(kubeconfig("insecure-skip-tls-verify: true", "token: x"), insecure)
            .await
            .is_ok()
    );
}

#[test]
fn a_secret_holds_its_kubeconfig_under_a_key_or_a_usual_name() {
    let data = BTreeMap::from([
        ("value.yaml".to_owned(), b"a".to_vec()),
        ("other".to_owned(), b"b".to_vec()),
    ]);
    assert_eq!(kubeconfig_from_secret(&data, None), Some(&b"a"[..]));
    assert_eq!(kubeconfig_from_secret(&data, Some("other")), Some(&b"b"[..]));
    assert_eq!(kubeconfig_from_secret(&data, Some("none")), None);
}

/// A server that serves ConfigMaps but lets no one list them.
fn forbidding() -> (Cluster, Seen) {
    let seen: Seen = Arc::default();
    let log = Arc::clone(&seen);
    let service = tower::service_fn(move |request: Request<Body>| {
        let path = request.uri().path().to_owned();
        log.lock().expect("no test panics with the lock").push((path.clone(), None));
        let (status, body) = match path.as_str() {
            "/api" => (
                200,
                r#"{"kind":"APIGroupDiscoveryList","items":[{"metadata":{"name":""},"versions":[{"version":"v1",
                    "resources":[{"resource":"configmaps","scope":"Namespaced","verbs":["get","watch"],
                    "responseKind":{"group":"","version":"v1","kind":"ConfigMap"}}]}]}]}"#,
            ),
            "/apis" => (200, r#"{"kind":"APIGroupDiscoveryList","items":[]}"#),
            _ => {
                (403, r#"{"kind":"Status","reason":"Forbidden","message":"no rights","code":403}"#)
            }
        };
        let response =
            Response::builder().status(status).body(Body::from(body.as_bytes().to_vec()));
        async move { Ok::<_, tower::BoxError>(response?) }
    });
    (Cluster::from_client(kube::Client::new(service, "default")), seen)
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_refused_does_not_spin() {
    let (cluster, seen) = forbidding();
    let gvk = borax_object::Gvk::new("v1", "ConfigMap");
    cluster.live().cover([gvk.clone()]).await;
    assert!(!cluster.live().covers(&gvk));
    tokio::time::sleep(std::time::Duration::from_secs(3_600)).await;
    let lists = seen
        .lock()
        .expect("no test panics with the lock")
        .iter()
        .filter(|(p, _)| p.ends_with("configmaps"))
        .count();
    assert!((10..=20).contains(&lists), "{lists} in an hour");
    // Someone who applies the kind again has it tried again, at once.
    cluster.live().cover([gvk]).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let again = seen
        .lock()
        .expect("no test panics with the lock")
        .iter()
        .filter(|(p, _)| p.ends_with("configmaps"))
        .count();
    assert_eq!(again, lists + 1);
}

#[tokio::test(start_paused = true)]
async fn discovery_is_asked_once_for_all_and_not_again_for_what_it_does_not_have() {
    let (cluster, seen) = forbidding();
    let missing = borax_object::Gvk::new("example.com/v1", "Nothing");
    let discovery = cluster.discovery();
    let ask = || discovery.resolve(&cluster, &missing);
    let (a, b, c) = tokio::join!(ask(), ask(), ask());
    assert!(a.is_err() && b.is_err() && c.is_err());
    assert_eq!(
        a.expect_err("not served").to_string(),
        "no matches for kind \"Nothing\" in version \"example.com/v1\""
    );
    assert_eq!(seen.lock().expect("no test panics with the lock").len(), 2);
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert!(ask().await.is_err());
    assert_eq!(seen.lock().expect("no test panics with the lock").len(), 4);
}
