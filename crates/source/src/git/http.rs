//! Smart HTTP: two kinds of request to one base URL. It knows HTTP and credentials, not what the bodies mean.
//!
//! Source: Git's `gitprotocol-http`. Redirects are followed for the first request only, as Git does, and never carry
//! credentials to another origin, nor from TLS to plain HTTP.

use std::io::{self, Read};
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Client, Response, StatusCode, redirect};

use super::auth::{Credentials, GitAuth, Proxy};
use super::cause::{Cause, chain, server_words};
use super::session::Session;
use super::tls;
use super::url::RemoteUrl;
use crate::proxy::through;

/// As many as Git and Go follow.
const MAX_REDIRECTS: usize = 10;

/// What of an error page is read.
const MAX_WORDS: usize = 4096;

/// Git hosts tell clients from browsers by this beginning.
const USER_AGENT: &str = concat!("git/2.0 (borax/", env!("CARGO_PKG_VERSION"), ")");

/// A client for one repository.
pub(crate) struct HttpLink {
    session: Rc<Session>,
    client: Client,
    base: url::Url,
    authorization: Option<HeaderValue>,
    service: &'static str,
}

impl HttpLink {
    /// Asks for the service's advertisement; the answer's body is read from what is returned.
    pub(crate) fn open(
        session: &Rc<Session>,
        url: &RemoteUrl,
        auth: &GitAuth,
        proxy: Option<&Proxy>,
        service: &'static str,
    ) -> Result<(Self, Body), Cause> {
        let mut link = Self {
            session: Rc::clone(session),
            client: client(auth, proxy)?,
            base: url.base(),
            authorization: authorization(&auth.credentials)?,
            service,
        };
        let body = link.advertisement()?;
        Ok((link, body))
    }

    fn advertisement(&mut self) -> Result<Body, Cause> {
        let mut target = parse(&format!("{}/info/refs?service={}", self.base, self.service))?;
        for _ in 0..MAX_REDIRECTS {
            let mut request = self
                .client
                .get(target.clone())
                .header(ACCEPT, "*/*")
                .header("Git-Protocol", "version=2");
            if let Some(authorization) = &self.authorization {
                request = request.header(AUTHORIZATION, authorization);
            }
            let response = self.send("Get", &target, request)?;
            if response.status().is_redirection() {
                target = self.redirected(&target, &response)?;
                continue;
            }
            let response = self.accept(&target, response)?;
            let expected = format!("application/x-{}-advertisement", self.service);
            let found = content_type(response.headers());
            if found != expected {
                return Err(Cause::Protocol(format!(
                    "\"{target}\" is of type '{found}', not '{expected}'; check the path of the URL"
                )));
            }
            return Ok(Body::new(&self.session, response));
        }
        Err(Cause::Redirect {
            from: self.base.to_string(),
            to: target.to_string(),
            reason: "too many redirects",
        })
    }

    /// Sends a request to the service.
    pub(crate) fn post(&self, body: Vec<u8>) -> Result<Body, Cause> {
        let target = parse(&format!("{}/{}", self.base, self.service))?;
        let mut request = self
            .client
            .post(target.clone())
            .header(ACCEPT, format!("application/x-{}-result", self.service))
            .header(CONTENT_TYPE, format!("application/x-{}-request", self.service))
            .header("Git-Protocol", "version=2")
            .body(body);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let response = self.send("Post", &target, request)?;
        if response.status().is_redirection() {
            return Err(Cause::Redirect {
                from: target.to_string(),
                to: location(&target, &response)?.to_string(),
                reason: "only the first request may be redirected",
            });
        }
        let response = self.accept(&target, response)?;
        Ok(Body::new(&self.session, response))
    }

    fn send(
        &self,
        method: &'static str,
        target: &url::Url,
        request: reqwest::RequestBuilder,
    ) -> Result<Response, Cause> {
        self.session.wait(request.send())?.map_err(|error| Cause::Network {
            method,
            url: target.to_string(),
            reason: chain(&error.without_url()),
        })
    }

