//! Which ref `spec.ref` asks for, and how Flux writes down what it led to. Pure.
//!
//! Source: fluxcd/pkg `git/gogit/clone.go` (precedence, last revision), `git/git.go` and source-controller's
//! `commitReference` (revisions).

use git2::Oid;

/// `spec.ref` of a GitRepository; all empty means the branch `master`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reference {
    /// `spec.ref.branch`
    pub branch: String,
    /// `spec.ref.tag`
    pub tag: String,
    /// `spec.ref.semver`
    pub semver: String,
    /// `spec.ref.name`
    pub name: String,
    /// `spec.ref.commit`
    pub commit: String,
}

/// What a [`Reference`] asks for, once precedence has spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A commit by hash, in a branch or anywhere.
    Commit {
        /// The hash.
        hash: String,
        /// The full name of the branch it must be in.
        branch: Option<String>,
    },
    /// A ref by its full name.
    Ref(String),
    /// The highest tag in a range.
    Semver(String),
}

impl Reference {
    /// Commit, name, tag, semver, branch: the first that is set. (The documentation says semver before tag, the code does
    /// what is done here.)
    pub(crate) fn target(&self) -> Target {
        if !self.commit.is_empty() {
            return Target::Commit {
                hash: self.commit.clone(),
                branch: (!self.branch.is_empty()).then(|| format!("refs/heads/{}", self.branch)),
            };
        }
        if !self.name.is_empty() {
            return Target::Ref(self.name.clone());
        }
        if !self.tag.is_empty() {
            return Target::Ref(format!("refs/tags/{}", self.tag));
        }
        if !self.semver.is_empty() {
            return Target::Semver(self.semver.clone());
        }
        let branch = match self.branch.as_str() {
            "" => "master",
            branch => branch,
        };
        Target::Ref(format!("refs/heads/{branch}"))
    }

    /// The revision Flux writes for `commit` found through the ref `full_name` (empty for a bare commit).
    pub(crate) fn revision(&self, full_name: &str, commit: Oid) -> String {
        let digest = format!("sha1:{commit}");
        // Flux shows the whole name when spec.ref.name is set, even where spec.ref.commit decides.
        let shown = match self.name.is_empty() {
            false => full_name,
            true => short_name(full_name),
        };
        match shown {
            "" => digest,
            name => format!("{name}@{digest}"),
        }
    }
}

/// What follows the second slash: `refs/heads/a/b` is `a/b`. Names with fewer have no short form.
fn short_name(full_name: &str) -> &str {
    full_name.splitn(3, '/').nth(2).unwrap_or("")
}

/// A revision of an older Flux (`main/<hash>`) as today's write it.
pub(crate) fn modern_revision(revision: &str) -> String {
    if revision.is_empty() || revision.contains(':') {
        return revision.to_string();
    }
    match revision.rsplit_once('/') {
        Some(("HEAD", hash)) => format!("sha1:{hash}"),
        Some((name, hash)) => format!("{name}@sha1:{hash}"),
        None => format!("sha1:{revision}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(pairs: &[(&str, &str)]) -> Reference {
        let get = |key: &str| {
            let found = pairs.iter().find(|(k, _)| *k == key);
            found.map(|(_, v)| v.to_string()).unwrap_or_default()
        };
        Reference {
            branch: get("branch"),
            tag: get("tag"),
            semver: get("semver"),
            name: get("name"),
            commit: get("commit"),
        }
    }

    const HASH: &str = "5394cb7f48332b2de7c17dd8b8384bbc84b7e738";

    #[test]
    fn precedence_is_that_of_the_code_of_flux() {
        let of = |pairs| reference(pairs).target();
        let r = |name: &str| Target::Ref(name.to_string());
        assert_eq!(of(&[]), r("refs/heads/master"));
        assert_eq!(of(&[("branch", "a/b")]), r("refs/heads/a/b"));
        assert_eq!(of(&[("branch", "a"), ("semver", "*")]), Target::Semver("*".into()));
        assert_eq!(of(&[("semver", "*"), ("tag", "t")]), r("refs/tags/t"));
        assert_eq!(of(&[("tag", "t"), ("name", "refs/pull/1/head")]), r("refs/pull/1/head"));
        let commit = |branch: Option<&str>| Target::Commit {
            hash: HASH.into(),
            branch: branch.map(str::to_string),
        };
        assert_eq!(of(&[("name", "x"), ("commit", HASH)]), commit(None));
        assert_eq!(of(&[("branch", "b"), ("commit", HASH)]), commit(Some("refs/heads/b")));
    }

    #[test]
    fn revisions_are_those_of_flux() {
        let oid = Oid::from_str(HASH).expect("a hash");
        let of = |pairs, full| reference(pairs).revision(full, oid);
        let digest = format!("sha1:{HASH}");
        assert_eq!(of(&[], "refs/heads/master"), format!("master@{digest}"));
        assert_eq!(of(&[], "refs/heads/a/b"), format!("a/b@{digest}"));
        assert_eq!(of(&[], "refs/tags/v1"), format!("v1@{digest}"));
        assert_eq!(of(&[("commit", HASH)], "HEAD"), digest);
        assert_eq!(
            of(&[("name", "refs/pull/1/head")], "refs/pull/1/head"),
            format!("refs/pull/1/head@{digest}")
        );
        assert_eq!(
            of(&[("name", "refs/heads/a")], "refs/heads/a"),
            format!("refs/heads/a@{digest}")
        );
    }

    #[test]
    fn old_revisions_are_understood() {
        assert_eq!(modern_revision(""), "");
        assert_eq!(modern_revision(&format!("main/{HASH}")), format!("main@sha1:{HASH}"));
        assert_eq!(modern_revision(&format!("a/b/{HASH}")), format!("a/b@sha1:{HASH}"));
        assert_eq!(modern_revision(&format!("HEAD/{HASH}")), format!("sha1:{HASH}"));
        assert_eq!(modern_revision(HASH), format!("sha1:{HASH}"));
        assert_eq!(modern_revision(&format!("a@sha1:{HASH}")), format!("a@sha1:{HASH}"));
    }
}
