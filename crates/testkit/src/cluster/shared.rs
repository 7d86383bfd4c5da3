//! Which control plane a test gets.
//!
//! Owns the choice: the one a caller named, else one this process starts once and shares, else a
//! loud skip.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use kube::config::{KubeConfigOptions, Kubeconfig};

use super::{ClusterError, ControlPlane, KUBECONFIG, OFF, Options};
use crate::skip::skipped;

/// A control plane that other tests use at the same time: make namespaces of your own, and leave
/// cluster-wide objects of others alone.
#[derive(Debug, Clone)]
pub struct Shared {
    kubeconfig: PathBuf,
}

impl Shared {
    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A new client of the administrator. Clients belong to the async runtime they are made in, so
    /// they are not shared between tests.
    ///
    /// # Errors
    /// When the kubeconfig cannot be used.
    pub async fn client(&self) -> Result<kube::Client, ClusterError> {
        client_of(&self.kubeconfig).await
    }
}

/// The shared control plane of this test process, or `None` after saying that the running test
/// is skipped.
///
/// # Panics
/// When the programs are built but the control plane does not start: that is a failure, not a reason
/// to skip.
pub fn require() -> Option<Shared> {
    // Never dropped: its processes end with this one.
    static STARTED: OnceLock<Option<ControlPlane>> = OnceLock::new();
    if is_off() {
        return None;
    }
    if let Some(path) = std::env::var_os(KUBECONFIG).filter(|v| !v.is_empty()) {
        return Some(Shared { kubeconfig: path.into() });
    }
    let started = STARTED.get_or_init(|| start(Options::default()));
    match started {
        Some(plane) => Some(Shared { kubeconfig: plane.kubeconfig() }),
        None => {
            say_skipped();
            None
        }
    }
}

/// A control plane of the test's own, or `None` after saying that the running test is skipped.
///
/// # Panics
/// As [`require`] does.
pub fn own(options: Options) -> Option<ControlPlane> {
    if is_off() {
        return None;
    }
    let plane = start(options);
    if plane.is_none() {
        say_skipped();
    }
    plane
}

#[expect(clippy::panic, reason = "tests call this, and a broken control plane fails them")]
fn start(options: Options) -> Option<ControlPlane> {
    match ControlPlane::start(options) {
        Ok(plane) => Some(plane),
        Err(ClusterError::NotBuilt { .. }) => None,
        Err(other) => {
            let cause = std::error::Error::source(&other).map(|s| format!(": {s}"));
            panic!("{other}{}", cause.unwrap_or_default())
        }
    }
}

fn is_off() -> bool {
    let reason = std::env::var(OFF).ok().filter(|v| !v.is_empty());
    reason.inspect(|why| skipped(why)).is_some()
}

fn say_skipped() {
    skipped("the control plane's programs are not built (`cargo xtask cluster up` builds them)");
}

pub(super) async fn client_of(kubeconfig: &Path) -> Result<kube::Client, ClusterError> {
    let wrong = |source: Box<dyn std::error::Error + Send + Sync>| ClusterError::Client {
        path: kubeconfig.to_path_buf(),
        source,
    };
    let file = Kubeconfig::read_from(kubeconfig).map_err(|e| wrong(e.into()))?;
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
        .await
        .map_err(|e| wrong(e.into()))?;
    kube::Client::try_from(config).map_err(|e| wrong(e.into()))
}
