//! Bearer tokens for registries: asked of the realm with our credentials, kept until shortly before they expire.
//!
//! Source: the distribution project's token and OAuth 2 specifications, with go-containerregistry's leniencies
//! (`access_token` for `token`; a realm without OAuth 2 is asked the other way).

use std::time::{Duration, Instant};

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Method, Response, StatusCode};
use serde::Deserialize;
use url::Url;
use url::form_urlencoded::Serializer;

use super::error::RegistryError;
use super::transport::{
    Realm, location, network, plain_authorization, request, shown, status_error,
};
use crate::auth::docker_config::RegistryAuth;

/// What of an answer is read.
const MAX_ANSWER: usize = 64 << 10;
/// Life of a token that does not tell (the specification's).
const DEFAULT_LIFE: u64 = 60;
/// Longest time a token is kept, whatever it tells: credentials may be revoked.
const MAX_LIFE: u64 = 300;
/// So much earlier a token is taken for expired.
const MARGIN: u64 = 10;

/// A token and its end.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) value: String,
    pub(super) expires: Instant,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
    #[serde(default)]
    expires_in: Option<u64>,
}

/// Gets a token for `scopes`.
pub(super) async fn fetch_token(
    client: &Client,
    realm: &Realm,
    auth: &RegistryAuth,
    scopes: &[String],
) -> Result<Token, RegistryError> {
    let asked = Instant::now();
    let response = match auth {
        RegistryAuth::Identity(refresh_token) => {
            let response = by_oauth(client, realm, refresh_token, scopes).await?;
            // Not every server of tokens knows OAuth 2.
            if response.status() == StatusCode::NOT_FOUND {
                by_get(client, realm, auth, scopes).await?
            } else {
                response
            }
        }
        _ => by_get(client, realm, auth, scopes).await?,
    };
    let url = shown(response.url());
    if response.status() != StatusCode::OK {
        return Err(status_error(&Method::GET, response).await);
    }
    let body = body(response, &realm.url).await?;
    // The answer itself is never quoted: it may hold a token.
    let invalid =
        |reason: &str| RegistryError::Protocol { url: url.clone(), reason: reason.to_owned() };
    let answer: TokenAnswer =
        serde_json::from_slice(&body).map_err(|_| invalid("the token answer is not JSON"))?;
    let filled = |value: Option<String>| value.filter(|value| !value.is_empty());
    let value = filled(answer.access_token)
        .or(filled(answer.token))
        .ok_or_else(|| invalid("no token in bearer response"))?;
    let life = answer.expires_in.filter(|life| *life > 0).unwrap_or(DEFAULT_LIFE).min(MAX_LIFE);
    Ok(Token { value, expires: asked + Duration::from_secs(life.saturating_sub(MARGIN)) })
}

async fn by_get(
    client: &Client,
    realm: &Realm,
    auth: &RegistryAuth,
    scopes: &[String],
) -> Result<Response, RegistryError> {
    let mut url = realm.url.clone();
    {
        let mut query = url.query_pairs_mut();
        for scope in scopes {
            query.append_pair("scope", scope);
        }
        query.append_pair("service", &realm.service);
    }
    let own = url.origin();
    for _ in 0..10 {
        // Credentials are for the realm itself, not for where it sends us.
        let authorization = (url.origin() == own).then(|| plain_authorization(auth)).flatten();
        let response = request(client, &Method::GET, &url, None, authorization).await?;
        if !response.status().is_redirection() {
            return Ok(response);
        }
        let next = location(&url, &response)?;
        if let Some(reason) = realm.judge(&next) {
            return Err(RegistryError::Redirect { from: shown(&url), to: shown(&next), reason });
        }
        url = next;
    }
    Err(RegistryError::Redirect {
        from: shown(&realm.url),
        to: shown(&url),
        reason: "too many redirects",
    })
}

fn refresh_form(realm: &Realm, refresh_token: &str, scopes: &[String]) -> String {
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", "refresh_token")
        .append_pair("client_id", "borax")
        .append_pair("scope", &scopes.join(" "))
        .append_pair("refresh_token", refresh_token);
    if !realm.service.is_empty() {
        form.append_pair("service", &realm.service);
    }
    form.finish()
}

/// The token is in the body, so nothing is followed.
async fn by_oauth(
    client: &Client,
    realm: &Realm,
    refresh_token: &str,
    scopes: &[String],
) -> Result<Response, RegistryError> {
    let request = client
        .post(realm.url.clone())
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(refresh_form(realm, refresh_token, scopes));
    request.send().await.map_err(|error| network(&Method::POST, &realm.url, error))
}

async fn body(mut response: Response, realm: &Url) -> Result<Vec<u8>, RegistryError> {
    let mut body = Vec::new();
    while let Some(chunk) =
        response.chunk().await.map_err(|error| network(&Method::GET, realm, error))?
    {
        if body.len() + chunk.len() > MAX_ANSWER {
            let reason = "the token answer is larger than 64 KiB".to_owned();
            return Err(RegistryError::Protocol { url: shown(realm), reason });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
