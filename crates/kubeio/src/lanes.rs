//! Which connection a request takes: watches have connections of their own, so that many of them can't keep requests
//! waiting.
//!
//! An HTTP/2 connection carries as many streams as the server allows, often a hundred; a watch occupies one for as
//! long as it lasts, and what comes after the last free one waits without a word.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http_body::{Frame, SizeHint};
use kube::client::Body;

/// Watches per connection: well below what servers allow.
const PER_LANE: usize = 64;

type Make = Box<dyn Fn() -> Result<kube::Client, kube::Error> + Send + Sync>;

/// The connections of one cluster.
pub(crate) struct Lanes {
    requests: kube::Client,
    make: Make,
    /// Connections for watches, each with a token that every watch on it holds.
    watches: Mutex<Vec<(kube::Client, Arc<()>)>>,
}

impl Lanes {
    /// `make` opens one more connection.
    pub(crate) fn new(make: Make) -> Result<Self, kube::Error> {
        Ok(Self { requests: make()?, make, watches: Mutex::default() })
    }

    /// The connection for requests.
    pub(crate) fn requests(&self) -> &kube::Client {
        &self.requests
    }

    /// A connection with room for a watch, and the token to hold while it lasts.
    pub(crate) fn for_watch(&self) -> Result<(kube::Client, Arc<()>), kube::Error> {
        let mut lanes = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        // The list itself holds one token of each.
        let used = |token: &Arc<()>| Arc::strong_count(token) - 1;
        if let Some((client, token)) = lanes.iter().find(|(_, token)| used(token) < PER_LANE) {
            let lane = (client.clone(), Arc::clone(token));
            // A rush is over: what it needed beyond this is closed.
            lanes.retain(|(_, token)| used(token) > 0);
            return Ok(lane);
        }
        let (client, token) = ((self.make)()?, Arc::new(()));
        lanes.push((client.clone(), Arc::clone(&token)));
        Ok((client, token))
    }

    /// How many connections watches have.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// The body of an answer, with the token of its connection.
pub(crate) struct Held {
    body: Body,
    _token: Option<Arc<()>>,
}

impl Held {
    pub(crate) fn new(body: Body, token: Option<Arc<()>>) -> Self {
        Self { body, _token: token }
    }
}

impl http_body::Body for Held {
    type Data = bytes::Bytes;
    type Error = <Body as http_body::Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_come_and_go_with_the_watches() {
        let make = || {
            let service = tower::service_fn(|_: http::Request<Body>| async {
                Ok::<_, tower::BoxError>(http::Response::new(Body::empty()))
            });
            Ok(kube::Client::new(service, "default"))
        };
        let lanes = Lanes::new(Box::new(make)).expect("made");
        let mut held: Vec<Arc<()>> =
            (0..PER_LANE * 2 + 1).map(|_| lanes.for_watch().expect("room").1).collect();
        assert_eq!(lanes.len(), 3);
        held.truncate(1);
        let one = lanes.for_watch().expect("room");
        assert_eq!(lanes.len(), 1);
        drop((held, one));
    }
}
