//! Install, upgrade, rollback, uninstall and test, step by step as Helm does them.
//!
//! Behaviour: Helm `pkg/action/{install,upgrade,rollback,uninstall,release_testing}.go`; helm-controller
//! `internal/action`.

use std::time::Duration;

use borax_api::helm::{CrdsPolicy, DeletionPropagation};
use borax_helm::{HookEvent, check_release_name};
use borax_kubeio::Propagation;
use borax_object::ObjectId;
use borax_release::{Info, Release, Status, objects};
use serde_json::{Value, json};

use super::ops::{ApplyFailed, Placed};
use super::records::stamp;
use super::render::{Made, Rendering, render};
use super::work::{ActionFailed, Work};

/// What an action does with hooks and waiting.
struct Conduct {
    timeout: Duration,
    hooks: bool,
    wait: bool,
    jobs: bool,
}

impl Work<'_> {
    async fn made(
        &self,
        namespace: &str,
        revision: i64,
        is_upgrade: bool,
        skip_schema: bool,
    ) -> Result<Made, String> {
        let rendering = Rendering {
            chart: self.chart.clone(),
            values: self.values.clone(),
            name: self.records.name.clone(),
            namespace: namespace.to_owned(),
            revision,
            is_upgrade,
            skip_schema,
            enable_dns: self.enable_dns,
        };
        render(&self.ops.cluster, self.object, rendering, true).await
    }

    /// Whether rendering makes just what a record holds.
    pub(super) async fn would_make(&self, release: &Release) -> bool {
        let (namespace, version) = (&release.namespace, release.version);
        // A chart may render something else for an upgrade than for the install that made the record.
        for is_upgrade in [version > 1, false] {
            let Ok(made) = self.made(namespace, version, is_upgrade, true).await else {
                return false;
            };
            let hooks = |hooks: &[borax_release::Hook]| {
                let texts: Vec<&str> = hooks.iter().map(|hook| hook.manifest.as_str()).collect();
                texts.join("\n---\n")
            };
            if objects::are_same(&release.manifest, &made.manifest)
                && objects::are_same(&hooks(&release.hooks), &hooks(&made.hooks))
            {
                return true;
            }
        }
        false
    }

    /// Installs the release.
    ///
    /// # Errors
    /// What stood in the way. Whether a record was written, [`Work::observed`] tells.
    pub(super) async fn install(&mut self) -> Result<(), ActionFailed> {
        let spec = self.object.install();
        let name = self.records.name.clone();
        check_release_name(&name).map_err(|error| error.to_string())?;
        let last = self.records.history.last();
        let is_free = last.is_none_or(|last| {
            spec.replace && matches!(last.info.status, Status::Uninstalled | Status::Failed)
        });
        if !is_free {
            return Err("release name check failed: cannot reuse a name that is still in use"
                .to_owned()
                .into());
        }
        let namespace = self.object.release_namespace().to_owned();
        let version = last.map_or(1, |last| last.version + 1);
        let policy = spec.crds.unwrap_or(match spec.skip_crds {
            true => CrdsPolicy::Skip,
            false => CrdsPolicy::Create,
        });
        self.apply_crds(policy).await?;
        // Templates see revision 1 on every install, whatever number the record gets.
        let made = self.made(&namespace, 1, false, spec.disable_schema_validation).await?;
        let now = stamp();
        let mut release = Release {
            name,
            info: Info {
                first_deployed: now.clone(),
                last_deployed: now,
                notes: made.notes,
                ..Info::default()
            },
            chart: made.chart,
            config: self.values.clone(),
            manifest: made.manifest,
            hooks: made.hooks,
            version,
            namespace: namespace.clone(),
            apply_method: "ssa".to_owned(),
            ..Release::default()
        };
        release.set_status(Status::PendingInstall, "Initial install underway");
        if spec.create_namespace && !self.object.spec.target_namespace.is_empty() {
            self.create_namespace(&namespace).await?;
        }
        let target = self.ops.target(&release.manifest, &release.name).await?;
        if spec.disable_take_ownership {
            self.check_owners(&target, &release)
                .await
                .map_err(|error| format!("unable to continue with install: {error}"))?;
        }
        if let Some(mut last) = self.records.history.last().cloned()
            && last.info.status != Status::Failed
        {
            last.set_status(Status::Superseded, "superseded by new release");
            self.record(&last).await?;
        }
        self.store(&release).await?;
        let conduct = Conduct {
            timeout: self.object.timeout(spec.timeout),
            hooks: !spec.disable_hooks,
            wait: !spec.disable_wait,
            jobs: !spec.disable_wait_for_jobs,
        };
        let done = self.perform_install(&mut release, &target, &conduct).await;
        match done.map_err(|error| error.masked(&self.secrets)) {
            Ok(()) => {
                release.set_status(Status::Deployed, "Install complete");
                self.record(&release).await.map_err(ActionFailed::Failed)
            }
            Err(error) => {
                let words = format!("Release {:?} failed: {}", release.name, error.message());
                release.set_status(Status::Failed, words);
                self.record_after_failure(&release).await;
                Err(error)
            }
        }
    }

    async fn perform_install(
        &mut self,
        release: &mut Release,
        target: &[Placed],
        conduct: &Conduct,
    ) -> Result<(), ActionFailed> {
        if conduct.hooks {
            self.run_hooks(release, HookEvent::PreInstall, &[], conduct.timeout)
                .await
                .map_err(|error| error.during("failed pre-install"))?;
        }
        self.ops.apply(target).await.map_err(|failed| failed.message)?;
        if conduct.wait {
            self.wait_healthy(target, conduct.jobs, conduct.timeout).await?;
        }
        if conduct.hooks {
            self.run_hooks(release, HookEvent::PostInstall, &[], conduct.timeout)
                .await
                .map_err(|error| error.during("failed post-install"))?;
        }
        Ok(())
    }

    /// Upgrades the release.
    ///
    /// # Errors
    /// As [`Work::install`].
    pub(super) async fn upgrade(&mut self) -> Result<(), ActionFailed> {
        let spec = self.object.upgrade();
        let name = self.records.name.clone();
        let history = &self.records.history;
        let no_deployed = || format!("{name:?} has no deployed releases");
        let last = history.last().ok_or_else(no_deployed)?;
        let (last_version, labels) = (last.version, last.labels.clone());
        let mut current = history.current().ok_or_else(no_deployed)?.clone();
        self.apply_crds(spec.crds.unwrap_or(CrdsPolicy::Skip)).await?;
        let version = last_version + 1;
        let skip_schema = spec.disable_schema_validation;
        let made = self.made(&current.namespace, version, true, skip_schema).await?;
        let mut release = Release {
            name,
            info: Info {
                first_deployed: current.info.first_deployed.clone(),
                last_deployed: stamp(),
                notes: made.notes,
                ..Info::default()
            },
            chart: made.chart,
            config: self.values.clone(),
            manifest: made.manifest,
            hooks: made.hooks,
            version,
            namespace: current.namespace.clone(),
            labels: labels.into_iter().filter(|(key, _)| key != "createdAt").collect(),
            apply_method: "ssa".to_owned(),
        };
        release.set_status(Status::PendingUpgrade, "Preparing upgrade");
        let before = objects::parse(&current.manifest).map_err(|error| error.to_string())?;
        let target = self.ops.target(&release.manifest, &release.name).await?;
        let old = self.ops.place_those_served(before).await?;
        let new: Vec<Placed> = absent_from(&target, &old);
        if spec.disable_take_ownership {
            self.check_owners(&new, &release)
                .await
                .map_err(|error| format!("unable to continue with update: {error}"))?;
        }
        self.store(&release).await?;
        let conduct = Conduct {
            timeout: self.object.timeout(spec.timeout),
            hooks: !spec.disable_hooks,
            wait: !spec.disable_wait,
            jobs: !spec.disable_wait_for_jobs,
        };
        let events = (HookEvent::PreUpgrade, HookEvent::PostUpgrade);
        let mut created = Vec::new();
        let done =
            self.perform_update(&mut release, &old, &target, events, &conduct, &mut created).await;
        match done.map_err(|error| error.masked(&self.secrets)) {
            Ok(()) => {
                current.info.status = Status::Superseded;
                self.record(&current).await?;
                release.set_status(Status::Deployed, "Upgrade complete");
                self.record(&release).await.map_err(ActionFailed::Failed)
            }
            Err(error) => {
                let words = format!("Upgrade {:?} failed: {}", release.name, error.message());
                release.set_status(Status::Failed, words);
                self.record_after_failure(&release).await;
                self.clean_up(spec.cleanup_on_fail, &created, &new).await;
                Err(error)
            }
        }
    }

    async fn perform_update(
        &mut self,
        release: &mut Release,
        old: &[Placed],
        target: &[Placed],
        (before, after): (HookEvent, HookEvent),
        conduct: &Conduct,
        created: &mut Vec<Placed>,
    ) -> Result<(), ActionFailed> {
        let name = |event| borax_release::record::event_name(event);
        if conduct.hooks {
            self.run_hooks(release, before, &[], conduct.timeout)
                .await
                .map_err(|error| error.during(&format!("{} hooks failed", name(before))))?;
        }
        match self.ops.apply(target).await {
            Ok(made) => *created = made,
            Err(ApplyFailed { message, created: made }) => {
                *created = made;
                return Err(message.into());
            }
        }
        let gone: Vec<Placed> = absent_from(old, target)
            .into_iter()
            .filter(|placed| !objects::is_kept(&placed.object))
            .collect();
        let gone = self.not_kept_live(gone).await;
        self.ops.delete(&gone, Propagation::Background).await?;
        if conduct.wait {
            self.wait_healthy(target, conduct.jobs, conduct.timeout).await?;
        }
        if conduct.hooks {
            self.run_hooks(release, after, &[], conduct.timeout)
                .await
                .map_err(|error| error.during(&format!("{} hooks failed", name(after))))?;
        }
        Ok(())
    }

    /// Goes back to the release with that number.
    ///
    /// # Errors
    /// As [`Work::install`].
    pub(super) async fn rollback(&mut self, version: i64) -> Result<(), ActionFailed> {
        let spec = self.object.spec.rollback.clone().unwrap_or_default();
        let history = &self.records.history;
        let missing = || format!("release has no {version} version");
        let mut current = history.last().ok_or_else(missing)?.clone();
        let goal = history.get(version).ok_or_else(missing)?;
        let mut release = Release {
            name: current.name.clone(),
            info: Info {
                first_deployed: current.info.first_deployed.clone(),
                last_deployed: stamp(),
                notes: goal.info.notes.clone(),
                rollback_revision: version,
                ..Info::default()
            },
            chart: goal.chart.clone(),
            config: goal.config.clone(),
            manifest: goal.manifest.clone(),
            hooks: goal.hooks.clone(),
            version: current.version + 1,
            namespace: current.namespace.clone(),
            labels: goal.labels.clone(),
            apply_method: "ssa".to_owned(),
        };
        let words = format!("Rollback to {version}");
        release.set_status(Status::PendingRollback, words.clone());
        let before = objects::parse(&current.manifest).map_err(|error| error.to_string())?;
        let old = self.ops.place_those_served(before).await?;
        let target = self.ops.target(&release.manifest, &release.name).await?;
        self.store(&release).await?;
        let conduct = Conduct {
            timeout: self.object.timeout(spec.timeout),
            hooks: !spec.disable_hooks,
            wait: !spec.disable_wait,
            jobs: !spec.disable_wait_for_jobs,
        };
        let events = (HookEvent::PreRollback, HookEvent::PostRollback);
        let mut created = Vec::new();
        let done =
            self.perform_update(&mut release, &old, &target, events, &conduct, &mut created).await;
        match done.map_err(|error| error.masked(&self.secrets)) {
            Ok(()) => {
                self.supersede_deployed().await?;
                release.set_status(Status::Deployed, words);
                self.record(&release).await.map_err(ActionFailed::Failed)
            }
            Err(error) => {
                // A release that failed stays one: it is nothing to go back to.
                if current.info.status == Status::Deployed {
                    current.info.status = Status::Superseded;
                    self.record_after_failure(&current).await;
                }
                let words = format!("Rollback {:?} failed: {}", release.name, error.message());
                release.set_status(Status::Failed, words);
                self.record_after_failure(&release).await;
                let new = absent_from(&target, &old);
                self.clean_up(spec.cleanup_on_fail, &created, &new).await;
                Err(error)
            }
        }
    }

    /// Uninstalls the release.
    ///
    /// # Errors
    /// As [`Work::install`]; what is uninstalled already is an error only where its records are to be kept.
    pub(super) async fn uninstall(&mut self) -> Result<(), ActionFailed> {
        let spec = self.object.spec.uninstall.clone().unwrap_or_default();
        let timeout = self.object.timeout(spec.timeout);
        let Some(mut release) = self.records.history.last().cloned() else {
            return Err("uninstall: Release not loaded: release: not found".to_owned().into());
        };
        if release.info.status == Status::Uninstalled {
            return match spec.keep_history {
                true => {
                    Err(format!("the release named {:?} is already deleted", release.name).into())
                }
                false => self.purge(&release).await.map_err(ActionFailed::Failed),
            };
        }
        release.info.status = Status::Uninstalling;
        release.info.deleted = stamp();
        release.info.description = "Deletion in progress (or silently failed)".to_owned();
        if !spec.disable_hooks {
            self.run_hooks(&mut release, HookEvent::PreDelete, &[], timeout).await?;
        }
        self.record(&release).await?;
        let parsed = objects::parse(&release.manifest).map_err(|error| {
            format!("corrupted release record, its objects must be deleted by hand: {error}")
        })?;
        let mut going: Vec<Value> =
            parsed.into_iter().filter(|object| !objects::is_kept(object)).collect();
        objects::sort_for_uninstall(&mut going);
        let going = self.ops.place_those_served(going).await?;
        let going = self.owned(going, &release).await?;
        let propagation = match spec.deletion_propagation() {
            DeletionPropagation::Background => Propagation::Background,
            DeletionPropagation::Foreground => Propagation::Foreground,
            DeletionPropagation::Orphan => Propagation::Orphan,
        };
        self.ops.delete(&going, propagation).await?;
        let mut errors = Vec::new();
        if !spec.disable_wait
            && let Err(error) = self.turn.park(self.ops.wait_gone(&going, timeout)).await
        {
            errors.push(error);
        }
        if !spec.disable_hooks
            && let Err(error) =
                self.run_hooks(&mut release, HookEvent::PostDelete, &[], timeout).await
        {
            errors.push(error.message());
        }
        release.set_status(Status::Uninstalled, "Uninstallation complete");
        if spec.keep_history {
            self.record(&release).await?;
            self.supersede_deployed().await?;
        } else if let Err(error) = self.purge(&release).await {
            errors.push(error);
        }
        match errors.is_empty() {
            true => Ok(()),
            false => Err(format!(
                "uninstallation completed with {} error(s): {}",
                errors.len(),
                errors.join("; ")
            )
            .into()),
        }
    }

    /// Runs the release's tests.
    ///
    /// # Errors
    /// The first that failed.
    pub(super) async fn test(&mut self) -> Result<(), ActionFailed> {
        let spec = self.object.spec.test.clone().unwrap_or_default();
        let timeout = self.object.timeout(spec.timeout);
        let Some(mut release) = self.records.history.last().cloned() else {
            return Err("release: not found".to_owned().into());
        };
        let result = self.run_hooks(&mut release, HookEvent::Test, &spec.filters, timeout).await;
        self.record(&release).await?;
        result
    }

    /// Marks as failed a release that no one is making any more.
    ///
    /// # Errors
    /// Its record can't be written.
    pub(super) async fn unlock(&mut self, release: &mut Release) -> Result<(), String> {
        let was = release.info.status;
        release.set_status(Status::Failed, format!("Release unlocked from stale '{was}' state"));
        self.record(release).await
    }

    async fn record_after_failure(&mut self, release: &Release) {
        if let Err(error) = self.record(release).await {
            tracing::error!(error, "a failed release could not be recorded");
        }
    }

    async fn purge(&mut self, last: &Release) -> Result<(), String> {
        let versions: Vec<i64> =
            self.records.history.releases().iter().map(|known| known.version).collect();
        for version in versions {
            self.records.delete(version).await?;
        }
        self.observed.retain(|known| known.version != last.version);
        self.observed.push(last.clone());
        Ok(())
    }

    async fn clean_up(&self, wanted: bool, created: &[Placed], new: &[Placed]) {
        if !wanted {
            return;
        }
        let new: std::collections::BTreeSet<ObjectId> = new.iter().map(Placed::id).collect();
        let going: Vec<Placed> =
            created.iter().filter(|placed| new.contains(&placed.id())).cloned().collect();
        if let Err(error) = self.ops.delete(&going, Propagation::Background).await {
            tracing::warn!(error, "what a failed release made could not be deleted");
        }
    }

    /// Those that a live annotation does not keep.
    async fn not_kept_live(&self, objects: Vec<Placed>) -> Vec<Placed> {
        let mut going = Vec::with_capacity(objects.len());
        for placed in objects {
            let id = placed.id();
            let read =
                self.ops.cluster.read_object(&placed.resource, &id.namespace, &id.name).await;
            if read.is_ok_and(|live| !objects::is_kept(&live)) {
                going.push(placed);
            }
        }
        going
    }

    /// Those that live and belong to the release; the others are left alone, and the log says so.
    ///
    /// # Errors
    /// The server does not tell whose one is.
    async fn owned(&self, objects: Vec<Placed>, release: &Release) -> Result<Vec<Placed>, String> {
        let mut owned = Vec::with_capacity(objects.len());
        for placed in objects {
            let id = placed.id();
            let read =
                self.ops.cluster.read_object(&placed.resource, &id.namespace, &id.name).await;
            let verdict = match read {
                Ok(live) => objects::check_owner(&live, &release.name, &release.namespace),
                Err(error) if error.is_not_found() => continue,
                Err(error) => {
                    return Err(format!(
                        "could not get information about the resource {id}: {error}"
                    ));
                }
            };
            match verdict {
                Ok(()) => owned.push(placed),
                Err(error) => {
                    tracing::warn!(object = %id, release = release.name, error, "not deleted");
                }
            }
        }
        Ok(owned)
    }

    /// Marks every deployed release of the history as superseded.
    async fn supersede_deployed(&mut self) -> Result<(), String> {
        let deployed: Vec<Release> = self
            .records
            .history
            .releases()
            .iter()
            .filter(|known| known.info.status == Status::Deployed)
            .cloned()
            .collect();
        for mut earlier in deployed {
            earlier.info.status = Status::Superseded;
            self.record(&earlier).await?;
        }
        Ok(())
    }

    /// Refuses objects that are there and belong to someone else.
    async fn check_owners(&self, new: &[Placed], release: &Release) -> Result<(), String> {
        for placed in new {
            let id = placed.id();
            if id.name.is_empty() {
                continue;
            }
            match self.ops.cluster.read_object(&placed.resource, &id.namespace, &id.name).await {
                Ok(live) => {
                    objects::check_owner(&live, &release.name, &release.namespace).map_err(
                        |error| {
                            let what = objects::described(&placed.object);
                            format!(
                                "{what} exists and cannot be imported into the current release: {error}"
                            )
                        },
                    )?;
                }
                Err(error) if error.is_not_found() => {}
                Err(error) => {
                    return Err(format!(
                        "could not get information about the resource {id}: {error}"
                    ));
                }
            }
        }
        Ok(())
    }

    async fn create_namespace(&self, name: &str) -> Result<(), String> {
        let object = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name, "labels": {"name": name}},
        });
        let placed = self.ops.place(vec![object]).await?;
        for each in &placed {
            let exists = self.ops.cluster.read_object(&each.resource, "", name).await;
            if exists.is_err() {
                self.ops.apply_one(each, false).await?;
            }
        }
        Ok(())
    }
}

/// Those of `these` that `those` has not.
fn absent_from(these: &[Placed], those: &[Placed]) -> Vec<Placed> {
    let known: std::collections::BTreeSet<ObjectId> = those.iter().map(Placed::id).collect();
    these.iter().filter(|placed| !known.contains(&placed.id())).cloned().collect()
}
