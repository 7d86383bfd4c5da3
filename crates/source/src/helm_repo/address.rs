//! Addresses of repositories and of the charts in them.
//!
//! Source: source-controller `internal/helm/repository/utils.go`, Helm `pkg/repo/v1/chartrepo.go` (`ResolveReferenceURL`).

use url::Url;

/// A text that is no URL, without what may be secret in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("parse \"{text}\": {reason}")]
pub struct AddressError {
    text: String,
    reason: String,
}

fn parse(text: &str) -> Result<Url, AddressError> {
    Url::parse(text).map_err(|error| AddressError { text: shown(text), reason: error.to_string() })
}

/// The text up to its path's end, and the rest: query and fragment.
fn split(text: &str) -> (&str, &str) {
    text.split_at(text.find(['?', '#']).unwrap_or(text.len()))
}

/// The one spelling of a repository's URL: with one slash at the end, for a registry with none. Empty stays empty.
pub fn normalize(url: &str) -> Result<String, AddressError> {
    if url.is_empty() {
        return Ok(String::new());
    }
    parse(url)?;
    let (path, rest) = split(url);
    let slash = if is_oci(url) { "" } else { "/" };
    Ok(format!("{}{slash}{rest}", path.trim_end_matches('/')))
}

/// Whether this is a registry's address.
pub fn is_oci(url: &str) -> bool {
    url.starts_with("oci://")
}

/// Where the repository at `url` has its index.
pub(super) fn index(url: &str) -> Result<Url, AddressError> {
    let (path, rest) = split(url);
    parse(&format!("{}/index.yaml{rest}", path.trim_end_matches('/')))
}

/// Where a chart is that the index of the repository at `base` has at `reference`: an absolute address, or one below
/// the repository, which then gets the repository's query.
pub(super) fn resolve(base: &str, reference: &str) -> Result<Url, AddressError> {
    match Url::parse(reference) {
        Ok(absolute) => Ok(absolute),
        Err(url::ParseError::RelativeUrlWithoutBase) => {
            let (path, rest) = split(base);
            let base = parse(&format!("{}/{rest}", path.trim_end_matches('/')))?;
            let mut url = base.join(reference).map_err(|error| AddressError {
                text: shown(reference),
                reason: error.to_string(),
            })?;
            url.set_query(base.query());
            Ok(url)
        }
        Err(error) => Err(AddressError { text: shown(reference), reason: error.to_string() }),
    }
}

/// A URL as messages may have it: without login and query, either of which may be a secret.
pub(super) fn shown(url: &str) -> String {
    let (path, _) = split(url);
    match path.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = host.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}{path}")
        }
        None => path.to_owned(),
    }
}

/// Host and port of a URL; empty where there is none.
pub fn host(url: &str) -> String {
    let url = Url::parse(url).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
    match url.as_ref().and_then(Url::port) {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_has_one_spelling() {
        for (url, want) in [
            ("http://example.com", "http://example.com/"),
            ("http://example.com/", "http://example.com/"),
            ("http://example.com//", "http://example.com/"),
            ("https://example.com/a/b", "https://example.com/a/b/"),
            ("https://example.com/a%2Fb?x=1", "https://example.com/a%2Fb/?x=1"),
            ("oci://example.com", "oci://example.com"),
            ("oci://example.com/org/", "oci://example.com/org"),
            ("", ""),
        ] {
            assert_eq!(normalize(url).unwrap(), want);
        }
        let error = normalize("https://u:secret@exa mple/?token=t").unwrap_err().to_string();
        assert!(error.starts_with("parse \"https://exa mple/\": "), "{error}");
    }

    #[test]
    fn an_index_is_below_its_repository() {
        for (url, want) in [
            ("https://example.com/charts/", "https://example.com/charts/index.yaml"),
            ("https://example.com", "https://example.com/index.yaml"),
            ("https://example.com/a%2Fb?t=1", "https://example.com/a%2Fb/index.yaml?t=1"),
        ] {
            assert_eq!(index(url).unwrap().as_str(), want);
        }
    }

    #[test]
    fn a_chart_is_where_the_index_says() {
        let base = "https://example.com/charts?t=1";
        for (reference, want) in [
            ("app-1.0.0.tgz", "https://example.com/charts/app-1.0.0.tgz?t=1"),
            ("sub/app.tgz", "https://example.com/charts/sub/app.tgz?t=1"),
            ("/app.tgz", "https://example.com/app.tgz?t=1"),
            ("../app.tgz", "https://example.com/app.tgz?t=1"),
            ("https://cdn.example.com/app.tgz", "https://cdn.example.com/app.tgz"),
        ] {
            assert_eq!(resolve(base, reference).unwrap().as_str(), want);
        }
    }
}
