//! What an ImagePolicy's status says of the latest image. Pure.
//!
//! Behaviour: image-reflector-controller v1.2 `updateImageRefs` and `composeImagePolicyReadyMessage` of
//! `internal/controller/imagepolicy_controller.go`.

use borax_api::image::{ImagePolicySpec, ImagePolicyStatus, ImageRef, ReflectionPolicy};

/// Where the digest of the latest image is to come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Digest {
    /// It is known, or none is wanted.
    Known(String),
    /// The registry must be asked.
    Ask,
}

/// Where the digest of `name:tag` comes from.
pub fn digest(spec: &ImagePolicySpec, status: &ImagePolicyStatus, name: &str, tag: &str) -> Digest {
    match spec.digest_reflection_policy() {
        ReflectionPolicy::Never => Digest::Known(String::new()),
        ReflectionPolicy::Always => Digest::Ask,
        ReflectionPolicy::IfNotPresent => match &status.latest_ref {
            Some(latest)
                if latest.name == name && latest.tag == tag && !latest.digest.is_empty() =>
            {
                Digest::Known(latest.digest.clone())
            }
            _ => Digest::Ask,
        },
    }
}

/// Records the latest image, and the one before it where it is another.
pub fn observe(status: &mut ImagePolicyStatus, latest: ImageRef) {
    if status.latest_ref.as_ref() != Some(&latest) {
        status.observed_previous_ref = status.latest_ref.replace(latest);
    }
}

/// What Ready says.
pub fn message(status: &ImagePolicyStatus) -> String {
    let Some(latest) = &status.latest_ref else { return String::new() };
    let mut message = format!("Latest image tag for {} resolved to {}", latest.name, latest.tag);
    if !latest.digest.is_empty() {
        message += &format!(" with digest {}", latest.digest);
    }
    if let Some(previous) =
        status.observed_previous_ref.as_ref().filter(|previous| *previous != latest)
    {
        message += &format!(" (previously {previous})");
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(tag: &str, digest: &str) -> ImageRef {
        ImageRef { name: "r/a".into(), tag: tag.into(), digest: digest.into() }
    }

    #[test]
    fn the_image_before_is_remembered_and_told() {
        let mut status = ImagePolicyStatus::default();
        observe(&mut status, image("1", ""));
        observe(&mut status, image("1", ""));
        assert_eq!(status.observed_previous_ref, None);
        assert_eq!(message(&status), "Latest image tag for r/a resolved to 1");
        observe(&mut status, image("2", "sha256:a"));
        observe(&mut status, image("2", "sha256:b"));
        assert_eq!(
            message(&status),
            "Latest image tag for r/a resolved to 2 with digest sha256:b (previously r/a:2@sha256:a)"
        );
    }

    #[test]
    fn a_digest_is_asked_for_when_the_policy_says_so() {
        use ReflectionPolicy::{Always, IfNotPresent, Never};
        let status = |digest| ImagePolicyStatus {
            latest_ref: Some(image("1", digest)),
            ..ImagePolicyStatus::default()
        };
        let known = |text: &str| Digest::Known(text.to_owned());
        for (policy, status, tag, want) in [
            (Never, status("sha256:a"), "1", known("")),
            (Always, status("sha256:a"), "1", Digest::Ask),
            (IfNotPresent, status("sha256:a"), "1", known("sha256:a")),
            (IfNotPresent, status("sha256:a"), "2", Digest::Ask),
            (IfNotPresent, status(""), "1", Digest::Ask),
            (IfNotPresent, ImagePolicyStatus::default(), "1", Digest::Ask),
        ] {
            let spec =
                ImagePolicySpec { digest_reflection_policy: Some(policy), ..Default::default() };
            assert_eq!(digest(&spec, &status, "r/a", tag), want, "{policy:?} {tag}");
        }
    }
}
