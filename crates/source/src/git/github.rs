//! GitHub Apps: the token an installation's Git requests are made with.
//!
//! Source: fluxcd/pkg `auth/githubapp/client.go`. The caller keeps tokens until they expire; it also says what time it is.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::auth::{Credentials, GitAuth, Proxy, SecretData};
use super::cause::{Cause, chain, server_words};
use super::http;
use super::session::Session;

const API: &str = "https://api.github.com";

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// What a Secret says of a GitHub App. `Debug` prints no key.
#[derive(Clone, PartialEq, Eq)]
pub struct GithubApp {
    id: u64,
    installation: Installation,
    private_key: Vec<u8>,
    api: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Installation {
    Id(u64),
    Owner(String),
}

/// A token of an installation. `Debug` does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct AppToken {
    /// The token.
    pub token: String,
    /// When it ends, in seconds since 1970.
    pub expires_at: i64,
}

/// Why there is no token. The caller puts `failed to configure authentication options: ` in front.
#[derive(Debug, thiserror::Error)]
pub enum GithubError {
    /// The Secret lacks something, or has too much.
    #[error("{0}")]
    Secret(&'static str),
    /// The private key can't be used.
    #[error("could not parse private key: {0}")]
    Key(&'static str),
    /// The API said no.
    #[error("{method} {url}: {status}{words}")]
    Refused {
        /// The request's method.
        method: Method,
        /// The request's URL.
        url: String,
        /// The answer's status.
        status: u16,
        /// The answer's own words; begins with a separator or is empty.
        words: String,
    },
    /// No installation belongs to the owner.
    #[error("no installation of the app found for '{owner}': {organization}; {user}")]
    NoInstallation {
        /// `githubAppInstallationOwner`.
        owner: String,
        /// What the API says of an organization of that name.
        organization: Box<GithubError>,
        /// What it says of a user of that name.
        user: Box<GithubError>,
    },
    /// The answer makes no sense.
    #[error("{url}: the answer is not that of GitHub's API: {reason}")]
    Answer {
        /// The request's URL.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The API can't be reached.
    #[error(transparent)]
    Connection(#[from] Cause),
}

impl GithubApp {
    /// Whether a Secret's data is of a GitHub App at all.
    pub fn is_in(data: &SecretData) -> bool {
        data.get("githubAppID").is_some_and(|id| !id.is_empty())
    }

    /// Reads a Secret's data.
    pub fn from_secret(data: &SecretData) -> Result<Self, GithubError> {
        let text = |key: &str| {
            let bytes = data.get(key).map(Vec::as_slice).unwrap_or_default();
            String::from_utf8_lossy(bytes).trim().to_string()
        };
        let number = |key: &str| text(key).parse::<u64>().ok().filter(|id| *id != 0);
        let refuse = |reason| Err(GithubError::Secret(reason));
        let Some(id) = number("githubAppID") else {
            return refuse("app ID must be provided to use github app authentication");
        };
        let installation = match (
            text("githubAppInstallationOwner"),
            number("githubAppInstallationID"),
        ) {
            (owner, None) if !owner.is_empty() => Installation::Owner(owner),
            (owner, Some(id)) if owner.is_empty() => Installation::Id(id),
            (_, None) => {
                return refuse(
                    "app installation owner or ID must be provided to use github app authentication",
                );
            }
            (_, Some(_)) => {
                return refuse(
                    "only one of app installation owner or ID must be provided to use github app authentication",
                );
            }
        };
        let private_key = data.get("githubAppPrivateKey").cloned().unwrap_or_default();
        if private_key.is_empty() {
            return refuse("private key must be provided to use github app authentication");
        }
        let api = match text("githubAppBaseURL") {
            api if api.is_empty() => API.to_string(),
            api => api.trim_end_matches('/').to_string(),
        };
        Ok(Self { id, installation, private_key, api })
    }

    /// What identifies the token, for a cache: never shown, as the key is part of it.
    pub fn cache_key(&self) -> String {
        let text = format!("{}\0{:?}\0{}\0", self.id, self.installation, self.api);
        let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
        digest.update(text.as_bytes());
        digest.update(&self.private_key);
        URL_SAFE_NO_PAD.encode(digest.finish())
    }

    /// Asks for a token at `now` (seconds since 1970). Blocks as [`super::fetch`] does.
    ///
    /// Of `auth` (made of the same Secret) the certificates count.
    pub fn token(
        &self,
        auth: &GitAuth,
        proxy: Option<&Proxy>,
        timeout: Duration,
        cancel: &CancellationToken,
        now: i64,
    ) -> Result<AppToken, GithubError> {
        let session = Session::start(timeout, cancel)
            .map_err(|e| Cause::store("can't start to ask GitHub", &e))?;
        let api = Api {
            session: Rc::new(session),
            client: http::client(auth, proxy)?,
            base: &self.api,
            jwt: self.jwt(now)?,
        };
        let id = match &self.installation {
            Installation::Id(id) => *id,
            Installation::Owner(owner) => api.installation(owner)?,
        };
        let path = format!("/app/installations/{id}/access_tokens");
        let answer: TokenAnswer = api.ask(Method::POST, &path)?;
        let expires_at = answer.expires_at.parse::<jiff::Timestamp>().map_err(|error| {
            GithubError::Answer { url: format!("{}{path}", self.api), reason: error.to_string() }
        })?;
        Ok(AppToken { token: answer.token, expires_at: expires_at.as_second() })
    }

    /// The app's own proof: a JWT signed with RS256, good for two minutes less what clocks differ.
    fn jwt(&self, now: i64) -> Result<String, GithubError> {
        let key = match PrivateKeyDer::from_pem_slice(&self.private_key) {
            Ok(PrivateKeyDer::Pkcs1(der)) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            Ok(PrivateKeyDer::Pkcs8(der)) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            Ok(_) => return Err(GithubError::Key("it is not an RSA key")),
            Err(_) => return Err(GithubError::Key("it is not PEM")),
        };
        let key =
            key.map_err(|_| GithubError::Key("it is not a usable RSA key of 2048 to 4096 bits"))?;
        let issued = now - 30;
        let claims = serde_json::json!({
            "iat": issued,
            "exp": issued + 120,
            "iss": self.id.to_string(),
        });
        let encode = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = serde_json::json!({"alg": "RS256", "typ": "JWT"});
        let text = format!("{}.{}", encode(header), encode(claims));
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
            .map_err(|_| GithubError::Key("it does not sign"))?;
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

impl GitAuth {
    /// These settings with an installation's token for credentials.
    #[must_use]
    pub fn with_app_token(mut self, token: &AppToken) -> Self {
        self.credentials = Credentials::Basic {
            username: "x-access-token".to_string(),
            password: token.token.clone(),
        };
        self
    }
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: String,
    expires_at: String,
}

#[derive(Deserialize)]
struct InstallationAnswer {
    id: u64,
}

#[derive(Deserialize)]
struct Refusal {
    message: String,
}

struct Api<'a> {
    session: Rc<Session>,
    client: reqwest::Client,
    base: &'a str,
    jwt: String,
}

impl Api<'_> {
    fn installation(&self, owner: &str) -> Result<u64, GithubError> {
        let owner_path: String = url::form_urlencoded::byte_serialize(owner.as_bytes()).collect();
        let find = |kind: &str| -> Result<InstallationAnswer, GithubError> {
            self.ask(Method::GET, &format!("/{kind}/{owner_path}/installation"))
        };
        let organization = match find("orgs") {
            Ok(answer) => return Ok(answer.id),
            Err(error @ GithubError::Connection(_)) => return Err(error),
            Err(error) => Box::new(error),
        };
        match find("users") {
            Ok(answer) => Ok(answer.id),
            Err(error) => Err(GithubError::NoInstallation {
                owner: owner.to_string(),
                organization,
                user: Box::new(error),
            }),
        }
    }

    fn ask<T: for<'de> Deserialize<'de>>(
        &self,
        method: Method,
        path: &str,
    ) -> Result<T, GithubError> {
        let url = format!("{}{path}", self.base);
        let refuse = |error: reqwest::Error| Cause::Network {
            method: "ask",
            url: url.clone(),
            reason: chain(&error.without_url()),
        };
        let request = self
            .client
            .request(method.clone(), &url)
            .header(ACCEPT, "application/vnd.github+json")
            .header("X-GitHub-Api-Version", "2022-11-28")
            .header(AUTHORIZATION, format!("Bearer {}", self.jwt));
        let mut response =
            self.session.wait(request.send()).map_err(Cause::from)?.map_err(refuse)?;
        let mut body = Vec::new();
        while let Some(chunk) =
            self.session.wait(response.chunk()).map_err(Cause::from)?.map_err(refuse)?
        {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER {
                let limit = MAX_ANSWER as u64;
                return Err(Cause::TooLarge { what: "GitHub's answer", limit }.into());
            }
        }
        if !response.status().is_success() {
            let words = serde_json::from_slice::<Refusal>(&body).map(|r| r.message);
            return Err(GithubError::Refused {
                method,
                url,
                status: response.status().as_u16(),
                words: server_words(&words.unwrap_or_default()),
            });
        }
        serde_json::from_slice(&body)
            .map_err(|error| GithubError::Answer { url, reason: error.to_string() })
    }
}

impl fmt::Debug for GithubApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GithubApp")
            .field("id", &self.id)
            .field("installation", &self.installation)
            .field("api", &self.api)
            .finish()
    }
}

impl fmt::Debug for AppToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AppToken(until {})", self.expires_at)
    }
}