    /// The new target, with this link moved to its base and its credentials dropped when they may not go along.
    fn redirected(&mut self, from: &url::Url, response: &Response) -> Result<url::Url, Cause> {
        let mut to = location(from, response)?;
        let _ = to.set_username("");
        let _ = to.set_password(None);
        let refuse =
            |reason| Err(Cause::Redirect { from: from.to_string(), to: to.to_string(), reason });
        match (from.scheme(), to.scheme()) {
            ("https", "https") | ("http", "http" | "https") => {}
            ("https", "http") => return refuse("it leads from TLS to plain HTTP"),
            _ => return refuse("it leads to something that is not HTTP"),
        }
        let query = format!("service={}", self.service);
        let path = to.path().strip_suffix("/info/refs").map(str::to_string);
        let (Some(path), true) = (path, to.query() == Some(query.as_str())) else {
            return refuse("it does not lead to a Git repository");
        };
        let mut base = to.clone();
        base.set_query(None);
        base.set_fragment(None);
        base.set_path(&path);
        if base.origin() != from.origin() {
            self.authorization = None;
        }
        self.base = base;
        Ok(to)
    }

    fn accept(&self, target: &url::Url, mut response: Response) -> Result<Response, Cause> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let mut words = Vec::new();
        while words.len() < MAX_WORDS {
            match self.session.wait(response.chunk())? {
                Ok(Some(bytes)) => words.extend_from_slice(&bytes),
                _ => break,
            }
        }
        words.truncate(MAX_WORDS);
        let mut detail = server_words(&String::from_utf8_lossy(&words));
        Err(match status {
            StatusCode::UNAUTHORIZED => {
                detail.push_str(match self.authorization {
                    None => "; no credentials were sent: name a Secret in spec.secretRef",
                    Some(_) => "; the server refused the credentials of spec.secretRef",
                });
                Cause::AuthenticationRequired { detail }
            }
            StatusCode::FORBIDDEN => Cause::AuthorizationFailed { detail },
            StatusCode::NOT_FOUND => Cause::RepositoryNotFound { detail },
            _ => Cause::Status { url: target.to_string(), status: status.as_u16(), detail },
        })
    }
}

/// An HTTP client with the certificates of `auth`, through the proxy, if any, or the environment's; it follows no
/// redirect.
pub(super) fn client(auth: &GitAuth, proxy: Option<&Proxy>) -> Result<Client, Cause> {
    let config = tls::client_config(&auth.ca, auth.client.as_ref())?;
    let refuse = |error: reqwest::Error| Cause::Protocol(chain(&error));
    let builder = Client::builder()
        .tls_backend_preconfigured(config)
        .http1_only()
        .redirect(redirect::Policy::none())
        .user_agent(USER_AGENT);
    through(builder, proxy).and_then(reqwest::ClientBuilder::build).map_err(refuse)
}

fn authorization(credentials: &Credentials) -> Result<Option<HeaderValue>, Cause> {
    let text = match credentials {
        Credentials::Basic { username, password } => {
            format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
        }
        Credentials::Bearer(token) => format!("Bearer {token}"),
        Credentials::None | Credentials::Ssh(_) => return Ok(None),
    };
    let mut value = HeaderValue::from_str(&text).map_err(|_| Cause::AuthenticationRequired {
        detail: ": the bearer token has characters that no header may hold (a line break?)"
            .to_string(),
    })?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn location(from: &url::Url, response: &Response) -> Result<url::Url, Cause> {
    let text =
        response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    from.join(text).map_err(|error| {
        Cause::Protocol(format!("\"{from}\" redirects to an invalid address: {error}"))
    })
}

fn content_type(headers: &HeaderMap) -> String {
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim().to_string()
}

fn parse(text: &str) -> Result<url::Url, Cause> {
    url::Url::parse(text).map_err(|error| Cause::Protocol(format!("\"{text}\": {error}")))
}

/// A response's body, read blocking.
pub(crate) struct Body {
    session: Rc<Session>,
    response: Response,
    chunk: bytes::Bytes,
}

impl Body {
    fn new(session: &Rc<Session>, response: Response) -> Self {
        Self { session: Rc::clone(session), response, chunk: Default::default() }
    }
}

impl Read for Body {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.session.wait(self.response.chunk())? {
                Ok(Some(chunk)) => self.chunk = chunk,
                Ok(None) => return Ok(0),
                Err(error) => {
                    return Err(Cause::Network {
                        method: "read",
                        url: self.response.url().to_string(),
                        reason: chain(&error.without_url()),
                    }
                    .into_io());
                }
            }
        }
        let n = out.len().min(self.chunk.len());
        out[..n].copy_from_slice(&self.chunk.split_to(n));
        Ok(n)
    }
}
