//! What a registry is asked for: the digest of a tag, the list of tags, a manifest, a blob. Each answer is checked.

use std::collections::BTreeSet;

use borax_artifact::digest::{Algorithm, Digest, Hasher};
use reqwest::header::{CONTENT_TYPE, HeaderMap, LINK};
use reqwest::{Method, Response};
use serde::Deserialize;

use super::error::RegistryError;
use super::manifest::{ACCEPT, Document};
use super::transport::{Session, network, shown};

/// The largest manifest, in bytes.
const MAX_MANIFEST: usize = 8 << 20;
/// The largest page of tags, in bytes.
const MAX_PAGE: usize = 16 << 20;
/// The most tags of a repository.
const MAX_TAGS: usize = 500_000;

#[derive(Deserialize)]
struct TagPage {
    #[serde(default)]
    tags: Option<Vec<String>>,
}

impl Session {
    /// The digest a tag points to. Asked for by `HEAD`; where that gives none, by `GET`.
    pub(super) async fn tag_digest(&self, tag: &str) -> Result<String, RegistryError> {
        let url = self.url(&format!("manifests/{tag}"))?;
        if let Ok(response) = self.send(Method::HEAD, url.clone(), ACCEPT).await {
            let digest = header(response.headers(), "docker-content-digest");
            if digest.parse::<Digest>().is_ok() {
                return Ok(digest.to_owned());
            }
        }
        let response = self.send(Method::GET, url, ACCEPT).await?;
        let body = read(response, MAX_MANIFEST).await?;
        Ok(digest_of(&body, Algorithm::Sha256).to_string())
    }

    /// All tags, page by page.
    pub(super) async fn tags(&self) -> Result<Vec<String>, RegistryError> {
        let mut tags = Vec::new();
        let mut seen = BTreeSet::new();
        let mut url = self.url("tags/list")?;
        url.set_query(Some("n=1000"));
        loop {
            let response = self.send(Method::GET, url.clone(), "application/json").await?;
            let next = next_page(response.headers());
            let body = read(response, MAX_PAGE).await?;
            let invalid = |reason: String| RegistryError::Protocol { url: shown(&url), reason };
            let page: TagPage = serde_json::from_slice(&body)
                .map_err(|error| invalid(format!("not a list of tags: {error}")))?;
            let page = page.tags.unwrap_or_default();
            let is_empty = page.is_empty();
            tags.extend(page);
            if tags.len() > MAX_TAGS {
                return Err(invalid(format!("more than {MAX_TAGS} tags")));
            }
            let Some(next) = next else { return Ok(tags) };
            let next = url
                .join(&next)
                .map_err(|_| invalid("the next page's address is not a URL".to_owned()))?;
            // A page without tags that leads on could lead on for ever.
            if !self.is_own(&next) || is_empty {
                return Err(invalid("the next page is not a page of this list".to_owned()));
            }
            seen.insert(std::mem::replace(&mut url, next));
            if seen.contains(&url) {
                let reason = "the list of tags leads back to a page that was read already";
                return Err(RegistryError::Protocol {
                    url: shown(&url),
                    reason: reason.to_owned(),
                });
            }
        }
    }

    /// The manifest or index of a digest.
    pub(super) async fn manifest(
        &self,
        digest: &str,
    ) -> Result<Result<Document, String>, RegistryError> {
        let want: Digest = digest.parse()?;
        let response =
            self.send(Method::GET, self.url(&format!("manifests/{digest}"))?, ACCEPT).await?;
        let content_type = header(response.headers(), CONTENT_TYPE.as_str()).to_owned();
        let body = read(response, MAX_MANIFEST).await?;
        let got = digest_of(&body, want.algorithm());
        if got != want {
            let (got, want) = (got.to_string(), want.to_string());
            return Err(RegistryError::Mismatch { what: "manifest digest", got, want });
        }
        Ok(Document::parse(&content_type, &body))
    }

    /// The content of a blob, to be read with [`Blob::chunk`].
    pub(super) async fn blob(&self, digest: &str, size: u64) -> Result<Blob, RegistryError> {
        let want: Digest = digest.parse()?;
        let response = self.send(Method::GET, self.url(&format!("blobs/{digest}"))?, "*/*").await?;
        Ok(Blob { response, hasher: want.algorithm().hasher(), want, left: size, size })
    }
}

/// A blob on its way, checked against its digest and size as it comes.
pub(super) struct Blob {
    response: Response,
    hasher: Hasher,
    want: Digest,
    left: u64,
    size: u64,
}

impl Blob {
    /// The next piece; `None` when all came and was right. Bytes of a blob that ends otherwise are worth nothing.
    pub(super) async fn chunk(&mut self) -> Result<Option<bytes::Bytes>, RegistryError> {
        let url = self.response.url().clone();
        let chunk =
            self.response.chunk().await.map_err(|error| network(&Method::GET, &url, error))?;
        let wrong_size = |came: String| RegistryError::Mismatch {
            what: "layer size",
            got: came,
            want: self.size.to_string(),
        };
        match chunk {
            Some(chunk) => {
                let n = chunk.len() as u64;
                self.left =
                    self.left.checked_sub(n).ok_or_else(|| wrong_size("more".to_owned()))?;
                self.hasher.update(&chunk);
                Ok(Some(chunk))
            }
            None if self.left > 0 => Err(wrong_size((self.size - self.left).to_string())),
            None => {
                let got =
                    std::mem::replace(&mut self.hasher, self.want.algorithm().hasher()).finish();
                if got != self.want {
                    let (got, want) = (got.to_string(), self.want.to_string());
                    return Err(RegistryError::Mismatch { what: "layer digest", got, want });
                }
                Ok(None)
            }
        }
    }
}

fn digest_of(body: &[u8], algorithm: Algorithm) -> Digest {
    let mut hasher = algorithm.hasher();
    hasher.update(body);
    hasher.finish()
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The address in `Link: <address>; rel="next"`.
fn next_page(headers: &HeaderMap) -> Option<String> {
    let link = header(headers, LINK.as_str()).trim_start().strip_prefix('<')?;
    link.split_once('>').map(|(address, _)| address.to_owned())
}

async fn read(mut response: Response, limit: usize) -> Result<Vec<u8>, RegistryError> {
    let url = response.url().clone();
    let mut body = Vec::new();
    while let Some(chunk) =
        response.chunk().await.map_err(|error| network(&Method::GET, &url, error))?
    {
        if body.len() + chunk.len() > limit {
            let reason = format!("the answer is larger than {limit} bytes");
            return Err(RegistryError::Protocol { url: shown(&url), reason });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
