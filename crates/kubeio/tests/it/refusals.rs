//! A server that refuses watches, ends them at once, asks to come back later, or lets someone else write first.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use borax_health::Checks;
use borax_kubeio::{Cluster, Lease, LeaseTimes, RequestError, Resource, WaitError, WaitOptions};
use borax_object::{Gvk, ObjectId};
use http::{Method, Request, Response};
use kube::client::Body;
use serde_json::{Value, json};

/// Status, `Retry-After`, body.
type Answer = (u16, Option<&'static str>, Value);

/// How often something was asked, as `METHOD path`, with ` watch` behind for watches.
type Asked = Arc<Mutex<Vec<String>>>;

/// A server of ConfigMaps and Deployments; `answer` says what becomes of requests that are no discovery. Each request
/// takes a millisecond, so that time passes for whoever asks without a pause.
fn server(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> (Cluster, Asked) {
    let asked: Asked = Arc::default();
    let (log, answer) = (Arc::clone(&asked), Arc::new(answer));
    let service = tower::service_fn(move |request: Request<Body>| {
        let watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
        let path = request.uri().path();
        let line = format!("{} {path}{}", request.method(), if watch { " watch" } else { "" });
        let (status, retry, body) = match path {
            "/api" => (200, None, discovery("", "configmaps", "ConfigMap")),
            "/apis" => (200, None, discovery("apps", "deployments", "Deployment")),
            _ => answer(&line),
        };
        log.lock().expect("no test panics with the lock").push(line);
        let mut response = Response::builder().status(status);
        if let Some(seconds) = retry {
            response = response.header("retry-after", seconds);
        }
        // A watch that is let through ends at once.
        let text = if watch && status == 200 { String::new() } else { body.to_string() };
        let response = response.body(Body::from(text.into_bytes()));
        async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok::<_, tower::BoxError>(response?)
        }
    });
    (Cluster::from_client(kube::Client::new(service, "default")), asked)
}

fn discovery(group: &str, plural: &str, kind: &str) -> Value {
    json!({"kind": "APIGroupDiscoveryList", "items": [{"metadata": {"name": group}, "versions": [{"version": "v1",
        "resources": [{"resource": plural, "scope": "Namespaced", "verbs": ["get", "list", "watch"],
            "responseKind": {"group": group, "version": "v1", "kind": kind}}]}]}]})
}

fn refusal(code: u16, reason: &str) -> Answer {
    (code, None, json!({"kind": "Status", "reason": reason, "message": "as told", "code": code}))
}

fn list(items: &[Value]) -> Answer {
    (
        200,
        None,
        json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "7"}, "items": items}),
    )
}

/// A Deployment that is ready or not, as one Kustomization applied it.
fn deployment(ready: bool) -> Value {
    let n = u8::from(ready);
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default", "uid": "u", "generation": 1, "resourceVersion": "5",
            "labels": {"kustomize.toolkit.fluxcd.io/name": "app", "kustomize.toolkit.fluxcd.io/namespace": "default"}},
        "spec": {"replicas": 1},
        "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": n, "readyReplicas": n, "availableReplicas": n,
            "conditions": [{"type": "Available", "status": if ready { "True" } else { "False" }}]}})
}

fn count(asked: &Asked, what: &str) -> usize {
    let asked = asked.lock().expect("no test panics with the lock");
    asked.iter().filter(|line| *line == what).count()
}

async fn wait(cluster: &Cluster, id: &ObjectId) -> Result<(), String> {
    let options = WaitOptions { timeout: Duration::from_secs(60), ..WaitOptions::default() };
    let live = cluster.live();
    let result =
        live.wait_healthy(cluster, std::slice::from_ref(id), Arc::new(Checks::none()), &options);
    result.await.map_err(|error: WaitError| error.to_string())
}

const ONE: &str = "GET /apis/apps/v1/namespaces/default/deployments/web";
const ALL: &str = "GET /apis/apps/v1/deployments";

/// Becomes ready while it is waited for; only reading it is allowed.
#[tokio::test(start_paused = true)]
async fn what_may_only_be_read_is_read_until_it_is_ready() {
    let reads = AtomicUsize::new(0);
    let (cluster, asked) = server(move |line| match line {
        ONE => (200, None, deployment(reads.fetch_add(1, Ordering::Relaxed) > 2)),
        _ => refusal(403, "Forbidden"),
    });
    let object = deployment(false);
    let id = ObjectId::of(&object);
    cluster.live().cover([Gvk::of(&object)]).await;
    // The answer to our own write: nothing tells of what becomes of it later.
    cluster.live().wrote(&id, &object, &object);
    wait(&cluster, &id).await.expect("it becomes ready");
    assert_eq!(count(&asked, ONE), 4);
    assert_eq!(
        wait(&cluster, &ObjectId { name: "other".into(), ..id })
            .await
            .expect_err("it may not be read"),
        "timeout waiting for: [Deployment/default/other status: 'Unknown': as told]"
    );
}

