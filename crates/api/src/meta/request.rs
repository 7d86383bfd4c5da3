//! Requests that people and tools make of a controller by annotating an object.
//!
//! Behaviour: fluxcd/pkg `apis/meta/annotations.go`, helm-controller `api/v2/annotations.go`.

use std::collections::BTreeMap;

/// The annotation that asks for a reconciliation now; any new value is a new request.
pub const RECONCILE_REQUEST: &str = "reconcile.fluxcd.io/requestedAt";

/// The annotation that asks for a forced action; honoured when its value is that of [`RECONCILE_REQUEST`].
pub const FORCE_REQUEST: &str = "reconcile.fluxcd.io/forceAt";

/// The annotation that asks to forget failures; honoured when its value is that of [`RECONCILE_REQUEST`].
pub const RESET_REQUEST: &str = "reconcile.fluxcd.io/resetAt";

/// The label by which ConfigMaps and Secrets are chosen for watching.
pub const WATCH_LABEL: &str = "reconcile.fluxcd.io/watch";

/// The value of [`WATCH_LABEL`] that chooses.
pub const WATCH_ENABLED: &str = "Enabled";

/// The finalizer that every Flux controller puts on its objects.
pub const FINALIZER: &str = "finalizers.fluxcd.io";

/// The reconcile request on an object that has not been handled yet.
///
/// `last_handled` is the object's `status.lastHandledReconcileAt`.
pub fn reconcile_request<'a>(
    annotations: &'a BTreeMap<String, String>,
    last_handled: &str,
) -> Option<&'a str> {
    annotations.get(RECONCILE_REQUEST).map(String::as_str).filter(|token| *token != last_handled)
}

/// What to do about a request such as [`FORCE_REQUEST`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// Whether to honour it now.
    pub honour: bool,
    /// What to record as handled, honoured or not; absent when there is no such annotation.
    pub handled: Option<&'a str>,
}

/// Judges the request `annotation`: it is honoured once, and only together with a reconcile request of the
/// same value that is new too.
///
/// `last_handled` is what was recorded for this annotation, `last_reconcile` the object's
/// `status.lastHandledReconcileAt`.
pub fn request<'a>(
    annotations: &'a BTreeMap<String, String>,
    annotation: &str,
    last_handled: &str,
    last_reconcile: &str,
) -> Request<'a> {
    let handled = annotations.get(annotation).map(String::as_str);
    let asked = reconcile_request(annotations, last_reconcile);
    let honour = handled.is_some_and(|token| asked == Some(token) && token != last_handled);
    Request { honour, handled }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotations(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn a_force_request_is_honoured_once_and_only_with_its_reconcile_request() {
        let both = annotations(&[(RECONCILE_REQUEST, "t2"), (FORCE_REQUEST, "t2")]);
        let fresh = request(&both, FORCE_REQUEST, "", "t1");
        assert_eq!(fresh, Request { honour: true, handled: Some("t2") });
        assert!(!request(&both, FORCE_REQUEST, "t2", "t1").honour);
        assert!(!request(&both, FORCE_REQUEST, "", "t2").honour);

        let other = annotations(&[(RECONCILE_REQUEST, "t3"), (FORCE_REQUEST, "t2")]);
        let stale = request(&other, FORCE_REQUEST, "", "t1");
        assert_eq!(stale, Request { honour: false, handled: Some("t2") });

        let alone = annotations(&[(FORCE_REQUEST, "t2")]);
        assert!(!request(&alone, FORCE_REQUEST, "", "").honour);
    }

    #[test]
    fn a_reconcile_request_is_new_until_its_value_is_recorded() {
        let map = annotations(&[(RECONCILE_REQUEST, "now")]);
        assert_eq!(reconcile_request(&map, "before"), Some("now"));
        assert_eq!(reconcile_request(&map, "now"), None);
        assert_eq!(reconcile_request(&BTreeMap::new(), ""), None);
    }
}
