//! Leader election on a `coordination.k8s.io/v1` Lease, by client-go's rules, so that Borax and Flux's controllers
//! respect each other's leases.

use std::time::Duration;

use borax_object::{Value, meta};
use http::Method;
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::request::{RequestError, encode};
use crate::watch::Abort;

/// `--leader-election-*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTimes {
    /// How long a lease holds after it was renewed.
    pub lease: Duration,
    /// How long a leader tries to renew before it gives up.
    pub renew_deadline: Duration,
    /// How long to wait between attempts.
    pub retry: Duration,
}

impl Default for LeaseTimes {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(35),
            renew_deadline: Duration::from_secs(30),
            retry: Duration::from_secs(5),
        }
    }
}

/// Leadership that is held until it is lost, released or dropped. Dropping stops renewing without giving the lease
/// back: others get it when it has expired.
pub struct Lease {
    candidate: Candidate,
    lost: watch::Receiver<bool>,
    task: Abort,
}

#[derive(Clone)]
struct Candidate {
    cluster: Cluster,
    namespace: String,
    name: String,
    identity: String,
    times: LeaseTimes,
}

/// A lease as it was last seen, and when: expiry is judged by our own clock since then, never by the holder's.
struct Observed {
    holder: String,
    renewed: String,
    at: Instant,
}

impl Lease {
    /// Waits until this process leads.
    ///
    /// Flow: the lease is made when missing, taken when released or expired, and otherwise looked at every `retry`.
    /// Errors are logged and tried again.
    pub async fn acquire(
        cluster: &Cluster,
        namespace: &str,
        name: &str,
        identity: &str,
        times: LeaseTimes,
    ) -> Self {
        let candidate = Candidate {
            cluster: cluster.as_self(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            identity: identity.to_owned(),
            times,
        };
        let mut observed: Option<Observed> = None;
        loop {
            match candidate.attempt(&mut observed).await {
                Ok(true) => break,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(lease = name, %error, "leader election: attempt failed")
                }
            }
            tokio::time::sleep(times.retry).await;
        }
        tracing::info!(lease = name, identity, "leader election: leading");
        let (sender, lost) = watch::channel(false);
        let task = Abort(tokio::spawn(renew(candidate.clone(), sender)));
        Self { candidate, lost, task }
    }

    /// Waits until leadership is lost. A process must then stop what it does at once.
    pub async fn lost(&mut self) {
        // An error means that the renewing task is gone, and leadership soon with it.
        let _ = self.lost.wait_for(|lost| *lost).await;
    }

    /// Gives the lease back, so that another candidate need not wait for its expiry.
    ///
    /// # Errors
    /// The server refused, or could not be reached: then the lease expires by itself.
    pub async fn release(self) -> Result<(), RequestError> {
        drop(self.task);
        self.candidate.release().await
    }
}

async fn renew(candidate: Candidate, lost: watch::Sender<bool>) {
    let mut observed = None;
    let mut renewed = Instant::now();
    loop {
        tokio::time::sleep(candidate.times.retry).await;
        let left = candidate.times.renew_deadline.saturating_sub(renewed.elapsed());
        match tokio::time::timeout(left, candidate.attempt(&mut observed)).await {
            Ok(Ok(true)) => renewed = Instant::now(),
            Ok(Ok(false)) => break,
            Ok(Err(error)) => {
                tracing::warn!(lease = candidate.name, %error, "leader election: renewal failed")
            }
            Err(_) => {}
        }
        if renewed.elapsed() >= candidate.times.renew_deadline {
            break;
        }
    }
    tracing::error!(lease = candidate.name, "leader election: leadership lost");
    lost.send_replace(true);
}

impl Candidate {
    fn collection(&self) -> String {
        format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases", encode(&self.namespace))
    }

    fn path(&self) -> String {
        format!("{}/{}", self.collection(), encode(&self.name))
    }

    /// Takes or renews the lease; false when someone else holds it. That someone was faster with a write is an error like
    /// others: the next attempt sees who it was.
    async fn attempt(&self, observed: &mut Option<Observed>) -> Result<bool, RequestError> {
        let lease = match self.cluster.get(&self.path()).await {
            Ok(lease) => lease,
            Err(error) if error.is_not_found() => {
                let lease = self.lease(None);
                let body = Some(("application/json", lease.to_string().into_bytes()));
                self.cluster.call(Method::POST, &self.collection(), body).await?;
                return Ok(true);
            }
            Err(error) => return Err(error),
        };
        let text = |pointer: &str| {
            lease.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let (holder, renewed) = (text("/spec/holderIdentity"), text("/spec/renewTime"));
        if !observed.as_ref().is_some_and(|seen| seen.holder == holder && seen.renewed == renewed) {
            *observed = Some(Observed { holder: holder.clone(), renewed, at: Instant::now() });
        }
        let seconds = lease.pointer("/spec/leaseDurationSeconds").and_then(Value::as_u64);
        let lasts = seconds.map_or(self.times.lease, Duration::from_secs);
        let is_held = observed.as_ref().is_some_and(|seen| seen.at.elapsed() < lasts);
        if !holder.is_empty() && holder != self.identity && is_held {
            return Ok(false);
        }
        let lease = self.lease(Some(&lease));
        let body = Some(("application/json", lease.to_string().into_bytes()));
        self.cluster.call(Method::PUT, &self.path(), body).await?;
        Ok(true)
    }

    /// The lease as ours, upon the one that is there.
    fn lease(&self, current: Option<&Value>) -> Value {
        let now = format!("{:.6}", Timestamp::now());
        let mut lease = current.cloned().unwrap_or_else(|| {
            json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                   "metadata": {"name": self.name, "namespace": self.namespace},
                   "spec": {"leaseTransitions": 0}})
        });
        let ours =
            lease.pointer("/spec/holderIdentity").and_then(Value::as_str) == Some(&self.identity);
        let transitions =
            lease.pointer("/spec/leaseTransitions").and_then(Value::as_u64).unwrap_or(0);
        if !ours {
            lease["spec"]["acquireTime"] = Value::String(now.clone());
            lease["spec"]["leaseTransitions"] = json!(transitions + u64::from(current.is_some()));
        }
        lease["spec"]["holderIdentity"] = Value::String(self.identity.clone());
        lease["spec"]["leaseDurationSeconds"] = json!(self.times.lease.as_secs().max(1));
        lease["spec"]["renewTime"] = Value::String(now);
        lease
    }

    async fn release(&self) -> Result<(), RequestError> {
        let mut lease = self.cluster.get(&self.path()).await?;
        if lease.pointer("/spec/holderIdentity").and_then(Value::as_str) != Some(&self.identity) {
            return Ok(());
        }
        tracing::info!(lease = meta::name(&lease), "leader election: releasing");
        // As client-go does: an empty holder, and a lease that expires at once.
        lease["spec"]["holderIdentity"] = Value::String(String::new());
        lease["spec"]["leaseDurationSeconds"] = json!(1);
        let body = Some(("application/json", lease.to_string().into_bytes()));
        self.cluster.call(Method::PUT, &self.path(), body).await.map(drop)
    }
}