/// The kind was listed, so the store knows the object; then its watch is refused.
#[tokio::test(start_paused = true)]
async fn a_watch_that_is_refused_in_the_middle_of_a_wait_ends_in_reading() {
    let (cluster, asked) = server(|line| match line {
        ONE => (200, None, deployment(true)),
        ALL => list(&[deployment(false)]),
        _ => refusal(403, "Forbidden"),
    });
    let object = deployment(false);
    cluster.live().cover([Gvk::of(&object)]).await;
    assert!(cluster.live().covers(&Gvk::of(&object)));
    wait(&cluster, &ObjectId::of(&object)).await.expect("it is ready");
    assert_eq!(count(&asked, ONE), 1);
}

#[tokio::test(start_paused = true)]
async fn what_may_only_be_read_is_read_until_it_is_gone() {
    let reads = AtomicUsize::new(0);
    let (cluster, asked) = server(move |line| match line {
        ONE if reads.fetch_add(1, Ordering::Relaxed) < 2 => (200, None, deployment(true)),
        ONE => refusal(404, "NotFound"),
        _ => refusal(403, "Forbidden"),
    });
    let (resource, id) = resource(&cluster).await;
    cluster.wait_gone(&resource, &id, Duration::from_secs(60)).await.expect("it goes");
    assert_eq!(count(&asked, ONE), 3);
}

async fn resource(cluster: &Cluster) -> (Resource, ObjectId) {
    let object = deployment(true);
    let resource = cluster.discovery().resolve(cluster, &Gvk::of(&object)).await;
    (Resource::clone(&resource.expect("it is served")), ObjectId::of(&object))
}

#[tokio::test(start_paused = true)]
async fn watches_that_end_at_once_or_are_refused_after_every_list_do_not_spin() {
    let watch = "GET /apis/apps/v1/deployments watch";
    for (refused, most) in [(false, 15), (true, 6)] {
        let (cluster, asked) = server(move |line| match line {
            ALL => list(&[]),
            _ if refused => refusal(403, "Forbidden"),
            _ => (200, None, Value::Null),
        });
        cluster.live().cover([Gvk::of(&deployment(true))]).await;
        // Ends at once: after 0.2, 0.6, 1.4 … 12.6 s, then every 10 s. Refused: after 5, 15, 35, 75 s.
        tokio::time::sleep(Duration::from_secs(90)).await;
        let watches = count(&asked, watch);
        assert!((4..=most).contains(&watches), "{watches} watches, refused: {refused}");
        assert!(count(&asked, ALL) <= watches + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_is_sent_again_when_the_server_says_when() {
    for code in [429, 500, 502, 503, 504] {
        let tries = AtomicUsize::new(0);
        let (cluster, asked) = server(move |_| match tries.fetch_add(1, Ordering::Relaxed) {
            0 => (code, Some("3"), json!({})),
            // A day is not waited for.
            1 => (code, Some("86400"), json!({})),
            _ => (200, None, deployment(true)),
        });
        let (resource, _) = resource(&cluster).await;
        let begin = tokio::time::Instant::now();
        cluster.read_object(&resource, "default", "web").await.expect("the third try is answered");
        assert_eq!((count(&asked, ONE), begin.elapsed().as_secs()), (3, 13), "{code}");
    }
    let (cluster, asked) = server(|_| refusal(500, "InternalError"));
    let (resource, _) = resource(&cluster).await;
    let error = cluster.read_object(&resource, "default", "web").await.expect_err("refused");
    assert!(matches!(error, RequestError::Api(error) if error.code == 500));
    assert_eq!(count(&asked, ONE), 1);
}

/// Another writer of the Lease is no other leader.
#[tokio::test(start_paused = true)]
async fn leadership_outlives_a_conflicting_write() {
    let lease = Arc::new(Mutex::new(None::<Value>));
    let puts = AtomicUsize::new(0);
    let (cluster, asked) = server(move |line| {
        let mut lease = lease.lock().expect("no test panics with the lock");
        let ours = json!({"spec": {"holderIdentity": "one", "leaseDurationSeconds": 15}});
        match line.split(' ').next() {
            Some("POST") => {
                *lease = Some(ours.clone());
                (201, None, ours)
            }
            Some("PUT") if puts.fetch_add(1, Ordering::Relaxed) == 1 => refusal(409, "Conflict"),
            Some("PUT") => (200, None, ours),
            _ => lease.clone().map_or_else(|| refusal(404, "NotFound"), |lease| (200, None, lease)),
        }
    });
    let times = LeaseTimes {
        lease: Duration::from_secs(15),
        renew_deadline: Duration::from_secs(10),
        retry: Duration::from_secs(2),
    };
    let mut lease = Lease::acquire(&cluster, "default", "leader", "one", times).await;
    let lost = tokio::time::timeout(Duration::from_secs(60), lease.lost()).await;
    assert!(lost.is_err(), "the next attempt renews it");
    let path = "/apis/coordination.k8s.io/v1/namespaces/default/leases/leader";
    assert!(count(&asked, &format!("{} {path}", Method::PUT)) > 20);
}
