//! Executes plans: staged server-side apply, each object tried by a dry run before any of its stage is written
//! (fluxcd/pkg `ssa/manager_apply.go`, with fewer requests).
//!
//! ```text
//! Check: dry run ─┬─ new ──────────────────────────────────────────────► created, write
//!                 ├─ there, and known to the store in that version ─┬─► drifted: configured, write
//!                 │                                                 └─► unchanged
//!                 ├─ there, unknown: read it ── take over ── compare ──► as above
//!                 └─ refused: read it ─┬─ asks to be left alone ───────► skipped
//!                                      ├─ immutable, may be recreated ─► delete, wait, dry run, created
//!                                      └─ else: the error
//! ```
//!
//! A new or changed object costs two requests, an unchanged one none, one that is not remembered (after a restart) one.

use std::sync::Arc;
use std::time::Duration;

use borax_apply::{
    Action, ChangeSet, Decision, Fingerprint, Marks, Options, Owner, Plan, Stage, Step, Written,
    has_drifted, is_immutable_error, migration_patch,
};
use borax_health::Checks;
use borax_object::{Digest, Entry, ObjectId, Value, kind_order, meta, normalize_dry_run};
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use http::Method;
use serde_json::json;

use crate::cluster::Cluster;
use crate::discovery::{DiscoveryError, Resource};
use crate::follow;
use crate::request::{RequestError, encode};
use crate::wait::{WaitError, WaitOptions};

/// How long the objects of a stage that others depend on have to become ready.
const STAGE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a deleted object has to be gone before it is made again.
const RECREATE_TIMEOUT: Duration = Duration::from_secs(60);
/// How often, and how far apart, a request is tried while a just established kind is not served yet.
const NOT_SERVED_YET: (u32, Duration) = (25, Duration::from_millis(200));

const APPLY: &str = "application/apply-patch+yaml";
const JSON_PATCH: &str = "application/json-patch+json";

/// Why a plan was not carried out. Displayed in Flux's words.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ApplyError {
    /// The server would not take an object.
    #[error("{}", dry_run_text(.id, .source))]
    DryRun {
        /// The object.
        id: ObjectId,
        /// The refusal.
        source: RequestError,
    },
    /// An object that is there could not be read, so that it is not known whether it may be written.
    #[error("{id} query failed: {source}")]
    Read {
        /// The object.
        id: ObjectId,
        /// The refusal.
        source: RequestError,
    },
    /// An object's kind is not served.
    #[error("{id} dry-run failed: {source}")]
    Kind {
        /// The object.
        id: ObjectId,
        /// What was looked for.
        source: DiscoveryError,
    },
    /// A namespaced object has no namespace.
    #[error("{0} namespace not specified: the server could not find the requested resource")]
    NoNamespace(ObjectId),
    /// An object could not be written although it was tried before.
    #[error("{id} apply failed: {source}")]
    Apply {
        /// The object.
        id: ObjectId,
        /// The refusal.
        source: RequestError,
    },
    /// Fields of other managers could not be taken over.
    #[error("{id} metadata.managedFields cleanup failed: {source}")]
    Takeover {
        /// The object.
        id: ObjectId,
        /// The refusal.
        source: RequestError,
    },
    /// Fields could not be moved to another version.
    #[error(
        "{id} failed to migrate API version: failed to migrate managed fields API version to {api_version}: {source}"
    )]
    Migrate {
        /// The object.
        id: ObjectId,
        /// The version.
        api_version: String,
        /// The refusal.
        source: RequestError,
    },
    /// An object that must be made again could not be deleted.
    #[error("{id} immutable field detected, failed to delete object: {source}")]
    Delete {
        /// The object.
        id: ObjectId,
        /// The refusal.
        source: RequestError,
    },
    /// An object that must be made again does not go away.
    #[error("{id} immutable field detected, failed to wait for object to be deleted: {source}")]
    Gone {
        /// The object.
        id: ObjectId,
        /// How long it was waited for.
        source: WaitError,
    },
    /// The objects of a stage that others depend on did not become ready.
    #[error(transparent)]
    Stage(#[from] WaitError),
}

