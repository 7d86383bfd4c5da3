//! One connection to a Git service, whichever transport carries it: an advertisement, then requests and answers.

use std::io::Read;
use std::rc::Rc;

use super::auth::{GitAuth, Proxy};
use super::cause::Cause;
use super::http::{Body, HttpLink};
use super::session::Session;
use super::ssh::{SshAlgorithms, SshLink};
use super::url::{RemoteUrl, Scheme};

/// The service that gives.
pub(crate) const UPLOAD_PACK: &str = "git-upload-pack";

/// The service that takes.
pub(crate) const RECEIVE_PACK: &str = "git-receive-pack";

/// Where to connect to, and as whom.
#[derive(Clone, Copy)]
pub(crate) struct Endpoint<'a> {
    pub(crate) session: &'a Rc<Session>,
    pub(crate) url: &'a RemoteUrl,
    pub(crate) auth: &'a GitAuth,
    pub(crate) proxy: Option<&'a Proxy>,
    pub(crate) ssh: &'a SshAlgorithms,
}

/// An open connection.
pub(crate) enum Link {
    /// Each request is a POST.
    Http { link: Box<HttpLink>, advertisement: Option<Body> },
    /// One stream each way.
    Ssh(Box<SshLink>),
}

impl Link {
    /// Connects and asks for `service`.
    pub(crate) fn open(endpoint: &Endpoint<'_>, service: &'static str) -> Result<Self, Cause> {
        let Endpoint { session, url, auth, proxy, ssh } = *endpoint;
        Ok(match url.scheme() {
            Scheme::Http | Scheme::Https => {
                let (link, body) = HttpLink::open(session, url, auth, proxy, service)?;
                Self::Http { link: Box::new(link), advertisement: Some(body) }
            }
            Scheme::Ssh => {
                Self::Ssh(Box::new(SshLink::open(session, url, auth, proxy, ssh, service)?))
            }
        })
    }

    /// The advertisement: to be read to its end, once, before any request.
    pub(crate) fn advertisement(&mut self) -> Box<dyn Read + '_> {
        match self {
            Self::Http { advertisement, .. } => match advertisement.take() {
                Some(body) => Box::new(body),
                None => Box::new(std::io::empty()),
            },
            Self::Ssh(link) => Box::new(link),
        }
    }

    /// Sends one request; the answer is read from what is returned, to its end, before the next.
    pub(crate) fn exchange(&mut self, request: Vec<u8>) -> Result<Box<dyn Read + '_>, Cause> {
        match self {
            Self::Http { link, .. } => Ok(Box::new(link.post(request)?)),
            Self::Ssh(link) => {
                link.send(request)?;
                Ok(Box::new(link))
            }
        }
    }
}
