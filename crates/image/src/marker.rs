//! Markers: the comments that say which policy writes the value before them.
//!
//! Behaviour: kyaml's `fieldmeta` with the short hand `$imagepolicy`, as image-automation-controller v1.2
//! `internal/update/setters.go` sets it up.

use std::collections::BTreeMap;

use crate::setters::Policies;

/// What a file must contain to be looked at, quotes included.
pub(crate) const TOKEN: &[u8] = b"\"$imagepolicy\"";
const KEY: &str = "$imagepolicy";

/// A setter: a policy, and which part of its image it writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setter<'p> {
    /// As the marker spells it: `namespace:name`, maybe with `:tag`, `:name` or `:digest`.
    pub(crate) name: String,
    /// `namespace:name`.
    pub(crate) policy: &'p str,
    /// What it writes; empty where the policy has no digest.
    pub(crate) value: String,
}

/// The setter that a comment names, when it is a marker of one of `policies`.
///
/// `comment` begins with its `#`. All of it must be one JSON object of texts.
pub(crate) fn setter<'p>(comment: &str, policies: &'p Policies) -> Option<Setter<'p>> {
    if !comment.contains(KEY) {
        return None;
    }
    let json = comment.trim_start_matches('#');
    let mut fields: BTreeMap<String, Option<String>> = serde_json::from_str(json).ok()?;
    let name = fields.remove(KEY)??;
    if let Some((policy, image)) = policies.get_key_value(&name) {
        return Some(Setter { name, policy, value: image.to_string() });
    }
    let (policy, part) = name.rsplit_once(':')?;
    let (policy, image) = policies.get_key_value(policy)?;
    let value = match part {
        "tag" => &image.tag,
        "name" => &image.name,
        "digest" => &image.digest,
        _ => return None,
    };
    Some(Setter { policy, value: value.clone(), name })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ImageRef;

    #[test]
    fn a_marker_is_one_json_object_that_names_a_known_policy() {
        let image = |tag: &str, digest: &str| ImageRef {
            name: "ghcr.io/a/b".into(),
            tag: tag.into(),
            digest: digest.into(),
        };
        let policies = Policies::from([
            ("ns:app".to_owned(), image("1", "")),
            ("ns:pinned".to_owned(), image("2", "sha256:ab")),
            ("ns:tag".to_owned(), image("3", "")),
        ]);
        let value = |comment: &str| setter(comment, &policies).map(|setter| setter.value);
        for (comment, want) in [
            (r#"# {"$imagepolicy": "ns:app"}"#, Some("ghcr.io/a/b:1")),
            (r###"##  {"$imagepolicy" : "ns:app:tag", "x": "y"}  "###, Some("1")),
            (r#"#{"$imagepolicy":"ns:app:name"}"#, Some("ghcr.io/a/b")),
            (r#"# {"$imagepolicy": "ns:app:digest"}"#, Some("")),
            (r#"# {"$imagepolicy": "ns:pinned"}"#, Some("ghcr.io/a/b:2@sha256:ab")),
            (r#"# {"$imagepolicy": "ns:pinned:digest"}"#, Some("sha256:ab")),
            (r#"# {"$imagepolicy": "ns:tag"}"#, Some("ghcr.io/a/b:3")),
            (r#"# {"$imagepolicy": "ns:other"}"#, None),
            (r#"# {"$imagepolicy": "ns:app:major"}"#, None),
            (r#"# see {"$imagepolicy": "ns:app"}"#, None),
            (r#"# {"$imagepolicy": "ns:app"} # why"#, None),
            (r#"# {"$imagepolicy": "ns:app", "x": 1}"#, None),
            (r#"# {"$imagepolicy": null}"#, None),
            (r#"# {$imagepolicy: ns:app}"#, None),
        ] {
            assert_eq!(value(comment).as_deref(), want, "{comment}");
        }
    }
}
