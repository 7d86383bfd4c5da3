//! Git over SSH: one connection, one channel, one `git-upload-pack`. Keys and known hosts come from memory.
//!
//! No agent, no configuration file, no host that `known_hosts` does not name.

use std::borrow::Cow;
use std::io::{self, Read};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use russh::client::{AuthResult, Config, Handle, Handler, Msg, connect_stream};
use russh::keys::{
    Algorithm, HashAlg, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate, decode_secret_key,
};

use russh::{Channel, ChannelMsg, Preferred, kex};

use super::auth::{Credentials, GitAuth, Proxy, SshIdentity};
use super::cause::{Cause, chain};
use super::dial::dial;
use super::known_hosts::{HostKey, KnownHosts, Verdict};
use super::session::Session;
use super::url::RemoteUrl;
use super::wire::remote;

/// How much of a server's complaint is kept.
const MAX_STDERR: usize = 4096;

/// Which algorithms to offer; empty lists are the defaults (`--ssh-kex-algos`, `--ssh-hostkey-algos`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SshAlgorithms {
    /// Key exchange.
    pub kex: Vec<String>,
    /// Host keys.
    pub host_key: Vec<String>,
}

/// A running service on an SSH server.
pub(crate) struct SshLink {
    session: Rc<Session>,
    /// Keeps the connection open.
    _handle: Handle<Client>,
    channel: Channel<Msg>,
    chunk: Bytes,
    stderr: Vec<u8>,
    said_anything: bool,
}

impl SshLink {
    /// Connects, logs in and starts `service`.
    pub(crate) fn open(
        session: &Rc<Session>,
        url: &RemoteUrl,
        auth: &GitAuth,
        proxy: Option<&Proxy>,
        algorithms: &SshAlgorithms,
        service: &str,
    ) -> Result<Self, Cause> {
        let Credentials::Ssh(identity) = &auth.credentials else {
            return Err(Cause::AuthenticationRequired {
                detail: ": ssh needs a Secret with identity and known_hosts in spec.secretRef"
                    .to_string(),
            });
        };
        let opened = session.wait(open(url, identity, proxy, algorithms, service))?;
        let (handle, channel) = opened?;
        Ok(Self {
            session: Rc::clone(session),
            _handle: handle,
            channel,
            chunk: Bytes::new(),
            stderr: Vec::new(),
            said_anything: false,
        })
    }

    /// Sends bytes to the service.
    pub(crate) fn send(&mut self, bytes: Vec<u8>) -> Result<(), Cause> {
        self.session
            .wait(self.channel.data_bytes(bytes))?
            .map_err(|error| Cause::Ssh(chain(&error)))
    }
}

/// What the service says. One that ends without a word has said why on its error channel.
impl Read for SshLink {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.session.wait(self.channel.wait())? {
                Some(ChannelMsg::Data { data }) => self.chunk = data,
                Some(ChannelMsg::ExtendedData { data, .. }) => {
                    let room = MAX_STDERR.saturating_sub(self.stderr.len());
                    self.stderr.extend_from_slice(&data[..data.len().min(room)]);
                }
                // The complaint may come behind the end of the output.
                Some(ChannelMsg::Eof) if !self.said_anything => {}
                Some(ChannelMsg::Eof | ChannelMsg::Close) | None if self.said_anything => {
                    return Ok(0);
                }
                Some(ChannelMsg::Close) | None => {
                    let words = String::from_utf8_lossy(&self.stderr).into_owned();
                    let words = words.trim().trim_start_matches("ERROR: ");
                    return match words {
                        "" => Ok(0),
                        words => Err(remote(words).into_io()),
                    };
                }
                Some(_) => {}
            }
        }
        self.said_anything = true;
        let n = out.len().min(self.chunk.len());
        out[..n].copy_from_slice(&self.chunk.split_to(n));
        Ok(n)
    }
}

