//! Names of registries and repositories, as go-containerregistry parses them (`pkg/name`, weak validation).

use std::fmt;
use std::net::Ipv4Addr;

/// The registry of names without a host.
const DEFAULT_REGISTRY: &str = "index.docker.io";
/// What people call it.
const DEFAULT_ALIAS: &str = "docker.io";

/// A repository on a registry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository {
    registry: String,
    repository: String,
}

/// Why a name is none. The texts are go-containerregistry's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not an `oci://` URL.
    #[error("URL must be in format 'oci://<domain>/<org>/<repo>'")]
    Scheme,
    /// Nothing there.
    #[error("a repository name must be specified")]
    Empty,
    /// Too short or too long.
    #[error("repository must be between 2 and 255 characters in length: {0}")]
    Length(String),
    /// Other characters than a repository may have; a tag shows so.
    #[error(
        "repository can only contain the characters `abcdefghijklmnopqrstuvwxyz0123456789_-./`: {0}"
    )]
    Characters(String),
    /// The host is none.
    #[error("registries must be valid RFC 3986 URI authorities: {0}")]
    Registry(String),
}

/// Why an image's name is none that can be scanned. The texts are Flux's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageNameError {
    /// It is a URL.
    #[error("image '{image}' should not include URL scheme; remove '{scheme}://'")]
    Scheme {
        /// The name.
        image: String,
        /// What is before `://`.
        scheme: String,
    },
    /// It has a tag, or a digest.
    #[error("image '{image}' should not include a tag; remove ':{tag}'")]
    Tag {
        /// The name.
        image: String,
        /// What is after the colon.
        tag: String,
    },
    /// It is none.
    #[error("could not parse reference: {0}")]
    Invalid(String),
}

impl Repository {
    /// Parses the name of an image without tag: `ghcr.io/org/app`, `alpine`.
    ///
    /// Behaviour: image-reflector-controller v1.2 `internal/registry/helper.go` over go-containerregistry's
    /// `name.ParseReference`.
    pub fn from_image(image: &str) -> Result<Self, ImageNameError> {
        if let Some((scheme, _)) = image.split_once("://") {
            let (image, scheme) = (image.to_owned(), scheme.to_owned());
            return Err(ImageNameError::Scheme { image, scheme });
        }
        let invalid = |_| ImageNameError::Invalid(image.to_owned());
        let base = match image.split_once('@') {
            Some((base, digest)) if is_digest(digest) => base,
            Some(_) => return Err(ImageNameError::Invalid(image.to_owned())),
            None => image,
        };
        let base = match base.rsplit_once(':') {
            Some((base, tag)) if !tag.contains('/') => {
                if !is_tag(tag) {
                    return Err(ImageNameError::Invalid(image.to_owned()));
                }
                base
            }
            _ => base,
        };
        let repository = Self::parse(base).map_err(invalid)?;
        let rest = image.strip_prefix(repository.registry()).unwrap_or(image);
        match rest.split(':').nth(1) {
            Some(tag) => Err(ImageNameError::Tag { image: image.to_owned(), tag: tag.to_owned() }),
            None => Ok(repository),
        }
    }

    /// Parses `oci://<domain>/<org>/<repo>`.
    pub fn from_url(url: &str) -> Result<Self, NameError> {
        Self::parse(url.strip_prefix("oci://").ok_or(NameError::Scheme)?)
    }

    /// Parses `<domain>/<org>/<repo>`. Without a domain it is Docker Hub's.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        let (registry, repository) = match name.split_once('/') {
            Some((host, rest)) if host.contains(['.', ':']) => (host, rest),
            _ => (DEFAULT_REGISTRY, name),
        };
        if !(2..=255).contains(&repository.chars().count()) {
            return Err(NameError::Length(repository.to_owned()));
        }
        let is_allowed =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-./".contains(c);
        if !repository.chars().all(is_allowed) {
            return Err(NameError::Characters(repository.to_owned()));
        }
        let registry = if registry == DEFAULT_ALIAS { DEFAULT_REGISTRY } else { registry };
        // A host that a URL would read otherwise (user info, upper case aside) could send credentials elsewhere.
        let parsed = url::Url::parse(&format!("https://{registry}/"));
        let is_host = parsed.is_ok_and(|url| {
            url.username().is_empty()
                && url.password().is_none()
                && url.path() == "/"
                && url.query().is_none()
        });
        if !is_host || registry.contains(['@', '\\', '%', '?', '#']) {
            return Err(NameError::Registry(registry.to_owned()));
        }
        Ok(Self { registry: registry.to_owned(), repository: repository.to_owned() })
    }

    /// Host and port of the registry.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository's path on the registry; official images of Docker Hub are in `library/`.
    pub fn path(&self) -> String {
        if self.registry == DEFAULT_REGISTRY && !self.repository.contains('/') {
            format!("library/{}", self.repository)
        } else {
            self.repository.clone()
        }
    }

    /// Whether plain HTTP is tried when HTTPS fails although no one asked for it: registries on this machine or in a
    /// private network.
    pub fn is_local(&self) -> bool {
        let name = &self.registry;
        let host = name.split(':').next().unwrap_or_default();
        let is_near = |ip: Ipv4Addr| ip.is_private() || ip.is_loopback();
        host.parse().is_ok_and(is_near)
            || name.starts_with("localhost:")
            || host.ends_with(".localhost")
            || name.starts_with("[::1]")
    }
}