/// fluxcd/pkg `ssa/errors`: `DryRunErr.Error`.
fn dry_run_text(id: &ObjectId, source: &RequestError) -> String {
    if source.is_not_found() {
        return format!("{id} not found: {source}");
    }
    let conflict = source
        .api()
        .is_some_and(|api| api.causes.iter().any(|cause| cause == "FieldManagerConflict"));
    let reason = if conflict { "FieldManagerConflict" } else { source.reason() };
    match reason {
        "" => format!("{id} dry-run failed: {source}"),
        reason => format!("{id} dry-run failed ({reason}): {source}"),
    }
}

/// A plan that was carried out in part.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{source}")]
pub struct ApplyFailed {
    /// What came of the stages that were carried out whole.
    pub changes: ChangeSet,
    /// What stood in the way.
    #[source]
    pub source: ApplyError,
}

/// Carries out plans of one owner with the rights of one user.
#[derive(Clone)]
pub struct Applier {
    cluster: Cluster,
    owner: Owner,
    options: Arc<Options>,
    concurrency: usize,
}

/// What the check of one object came to.
struct Checked {
    entry: Entry,
    action: Action,
    /// What is to be written, and where.
    write: Option<(Arc<Resource>, Value)>,
    /// The digest of the object as it was wanted.
    desired: Digest,
}

/// What is to be written, in order, in groups of kinds of one rank.
fn by_rank(checked: &[Checked]) -> Vec<Vec<&Checked>> {
    let mut ranks: Vec<(usize, Vec<&Checked>)> = Vec::new();
    for checked in checked {
        if checked.write.is_none() {
            continue;
        }
        let rank = kind_order(&checked.entry.id.kind);
        match ranks.last_mut() {
            Some((last, group)) if *last == rank => group.push(checked),
            _ => ranks.push((rank, vec![checked])),
        }
    }
    ranks.into_iter().map(|(_, group)| group).collect()
}

impl Applier {
    /// `concurrency` is how many objects are tried at a time (`--concurrent-ssa`).
    pub fn new(cluster: &Cluster, owner: Owner, options: Options, concurrency: usize) -> Self {
        Self {
            cluster: cluster.clone(),
            owner,
            options: Arc::new(options),
            concurrency: concurrency.max(1),
        }
    }

    /// The cluster and user this applies with.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The owner this applies for.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Makes a plan from prepared objects: namespaces of cluster-scoped objects are dropped, and what is known of each
    /// object is looked up. Starts the watches of its kinds and waits for their first list, with our own rights.
    pub async fn plan(&self, mut objects: Vec<Value>, last: &[Entry]) -> Plan {
        let gvks: std::collections::BTreeSet<_> =
            objects.iter().map(borax_object::Gvk::of).collect();
        let live = self.cluster.live();
        live.cover(gvks).await;
        let discovery = self.cluster.discovery();
        for object in &mut objects {
            let resource = discovery.cached(&borax_object::Gvk::of(object));
            if resource.is_some_and(|resource| !resource.namespaced) {
                meta::set_namespace(object, "");
            }
        }
        let known = |entry: &Entry| Some(live.known(&self.cluster, &entry.gvk(), &entry.id));
        borax_apply::plan(objects, last, &known, &self.owner, &self.options)
    }