async fn open(
    url: &RemoteUrl,
    identity: &SshIdentity,
    proxy: Option<&Proxy>,
    algorithms: &SshAlgorithms,
    service: &str,
) -> Result<(Handle<Client>, Channel<Msg>), Cause> {
    let known_hosts =
        KnownHosts::parse(&identity.known_hosts).map_err(|e| Cause::Ssh(e.to_string()))?;
    let key = private_key(identity)?;
    let (host, port) = (url.host(), url.port());
    let config = Config {
        preferred: preferred(&known_hosts, host, port, algorithms)?,
        nodelay: true,
        ..Config::default()
    };
    let stream = dial(host, port, proxy).await.map_err(|error| Cause::Network {
        method: "dial",
        url: url.to_string(),
        reason: error.to_string(),
    })?;
    let refusal = Refusal::default();
    let client = Client { known_hosts, host: host.to_string(), port, refusal: refusal.clone() };
    let mut handle = connect_stream(Arc::new(config), stream, client)
        .await
        .map_err(|error| handshake(&refusal.take().unwrap_or_else(|| chain(&error))))?;
    let hash = match key.algorithm() {
        // Servers that do not say are old ones, or new ones that take SHA-2 anyway.
        Algorithm::Rsa { .. } => handle
            .best_supported_rsa_hash()
            .await
            .map_err(|error| handshake(&chain(&error)))?
            .unwrap_or(Some(HashAlg::Sha256)),
        _ => None,
    };
    let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
    let login = handle
        .authenticate_publickey(&identity.username, key)
        .await
        .map_err(|error| handshake(&chain(&error)))?;
    if !matches!(login, AuthResult::Success) {
        return Err(handshake(
            "ssh: unable to authenticate, attempted methods [none publickey], no supported methods remain; add the key of \
             spec.secretRef to the server",
        ));
    }
    let failed = |error: russh::Error| Cause::Ssh(chain(&error));
    let channel = handle.channel_open_session().await.map_err(failed)?;
    // Servers may refuse it, and then speak the older version.
    channel.set_env(false, "GIT_PROTOCOL", "version=2").await.map_err(failed)?;
    let command = format!("{service} {}", quote(&url.decoded_path()));
    channel.exec(true, command).await.map_err(failed)?;
    Ok((handle, channel))
}

fn handshake(reason: &str) -> Cause {
    Cause::Ssh(format!("handshake failed: {reason}"))
}

/// Whether the key is encrypted and comes without a passphrase.
pub(super) fn lacks_passphrase(identity: &SshIdentity) -> bool {
    let Ok(text) = std::str::from_utf8(&identity.identity) else { return false };
    identity.passphrase.is_empty()
        && matches!(decode_secret_key(text, None), Err(russh::keys::Error::KeyIsEncrypted))
}

fn private_key(identity: &SshIdentity) -> Result<russh::keys::PrivateKey, Cause> {
    let text = std::str::from_utf8(&identity.identity)
        .map_err(|_| Cause::Ssh("no key found in 'identity': it is not PEM".to_string()))?;
    let passphrase = match identity.passphrase.as_str() {
        "" => None,
        passphrase => Some(passphrase),
    };
    match (decode_secret_key(text, passphrase), passphrase) {
        (Ok(key), _) => Ok(key),
        (Err(russh::keys::Error::KeyIsEncrypted), _) => Err(Cause::Ssh(
            "SSH identity key is encrypted but no 'password' field was provided in the secret".to_string(),
        )),
        (Err(_), Some(_)) => Err(Cause::Ssh(
            "'identity' can't be read: not a private key in PEM, or 'password' is not its passphrase".to_string(),
        )),
        (Err(error), None) => Err(Cause::Ssh(format!("'identity' can't be read: {error}"))),
    }
}

