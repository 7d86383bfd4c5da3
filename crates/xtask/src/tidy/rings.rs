//! Dependencies point inwards, and the inner rings are pure.

use super::Finding;
use super::metadata::Metadata;

/// From the inside outwards. Tools stand beside: they may use everything, and only tests use them.
const RINGS: [&str; 5] = ["values", "engines", "adapters", "controllers", "programs"];
const TOOLS: &str = "tools";

/// What a pure ring may not reach: the runtime, the network, processes. (Randomness is a matter of its
/// `clippy.toml`: number and key crates link `rand` for its traits.)
const IMPURE: [&str; 10] = [
    "tokio",
    "mio",
    "socket2",
    "hyper",
    "reqwest",
    "rustls",
    "kube-client",
    "git2",
    "russh",
    "async-std",
];

pub(super) fn check(metadata: &Metadata) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let members = metadata.members();
    let edges = metadata.dependencies();
    for member in &members {
        let place = format!("crates/{}/Cargo.toml", member.folder());
        let Some(own) = rank(member.ring()) else {
            findings.push(Finding::new(
                place,
                format!(
                    "package.metadata.borax.ring is {:?}, not one of {}, {TOOLS}",
                    member.ring(),
                    RINGS.join(", ")
                ),
            ));
            continue;
        };
        let ours = |id: &&&str| members.iter().any(|m| m.id == ***id);
        for dep in edges.get(&*member.id).into_iter().flatten().filter(ours) {
            let Some(dep) = metadata.package(dep) else { continue };
            if rank(dep.ring()).is_some_and(|other| !allowed(own, other)) {
                findings.push(Finding::new(
                    &place,
                    format!(
                        "{} ({}) may not depend on {} ({}): dependencies point inwards",
                        member.name,
                        member.ring(),
                        dep.name,
                        dep.ring()
                    ),
                ));
            }
        }
        if own <= 1 {
            for reached in metadata.built_from(&member.name)? {
                if IMPURE.contains(&&*reached) {
                    let message =
                        format!("{} is of a pure ring and is built from {reached}", member.name);
                    findings.push(Finding::new(&place, message));
                }
            }
        }
    }
    Ok(findings)
}

/// Place in the order of rings; tools come last.
fn rank(ring: &str) -> Option<usize> {
    if ring == TOOLS {
        return Some(RINGS.len());
    }
    RINGS.iter().position(|r| *r == ring)
}

/// Whether a crate of ring `own` may be built from one of ring `other`. Cargo itself refuses cycles.
fn allowed(own: usize, other: usize) -> bool {
    other <= own && (own == RINGS.len() || other < RINGS.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inwards_and_sideways_is_allowed_outwards_and_to_tools_is_not() {
        let ok = |a, b| allowed(rank(a).unwrap(), rank(b).unwrap());
        assert!(ok("engines", "values") && ok("engines", "engines") && ok("tools", "programs"));
        assert!(!ok("values", "engines") && !ok("programs", "tools"));
        assert_eq!(rank("elsewhere"), None);
    }
}
