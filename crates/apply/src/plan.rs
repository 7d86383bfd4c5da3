//! The plan: which objects in which order, what needs a request, what is no longer wanted.

use std::collections::{BTreeMap, BTreeSet};

use borax_object::{Entry, GroupKind, Gvk, Value, apply_order, meta};
use serde::{Deserialize, Serialize};

use crate::fingerprint::Known;
use crate::ignore::IgnoreRules;
use crate::{Marks, Owner};

/// How a set of objects is to be applied.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Recreate objects where immutable fields stand in the way (`spec.force`).
    pub force: bool,
    /// Kinds that are applied in a stage of their own before all others (`--custom-apply-stage-kinds`).
    pub custom_stage_kinds: BTreeSet<GroupKind>,
    /// Move `managedFields` to the applied version first (gate `MigrateAPIVersion`).
    pub migrate_api_version: bool,
    /// Fields that do not count as drift (`spec.ignore`).
    pub ignore: IgnoreRules,
}

/// Reads `--custom-apply-stage-kinds`: `group/Kind` or `Kind`, separated by commas
/// (fluxcd/pkg `ssa/utils`: `ParseGroupKindSet`).
pub fn parse_kinds(text: &str) -> BTreeSet<GroupKind> {
    let kinds = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    kinds
        .map(|item| match item.split_once('/') {
            Some((group, kind)) => GroupKind::new(group, kind),
            None => GroupKind::new("", item),
        })
        .collect()
}

/// What a stage holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum StageKind {
    /// CRDs, Namespaces and ClusterRoles.
    Definitions,
    /// Kinds whose name ends in `Class`.
    Classes,
    /// Kinds of `--custom-apply-stage-kinds`.
    Custom,
    /// Everything else.
    Resources,
}

impl StageKind {
    /// Whether the next stage waits until the objects of this one are ready.
    pub fn waits(self) -> bool {
        matches!(self, Self::Definitions | Self::Classes)
    }

    fn of(object: &Value, custom: &BTreeSet<GroupKind>) -> Self {
        if meta::is_crd(object) || meta::is_namespace(object) || meta::is_cluster_role(object) {
            Self::Definitions
        } else if meta::kind(object).ends_with("Class") {
            Self::Classes
        } else if custom.contains(&Gvk::of(object).group_kind()) {
            Self::Custom
        } else {
            Self::Resources
        }
    }
}

/// What is to be done for one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decision {
    /// It is wanted as before and lives as we left it: no request.
    Unchanged,
    /// It asks to be left alone: no request.
    Skip,
    /// A dry run shows whether it must be written.
    Check,
}

/// One object of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The object's name.
    pub entry: Entry,
    /// The object as it is to be applied.
    pub object: Value,
    /// What it says about itself.
    pub marks: Marks,
    /// What is to be done.
    pub decision: Decision,
}

/// Objects that are applied side by side: all are tried before the first is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// What it holds.
    pub kind: StageKind,
    /// The objects, in Flux's order.
    pub steps: Vec<Step>,
}

/// What is to be done to bring desired objects to a cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Who applies.
    pub owner: Owner,
    /// The stages, one after the other; none is empty.
    pub stages: Vec<Stage>,
    /// What the last inventory held and is no longer wanted, in the order of deletion.
    pub stale: Vec<Entry>,
}

impl Plan {
    /// All steps in order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.stages.iter().flat_map(|stage| &stage.steps)
    }

    /// Whether a step needs a request.
    pub fn needs_requests(&self) -> bool {
        self.steps().any(|step| step.decision == Decision::Check)
    }

    /// The inventory to record before the first write: everything that will be there, and everything that still may be.
    pub fn recorded(&self) -> Vec<Entry> {
        let mut all: Vec<Entry> = self.steps().map(|step| step.entry.clone()).collect();
        all.extend(self.stale.iter().cloned());
        all
    }
}

/// Makes the plan.
///
/// - `objects`: prepared, cluster-scoped ones without a namespace. Of objects named twice the last one counts.
/// - `last`: the inventory of the last run.
/// - `known`: what is known of an object without asking the server.
pub fn plan(
    objects: Vec<Value>,
    last: &[Entry],
    known: &dyn Fn(&Entry) -> Option<Known>,
    owner: &Owner,
    options: &Options,
) -> Plan {
    let mut by_id: BTreeMap<_, Step> = BTreeMap::new();
    let mut stages: BTreeMap<StageKind, Vec<Step>> = BTreeMap::new();
    for object in objects {
        let entry = Entry::of(&object);
        let marks = Marks::of(&object, &owner.group);
        let decision = decide(&object, marks, known(&entry).unwrap_or_default());
        by_id.insert(entry.id.clone(), Step { entry, object, marks, decision });
    }
    let stale = {
        let gone = last.iter().filter(|entry| !by_id.contains_key(&entry.id));
        let mut stale: Vec<Entry> = gone.cloned().collect();
        stale.sort_by(|a, b| apply_order(&b.id, &a.id));
        stale.dedup_by(|a, b| a.id == b.id);
        stale
    };
    for step in by_id.into_values() {
        stages
            .entry(StageKind::of(&step.object, &options.custom_stage_kinds))
            .or_default()
            .push(step);
    }
    let stages = stages.into_iter().map(|(kind, mut steps)| {
        steps.sort_by(|a, b| apply_order(&a.entry.id, &b.entry.id));
        Stage { kind, steps }
    });
    Plan { owner: owner.clone(), stages: stages.collect(), stale }
}

fn decide(object: &Value, marks: Marks, known: Known) -> Decision {
    if marks.excluded {
        return Decision::Skip;
    }
    match known.live {
        Some(live) if live.marks.excluded || marks.if_not_present => Decision::Skip,
        _ if known.is_settled(object) => Decision::Unchanged,
        _ => Decision::Check,
    }
}
