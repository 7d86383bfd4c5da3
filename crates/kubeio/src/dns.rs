//! Names into addresses, in Rust: a static binary has no system resolver to ask.
//!
//! Reads `/etc/hosts` and `/etc/resolv.conf` as the system would, search domains included
//! (`kubernetes.default.svc`). There is no other resolver to fall back to, and none outside is ever asked that the
//! machine does not name.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hickory_resolver::TokioResolver;
use hyper_util::client::legacy::connect::dns::Name;
use tokio::sync::OnceCell;

/// A resolver for hyper's connector. Made when the first name is looked up; clones share it and its cache.
#[derive(Clone, Default)]
pub(crate) struct Resolver(Arc<OnceCell<TokioResolver>>);

type Addresses = std::vec::IntoIter<SocketAddr>;

impl tower::Service<Name> for Resolver {
    type Response = Addresses;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Addresses, io::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let cell = Arc::clone(&self.0);
        Box::pin(async move {
            let make = || async { TokioResolver::builder_tokio()?.build() };
            let resolver = cell.get_or_try_init(make).await.map_err(io::Error::other)?;
            let found = resolver.lookup_ip(name.as_str()).await.map_err(io::Error::other)?;
            // The connector sets the port.
            let addresses: Vec<SocketAddr> =
                found.iter().map(|ip| SocketAddr::new(ip, 0)).collect();
            Ok(addresses.into_iter())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn localhost_is_found_without_asking_anyone() {
        let name = Name::from_str("localhost").expect("a name");
        let found: Vec<SocketAddr> =
            Resolver::default().oneshot(name).await.expect("found").collect();
        assert!(
            !found.is_empty() && found.iter().all(|address| address.ip().is_loopback()),
            "{found:?}"
        );
    }
}