/// As go-containerregistry checks tags. An empty one is taken for `latest`.
fn is_tag(tag: &str) -> bool {
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    tag.len() <= 128 && tag.bytes().all(is_allowed)
}

fn is_digest(text: &str) -> bool {
    text.parse::<borax_artifact::digest::Digest>().is_ok()
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.path())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_as_docker_splits_them() {
        for (name, want) in [
            (
                "oci://ghcr.io/stefanprodan/manifests/podinfo",
                "ghcr.io/stefanprodan/manifests/podinfo",
            ),
            ("oci://localhost:5000/x/y", "localhost:5000/x/y"),
            ("oci://docker.io/nginx", "index.docker.io/library/nginx"),
            ("oci://nginx", "index.docker.io/library/nginx"),
            ("oci://org/app", "index.docker.io/org/app"),
            ("oci://[::1]:5000/app", "[::1]:5000/app"),
        ] {
            assert_eq!(Repository::from_url(name).unwrap().to_string(), want);
        }
    }

    #[test]
    fn what_is_no_repository_is_named() {
        for (url, want) in [
            ("https://ghcr.io/a/b", "URL must be in format 'oci://<domain>/<org>/<repo>'"),
            ("oci://", "a repository name must be specified"),
            ("oci://ghcr.io/a", "repository must be between 2 and 255 characters in length: a"),
            (
                "oci://ghcr.io/org/app:1.0",
                "repository can only contain the characters `abcdefghijklmnopqrstuvwxyz0123456789_-./`: org/app:1.0",
            ),
            (
                "oci://u:p@evil.io/aa",
                "registries must be valid RFC 3986 URI authorities: u:p@evil.io",
            ),
            ("oci://a b.io/aa", "registries must be valid RFC 3986 URI authorities: a b.io"),
        ] {
            assert_eq!(Repository::from_url(url).unwrap_err().to_string(), want);
        }
    }

    #[test]
    fn images_are_named_without_scheme_and_tag() {
        for (image, want) in [
            ("ghcr.io/org/app", "ghcr.io/org/app"),
            ("alpine", "index.docker.io/library/alpine"),
            ("docker.io/org/app", "index.docker.io/org/app"),
            ("localhost:5000/app", "localhost:5000/app"),
        ] {
            assert_eq!(Repository::from_image(image).unwrap().to_string(), want);
        }
        let hex = "ab".repeat(32);
        for (image, want) in [
            (
                "https://ghcr.io/org/app",
                "image 'https://ghcr.io/org/app' should not include URL scheme; remove 'https://'",
            ),
            ("alpine:3", "image 'alpine:3' should not include a tag; remove ':3'"),
            (
                "localhost:5000/app:1.0",
                "image 'localhost:5000/app:1.0' should not include a tag; remove ':1.0'",
            ),
            ("ghcr.io/Org/app", "could not parse reference: ghcr.io/Org/app"),
            ("ghcr.io/org/app:a b", "could not parse reference: ghcr.io/org/app:a b"),
            ("", "could not parse reference: "),
        ] {
            assert_eq!(Repository::from_image(image).unwrap_err().to_string(), want);
        }
        let pinned = format!("alpine@sha256:{hex}");
        assert_eq!(
            Repository::from_image(&pinned).unwrap_err(),
            ImageNameError::Tag { image: pinned.clone(), tag: hex }
        );
    }

    #[test]
    fn local_registries_may_be_plain() {
        let is_local = |name: &str| Repository::parse(name).unwrap().is_local();
        for name in [
            "localhost:5000/aa",
            "127.0.0.1:5000/aa",
            "10.1.2.3/aa",
            "reg.localhost:80/aa",
            "[::1]:5/aa",
        ] {
            assert!(is_local(name), "{name}");
        }
        for name in ["ghcr.io/aa", "8.8.8.8:5000/aa", "localhost.evil.io/aa"] {
            assert!(!is_local(name), "{name}");
        }
    }
}
