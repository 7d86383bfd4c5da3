//! The HTTP servers of a process: metrics, health, artifacts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use borax_reconcile::Metrics;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Whether the process serves: it leads, or needs no leadership.
#[derive(Clone, Default)]
pub(crate) struct Ready(Arc<AtomicBool>);

impl Ready {
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// `/metrics`.
pub(crate) fn metrics(metrics: Arc<Metrics>) -> Router {
    let kind =
        [(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")];
    Router::new().route("/metrics", get(move || async move { (kind, metrics.encode()) }))
}

/// `/healthz` and `/readyz`. A process that waits for leadership is ready, as in Flux: it can take over.
pub(crate) fn health(ready: Ready) -> Router {
    let leading = get(move || async move {
        if ready.0.load(Ordering::Relaxed) { "ok" } else { "ok, waiting for leadership" }
    });
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", leading)
        .fallback(|| async { StatusCode::NOT_FOUND })
}

/// The servers that run.
pub(crate) struct Servers {
    running: JoinSet<()>,
    failures: (
        mpsc::UnboundedSender<anyhow::Error>,
        tokio::sync::Mutex<mpsc::UnboundedReceiver<anyhow::Error>>,
    ),
}

impl Default for Servers {
    fn default() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Self { running: JoinSet::new(), failures: (sender, tokio::sync::Mutex::new(receiver)) }
    }
}

impl Servers {
    /// Serves `router` on `listener` until `shutdown`.
    pub(crate) fn add(
        &mut self,
        name: &'static str,
        listener: TcpListener,
        router: Router,
        shutdown: &CancellationToken,
    ) {
        let (shutdown, failures) = (shutdown.clone(), self.failures.0.clone());
        self.running.spawn(async move {
            let served = axum::serve(listener, router)
                .with_graceful_shutdown(shutdown.cancelled_owned())
                .await;
            if let Err(error) = served {
                let _ = failures
                    .send(anyhow::Error::new(error).context(format!("the {name} server failed")));
            }
        });
    }

    /// Resolves when a server failed.
    pub(crate) async fn failed(&self) -> anyhow::Error {
        match self.failures.1.lock().await.recv().await {
            Some(error) => error,
            // A sender lives in self.
            None => std::future::pending().await,
        }
    }

    /// Resolves when all servers have ended.
    pub(crate) async fn ended(mut self) {
        while self.running.join_next().await.is_some() {}
    }
}
