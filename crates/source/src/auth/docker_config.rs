//! Registry credentials out of docker configs (`kubernetes.io/dockerconfigjson`, `kubernetes.io/dockercfg` Secrets), and
//! which of them is for a repository. Pure; never prints a value.
//!
//! Source: go-containerregistry `pkg/authn/kubernetes/keychain.go` (which has it from kubelet's): an entry is for a
//! repository when its host matches (part by part, `*` within a part), the ports are equal and its path is a prefix; of
//! several the one that sorts last is taken, so that longer paths win.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::Deserialize;

/// What to prove ourselves to a registry with.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RegistryAuth {
    /// Nothing.
    #[default]
    Anonymous,
    /// A user name and password, for `Basic` or in exchange for a token.
    Basic {
        /// User name.
        username: String,
        /// Password or access token.
        password: String,
    },
    /// A refresh token (`identitytoken`), exchanged for a token by OAuth 2.
    Identity(String),
    /// A bearer token to be sent as it is (`registrytoken`).
    Bearer(String),
}

impl fmt::Debug for RegistryAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::Basic { .. } => "Basic(..)",
            Self::Identity(_) => "Identity(..)",
            Self::Bearer(_) => "Bearer(..)",
        })
    }
}

/// Why a Secret's docker config can't be used. Never quotes it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DockerConfigError {
    /// Not JSON of a docker config's shape.
    #[error("key '{key}' is not a docker config: line {line}, column {column}")]
    Json {
        /// The Secret's key.
        key: &'static str,
        /// Where.
        line: usize,
        /// Where.
        column: usize,
    },
    /// An `auth` field is not base64 of `username:password`.
    #[error(
        "unable to decode auth field of {registry:?}: must be formatted as base64(username:password)"
    )]
    Auth {
        /// The entry.
        registry: String,
    },
    /// An entry's name is not a host with a path.
    #[error(
        "entry {registry:?} in docker config invalid: want a host, optionally with port and path"
    )]
    Entry {
        /// The entry.
        registry: String,
    },
}

/// Credentials by host and path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keychain {
    entries: BTreeMap<String, RegistryAuth>,
}

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: Option<BTreeMap<String, Option<Entry>>>,
}

#[derive(Default, Deserialize)]
struct Entry {
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    auth: Option<String>,
    #[serde(default)]
    identitytoken: Option<String>,
    #[serde(default)]
    registrytoken: Option<String>,
}

impl Keychain {
    /// Adds what a Secret of this type and data holds. As in Flux a Secret of another type adds nothing, and of two
    /// Secrets with an entry for the same place the first counts.
    pub fn add_secret(
        &mut self,
        secret_type: &str,
        data: &BTreeMap<String, Vec<u8>>,
    ) -> Result<(), DockerConfigError> {
        let (key, is_wrapped) = match secret_type {
            "kubernetes.io/dockerconfigjson" => (".dockerconfigjson", true),
            "kubernetes.io/dockercfg" => (".dockercfg", false),
            _ => return Ok(()),
        };
        let Some(bytes) = data.get(key).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
        let invalid = |error: serde_json::Error| DockerConfigError::Json {
            key,
            line: error.line(),
            column: error.column(),
        };
        let entries = if is_wrapped {
            serde_json::from_slice::<DockerConfig>(bytes)
                .map_err(invalid)?
                .auths
                .unwrap_or_default()
        } else {
            serde_json::from_slice(bytes).map_err(invalid)?
        };
        for (registry, entry) in entries {
            let place = place(&registry)?;
            let auth = entry.unwrap_or_default().into_auth(&registry)?;
            self.entries.entry(place).or_insert(auth);
        }
        Ok(())
    }

