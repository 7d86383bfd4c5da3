//! The records of one release in the cluster: read, written and pruned as Helm's storage does it.
//!
//! Behaviour: Helm `pkg/storage/storage.go`, `pkg/storage/driver/secrets.go`.

use std::sync::LazyLock;

use borax_kubeio::{Cluster, Propagation, Resource};
use borax_object::Gvk;
use borax_release::{History, Release, storage};
use jiff::Timestamp;

use super::ops::MANAGER;

static SECRETS: LazyLock<Resource> = LazyLock::new(|| Resource {
    gvk: Gvk::new("v1", "Secret"),
    plural: "secrets".to_owned(),
    namespaced: true,
    watchable: true,
});

/// The records of one release.
pub(super) struct Records {
    pub(super) cluster: Cluster,
    /// The namespace they are in.
    pub(super) namespace: String,
    /// The release's name.
    pub(super) name: String,
    pub(super) history: History,
}

impl Records {
    /// Reads all of them. One that can't be read is left out, as Helm leaves it out, and told in the log.
    ///
    /// # Errors
    /// The server refused, or could not be reached.
    pub(super) async fn read(
        cluster: &Cluster,
        namespace: &str,
        name: &str,
    ) -> Result<Self, String> {
        let mut releases = Vec::new();
        let selector = storage::selector(name);
        let read =
            cluster.list_objects(
                &SECRETS,
                namespace,
                &selector,
                |secret| match storage::from_secret(&secret) {
                    Ok(release) => releases.push(release),
                    Err(error) => tracing::warn!(%error, "a release record is left out"),
                },
            );
        read.await.map_err(|error| {
            format!("records of release '{namespace}/{name}' can't be listed: {error}")
        })?;
        Ok(Self {
            cluster: cluster.clone(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            history: History::new(releases),
        })
    }

    /// Stores a new record, after making room for it.
    ///
    /// # Errors
    /// There is one with its number already, or the server refused.
    pub(super) async fn create(&mut self, release: &Release, most: i64) -> Result<(), String> {
        for version in self.history.to_prune(most) {
            self.delete(version).await?;
        }
        let secret = storage::to_secret(release, &self.namespace, now(), true);
        let made = self.cluster.create_object(&SECRETS, &secret, MANAGER).await;
        made.map_err(|error| self.failed("stored", release.version, &error))?;
        self.history.put(release.clone());
        Ok(())
    }

    /// Stores a record anew.
    ///
    /// # Errors
    /// The server refused.
    pub(super) async fn update(&mut self, release: &Release) -> Result<(), String> {
        let secret = storage::to_secret(release, &self.namespace, now(), false);
        let made = self.cluster.replace_object(&SECRETS, &secret, MANAGER).await;
        made.map_err(|error| self.failed("updated", release.version, &error))?;
        self.history.put(release.clone());
        Ok(())
    }

    /// Deletes a record.
    ///
    /// # Errors
    /// The server refused.
    pub(super) async fn delete(&mut self, version: i64) -> Result<(), String> {
        let key = storage::key(&self.name, version);
        let background = Propagation::Background;
        self.cluster
            .delete_object(&SECRETS, &self.namespace, &key, background, None)
            .await
            .map_err(|error| self.failed("deleted", version, &error))?;
        self.history.remove(version);
        Ok(())
    }

    fn failed(&self, verb: &str, version: i64, error: &borax_kubeio::RequestError) -> String {
        let key = storage::key(&self.name, version);
        format!("Secret/{}/{key} could not be {verb}: {error}", self.namespace)
    }
}

fn now() -> i64 {
    Timestamp::now().as_second()
}

/// The time as records have it.
pub(super) fn stamp() -> String {
    Timestamp::now().to_string()
}
