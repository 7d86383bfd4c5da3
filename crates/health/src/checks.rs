//! Health by CEL expressions, per group and kind, before the built-in rules (fluxcd/pkg
//! `runtime/cel/status_evaluator.go` and `status_reader.go`).

use std::collections::BTreeMap;

use borax_object::{GroupKind, Gvk, ObjectId};
use jiff::Timestamp;
use serde_json::Value;

use crate::expression::{Expression, ExpressionError};
use crate::kstatus::{State, Status, compute};

/// One entry of `spec.healthCheckExprs`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomCheck {
    /// `apiVersion` of the objects it is about; the version does not matter.
    pub api_version: String,
    /// Their kind; empty for every kind of the group.
    pub kind: String,
    /// Says whether an object is as wanted.
    pub current: String,
    /// Says whether it won't get there.
    pub failed: Option<String>,
    /// Says whether it is on its way.
    pub in_progress: Option<String>,
}

/// Why `spec.healthCheckExprs` make no sense: Flux stalls with `InvalidCELExpression`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// `current` is empty.
    #[error(
        "failed to create custom status evaluator for healthchecks[{0}]: expression Current not specified"
    )]
    NoCurrent(usize),
    /// An expression can't be read.
    #[error(
        "failed to create custom status evaluator for healthchecks[{index}]: \
         failed to parse the expression {field}: {cause}"
    )]
    Expression {
        /// Which entry.
        index: usize,
        /// Which of its fields.
        field: &'static str,
        /// What is wrong.
        cause: ExpressionError,
    },
    /// Two entries are about the same objects.
    #[error("duplicate custom health check for GroupKind {kind} at healthchecks[{index}]")]
    Duplicate {
        /// Group and kind.
        kind: GroupKind,
        /// The second of them.
        index: usize,
    },
}

/// The expressions of one kind, in the order they are asked.
#[derive(Debug)]
struct Evaluator(Vec<(Expression, State)>);

/// The health rules of one Kustomization or HelmRelease: its own expressions first, then [`compute`].
#[derive(Debug, Default)]
pub struct Checks(BTreeMap<GroupKind, Evaluator>);

impl Checks {
    /// No expressions: only the built-in rules.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads the expressions.
    ///
    /// # Errors
    /// The first entry that makes no sense.
    pub fn compile(checks: &[CustomCheck]) -> Result<Self, CheckError> {
        let mut evaluators = BTreeMap::new();
        for (index, check) in checks.iter().enumerate() {
            let kind = Gvk::new(&check.api_version, &check.kind).group_kind();
            if evaluators.contains_key(&kind) {
                return Err(CheckError::Duplicate { kind, index });
            }
            if check.current.is_empty() {
                return Err(CheckError::NoCurrent(index));
            }
            let parse = |field, text: Option<&str>, state| {
                let text = text.filter(|text| !text.is_empty());
                let parsed = text.map(Expression::parse).transpose();
                parsed
                    .map(|expression| expression.map(|expression| (expression, state)))
                    .map_err(|cause| CheckError::Expression { index, field, cause })
            };
            // Read in the order Flux reads them, so that the first error is the same; asked in that of RFC 0009.
            let current = parse("Current", Some(&check.current), State::Current)?;
            let failed = parse("Failed", check.failed.as_deref(), State::Failed)?;
            let in_progress = parse("InProgress", check.in_progress.as_deref(), State::InProgress)?;
            evaluators.insert(
                kind,
                Evaluator([in_progress, failed, current].into_iter().flatten().collect()),
            );
        }
        Ok(Self(evaluators))
    }

    /// Whether an expression decides about objects of this group and kind. Flux asks its rule for Jobs first.
    pub fn covers(&self, kind: &GroupKind) -> bool {
        self.evaluator(kind).is_some()
    }

    fn evaluator(&self, kind: &GroupKind) -> Option<&Evaluator> {
        if self.0.is_empty() || (kind.group == "batch" && kind.kind == "Job") {
            return None;
        }
        self.0.get(kind).or_else(|| self.0.get(&GroupKind::new(&*kind.group, "")))
    }

    /// The status of one object at `now`. An expression that can't be evaluated makes it [`State::Unknown`], and one
    /// that says nothing [`State::InProgress`].
    pub fn compute(&self, object: &Value, now: Timestamp) -> Status {
        match self.evaluator(&ObjectId::of(object).group_kind()) {
            Some(evaluator) => evaluator.judge(object),
            None => compute(object, now),
        }
    }
}

impl Evaluator {
    fn judge(&self, object: &Value) -> Status {
        let number = |pointer| object.pointer(pointer).and_then(Value::as_i64);
        if let (Some(generation), Some(observed)) =
            (number("/metadata/generation"), number("/status/observedGeneration"))
            && generation != observed
        {
            return Status::new(State::InProgress, "");
        }
        for (expression, state) in &self.0 {
            match expression.evaluate_object(object) {
                Ok(true) => return Status::new(*state, ""),
                Ok(false) => {}
                Err(error) => return Status::new(State::Unknown, error.to_string()),
            }
        }
        Status::new(State::InProgress, "")
    }
}
