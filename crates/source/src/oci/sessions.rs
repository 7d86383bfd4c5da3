//! What is kept between requests: clients by their settings, and open sessions by repository, credentials and settings.
//!
//! A session is asked for anew after a while and after every failure, so that a registry that changed its mind (another
//! scheme, another realm) is noticed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use borax_artifact::digest::{Algorithm, Digest};
use borax_artifact::once::Once;
use reqwest::Client;

use super::OciSource;
use super::error::{OciError, RegistryError};
use super::name::Repository;
use super::transport::{self, Connection, Retry, Session};
use crate::auth::docker_config::RegistryAuth;

/// How long a session is used.
const SESSION_LIFE: Duration = Duration::from_secs(300);
/// The most clients and sessions kept.
const MAX_KEPT: usize = 256;

/// Who talks to what, by which settings. Equal keys may share requests.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SessionKey {
    repository: Repository,
    auth: RegistryAuth,
    /// A hash of the settings, which hold a private key.
    connection: Digest,
}

impl SessionKey {
    pub(super) fn new(repository: &Repository, source: &OciSource) -> Self {
        let auth = source.keychain.resolve(&repository.to_string());
        Self { repository: repository.clone(), auth, connection: fingerprint(&source.connection) }
    }
}

fn fingerprint(connection: &Connection) -> Digest {
    let mut hasher = Algorithm::Sha256.hasher();
    let mut add = |field: Option<&[u8]>| {
        hasher.update(&field.map_or(u64::MAX, |field| field.len() as u64).to_be_bytes());
        hasher.update(field.unwrap_or_default());
    };
    add(Some(&connection.ca));
    add(connection.client.as_ref().map(|client| &*client.certificate));
    add(connection.client.as_ref().map(|client| &*client.key));
    add(connection.proxy.as_ref().map(|proxy| proxy.address.as_str().as_bytes()));
    let credentials = connection.proxy.as_ref().and_then(|proxy| proxy.credentials.as_ref());
    add(credentials.map(|(username, _)| username.as_bytes()));
    add(credentials.map(|(_, password)| password.as_bytes()));
    add(Some(&[u8::from(connection.insecure)]));
    hasher.finish()
}

#[derive(Debug, Default)]
pub(super) struct Sessions {
    retry: Retry,
    kept: Mutex<Kept>,
    opening: Once<SessionKey, Result<Arc<Session>, Arc<RegistryError>>>,
}

#[derive(Debug, Default)]
struct Kept {
    clients: BTreeMap<Digest, Client>,
    sessions: BTreeMap<SessionKey, (Arc<Session>, Instant)>,
}

impl Sessions {
    pub(super) fn new(retry: Retry) -> Self {
        Self { retry, ..Self::default() }
    }

    /// The client for these settings.
    pub(super) fn client(&self, source: &OciSource, key: &SessionKey) -> Result<Client, OciError> {
        if let Some(client) = self.kept().clients.get(&key.connection) {
            return Ok(client.clone());
        }
        let client = transport::client(&source.connection).map_err(|error| {
            OciError::Transport { url: source.url.clone(), source: Arc::new(error) }
        })?;
        let mut kept = self.kept();
        if kept.clients.len() >= MAX_KEPT {
            kept.clients.clear();
        }
        kept.clients.insert(key.connection.clone(), client.clone());
        Ok(client)
    }

    /// An open session, shared by all with the same key.
    pub(super) async fn open(
        &self,
        client: Client,
        source: &OciSource,
        repository: &Repository,
        key: &SessionKey,
    ) -> Result<Arc<Session>, Arc<RegistryError>> {
        if let Some((session, opened)) = self.kept().sessions.get(key)
            && opened.elapsed() < SESSION_LIFE
        {
            return Ok(Arc::clone(session));
        }
        let work = || async {
            let (repository, auth) = (repository.clone(), key.auth.clone());
            let session =
                Session::open(client, repository, auth, source.connection.insecure, self.retry)
                    .await;
            let session = Arc::new(session.map_err(Arc::new)?);
            let mut kept = self.kept();
            if kept.sessions.len() >= MAX_KEPT {
                kept.sessions.clear();
            }
            kept.sessions.insert(key.clone(), (Arc::clone(&session), Instant::now()));
            Ok(session)
        };
        self.opening.run(key.clone(), work).await
    }

    /// Passes a result on; after a failure the session is not used again.
    pub(super) fn check<T, E>(&self, key: &SessionKey, result: Result<T, E>) -> Result<T, E> {
        if result.is_err() {
            self.kept().sessions.remove(key);
        }
        result
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Every change is a single insert or removal, so what a panic left is sound.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
