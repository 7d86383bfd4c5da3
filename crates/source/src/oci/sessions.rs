//! What is kept between requests: clients by their settings, what registries answered when asked how they want to be
//! talked to, and open sessions by repository, credentials and settings.
//!
//! A registry is asked anew after a while and after every failure, so that one that changed its mind (another scheme,
//! another realm) is noticed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use borax_artifact::digest::{Algorithm, Digest};
use borax_artifact::once::Once;
use reqwest::Client;

use super::OciSource;
use super::error::{OciError, RegistryError};
use super::name::Repository;
use super::transport::{self, Connection, Door, Retry, Session};
use crate::auth::docker_config::RegistryAuth;

/// How long a session is used.
const SESSION_LIFE: Duration = Duration::from_secs(3600);
/// The most clients and doors kept.
const MAX_KEPT: usize = 256;
/// The most sessions kept: more than an operator has image repositories, for a new session costs a token.
const MAX_SESSIONS: usize = 4096;

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

    /// Names the key, and tells nothing of it.
    pub(super) fn fingerprint(&self) -> String {
        let (kind, one, two) = match &self.auth {
            RegistryAuth::Anonymous => ("anonymous", "", ""),
            RegistryAuth::Basic { username, password } => ("basic", &**username, &**password),
            RegistryAuth::Identity(token) => ("identity", &**token, ""),
            RegistryAuth::Bearer(token) => ("bearer", &**token, ""),
        };
        let (repository, connection) = (self.repository.to_string(), self.connection.to_string());
        let fields = [&*repository, &*connection, kind, one, two];
        digest_of(&fields.map(str::as_bytes)).to_string()
    }
}

/// A hash of fields that keeps them apart.
fn digest_of(fields: &[&[u8]]) -> Digest {
    let mut hasher = Algorithm::Sha256.hasher();
    for field in fields {
        hasher.update(&(field.len() as u64).to_be_bytes());
        hasher.update(field);
    }
    hasher.finish()
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
    finding: Once<(String, Digest), Result<Door, Arc<RegistryError>>>,
}

#[derive(Debug, Default)]
struct Kept {
    clients: BTreeMap<Digest, Client>,
    /// By registry and settings.
    doors: BTreeMap<(String, Digest), (Door, Instant)>,
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
        let door = self.door(&client, source, repository, key).await?;
        let (repository, auth) = (repository.clone(), key.auth.clone());
        let session = Arc::new(Session::new(client, repository, auth, self.retry, door));
        let mut kept = self.kept();
        // Whoever came first while we looked for the door has the token.
        if let Some((first, opened)) = kept.sessions.get(key)
            && opened.elapsed() < SESSION_LIFE
        {
            return Ok(Arc::clone(first));
        }
        if kept.sessions.len() >= MAX_SESSIONS {
            kept.sessions.clear();
        }
        kept.sessions.insert(key.clone(), (Arc::clone(&session), Instant::now()));
        Ok(session)
    }

    async fn door(
        &self,
        client: &Client,
        source: &OciSource,
        repository: &Repository,
        key: &SessionKey,
    ) -> Result<Door, Arc<RegistryError>> {
        let place = (repository.registry().to_owned(), key.connection.clone());
        if let Some((door, found)) = self.kept().doors.get(&place)
            && found.elapsed() < SESSION_LIFE
        {
            return Ok(door.clone());
        }
        let work = || async {
            let insecure = source.connection.insecure;
            let door = Door::find(client, repository, insecure, self.retry).await;
            let door = door.map_err(Arc::new)?;
            let mut kept = self.kept();
            if kept.doors.len() >= MAX_KEPT {
                kept.doors.clear();
            }
            kept.doors.insert(place.clone(), (door.clone(), Instant::now()));
            Ok(door)
        };
        self.finding.run(place.clone(), work).await
    }

    /// Passes a result on; after a failure the session is not used again.
    pub(super) fn check<T, E>(&self, key: &SessionKey, result: Result<T, E>) -> Result<T, E> {
        if result.is_err() {
            let mut kept = self.kept();
            kept.sessions.remove(key);
            kept.doors.remove(&(key.repository.registry().to_owned(), key.connection.clone()));
        }
        result
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Every change is a single insert or removal, so what a panic left is sound.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
