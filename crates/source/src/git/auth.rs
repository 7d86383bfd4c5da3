//! Credentials and connection settings of a fetch, read from the data of Secrets. Pure; never prints a value.
//!
//! Source: fluxcd/pkg `git/options.go` (keys, precedence, error texts).

use std::collections::BTreeMap;
use std::fmt;

use super::url::{RemoteUrl, Scheme};

/// The data of a Secret, decoded.
pub type SecretData = BTreeMap<String, Vec<u8>>;

/// Who to be and whom to trust when talking to a Git server. `Default` is nobody, with the system's certificates.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct GitAuth {
    /// What is sent along.
    pub credentials: Credentials,
    /// PEM certificates to trust besides the system's (`ca.crt`, `caFile`); empty for none.
    pub ca: Vec<u8>,
    /// The client's own certificate for mutual TLS.
    pub client: Option<ClientCertificate>,
}

/// What proves who we are.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Credentials {
    /// Nothing.
    #[default]
    None,
    /// `Authorization: Basic`.
    Basic {
        /// User name; may be empty.
        username: String,
        /// Password or token.
        password: String,
    },
    /// `Authorization: Bearer`.
    Bearer(String),
    /// An SSH key.
    Ssh(SshIdentity),
}

/// An SSH key and the hosts it may be shown to.
#[derive(Clone, PartialEq, Eq)]
pub struct SshIdentity {
    /// User name on the server.
    pub username: String,
    /// The private key: OpenSSH, PKCS#1, PKCS#8 or SEC1 in PEM.
    pub identity: Vec<u8>,
    /// The key's passphrase; empty for none.
    pub passphrase: String,
    /// Content of a `known_hosts` file.
    pub known_hosts: Vec<u8>,
}

/// A PEM certificate chain and its PEM key.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// `tls.crt`
    pub certificate: Vec<u8>,
    /// `tls.key`
    pub key: Vec<u8>,
}

/// A proxy for the connection: `http://`, `https://` or `socks5://`.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Address without credentials.
    pub address: url::Url,
    /// User name and password.
    pub credentials: Option<(String, String)>,
}

/// Why a Secret's data makes no credentials. The texts are Flux's; the caller puts
/// `failed to configure authentication options: ` in front, or for a proxy `secret '<namespace>/<name>': `.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AuthError {
    /// `password` without `username`.
    #[error("invalid '{transport}' auth option: 'password' requires 'username' to be set")]
    PasswordOnly {
        /// The URL's scheme.
        transport: &'static str,
    },
    /// A key SSH needs is missing.
    #[error("invalid 'ssh' auth option: '{key}' is required")]
    Required {
        /// The Secret's key.
        key: &'static str,
    },
    /// `tls.crt` without `tls.key` or the other way round.
    #[error("invalid TLS auth option: '{present}' requires '{missing}' to be set")]
    HalfCertificate {
        /// The key that is there.
        present: &'static str,
        /// The key that is not.
        missing: &'static str,
    },
    /// A bearer token and a user name or password at once.
    #[error("basic auth and bearer token cannot be set at the same time")]
    BasicAndBearer,
    /// A value that has to be text is not.
    #[error("invalid auth option: '{key}' is not valid UTF-8")]
    NotText {
        /// The Secret's key.
        key: &'static str,
    },
    /// The proxy Secret has no `address`.
    #[error("key 'address' not found")]
    ProxyAddressMissing,
    /// The proxy Secret's `address` is empty.
    #[error("proxy address is empty")]
    ProxyAddressEmpty,
    /// The proxy speaks what Flux does not.
    #[error(
        "proxy URL must use one of the supported schemes (http, https, socks5), got '{scheme}'"
    )]
    ProxyScheme {
        /// What it speaks.
        scheme: String,
    },
    /// The proxy's address cannot be used.
    #[error("failed to parse proxy address: {reason}")]
    ProxyAddress {
        /// Why.
        reason: String,
    },
}

impl GitAuth {
    /// Credentials for `url` out of the data of `spec.secretRef`'s Secret (empty without one).
    pub fn from_secret(url: &RemoteUrl, data: &SecretData) -> Result<Self, AuthError> {
        match url.scheme() {
            Scheme::Ssh => Self::ssh(url, data),
            Scheme::Http | Scheme::Https => Self::http(url, data),
        }
    }

    fn ssh(url: &RemoteUrl, data: &SecretData) -> Result<Self, AuthError> {
        let bytes = |key| data.get(key).cloned().unwrap_or_default();
        let mut username = url.username();
        if username.is_empty() {
            username = "git".to_string();
        }
        let identity = SshIdentity {
            username,
            identity: bytes("identity"),
            passphrase: text(data, "password")?,
            known_hosts: bytes("known_hosts"),
        };
        if identity.identity.is_empty() {
            return Err(AuthError::Required { key: "identity" });
        }
        if identity.known_hosts.is_empty() {
            return Err(AuthError::Required { key: "known_hosts" });
        }
        Ok(Self { credentials: Credentials::Ssh(identity), ..Self::default() })
    }

