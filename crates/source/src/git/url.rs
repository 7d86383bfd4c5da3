//! Where a repository is: the three kinds of URL Flux accepts, and how they are shown.
//!
//! Local paths, `file://`, `git://` and helper URLs are refused here, so nothing behind this module ever sees one.

use std::fmt;

/// How to reach a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Smart HTTP without TLS.
    Http,
    /// Smart HTTP over TLS.
    Https,
    /// SSH.
    Ssh,
}

impl Scheme {
    /// The scheme as it stands in a URL; also what Flux calls the transport.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Ssh => "ssh",
        }
    }
}

/// A parsed repository URL. `Display` leaves credentials out; `Debug` too.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteUrl {
    scheme: Scheme,
    url: url::Url,
}

/// Why a URL is none that can be fetched from.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UrlError {
    /// It does not parse.
    #[error("cannot parse url: {reason}")]
    Parse {
        /// What the parser says.
        reason: String,
    },
    /// Another scheme than http, https or ssh.
    #[error("unknown transport '{scheme}': use http, https or ssh")]
    Scheme {
        /// The scheme it has.
        scheme: String,
    },
    /// No host, or no path.
    #[error("url has no {part}")]
    Missing {
        /// `host` or `repository path`.
        part: &'static str,
    },
}

impl RemoteUrl {
    /// Parses an `http://`, `https://` or `ssh://` URL.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let url = url::Url::parse(text.trim())
            .map_err(|error| UrlError::Parse { reason: error.to_string() })?;
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            "ssh" => Scheme::Ssh,
            other => {
                return Err(UrlError::Scheme { scheme: other.to_string() });
            }
        };
        if url.host_str().is_none_or(str::is_empty) {
            return Err(UrlError::Missing { part: "host" });
        }
        if scheme == Scheme::Ssh && matches!(url.path(), "" | "/") {
            return Err(UrlError::Missing { part: "repository path" });
        }
        Ok(Self { scheme, url })
    }

    /// How it is reached.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host, an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        let host = self.url.host_str().unwrap_or_default();
        host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host)
    }

    /// The port, or the scheme's own.
    pub fn port(&self) -> u16 {
        self.url.port().unwrap_or(match self.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
            Scheme::Ssh => 22,
        })
    }

    /// The user name in the URL, decoded; empty without one.
    pub(crate) fn username(&self) -> String {
        decode(self.url.username())
    }

    /// The password in the URL, decoded; empty without one.
    pub(crate) fn password(&self) -> String {
        decode(self.url.password().unwrap_or_default())
    }

    /// Whether credentials meant for `self` may be shown to `other`: same scheme, host and port.
    pub(crate) fn same_origin(&self, other: &Self) -> bool {
        self.scheme == other.scheme && self.host() == other.host() && self.port() == other.port()
    }

    /// The path on the server, decoded, as an SSH command gets it.
    pub(crate) fn decoded_path(&self) -> String {
        decode(self.url.path())
    }

    /// The URL without credentials, query and fragment: what requests are made of.
    pub(crate) fn base(&self) -> url::Url {
        let mut url = self.without_credentials();
        url.set_query(None);
        url.set_fragment(None);
        let path = url.path().trim_end_matches('/').to_string();
        url.set_path(&path);
        url
    }

    /// The URL of `path` (which may begin with `./` or `../`) seen from this repository, as `.gitmodules` means it.
    pub(crate) fn join(&self, path: &str) -> Result<Self, UrlError> {
        let mut base = self.url.clone();
        let with_slash = format!("{}/", base.path().trim_end_matches('/'));
        base.set_path(&with_slash);
        let joined =
            base.join(path).map_err(|error| UrlError::Parse { reason: error.to_string() })?;
        Self::parse(joined.as_str())
    }

    fn without_credentials(&self) -> url::Url {
        let mut url = self.url.clone();
        // Both only fail for URLs without a host, which `parse` refuses.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url
    }
}

fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |i: usize| bytes.get(i).and_then(|b| char::from(*b).to_digit(16));
        match (bytes[at], hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An SSH user name is no secret, and part of how people know the URL.
        if self.scheme == Scheme::Ssh {
            let mut url = self.url.clone();
            let _ = url.set_password(None);
            return f.write_str(url.as_str());
        }
        f.write_str(self.without_credentials().as_str())
    }
}

impl fmt::Debug for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_and_exotic_urls_are_refused() {
        for (url, want) in [
            ("file:///etc", "unknown transport 'file': use http, https or ssh"),
            ("git://host/x", "unknown transport 'git': use http, https or ssh"),
            ("ext::sh -c id", "unknown transport 'ext': use http, https or ssh"),
            ("/srv/repo.git", "cannot parse url: relative URL without a base"),
            ("../repo", "cannot parse url: relative URL without a base"),
            ("ssh://host", "url has no repository path"),
            ("ssh:///x", "url has no host"),
        ] {
            assert_eq!(RemoteUrl::parse(url).expect_err(url).to_string(), want);
        }
        // The short form of scp is no URL; Flux says so too.
        assert!(RemoteUrl::parse("git@example.com:team/app.git").is_err());
    }

    #[test]
    fn credentials_are_never_shown() {
        let url = RemoteUrl::parse("https://me:s3cret@example.com/team/app").expect("valid");
        assert_eq!(url.to_string(), "https://example.com/team/app");
        assert_eq!(format!("{url:?}"), "RemoteUrl(https://example.com/team/app)");
        assert_eq!(url.base().as_str(), "https://example.com/team/app");
        assert_eq!(url.password(), "s3cret");
        let url = RemoteUrl::parse("ssh://git:s3cret@example.com:2222/team/app").expect("valid");
        assert_eq!(url.to_string(), "ssh://git@example.com:2222/team/app");
    }

    #[test]
    fn submodule_urls_are_seen_from_the_repository() {
        let url = RemoteUrl::parse("https://me@example.com/team/app.git").expect("valid");
        let join = |path| url.join(path).expect("valid").to_string();
        assert_eq!(join("../lib.git"), "https://example.com/team/lib.git");
        assert_eq!(join("./lib"), "https://example.com/team/app.git/lib");
        assert_eq!(join("../../other/lib"), "https://example.com/other/lib");
        assert_eq!(join("https://other.com/x"), "https://other.com/x");
        assert!(url.join("file:///etc").is_err());
    }

    #[test]
    fn parts_are_decoded() {
        let url = RemoteUrl::parse("ssh://a%40b@[::1]/x%20y").expect("valid");
        assert_eq!(url.username(), "a@b");
        assert_eq!(url.host(), "::1");
        assert_eq!(url.port(), 22);
        assert_eq!(url.decoded_path(), "/x y");
    }
}