    /// Credentials for all of one registry.
    pub fn of(registry: &str, auth: RegistryAuth) -> Self {
        Self { entries: BTreeMap::from([(registry.to_owned(), auth)]) }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The credentials for a repository, named in full: `ghcr.io/org/app`.
    pub fn resolve(&self, repository: &str) -> RegistryAuth {
        let matching = self.entries.iter().rev().find(|(place, _)| matches(place, repository));
        matching.map(|(_, auth)| auth.clone()).unwrap_or_default()
    }
}

impl Entry {
    fn into_auth(self, registry: &str) -> Result<RegistryAuth, DockerConfigError> {
        let filled = |value: Option<String>| value.filter(|value| !value.is_empty());
        let (mut username, mut password) = (filled(self.username), filled(self.password));
        if let Some(auth) = filled(self.auth) {
            let error = || DockerConfigError::Auth { registry: registry.to_owned() };
            let is_padded = auth.trim_end().ends_with('=');
            // Go's decoder skips line breaks.
            let auth: String = auth.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
            let decoded =
                if is_padded { STANDARD.decode(auth) } else { STANDARD_NO_PAD.decode(auth) };
            let decoded =
                decoded.ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(error)?;
            let (user, pass) = decoded.split_once(':').ok_or_else(error)?;
            (username, password) = (Some(user.to_owned()), Some(pass.to_owned()));
        }
        if let Some(token) = filled(self.registrytoken) {
            return Ok(RegistryAuth::Bearer(token));
        }
        if let Some(token) = filled(self.identitytoken) {
            return Ok(RegistryAuth::Identity(token));
        }
        // As upstream: half a pair is sent as none.
        match (filled(username), filled(password)) {
            (Some(username), Some(password)) => Ok(RegistryAuth::Basic { username, password }),
            _ => Ok(RegistryAuth::Anonymous),
        }
    }
}

/// An entry's host and path, without scheme; `/v1/` and `/v2/` are the same as none.
fn place(registry: &str) -> Result<String, DockerConfigError> {
    let rest = registry
        .strip_prefix("https://")
        .or_else(|| registry.strip_prefix("http://"))
        .unwrap_or(registry);
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit('@').next().unwrap_or_default();
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(DockerConfigError::Entry { registry: registry.to_owned() });
    }
    let path = if path.starts_with("/v1/") || path.starts_with("/v2/") { &path[3..] } else { path };
    Ok(if path == "/" { host.to_owned() } else { format!("{host}{path}") })
}

/// Whether an entry is for a repository.
fn matches(place: &str, repository: &str) -> bool {
    let split = |text: &str| -> (String, String, String) {
        let (host, path) = text.split_at(text.find('/').unwrap_or(text.len()));
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (host, ""),
        };
        (host.to_owned(), port.to_owned(), path.to_owned())
    };
    let (glob, glob_port, prefix) = split(place);
    let (host, port, path) = split(repository);
    glob_port == port
        && path.starts_with(&prefix)
        && glob.split('.').count() == host.split('.').count()
        && glob
            .split('.')
            .zip(host.split('.'))
            .all(|(glob, part)| part_matches(glob.as_bytes(), part.as_bytes()))
}

