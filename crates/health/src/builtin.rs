//! The rules of kstatus for built-in kinds, and Flux's own for Jobs. Texts and the order of checks are a contract:
//! they end up in events and conditions.

use borax_object::GroupKind;
use jiff::{Timestamp, ToSpan};
use serde_json::Value;

use crate::kstatus::{State, Status, conditions, generation_is_set};

/// Judges one object of one kind at a time.
pub(crate) type Rule = fn(&Value, Timestamp) -> Result<Status, String>;

/// The rule of a built-in kind. Jobs are not here: they skip the generic rules.
pub(crate) fn rule(kind: &GroupKind) -> Option<Rule> {
    Some(match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Service") => service,
        ("", "Pod") => pod,
        ("", "Secret" | "ConfigMap") | ("batch", "CronJob") => {
            |_, _| current("Resource is always ready")
        }
        ("", "PersistentVolumeClaim") => claim,
        ("apps", "StatefulSet") => stateful_set,
        ("apps" | "extensions", "DaemonSet") => daemon_set,
        ("apps" | "extensions", "Deployment") => deployment,
        ("apps" | "extensions", "ReplicaSet") => replica_set,
        ("policy", "PodDisruptionBudget") => {
            |_, _| current("AllowedDisruptions has been computed.")
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => crd,
        _ => return None,
    })
}

fn current(message: impl Into<String>) -> Result<Status, String> {
    Ok(Status::new(State::Current, message))
}

fn in_progress(message: impl Into<String>) -> Result<Status, String> {
    Ok(Status::new(State::InProgress, message))
}

fn failed(message: impl Into<String>) -> Result<Status, String> {
    Ok(Status::new(State::Failed, message))
}

fn int(object: &Value, pointer: &str, default: i64) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or(default)
}

fn text<'a>(object: &'a Value, pointer: &str, default: &'a str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or(default)
}

fn stateful_set(object: &Value, _: Timestamp) -> Result<Status, String> {
    if text(object, "/spec/updateStrategy/type", "") == "OnDelete" {
        return current("StatefulSet is using the ondelete update strategy");
    }
    let wanted = int(object, "/spec/replicas", 1);
    let ready = int(object, "/status/readyReplicas", 0);
    let up_to_date = int(object, "/status/currentReplicas", 0);
    let updated = int(object, "/status/updatedReplicas", 0);
    let existing = int(object, "/status/replicas", 0);
    let partition = int(object, "/spec/updateStrategy/rollingUpdate/partition", -1);

    if wanted > existing {
        return in_progress(format!("Replicas: {existing}/{wanted}"));
    }
    if wanted > ready {
        return in_progress(format!("Ready: {ready}/{wanted}"));
    }
    if existing > wanted {
        return in_progress(format!("Pending termination: {}", existing - wanted));
    }
    if partition != -1 {
        let expected = wanted.saturating_sub(partition);
        if updated < expected {
            return in_progress(format!("updated: {updated}/{expected}"));
        }
        return current(format!("Partition rollout complete. updated: {updated}"));
    }
    if wanted > up_to_date {
        return in_progress(format!("current: {up_to_date}/{wanted}"));
    }
    if text(object, "/status/currentRevision", "") != text(object, "/status/updateRevision", "") {
        return in_progress("Waiting for updated revision to match current");
    }
    current(format!("All replicas scheduled as expected. Replicas: {existing}"))
}

fn deployment(object: &Value, _: Timestamp) -> Result<Status, String> {
    // Without a deadline the controller never sets Progressing; the greatest int32 means no deadline to it.
    let no_deadline = i64::from(i32::MAX);
    let mut progressing = int(object, "/spec/progressDeadlineSeconds", no_deadline) == no_deadline;
    let mut available = false;
    for condition in conditions(object)? {
        match condition.kind {
            "Progressing" if condition.reason == "ProgressDeadlineExceeded" => {
                return failed("Progress deadline exceeded");
            }
            "Progressing"
                if condition.status == "True" && condition.reason == "NewReplicaSetAvailable" =>
            {
                progressing = true;
            }
            "Available" if condition.status == "True" => available = true,
            _ => {}
        }
    }
    let wanted = int(object, "/spec/replicas", 1);
    let existing = int(object, "/status/replicas", 0);
    let updated = int(object, "/status/updatedReplicas", 0);
    let ready = int(object, "/status/readyReplicas", 0);
    let available_replicas = int(object, "/status/availableReplicas", 0);

    if wanted > existing {
        return in_progress(format!("Replicas: {existing}/{wanted}"));
    }
    if wanted > updated {
        return in_progress(format!("Updated: {updated}/{wanted}"));
    }
    if existing > wanted {
        return in_progress(format!("Pending termination: {}", existing - wanted));
    }
    if updated > available_replicas {
        return in_progress(format!("Available: {available_replicas}/{updated}"));
    }
    if wanted > ready {
        return in_progress(format!("Ready: {ready}/{wanted}"));
    }
    if !progressing {
        return in_progress("ReplicaSet not Available");
    }
    if !available {
        return in_progress("Deployment not Available");
    }
    current(format!("Deployment is available. Replicas: {existing}"))
}

fn replica_set(object: &Value, _: Timestamp) -> Result<Status, String> {
    if conditions(object)?.iter().any(|c| c.kind == "ReplicaFailure" && c.status == "True") {
        return in_progress("Replica Failure condition. Check Pods");
    }
    let wanted = int(object, "/spec/replicas", 1);
    let existing = int(object, "/status/replicas", 0);
    let ready = int(object, "/status/readyReplicas", 0);
    let available = int(object, "/status/availableReplicas", 0);
    let labelled = int(object, "/status/fullyLabeledReplicas", 0);

    if wanted > labelled {
        return in_progress(format!("Labelled: {labelled}/{wanted}"));
    }
    if wanted > available {
        return in_progress(format!("Available: {available}/{wanted}"));
    }
    if wanted > ready {
        return in_progress(format!("Ready: {ready}/{wanted}"));
    }
    if existing > wanted {
        return in_progress(format!("Pending termination: {}", existing - wanted));
    }
    current(format!("ReplicaSet is available. Replicas: {existing}"))
}

