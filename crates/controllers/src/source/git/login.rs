//! How a GitRepository logs in: its Secret, its proxy, a GitHub App's token.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use borax_api::source::{GitProvider, GitRepository, reasons};
use borax_source::git::{AppToken, GitAuth, GithubApp, Proxy, RemoteUrl};
use kube::ResourceExt;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::super::secrets::{self, SecretData};
use super::super::summary::Problem;
use crate::shared::Shared;

/// A token is renewed this long before it ends, in seconds: it must outlive the fetch it is for.
const RENEW: i64 = 300;

/// Tokens of GitHub Apps, by what they were asked for with. They hold for an hour; asking anew for each fetch would
/// soon meet GitHub's limits.
#[derive(Default)]
pub struct AppTokens(Mutex<HashMap<String, AppToken>>);

/// Everything a connection to the upstream needs.
pub(crate) struct Login {
    pub(crate) auth: GitAuth,
    pub(crate) proxy: Option<Proxy>,
    /// Tells this login from others without showing it.
    pub(crate) fingerprint: [u8; 32],
}

/// Reads the login of `object` for `url`.
///
/// # Errors
/// A Secret is missing or makes no login, or GitHub gives no token.
pub(crate) async fn login(
    shared: &Arc<Shared>,
    object: &GitRepository,
    url: &RemoteUrl,
) -> Result<Login, Problem> {
    let namespace = object.namespace().unwrap_or_default();
    let mut hasher = Sha256::new();
    let proxy = match &object.spec.proxy_secret_ref {
        None => None,
        Some(reference) => {
            let proxy = secrets::proxy(&shared.cluster, &namespace, &reference.name).await;
            let proxy = proxy.map_err(|error| {
                authentication(format!("failed to configure proxy options: {error}"))
            })?;
            let (username, password) = proxy.credentials.clone().unwrap_or_default();
            for part in [proxy.address.as_str(), &username, &password] {
                hash_part(&mut hasher, part.as_bytes());
            }
            Some(proxy)
        }
    };
    let data = match &object.spec.secret_ref {
        None => SecretData::new(),
        Some(reference) => {
            let fail = |error: String| {
                authentication(format!(
                    "failed to get secret '{namespace}/{}': {error}",
                    reference.name
                ))
            };
            secrets::read(&shared.cluster, &namespace, &reference.name).await.map_err(fail)?
        }
    };
    for (key, value) in &data {
        hash_part(&mut hasher, key.as_bytes());
        hash_part(&mut hasher, value);
    }
    let configure = |error: String| {
        authentication(format!("failed to configure authentication options: {error}"))
    };
    let mut auth =
        GitAuth::from_secret(url, &data).map_err(|error| configure(error.to_string()))?;
    if auth.lacks_passphrase() {
        let name = object.spec.secret_ref.as_ref().map(|secret| &*secret.name).unwrap_or_default();
        return Err(authentication(format!(
            "SSH identity key is encrypted but no 'password' field was provided in the secret '{namespace}/{name}'"
        )));
    }
    check_provider(object, &namespace, &data)?;
    if object.spec.provider() == GitProvider::Github {
        let app = GithubApp::from_secret(&data).map_err(|error| configure(error.to_string()))?;
        let token = token(shared, object, app, &auth, proxy.as_ref()).await.map_err(configure)?;
        auth = auth.with_app_token(&token);
    }
    Ok(Login { auth, proxy, fingerprint: hasher.finalize().into() })
}

fn authentication(message: String) -> Problem {
    Problem::fetch(reasons::AUTHENTICATION_FAILED, message)
}

/// Adds a part and where it ends.
fn hash_part(hasher: &mut Sha256, part: &[u8]) {
    hasher.update(part.len().to_be_bytes());
    hasher.update(part);
}

/// A GitHub App's Secret goes with the provider github, and the other way round.
fn check_provider(
    object: &GitRepository,
    namespace: &str,
    data: &SecretData,
) -> Result<(), Problem> {
    let invalid =
        |message: String| Problem::fetch(reasons::INVALID_PROVIDER_CONFIGURATION, message);
    let is_github = object.spec.provider() == GitProvider::Github;
    match (is_github, &object.spec.secret_ref) {
        (true, _) if GithubApp::is_in(data) => Ok(()),
        (true, secret) => {
            let message =
                "secretRef with github app data must be specified when provider is set to github";
            let problem = invalid(message.to_owned());
            Err(if secret.is_none() { problem.stalled() } else { problem })
        }
        (false, Some(secret)) if GithubApp::is_in(data) => Err(invalid(format!(
            "secretRef '{namespace}/{}' has github app data but provider is not set to github",
            secret.name
        ))),
        (false, _) => Ok(()),
    }
}

async fn token(
    shared: &Arc<Shared>,
    object: &GitRepository,
    app: GithubApp,
    auth: &GitAuth,
    proxy: Option<&Proxy>,
) -> Result<AppToken, String> {
    let now = jiff::Timestamp::now().as_second();
    let key = app.cache_key();
    let tokens = || shared.app_tokens.0.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(token) = tokens().get(&key).filter(|token| token.expires_at > now + RENEW) {
        return Ok(token.clone());
    }
    let (auth, proxy, timeout) = (auth.clone(), proxy.cloned(), object.spec.timeout());
    let cancel = CancellationToken::new();
    let _stop = cancel.clone().drop_guard();
    let asked = tokio::task::spawn_blocking(move || {
        app.token(&auth, proxy.as_ref(), timeout, &cancel, now)
    });
    let token = asked
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| borax_artifact::error::chain(&error))?;
    let mut tokens = tokens();
    tokens.retain(|_, token| token.expires_at > now);
    tokens.insert(key, token.clone());
    Ok(token)
}
