//! Prometheus metrics under the names that Flux's dashboards and alerts use.
//!
//! Names and labels: controller-runtime's `controller_runtime_*` and `workqueue_*`, Flux's
//! `gotk_reconcile_duration_seconds`, client-go's `rest_client_requests_total`.

use std::fmt::Write as _;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::Outcome;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Of {
    controller: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Queued {
    name: &'static str,
    controller: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Resulted {
    controller: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Object {
    kind: &'static str,
    name: String,
    namespace: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Request {
    code: String,
    host: String,
    method: String,
}

type HistogramOf<L> = Family<L, Histogram, fn() -> Histogram>;

fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.005, 2.0, 14))
}

/// gotk_reconcile_duration_seconds: 10 ms to about half an hour, as fluxcd/pkg `runtime/metrics` buckets it.
fn long_seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.01, 10.0, 6))
}

/// All metrics of one process. Made once in `main` and shared.
pub struct Metrics {
    registry: Registry,
    active: Family<Of, Gauge>,
    max_concurrent: Family<Of, Gauge>,
    reconciles: Family<Resulted, Counter>,
    errors: Family<Of, Counter>,
    panics: Family<Of, Counter>,
    time: HistogramOf<Of>,
    adds: Family<Queued, Counter>,
    depth: Family<Queued, Gauge>,
    wait: HistogramOf<Queued>,
    work: HistogramOf<Queued>,
    retries: Family<Queued, Counter>,
    objects: HistogramOf<Object>,
    requests: Family<Request, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            active: Family::default(),
            max_concurrent: Family::default(),
            reconciles: Family::default(),
            errors: Family::default(),
            panics: Family::default(),
            time: Family::new_with_constructor(seconds),
            adds: Family::default(),
            depth: Family::default(),
            wait: Family::new_with_constructor(seconds),
            work: Family::new_with_constructor(seconds),
            retries: Family::default(),
            objects: Family::new_with_constructor(long_seconds),
            requests: Family::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    // Counters get `_total` appended by the encoder.
    fn register(&mut self) {
        let r = &mut self.registry;
        r.register(
            "controller_runtime_active_workers",
            "Turns that hold a worker slot",
            self.active.clone(),
        );
        r.register(
            "controller_runtime_max_concurrent_reconciles",
            "Worker slots of a controller",
            self.max_concurrent.clone(),
        );
        r.register(
            "controller_runtime_reconcile",
            "Reconciliations by result",
            self.reconciles.clone(),
        );
        r.register(
            "controller_runtime_reconcile_errors",
            "Reconciliations that failed",
            self.errors.clone(),
        );
        r.register(
            "controller_runtime_reconcile_panics",
            "Reconciliations that panicked",
            self.panics.clone(),
        );
        r.register(
            "controller_runtime_reconcile_time_seconds",
            "Length of reconciliations",
            self.time.clone(),
        );
        r.register("workqueue_adds", "Wakes handled by a queue", self.adds.clone());
        r.register("workqueue_depth", "Keys that wait for a worker slot", self.depth.clone());
        r.register(
            "workqueue_queue_duration_seconds",
            "Time keys waited for a slot",
            self.wait.clone(),
        );
        r.register(
            "workqueue_work_duration_seconds",
            "Time a key was worked on",
            self.work.clone(),
        );
        r.register("workqueue_retries", "Failures put back with backoff", self.retries.clone());
        r.register(
            "gotk_reconcile_duration_seconds",
            "Length of an object's reconciliations",
            self.objects.clone(),
        );
        r.register(
            "rest_client_requests",
            "Requests to Kubernetes API servers",
            self.requests.clone(),
        );
    }

    /// The text of `/metrics` (OpenMetrics, which Prometheus scrapes).
    pub fn encode(&self) -> String {
        let mut text = String::new();
        if let Err(error) = prometheus_client::encoding::text::encode(&mut text, &self.registry) {
            // Writing to a String can't fail; say so in the scrape if it ever does.
            let _ = write!(text, "# {error}");
        }
        text
    }

    /// The length of one reconciliation of one object.
    pub fn object_reconciled(
        &self,
        kind: &'static str,
        namespace: &str,
        name: &str,
        took: Duration,
    ) {
        let label = Object { kind, name: name.to_owned(), namespace: namespace.to_owned() };
        self.objects.get_or_create(&label).observe(took.as_secs_f64());
    }

    /// Forgets an object that is gone, so that its series end.
    pub fn object_gone(&self, kind: &'static str, namespace: &str, name: &str) {
        self.objects.remove(&Object {
            kind,
            name: name.to_owned(),
            namespace: namespace.to_owned(),
        });
    }

    /// One request to an API server was answered.
    pub fn request(&self, code: &str, host: &str, method: &str) {
        let label =
            Request { code: code.to_owned(), host: host.to_owned(), method: method.to_owned() };
        self.requests.get_or_create(&label).inc();
    }

    pub(crate) fn max_concurrent(&self, controller: &'static str, slots: usize) {
        self.max_concurrent.get_or_create(&Of { controller }).set(slots as i64);
    }

    pub(crate) fn added(&self, controller: &'static str) {
        self.adds.get_or_create(&Queued { name: controller, controller }).inc();
    }

    pub(crate) fn queued(&self, controller: &'static str, waited: Duration) {
        self.wait
            .get_or_create(&Queued { name: controller, controller })
            .observe(waited.as_secs_f64());
    }

    pub(crate) fn retried(&self, controller: &'static str) {
        self.retries.get_or_create(&Queued { name: controller, controller }).inc();
    }

    pub(crate) fn panicked(&self, controller: &'static str) {
        self.panics.get_or_create(&Of { controller }).inc();
    }

    pub(crate) fn depth(&self, controller: &'static str, waiting: usize, busy: usize) {
        self.depth.get_or_create(&Queued { name: controller, controller }).set(waiting as i64);
        self.active.get_or_create(&Of { controller }).set(busy as i64);
    }

    pub(crate) fn reconciled(&self, controller: &'static str, outcome: &Outcome, took: Duration) {
        let result = match outcome {
            Outcome::Done | Outcome::Forget => "success",
            Outcome::After(_) | Outcome::RetryAfter(_) => "requeue_after",
            Outcome::Again => "requeue",
            Outcome::Backoff => "error",
        };
        self.reconciles.get_or_create(&Resulted { controller, result }).inc();
        if matches!(outcome, Outcome::Backoff) {
            self.errors.get_or_create(&Of { controller }).inc();
        }
        self.time.get_or_create(&Of { controller }).observe(took.as_secs_f64());
        self.work
            .get_or_create(&Queued { name: controller, controller })
            .observe(took.as_secs_f64());
    }
}
