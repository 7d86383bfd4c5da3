//! Plain requests about single objects, for what is applied without a plan: Helm releases and their records.
//!
//! Every write's answer goes into the store of live objects at once, as for plans.

use std::time::Duration;

use borax_apply::{Fingerprint, Written};
use borax_object::{Digest, ObjectId, Value, meta};
use http::Method;
use serde_json::json;

use crate::cluster::Cluster;
use crate::discovery::Resource;
use crate::follow;
use crate::request::{RequestError, encode};
use crate::wait::WaitError;

const APPLY: &str = "application/apply-patch+yaml";
const JSON: &str = "application/json";

/// How many objects a page of a list of whole objects holds: release records may be a megabyte each.
const PAGE: usize = 20;

/// What becomes of objects that depend on a deleted one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Propagation {
    /// They are deleted afterwards.
    #[default]
    Background,
    /// They are deleted first.
    Foreground,
    /// They stay.
    Orphan,
}

/// How an object is applied.
#[derive(Clone, Copy, Debug)]
pub struct ApplyOptions<'a> {
    /// The field manager.
    pub manager: &'a str,
    /// Whether fields of other managers are taken.
    pub force: bool,
    /// Whether nothing is written.
    pub dry_run: bool,
}

impl Cluster {
    /// Reads one object.
    ///
    /// # Errors
    /// The server refused, or could not be reached.
    pub async fn read_object(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
    ) -> Result<Value, RequestError> {
        self.get(&resource.path(namespace, Some(name))).await
    }

    /// Reads all objects in a namespace that a label selector chooses, page by page.
    ///
    /// # Errors
    /// The server refused, or could not be reached.
    pub async fn list_objects(
        &self,
        resource: &Resource,
        namespace: &str,
        selector: &str,
        mut each: impl FnMut(Value),
    ) -> Result<(), RequestError> {
        let mut next = String::new();
        loop {
            let mut path = format!(
                "{}?labelSelector={}&limit={PAGE}",
                resource.path(namespace, None),
                encode(selector)
            );
            if !next.is_empty() {
                path = format!("{path}&continue={}", encode(&next));
            }
            let mut page = self.get(&path).await?;
            if let Some(Value::Array(items)) = page.get_mut("items").map(Value::take) {
                items.into_iter().for_each(&mut each);
            }
            match page.pointer("/metadata/continue").and_then(Value::as_str) {
                Some(more) if !more.is_empty() => next = more.to_owned(),
                _ => return Ok(()),
            }
        }
    }

    /// Creates an object.
    ///
    /// # Errors
    /// The server refused, or could not be reached.
    pub async fn create_object(
        &self,
        resource: &Resource,
        object: &Value,
        manager: &str,
    ) -> Result<Value, RequestError> {
        let path = resource.path(meta::namespace(object), None);
        self.send_object(Method::POST, &path, object, manager).await
    }

    /// Replaces an object.
    ///
    /// # Errors
    /// The server refused, or could not be reached.
    pub async fn replace_object(
        &self,
        resource: &Resource,
        object: &Value,
        manager: &str,
    ) -> Result<Value, RequestError> {
        let path = resource.path(meta::namespace(object), Some(meta::name(object)));
        self.send_object(Method::PUT, &path, object, manager).await
    }

    async fn send_object(
        &self,
        method: Method,
        path: &str,
        object: &Value,
        manager: &str,
    ) -> Result<Value, RequestError> {
        let path = format!("{path}?fieldManager={}&fieldValidation=Strict", encode(manager));
        self.call(method, &path, Some((JSON, object.to_string().into_bytes()))).await
    }

    /// Applies an object on the server. Unknown fields are refused.
    ///
    /// # Errors
    /// The server refused, or could not be reached.
    pub async fn apply_object(
        &self,
        resource: &Resource,
        object: &Value,
        options: ApplyOptions<'_>,
    ) -> Result<Value, RequestError> {
        let ApplyOptions { manager, force, dry_run } = options;
        let dry = if dry_run { "&dryRun=All" } else { "" };
        let path = format!(
            "{}?force={force}&fieldManager={}&fieldValidation=Strict{dry}",
            resource.path(meta::namespace(object), Some(meta::name(object))),
            encode(manager)
        );
        self.patch(&path, APPLY, object).await
    }

    /// Patches an object with the given kind of patch.
    ///
    /// # Errors
    /// The server refused, or could not be reached.
    pub async fn patch_object(
        &self,
        resource: &Resource,
        id: &ObjectId,
        content_type: &'static str,
        patch: &Value,
        manager: &str,
    ) -> Result<Value, RequestError> {
        let path = resource.path(&id.namespace, Some(&id.name));
        let path = format!("{path}?fieldManager={}", encode(manager));
        self.patch(&path, content_type, patch).await
    }

    /// Deletes an object; that it is gone already is as good. With `uid`, only that incarnation of it.
    ///
    /// # Errors
    /// The server refused, or could not be reached.
    pub async fn delete_object(
        &self,
        resource: &Resource,
        namespace: &str,
        name: &str,
        propagation: Propagation,
        uid: Option<&str>,
    ) -> Result<(), RequestError> {
        let policy = match propagation {
            Propagation::Background => "Background",
            Propagation::Foreground => "Foreground",
            Propagation::Orphan => "Orphan",
        };
        let mut options =
            json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": policy});
        if let Some(uid) = uid.filter(|uid| !uid.is_empty()) {
            options["preconditions"] = json!({"uid": uid});
        }
        let body = Some((JSON, options.to_string().into_bytes()));
        let path = resource.path(namespace, Some(name));
        match self.call(Method::DELETE, &path, body).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Waits until an object is gone, by watch.
    ///
    /// # Errors
    /// The time is over.
    pub async fn wait_gone(
        &self,
        resource: &Resource,
        id: &ObjectId,
        timeout: Duration,
    ) -> Result<(), WaitError> {
        follow::gone(self, resource, id, None, timeout).await
    }
}

impl crate::live::Live {
    /// Announces that an object is about to be written or deleted: what the watch says of it next is no drift.
    pub fn about_to_write(&self, id: &ObjectId) {
        self.writing(id);
    }

    /// Takes in the answer to a write of what was wanted.
    pub fn wrote(&self, id: &ObjectId, wanted: &Value, answer: &Value) {
        self.observe(answer);
        let fingerprint = Fingerprint::of(answer, self.takeover());
        self.settle(id, Written { desired: Digest::of_desired(wanted), fingerprint });
    }

    /// Whether an object that is wanted so lives as it was left by the last write of this process, as far as
    /// `cluster`'s user may know.
    pub fn is_settled(&self, cluster: &Cluster, object: &Value) -> bool {
        let (gvk, id) = (borax_object::Gvk::of(object), ObjectId::of(object));
        let known = self.known(cluster, &gvk, &id);
        let (Some(live), Some(written)) = (known.live, known.written) else { return false };
        written.fingerprint.still_holds(&live) && written.desired == Digest::of_desired(object)
    }

    /// Remembers that a live object is as wanted.
    pub fn found_as_wanted(&self, id: &ObjectId, wanted: &Value, live: &Value) {
        let fingerprint = Fingerprint::of(live, self.takeover());
        self.settle(id, Written { desired: Digest::of_desired(wanted), fingerprint });
    }
}