    fn http(url: &RemoteUrl, data: &SecretData) -> Result<Self, AuthError> {
        let bearer = match data.contains_key("bearerToken") {
            true => Some(text(data, "bearerToken")?),
            false => None,
        };
        // With a bearer token Flux does not read the Secret's user name; the URL's still counts.
        let (mut username, mut password) = (String::new(), String::new());
        if bearer.is_none() {
            username = text(data, "username")?;
            password = text(data, "password")?;
        }
        if username.is_empty() {
            username = url.username();
        }
        if password.is_empty() {
            password = url.password();
        }
        if username.is_empty() && !password.is_empty() {
            return Err(AuthError::PasswordOnly { transport: url.scheme().as_str() });
        }
        let basic = !username.is_empty() || !password.is_empty();
        let credentials = match bearer.filter(|token| !token.is_empty()) {
            Some(_) if basic => return Err(AuthError::BasicAndBearer),
            Some(token) => Credentials::Bearer(token),
            // Some servers reject empty credentials for public repositories.
            None if basic => Credentials::Basic { username, password },
            None => Credentials::None,
        };
        let filled = |key| data.get(key).filter(|value| !value.is_empty()).cloned();
        let client = match (filled("tls.crt"), filled("tls.key")) {
            (Some(certificate), Some(key)) => Some(ClientCertificate { certificate, key }),
            (None, None) => None,
            (Some(_), None) => {
                return Err(AuthError::HalfCertificate { present: "tls.crt", missing: "tls.key" });
            }
            (None, Some(_)) => {
                return Err(AuthError::HalfCertificate { present: "tls.key", missing: "tls.crt" });
            }
        };
        Ok(Self {
            credentials,
            ca: filled("ca.crt").or_else(|| filled("caFile")).unwrap_or_default(),
            client,
        })
    }

    /// Whether its SSH key is encrypted and there is nothing to decrypt it with.
    pub fn lacks_passphrase(&self) -> bool {
        match &self.credentials {
            Credentials::Ssh(identity) => super::ssh::lacks_passphrase(identity),
            _ => false,
        }
    }

    /// What of this may be shown to another server than the one it was made for.
    ///
    /// Passwords and tokens may not. An SSH key proves itself without being shown, and only to hosts its `known_hosts` names.
    pub(crate) fn for_other(&self, own: &RemoteUrl, other: &RemoteUrl) -> Self {
        if own.same_origin(other) {
            return self.clone();
        }
        match (&self.credentials, other.scheme()) {
            (Credentials::Ssh(_), Scheme::Ssh) => self.clone(),
            _ => Self { credentials: Credentials::None, ca: self.ca.clone(), client: None },
        }
    }
}

impl Proxy {
    /// The proxy out of the data of `spec.proxySecretRef`'s Secret.
    pub fn from_secret(data: &SecretData) -> Result<Self, AuthError> {
        if !data.contains_key("address") {
            return Err(AuthError::ProxyAddressMissing);
        }
        let address = text(data, "address")?;
        if address.is_empty() {
            return Err(AuthError::ProxyAddressEmpty);
        }
        let refuse = |reason: String| AuthError::ProxyAddress { reason };
        let mut address = url::Url::parse(address.trim()).map_err(|e| refuse(e.to_string()))?;
        if !matches!(address.scheme(), "http" | "https" | "socks5" | "socks5h") {
            return Err(AuthError::ProxyScheme { scheme: address.scheme().to_owned() });
        }
        if address.host_str().is_none_or(str::is_empty) {
            return Err(refuse("it has no host".to_string()));
        }
        let (mut username, mut password) = (text(data, "username")?, text(data, "password")?);
        if username.is_empty() {
            username = address.username().to_string();
            password = address.password().unwrap_or_default().to_string();
        }
        let _ = address.set_username("");
        let _ = address.set_password(None);
        Ok(Self { address, credentials: (!username.is_empty()).then_some((username, password)) })
    }
}

fn text(data: &SecretData, key: &'static str) -> Result<String, AuthError> {
    let bytes = data.get(key).cloned().unwrap_or_default();
    String::from_utf8(bytes).map_err(|_| AuthError::NotText { key })
}

impl fmt::Debug for GitAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitAuth")
            .field("credentials", &self.credentials)
            .field("ca", &!self.ca.is_empty())
            .field("client", &self.client.is_some())
            .finish()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Basic { .. } => "Basic(..)",
            Self::Bearer(_) => "Bearer(..)",
            Self::Ssh(_) => "Ssh(..)",
        })
    }
}