/// Matches one part of a host against a pattern with `*`. Upstream's `?` can't occur (it would begin a URL's query), and its
/// character classes no one writes.
fn part_matches(glob: &[u8], part: &[u8]) -> bool {
    // Where to go on when the last star takes one byte more.
    let (mut g, mut p, mut star) = (0, 0, None);
    while p < part.len() {
        match glob.get(g) {
            Some(b'*') => {
                star = Some((g, p));
                g += 1;
            }
            Some(byte) if *byte == part[p] => (g, p) = (g + 1, p + 1),
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (g, p) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    glob[g..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keychain(json: &str) -> Result<Keychain, DockerConfigError> {
        let mut keychain = Keychain::default();
        let data = BTreeMap::from([(".dockerconfigjson".to_owned(), json.as_bytes().to_vec())]);
        keychain.add_secret("kubernetes.io/dockerconfigjson", &data)?;
        Ok(keychain)
    }

    fn user(name: &str) -> RegistryAuth {
        RegistryAuth::Basic { username: name.to_owned(), password: "p".to_owned() }
    }

    #[test]
    fn the_longest_matching_entry_is_taken() {
        let entry = |place: &str, user: &str| {
            format!("{place:?}:{{\"username\":{user:?},\"password\":\"p\"}}")
        };
        let entries = [
            entry("ghcr.io", "host"),
            entry("ghcr.io/org", "org"),
            entry("ghcr.io/org/app", "app"),
            entry("*.example.com", "star"),
            entry("*.*.example.com", "stars"),
            entry("reg-*.test:5000", "port"),
            entry("https://index.docker.io/v1/", "hub"),
            entry("https://quay.io/v2/team", "team"),
        ];
        let keychain = keychain(&format!("{{\"auths\":{{{}}}}}", entries.join(","))).unwrap();
        for (repository, want) in [
            ("ghcr.io/other/app", user("host")),
            ("ghcr.io/org/other", user("org")),
            ("ghcr.io/org/app", user("app")),
            ("ghcr.io/org/app/sub", user("app")),
            ("ghcr.io:443/org/app", RegistryAuth::Anonymous),
            ("a.example.com/x", user("star")),
            ("a.b.example.com/x", user("stars")),
            ("example.com/x", RegistryAuth::Anonymous),
            ("reg-1.test:5000/x", user("port")),
            ("reg-1.test/x", RegistryAuth::Anonymous),
            ("reg-11.test:5000/x", user("port")),
            ("rag-1.test:5000/x", RegistryAuth::Anonymous),
            ("index.docker.io/library/nginx", user("hub")),
            ("quay.io/team/x", user("team")),
            ("quay.io/other/x", RegistryAuth::Anonymous),
        ] {
            assert_eq!(keychain.resolve(repository), want, "{repository}");
        }
    }

    #[test]
    fn an_entry_is_a_pair_an_auth_field_or_a_token() {
        let of = |entry: &str| {
            keychain(&format!("{{\"auths\":{{\"h.io\":{entry}}}}}")).map(|k| k.resolve("h.io/x"))
        };
        let basic = |u: &str, p: &str| RegistryAuth::Basic {
            username: u.to_owned(),
            password: p.to_owned(),
        };
        assert_eq!(of(r#"{"auth":"dTpw"}"#), Ok(basic("u", "p")));
        assert_eq!(of(r#"{"auth":"dTpwOnE="}"#), Ok(basic("u", "p:q")));
        assert_eq!(of(r#"{"auth":"dTpwOnE"}"#), Ok(basic("u", "p:q")));
        assert_eq!(of(r#"{"username":"a","password":"b","auth":"dTpw"}"#), Ok(basic("u", "p")));
        assert_eq!(of(r#"{"username":"a","email":"x@y"}"#), Ok(RegistryAuth::Anonymous));
        assert_eq!(
            of(r#"{"username":"<token>","identitytoken":"t"}"#),
            Ok(RegistryAuth::Identity("t".to_owned()))
        );
        assert_eq!(
            of(r#"{"registrytoken":"t","auth":"dTpw"}"#),
            Ok(RegistryAuth::Bearer("t".to_owned()))
        );
        assert_eq!(of("null"), Ok(RegistryAuth::Anonymous));
        for bad in [r#"{"auth":"s3cret!"}"#, r#"{"auth":"czNjcmV0"}"#] {
            let text = of(bad).unwrap_err().to_string();
            assert_eq!(
                text,
                "unable to decode auth field of \"h.io\": must be formatted as base64(username:password)"
            );
        }
    }

    #[test]
    fn errors_name_the_place_and_no_value() {
        let text = keychain("{\"auths\":{\"h\":{\"password\":\n 1}}}").unwrap_err().to_string();
        assert_eq!(text, "key '.dockerconfigjson' is not a docker config: line 2, column 2");
        assert!(keychain("{\"auths\":{\"\":{}}}").is_err());
        assert!(!format!("{:?}", keychain(r#"{"auths":{"h":{"auth":"dTpw"}}}"#)).contains("\"p\""));
    }

    #[test]
    fn old_configs_and_other_secrets() {
        let mut keychain = Keychain::default();
        let data =
            |key: &str| BTreeMap::from([(key.to_owned(), br#"{"h.io":{"auth":"dTpw"}}"#.to_vec())]);
        keychain.add_secret("Opaque", &data(".dockercfg")).unwrap();
        keychain.add_secret("kubernetes.io/dockerconfigjson", &BTreeMap::new()).unwrap();
        assert!(keychain.is_empty());
        keychain.add_secret("kubernetes.io/dockercfg", &data(".dockercfg")).unwrap();
        assert_eq!(keychain.resolve("h.io/x"), user("u"));
    }
}