    /// Carries a plan out, stage by stage.
    ///
    /// Guarantees: nothing of a stage is written before every object of it passed its dry run; objects of CRDs,
    /// namespaces and classes are ready before what comes after them is tried.
    ///
    /// Caveats: dropping the future leaves what was written. Record [`Plan::recorded`] first.
    ///
    /// # Errors
    /// The first object, in the plan's order, that stood in the way.
    pub async fn apply(&self, plan: &Plan) -> Result<ChangeSet, ApplyFailed> {
        let mut changes = ChangeSet::default();
        for stage in &plan.stages {
            match self.apply_stage(stage).await {
                Ok(done) => changes.entries.extend(done.entries),
                Err(source) => return Err(ApplyFailed { changes, source }),
            }
        }
        Ok(changes)
    }

    async fn apply_stage(&self, stage: &Stage) -> Result<ChangeSet, ApplyError> {
        // Custom resources whose definition came with an earlier stage can only be watched now.
        let pending = stage.steps.iter().filter(|step| step.decision == Decision::Check);
        let gvks: std::collections::BTreeSet<_> = pending.map(|step| step.entry.gvk()).collect();
        self.cluster.live().cover(gvks).await;

        // Boxed in a list, so that whoever awaits this can tell that it is Send.
        let checks: Vec<BoxFuture<'_, _>> =
            stage.steps.iter().map(|step| self.check(step).boxed()).collect();
        let checked: Vec<Checked> =
            futures::stream::iter(checks).buffered(self.concurrency).try_collect().await?;

        // Kinds of one rank don't depend on each other; ranks are written one after the other.
        for rank in by_rank(&checked) {
            let writes: Vec<BoxFuture<'_, _>> =
                rank.into_iter().map(|checked| self.write(checked).boxed()).collect();
            futures::stream::iter(writes)
                .buffered(self.concurrency)
                .try_collect::<Vec<()>>()
                .await?;
        }
        let mut changes = ChangeSet::default();
        for checked in checked {
            changes.push(checked.entry, checked.action);
        }
        if stage.kind.waits() {
            let options =
                WaitOptions { timeout: STAGE_TIMEOUT, fail_fast: false, jobs_with_ttl: Vec::new() };
            let ids = changes.ids_to_check();
            self.cluster
                .live()
                .wait_healthy(&self.cluster, &ids, Arc::new(Checks::none()), &options)
                .await?;
        }
        Ok(changes)
    }

    /// Writes one object that passed its check.
    async fn write(&self, checked: &Checked) -> Result<(), ApplyError> {
        let Some((resource, object)) = &checked.write else { return Ok(()) };
        let id = &checked.entry.id;
        let live = self.cluster.live();
        live.writing(id);
        let path = format!("{}?{}", resource.path(&id.namespace, Some(&id.name)), self.query());
        let answer = self
            .cluster
            .patch(&path, APPLY, object)
            .await
            .map_err(|source| ApplyError::Apply { id: id.clone(), source })?;
        live.observe(&answer);
        let fingerprint = Fingerprint::of(&answer, live.takeover());
        live.settle(id, Written { desired: checked.desired, fingerprint });
        if meta::is_crd(&answer) {
            self.cluster.discovery().learn(&answer);
        }
        Ok(())
    }

    fn query(&self) -> String {
        format!("force=true&fieldManager={}", encode(&self.owner.manager))
    }

