//! Which hooks run for an event, in which order, and when they are deleted. Source: Helm `pkg/action/hooks.go`,
//! `release_testing.go`.

use borax_api::helm::Filter;
use borax_helm::HookEvent;

use crate::observe::is_selected;
use crate::record::Release;

/// Deleted before it is made again.
pub const BEFORE_CREATION: &str = "before-hook-creation";
/// Deleted once all hooks of its event worked.
pub const SUCCEEDED: &str = "hook-succeeded";
/// Deleted when it failed.
pub const FAILED: &str = "hook-failed";

/// The places in `release.hooks` of the hooks of an event, in the order they run: by weight, then by name, then in the
/// order of their kinds. `filters` choose among tests.
pub fn order(release: &Release, event: HookEvent, filters: &[Filter]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..release.hooks.len())
        .filter(|place| {
            let hook = &release.hooks[*place];
            hook.is_for(event) && is_selected(&hook.name, filters)
        })
        .collect();
    places.sort_by(|a, b| {
        let key = |place: &usize| (release.hooks[*place].weight, &release.hooks[*place].name);
        key(a).cmp(&key(b))
    });
    places
}

/// Gives a hook that names no delete policy the one Helm assumes.
pub fn default_policy(release: &mut Release, place: usize) {
    if let Some(hook) = release.hooks.get_mut(place)
        && hook.delete_policies.is_empty()
    {
        hook.delete_policies.push(BEFORE_CREATION.to_owned());
    }
}

/// Whether a hook is deleted under a policy. Definitions of custom resources never are: all their objects would go too.
pub fn is_deleted(release: &Release, place: usize, policy: &str) -> bool {
    release
        .hooks
        .get(place)
        .is_some_and(|hook| hook.kind != "CustomResourceDefinition" && hook.has_policy(policy))
}
