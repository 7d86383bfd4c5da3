//! Where an artifact lies below the storage's root, and in its URL: `<kind>/<namespace>/<name>/<filename>`.
//!
//! Source: fluxcd/pkg `artifact/storage/path.go`. Flux joins and cleans whatever it is given; here a path can't be made
//! from parts that would lead elsewhere.

use std::fmt;

/// A relative path of exactly four parts, none of them empty or starting with a dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArtifactPath(String);

/// The parts can't be a path below the storage's root.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an artifact path: want <kind>/<namespace>/<name>/<filename>")]
pub struct PathError {
    /// The path as it was given.
    pub text: String,
}

impl ArtifactPath {
    /// The path of `filename` of an object. `kind` is lower-cased (`GitRepository` → `gitrepository`).
    pub fn new(kind: &str, namespace: &str, name: &str, filename: &str) -> Result<Self, PathError> {
        Self::parse(&format!("{}/{namespace}/{name}/{filename}", kind.to_lowercase()))
    }

    /// Takes a path as it stands in a status.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let good = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.len() <= 255
                && !part.contains(['\0', '\\'])
        };
        if text.split('/').count() != 4 || !text.split('/').all(good) {
            return Err(PathError { text: text.to_owned() });
        }
        Ok(Self(text.to_owned()))
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `<kind>/<namespace>/<name>`.
    pub fn dir(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(dir, _)| dir)
    }

    /// The same directory with another filename.
    pub fn sibling(&self, filename: &str) -> Result<Self, PathError> {
        Self::parse(&format!("{}/{filename}", self.dir()))
    }
}

impl fmt::Display for ArtifactPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_flux_s_and_nothing_else() {
        let path = ArtifactPath::new("GitRepository", "flux-system", "app", "0123.tar.gz").unwrap();
        assert_eq!(path.as_str(), "gitrepository/flux-system/app/0123.tar.gz");
        assert_eq!(
            path.sibling("latest.tar.gz").unwrap().as_str(),
            "gitrepository/flux-system/app/latest.tar.gz"
        );
        for bad in
            ["", "a/b/c", "a/b/c/d/e", "a/../c/d", "/a/b/c", "a/b/c/", "a/b/c/.x", "a/b/c\0/d"]
        {
            assert!(ArtifactPath::parse(bad).is_err(), "{bad:?}");
        }
    }
}