    async fn dry_run(
        &self,
        resource: &Resource,
        id: &ObjectId,
        object: &Value,
    ) -> Result<Value, RequestError> {
        let path =
            format!("{}?dryRun=All&{}", resource.path(&id.namespace, Some(&id.name)), self.query());
        let (attempts, pause) = NOT_SERVED_YET;
        let mut left = attempts;
        loop {
            let answer = self.cluster.patch(&path, APPLY, object).await;
            let unknown = answer.as_ref().err().is_some_and(RequestError::is_unknown_path);
            if !unknown {
                return answer;
            }
            // Discovery knows the kind: either not every handler does yet, or it is gone since.
            left -= 1;
            if left == 0 || !self.cluster.discovery().is_settling(&id.group_kind()) {
                self.cluster.discovery().forget(&resource.gvk).await;
                return answer;
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn read(
        &self,
        resource: &Resource,
        id: &ObjectId,
    ) -> Result<Option<Value>, RequestError> {
        match self.cluster.get(&resource.path(&id.namespace, Some(&id.name))).await {
            Ok(object) => Ok(Some(object)),
            // Who may write but not read is served as by Flux: blind.
            Err(error) if error.is_not_found() || error.is_forbidden() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn check(&self, step: &Step) -> Result<Checked, ApplyError> {
        let done = |entry: &Entry, action, write| Checked {
            entry: entry.clone(),
            action,
            write,
            desired: Digest::of_desired(&step.object),
        };
        match step.decision {
            Decision::Unchanged => return Ok(done(&step.entry, Action::Unchanged, None)),
            Decision::Skip => return Ok(done(&step.entry, Action::Skipped, None)),
            Decision::Check => {}
        }
        let mut entry = step.entry.clone();
        let mut object = step.object.clone();
        let resource = self
            .cluster
            .discovery()
            .resolve(&self.cluster, &entry.gvk())
            .await
            .map_err(|source| ApplyError::Kind { id: entry.id.clone(), source })?;
        if !resource.namespaced {
            entry.id.namespace.clear();
            meta::set_namespace(&mut object, "");
        } else if entry.id.namespace.is_empty() {
            return Err(ApplyError::NoNamespace(entry.id));
        }
        let id = entry.id.clone();
        let unread = |source| ApplyError::Read { id: id.clone(), source };

        // Ignored fields and migrations need the whole live object; usually the store's fingerprint will do.
        let mut existing: Option<Value> = None;
        let mut patched = false;
        if self.options.migrate_api_version || self.options.ignore.concern(&object) {
            existing = self.read(&resource, &id).await.map_err(unread)?;
            if let Some(live) = existing.as_mut().filter(|_| self.options.migrate_api_version) {
                patched = self.migrate(&resource, &entry, live).await?;
            }
        }
        let dry_run = match self.dry_run(&resource, &id, &object).await {
            Ok(dry_run) => dry_run,
            Err(error) => {
                let live = match existing {
                    Some(live) => Some(live),
                    None => self.read(&resource, &id).await.ok().flatten(),
                };
                let Some(live) = live else { return Err(ApplyError::DryRun { id, source: error }) };
                let marks = Marks::of(&live, &self.owner.group);
                if marks.excluded || step.marks.if_not_present {
                    return Ok(done(&Entry::of(&live), Action::Skipped, None));
                }
                let may_recreate = self.options.force || step.marks.force || marks.force;
                if !may_recreate || !is_immutable_error(error.reason(), &error.to_string()) {
                    return Err(ApplyError::DryRun { id, source: error });
                }
                let dry_run = self.recreate(&resource, &id, &object, &live).await?;
                existing = None;
                dry_run
            }
        };
        if meta::resource_version(&dry_run).is_empty() {
            return Ok(done(&entry, Action::Created, Some((resource, object))));
        }

        // It exists. What the store holds counts if it is the very version that the dry run was made upon.
        let live = self.cluster.live();
        let version = meta::resource_version(&dry_run);
        let record = live
            .get(&id)
            .filter(|record| existing.is_none() && record.version.to_string() == version);
        let mut fingerprint = record.map(|record| record.fingerprint);
        if fingerprint.is_none() && existing.is_none() {
            existing = self.read(&resource, &id).await.map_err(unread)?;
        }
        if let Some(existing) = &existing {
            fingerprint = Some(Fingerprint::of(existing, live.takeover()));
        }
        // Not readable, or gone since: applying settles either.
        let Some(fingerprint) = fingerprint else {
            return Ok(done(&entry, Action::Configured, Some((resource, object))));
        };
        if fingerprint.marks.excluded || step.marks.if_not_present {
            return Ok(done(&entry, Action::Skipped, None));
        }
        if fingerprint.takeover && !fingerprint.marks.merge && !step.marks.merge {
            let whole = match existing.take() {
                Some(existing) => Some(existing),
                None => self.read(&resource, &id).await.map_err(unread)?,
            };
            if let Some(whole) = whole {
                let after = self.take_over(&resource, &id, &whole).await?;
                patched = patched || after.is_some();
                existing = Some(after.unwrap_or(whole));
            }
        }
        let ignore = &self.options.ignore;
        let drifted = match &existing {
            Some(existing) => has_drifted(existing, &dry_run, ignore),
            None => {
                let mut answer = dry_run.clone();
                normalize_dry_run(&mut answer);
                fingerprint.content != Digest::of_live(&answer)
            }
        };
        if !patched && !drifted {
            live.settle(&id, Written { desired: Digest::of_desired(&step.object), fingerprint });
            return Ok(done(&entry, Action::Unchanged, None));
        }
        if let Some(existing) = &existing {
            ignore.adapt(&mut object, existing, &dry_run, &self.owner.manager);
        }
        Ok(done(&entry, Action::Configured, Some((resource, object))))
    }

    /// Deletes an object, waits until it is gone, and tries again.
    async fn recreate(
        &self,
        resource: &Resource,
        id: &ObjectId,
        object: &Value,
        live: &Value,
    ) -> Result<Value, ApplyError> {
        self.cluster.live().writing(id);
        match delete(&self.cluster, resource, id, Some(meta::uid(live))).await {
            Ok(()) => {}
            Err(error) if error.is_not_found() => {}
            Err(source) => return Err(ApplyError::Delete { id: id.clone(), source }),
        }
        follow::gone(&self.cluster, resource, id, Some(meta::uid(live)), RECREATE_TIMEOUT)
            .await
            .map_err(|source| ApplyError::Gone { id: id.clone(), source })?;
        self.dry_run(resource, id, object)
            .await
            .map_err(|source| ApplyError::DryRun { id: id.clone(), source })
    }

    async fn take_over(
        &self,
        resource: &Resource,
        id: &ObjectId,
        live: &Value,
    ) -> Result<Option<Value>, ApplyError> {
        let Some(patch) = self.cluster.live().takeover().patch(live) else { return Ok(None) };
        let manager = encode(&self.owner.manager);
        let path =
            format!("{}?fieldManager={manager}", resource.path(&id.namespace, Some(&id.name)));
        let answer = self.cluster.patch(&path, JSON_PATCH, &patch).await;
        answer.map(Some).map_err(|source| ApplyError::Takeover { id: id.clone(), source })
    }

    async fn migrate(
        &self,
        resource: &Resource,
        entry: &Entry,
        live: &mut Value,
    ) -> Result<bool, ApplyError> {
        let api_version = entry.gvk().api_version();
        let Some(patch) = migration_patch(live, &api_version) else { return Ok(false) };
        let manager = encode(&self.owner.manager);
        let path = format!(
            "{}?fieldManager={manager}",
            resource.path(&entry.id.namespace, Some(&entry.id.name))
        );
        *live =
            self.cluster.patch(&path, JSON_PATCH, &patch).await.map_err(|source| {
                ApplyError::Migrate { id: entry.id.clone(), api_version, source }
            })?;
        Ok(true)
    }
}

/// Deletes one object in the background; with `uid`, only that incarnation of it.
pub(crate) async fn delete(
    cluster: &Cluster,
    resource: &Resource,
    id: &ObjectId,
    uid: Option<&str>,
) -> Result<(), RequestError> {
    let mut options =
        json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"});
    if let Some(uid) = uid.filter(|uid| !uid.is_empty()) {
        options["preconditions"] = json!({"uid": uid});
    }
    let body = Some(("application/json", options.to_string().into_bytes()));
    cluster
        .call(Method::DELETE, &resource.path(&id.namespace, Some(&id.name)), body)
        .await
        .map(drop)
}