fn daemon_set(object: &Value, _: Timestamp) -> Result<Status, String> {
    if let Some(status) = generation_is_set(object)? {
        return Ok(status);
    }
    let wanted = int(object, "/status/desiredNumberScheduled", -1);
    let scheduled = int(object, "/status/currentNumberScheduled", 0);
    let updated = int(object, "/status/updatedNumberScheduled", 0);
    let available = int(object, "/status/numberAvailable", 0);
    let ready = int(object, "/status/numberReady", 0);

    if wanted == -1 {
        return in_progress("Missing .status.desiredNumberScheduled");
    }
    if wanted > scheduled {
        return in_progress(format!("Current: {scheduled}/{wanted}"));
    }
    if wanted > updated {
        return in_progress(format!("Updated: {updated}/{wanted}"));
    }
    if wanted > available {
        return in_progress(format!("Available: {available}/{wanted}"));
    }
    if wanted > ready {
        return in_progress(format!("Ready: {ready}/{wanted}"));
    }
    current(format!("All replicas scheduled as expected. Replicas: {wanted}"))
}

fn claim(object: &Value, _: Timestamp) -> Result<Status, String> {
    match text(object, "/status/phase", "unknown") {
        "Bound" => current("PVC is Bound"),
        phase => in_progress(format!("PVC is not Bound. phase: {phase}")),
    }
}

fn pod(object: &Value, now: Timestamp) -> Result<Status, String> {
    let all = conditions(object)?;
    match text(object, "/status/phase", "") {
        "Succeeded" => current("Pod has completed successfully"),
        "Failed" => current("Pod has completed, but not successfully"),
        "Running" if all.iter().any(|c| c.kind == "Ready" && c.status == "True") => {
            current("Pod is Ready")
        }
        "Running" => match crash_looping(object) {
            names if names.is_empty() => in_progress("Pod is running but is not Ready"),
            names => failed(format!("Containers in CrashLoop state: {}", names.join(","))),
        },
        "Pending" => match unschedulable_pod_fails_at(object) {
            Some(at) if now < at => in_progress("Pod has not been scheduled"),
            Some(_) => failed("Pod could not be scheduled"),
            None => in_progress("Pod is in the Pending phase"),
        },
        "" => in_progress("Pod phase not available"),
        phase => Err(format!("unknown phase {phase}")),
    }
}

/// When an unschedulable Pod counts as failed: 15 seconds after it was made.
pub(crate) fn unschedulable_pod_fails_at(object: &Value) -> Option<Timestamp> {
    let first = conditions(object)
        .ok()?
        .into_iter()
        .find(|c| c.kind == "PodScheduled" && c.status == "False")?;
    if text(object, "/status/phase", "") != "Pending" || first.reason != "Unschedulable" {
        return None;
    }
    let created: Timestamp =
        text(object, "/metadata/creationTimestamp", "").parse().unwrap_or(Timestamp::UNIX_EPOCH);
    created.checked_add(15.seconds()).ok()
}

fn crash_looping(object: &Value) -> Vec<&str> {
    let statuses = object.pointer("/status/containerStatuses").and_then(Value::as_array);
    statuses
        .into_iter()
        .flatten()
        .filter(|status| text(status, "/state/waiting/reason", "") == "CrashLoopBackOff")
        .filter_map(|status| status.get("name")?.as_str())
        .collect()
}

/// Flux's rule: only a finished Job is Current, where kstatus is content with a started one.
pub(crate) fn job(object: &Value) -> Result<Status, String> {
    if object.pointer("/spec/suspend").and_then(Value::as_bool) == Some(true) {
        return current("Job is suspended");
    }
    let parallelism = int(object, "/spec/parallelism", 1);
    let completions = int(object, "/spec/completions", parallelism);
    let active = int(object, "/status/active", 0);
    let succeeded = int(object, "/status/succeeded", 0);
    let failures = int(object, "/status/failed", 0);
    for condition in conditions(object)? {
        match (condition.kind, condition.status) {
            ("Complete", "True") => {
                return current(format!("Job Completed. succeeded: {succeeded}/{completions}"));
            }
            ("Failed", "True") => {
                return failed(format!("Job Failed. failed: {failures}/{completions}"));
            }
            _ => {}
        }
    }
    if text(object, "/status/startTime", "").is_empty() {
        return in_progress(format!("Job not started. active: 0/{parallelism}"));
    }
    in_progress(format!(
        "Job in progress. success:{succeeded}, active: {active}, failed: {failures}"
    ))
}

fn service(object: &Value, _: Timestamp) -> Result<Status, String> {
    let is_balancer = text(object, "/spec/type", "ClusterIP") == "LoadBalancer";
    if is_balancer && text(object, "/spec/clusterIP", "").is_empty() {
        return in_progress("ClusterIP not set. Service type: LoadBalancer");
    }
    current("Service is ready")
}

fn crd(object: &Value, _: Timestamp) -> Result<Status, String> {
    for condition in conditions(object)? {
        match (condition.kind, condition.status) {
            ("NamesAccepted", "False") => return failed(condition.message),
            ("Established", "False") if condition.reason != "Installing" => {
                return failed(condition.message);
            }
            ("Established", "True") => return current("CRD is established"),
            _ => {}
        }
    }
    in_progress("Install in progress")
}
