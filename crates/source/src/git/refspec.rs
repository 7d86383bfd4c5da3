//! `spec.git.push.refspec`: which local ref goes to which ref of the remote. Pure.
//!
//! Source: go-git `config/refspec.go` (what is valid), `remote.go` (what is pushed).

use git2::Oid;

use super::fetch::invalid_name;

/// A parsed refspec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refspec {
    text: String,
    force: bool,
    from: String,
    to: String,
}

/// Why a text is no refspec that can be pushed.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum RefspecError {
    /// Not one colon.
    #[error("malformed refspec, separators are wrong: '{0}'")]
    Separators(String),
    /// A star on one side only, or more than one.
    #[error("malformed refspec, mismatched number of wildcards: '{0}'")]
    Wildcards(String),
    /// Nothing before the colon: that would delete a branch, which an automation has no reason to.
    #[error("refspec '{0}' would delete a reference: name what to push before the colon")]
    Deletes(String),
    /// A name that no ref can have.
    #[error("refspec '{refspec}': {reason}")]
    Name {
        /// The refspec.
        refspec: String,
        /// Why.
        reason: &'static str,
    },
}

impl Refspec {
    /// Parses `[+]<from>:<to>`.
    pub fn parse(text: &str) -> Result<Self, RefspecError> {
        let (force, rest) = match text.strip_prefix('+') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let Some((from, to)) = rest.split_once(':').filter(|(_, to)| !to.contains(':')) else {
            return Err(RefspecError::Separators(text.to_string()));
        };
        if from.is_empty() {
            return Err(RefspecError::Deletes(text.to_string()));
        }
        let stars = |name: &str| name.matches('*').count();
        if stars(from) != stars(to) || stars(from) > 1 {
            return Err(RefspecError::Wildcards(text.to_string()));
        }
        for name in [from, to] {
            if let Some(reason) = invalid_name(&name.replace('*', "x")) {
                return Err(RefspecError::Name { refspec: text.to_string(), reason });
            }
        }
        let (from, to) = (from.to_string(), to.to_string());
        Ok(Self { text: text.to_string(), force, from, to })
    }

    /// Whether the remote's ref may lose commits.
    pub fn is_forced(&self) -> bool {
        self.force
    }

    /// The refs of the remote that are to be set, and to what, given the local refs.
    pub(crate) fn targets(&self, local: &[(&str, Oid)]) -> Vec<(String, Oid)> {
        let mut targets = Vec::new();
        for (name, oid) in local {
            let to = match self.from.split_once('*') {
                None => (*name == self.from).then(|| self.to.clone()),
                Some((before, after)) => name
                    .strip_prefix(before)
                    .and_then(|rest| rest.strip_suffix(after))
                    .map(|middle| self.to.replace('*', middle)),
            };
            targets.extend(to.map(|to| (to, *oid)));
        }
        targets
    }
}

impl std::fmt::Display for Refspec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refspecs_are_taken_as_go_git_takes_them() {
        let parse = |text| Refspec::parse(text).map_err(|error| error.to_string());
        assert!(parse("+refs/heads/a:refs/heads/b").unwrap().is_forced());
        assert!(!parse("refs/heads/a:refs/for/main").unwrap().is_forced());
        for (text, error) in [
            ("refs/heads/a", "malformed refspec, separators are wrong: 'refs/heads/a'"),
            ("a:b:c", "malformed refspec, separators are wrong: 'a:b:c'"),
            (
                "refs/heads/*:b",
                "malformed refspec, mismatched number of wildcards: 'refs/heads/*:b'",
            ),
            (":b", "refspec ':b' would delete a reference: name what to push before the colon"),
        ] {
            assert_eq!(parse(text).unwrap_err(), error);
        }
        assert!(parse("refs/heads/a b:c").unwrap_err().contains("no space"));
        assert!(parse("refs/heads/a\n:c").is_err());
    }

    #[test]
    fn wildcards_map_every_local_ref() {
        let (a, b) = (Oid::ZERO_SHA1, Oid::hash_object(git2::ObjectType::Blob, b"").unwrap());
        let local = [("refs/heads/main", a), ("refs/heads/auto", b)];
        let of = |text| Refspec::parse(text).unwrap().targets(&local);
        assert_eq!(of("refs/heads/auto:refs/for/main"), [("refs/for/main".to_string(), b)]);
        assert_eq!(of("refs/heads/none:refs/for/main"), []);
        assert_eq!(
            of("refs/heads/*:refs/copy/*"),
            [("refs/copy/main".to_string(), a), ("refs/copy/auto".to_string(), b)]
        );
    }
}