/// The algorithms to offer: for the host's key those it is known by, so that it shows a key that can be checked.
fn preferred(
    known_hosts: &KnownHosts,
    host: &str,
    port: u16,
    algorithms: &SshAlgorithms,
) -> Result<Preferred, Cause> {
    let mut preferred = Preferred::DEFAULT;
    if !algorithms.kex.is_empty() {
        let mut names = Vec::new();
        for name in &algorithms.kex {
            let name = kex::Name::try_from(name.as_str())
                .map_err(|()| Cause::Ssh(format!("unknown key exchange algorithm '{name}'")))?;
            names.push(name);
        }
        // What stands in the list without being a key exchange: marks of what we understand.
        names.extend([
            kex::EXTENSION_SUPPORT_AS_CLIENT,
            kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
        ]);
        preferred.kex = Cow::Owned(names);
    }
    let mut keys = Vec::new();
    match algorithms.host_key.is_empty() {
        false => {
            for name in &algorithms.host_key {
                let algorithm = name
                    .parse()
                    .map_err(|_| Cause::Ssh(format!("unknown host key algorithm '{name}'")))?;
                keys.push(algorithm);
            }
        }
        true => {
            for kind in known_hosts.kinds(host, port) {
                match kind {
                    "ssh-rsa" => keys.extend(
                        [Some(HashAlg::Sha512), Some(HashAlg::Sha256), None]
                            .map(|hash| Algorithm::Rsa { hash }),
                    ),
                    // A kind that is not known here can't be checked either; others of the host may be.
                    kind => keys.extend(kind.parse::<Algorithm>().ok()),
                }
            }
        }
    }
    if keys.is_empty() {
        return Err(Cause::Ssh("known_hosts has no key of a supported type".to_string()));
    }
    if known_hosts.has_authorities() {
        preferred.host_key_certificates = Cow::Owned(Preferred::DEFAULT.key.to_vec());
    }
    preferred.key = Cow::Owned(keys);
    Ok(preferred)
}

/// A path for the server's shell.
fn quote(path: &str) -> String {
    format!("'{}'", path.replace('\'', r"'\''").replace('!', r"'\!'"))
}

/// Why the host's key was refused, told past the library.
#[derive(Clone, Default)]
struct Refusal(Arc<Mutex<Option<String>>>);

impl Refusal {
    fn tell(&self, reason: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
    }

    fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

struct Client {
    known_hosts: KnownHosts,
    host: String,
    port: u16,
    refusal: Refusal,
}

impl Client {
    fn judge(&self, shown: &PublicKeyOrCertificate) -> Result<(), String> {
        let key = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => key,
            PublicKeyOrCertificate::Certificate(certificate) => {
                return self.judge_certificate(certificate);
            }
        };
        let Some(host_key) = host_key(key) else {
            return Err("the server's key can't be read".to_string());
        };
        let what = match self.known_hosts.check(&self.host, self.port, &host_key) {
            Verdict::Known => return Ok(()),
            Verdict::Unknown => "knownhosts: key is unknown",
            Verdict::Mismatch => "knownhosts: key mismatch",
            Verdict::Revoked => "knownhosts: key is revoked",
        };
        Err(format!(
            "{what}: {}:{} shows {} {}; when that is right, put it into known_hosts of spec.secretRef",
            self.host,
            self.port,
            host_key.kind,
            key.fingerprint(HashAlg::Sha256)
        ))
    }

    fn judge_certificate(&self, certificate: &russh::keys::Certificate) -> Result<(), String> {
        let authority = PublicKey::from(certificate.signature_key().clone());
        let trusted = host_key(&authority)
            .is_some_and(|key| self.known_hosts.is_authority(&self.host, self.port, &key));
        if !trusted {
            return Err("knownhosts: no @cert-authority for the host's certificate".to_string());
        }
        let principals = certificate.valid_principals();
        if !certificate.cert_type().is_host()
            || !(principals.is_empty() || principals.contains(&self.host))
        {
            return Err(format!("the host's certificate is not for {}", self.host));
        }
        certificate
            .validate([&authority.fingerprint(HashAlg::Sha256)])
            .map_err(|error| format!("the host's certificate is not valid: {error}"))
    }
}

fn host_key(key: &PublicKey) -> Option<HostKey> {
    HostKey::from_blob(key.to_bytes().ok()?)
}

impl Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        match self.judge(shown) {
            Ok(()) => Ok(true),
            Err(reason) => {
                self.refusal.tell(reason);
                Ok(false)
            }
        }
    }
}