impl fmt::Debug for SshIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SshIdentity(..)")
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCertificate(..)")
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({})", self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(pairs: &[(&str, &str)]) -> SecretData {
        pairs.iter().map(|(k, v)| (k.to_string(), v.as_bytes().to_vec())).collect()
    }

    fn auth(url: &str, pairs: &[(&str, &str)]) -> Result<GitAuth, String> {
        let url = RemoteUrl::parse(url).expect("a valid URL");
        GitAuth::from_secret(&url, &data(pairs)).map_err(|error| error.to_string())
    }

    fn basic(username: &str, password: &str) -> Credentials {
        Credentials::Basic { username: username.to_string(), password: password.to_string() }
    }

    #[test]
    fn https_secrets_become_credentials() {
        let of = |url, pairs| auth(url, pairs).expect("valid").credentials;
        assert_eq!(of("https://h/x", &[]), Credentials::None);
        assert_eq!(of("https://h/x", &[("username", "u"), ("password", "p")]), basic("u", "p"));
        assert_eq!(of("https://u:p@h/x", &[]), basic("u", "p"));
        assert_eq!(of("https://u@h/x", &[("password", "p")]), basic("u", "p"));
        assert_eq!(
            of("https://h/x", &[("bearerToken", "t"), ("username", "u")]),
            Credentials::Bearer("t".to_string())
        );
        let auth = auth("https://h/x", &[("ca.crt", "a"), ("caFile", "b")]).expect("valid");
        assert_eq!(auth.ca, b"a");
    }

    #[test]
    fn wrong_secrets_are_named_without_their_values() {
        for (url, pairs, want) in [
            (
                "https://h/x",
                &[("password", "s3cret")][..],
                "invalid 'https' auth option: 'password' requires 'username' to be set",
            ),
            (
                "https://s3cret@h/x",
                &[("bearerToken", "s3cret")],
                "basic auth and bearer token cannot be set at the same time",
            ),
            (
                "https://h/x",
                &[("tls.crt", "s3cret")],
                "invalid TLS auth option: 'tls.crt' requires 'tls.key' to be set",
            ),
            (
                "ssh://h/x",
                &[("known_hosts", "s3cret")],
                "invalid 'ssh' auth option: 'identity' is required",
            ),
            (
                "ssh://h/x",
                &[("identity", "s3cret")],
                "invalid 'ssh' auth option: 'known_hosts' is required",
            ),
        ] {
            assert_eq!(auth(url, pairs).expect_err(want), want);
        }
    }

    #[test]
    fn debug_prints_no_secret() {
        let https = auth(
            "https://h/x",
            &[
                ("username", "u"),
                ("password", "s3cret"),
                ("tls.crt", "s3cret"),
                ("tls.key", "s3cret"),
            ],
        );
        let ssh = auth(
            "ssh://h/x",
            &[("identity", "s3cret"), ("known_hosts", "s3cret"), ("password", "s3cret")],
        );
        let proxy = Proxy::from_secret(&data(&[("address", "http://u:s3cret@p:1")]));
        let all = format!("{https:?}{ssh:?}{proxy:?}");
        assert!(!all.contains("s3cret"), "{all}");
    }

    #[test]
    fn only_the_same_origin_gets_a_password() {
        let url = |text| RemoteUrl::parse(text).expect("valid");
        let own = url("https://u:p@a/x");
        let auth = GitAuth::from_secret(&own, &SecretData::new()).expect("valid");
        assert_eq!(auth.for_other(&own, &url("https://a/y")).credentials, basic("u", "p"));
        for other in ["https://b/x", "http://a/x", "https://a:8443/x", "ssh://a/x"] {
            assert_eq!(auth.for_other(&own, &url(other)).credentials, Credentials::None);
        }
    }

    #[test]
    fn proxies_are_http_or_socks() {
        let proxy =
            |pairs: &[(&str, &str)]| Proxy::from_secret(&data(pairs)).map_err(|e| e.to_string());
        assert_eq!(proxy(&[]).expect_err("no address"), "key 'address' not found");
        assert_eq!(proxy(&[("address", "")]).expect_err("empty"), "proxy address is empty");
        assert_eq!(
            proxy(&[("address", "ftp://p")]).expect_err("ftp"),
            "proxy URL must use one of the supported schemes (http, https, socks5), got 'ftp'"
        );
        let found = proxy(&[("address", "socks5://p:1080"), ("username", "u"), ("password", "p")])
            .expect("valid");
        assert_eq!(found.address.as_str(), "socks5://p:1080");
        assert_eq!(found.credentials, Some(("u".to_string(), "p".to_string())));
    }
}
