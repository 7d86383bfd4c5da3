//! Git over SSH in this process: a host key that is known, public keys that may come in.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey, PublicKey};
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::repository::QUIET_ENVIRONMENT;

/// How to serve.
#[derive(Clone, Debug)]
pub struct SshOptions {
    /// The kind of the host's key.
    pub host_key: Algorithm,
    /// Refuse the variable that asks for protocol version 2, as many servers do.
    pub old_protocol: bool,
}

impl Default for SshOptions {
    fn default() -> Self {
        Self { host_key: Algorithm::Ed25519, old_protocol: false }
    }
}

/// A running server. It ends when dropped.
pub struct SshServer {
    shared: Arc<Shared>,
    address: SocketAddr,
    host_key: PrivateKey,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    root: PathBuf,
    old_protocol: bool,
    allowed: Mutex<Vec<PublicKey>>,
    commands: Mutex<Vec<String>>,
}

/// A fresh key of the given kind.
fn fresh(algorithm: &Algorithm) -> PrivateKey {
    let mut random = russh::keys::key::safe_rng();
    PrivateKey::random(&mut random, algorithm.clone()).expect("keys of this kind can be made")
}

impl SshServer {
    /// Serves the repositories below `root` on a free port of 127.0.0.1.
    pub fn start(root: &Path, options: SshOptions) -> Self {
        let shared = Arc::new(Shared {
            root: root.to_path_buf(),
            old_protocol: options.old_protocol,
            allowed: Mutex::default(),
            commands: Mutex::default(),
        });
        let host_key = fresh(&options.host_key);
        let config = Arc::new(Config {
            keys: vec![host_key.clone()],
            // Tests of wrong keys should not wait.
            auth_rejection_time: Duration::ZERO,
            auth_rejection_time_initial: Some(Duration::ZERO),
            ..Config::default()
        });
        let stop = CancellationToken::new();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn({
            let (shared, stop) = (Arc::clone(&shared), stop.clone());
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime can be built");
                runtime.block_on(async {
                    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                    let address = listener.local_addr().expect("it is bound");
                    tell.send(address).expect("the starter waits");
                    tokio::select! {
                        () = accept(listener, config, shared) => {}
                        () = stop.cancelled() => {}
                    }
                });
            }
        });
        let address = told.recv().expect("the server starts");
        Self { shared, address, host_key, stop, thread: Some(thread) }
    }

    /// The URL of the repository `name`.
    pub fn url(&self, name: &str) -> String {
        format!("ssh://git@{}/{name}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The line of `known_hosts` for it.
    pub fn known_hosts(&self) -> String {
        let key = self.host_key.public_key().to_openssh().expect("a key can be written");
        format!("[{}]:{} {key}\n", self.address.ip(), self.address.port())
    }

    /// A fresh key that may come in, in OpenSSH's format; encrypted with `passphrase` when that is not empty.
    pub fn allow(&self, algorithm: &Algorithm, passphrase: &str) -> String {
        let key = fresh(algorithm);
        self.shared
            .allowed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(key.public_key().clone());
        let key = match passphrase {
            "" => key,
            passphrase => key
                .encrypt(&mut russh::keys::key::safe_rng(), passphrase)
                .expect("keys can be encrypted"),
        };
        key.to_openssh(LineEnding::LF).expect("a key can be written").to_string()
    }

    /// Lets the key of an `authorized_keys` line in.
    pub fn allow_public(&self, line: &str) {
        let key = PublicKey::from_openssh(line).expect("a public key");
        self.shared.allowed.lock().unwrap_or_else(PoisonError::into_inner).push(key);
    }

    /// The commands since the start or the last call, in order.
    pub fn take_commands(&self) -> Vec<String> {
        let mut commands = self.shared.commands.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *commands)
    }
}

impl Drop for SshServer {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, config: Arc<Config>, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (config, shared) = (Arc::clone(&config), Arc::clone(&shared));
        tokio::spawn(async move {
            let connection = Connection { shared, channel: None, protocol: String::new() };
            // Clients hang up as they please.
            if let Ok(session) = russh::server::run_stream(config, stream, connection).await {
                let _ = session.await;
            }
        });
    }
}

struct Connection {
    shared: Arc<Shared>,
    channel: Option<Channel<Msg>>,
    protocol: String,
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn auth_publickey(
        &mut self,
        _user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        let allowed = self.shared.allowed.lock().unwrap_or_else(PoisonError::into_inner);
        match allowed.iter().any(|a| a.key_data() == key.public_key.key_data()) {
            true => Ok(Auth::Accept),
            false => Ok(Auth::reject()),
        }
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channel = Some(channel);
        reply.accept().await;
        Ok(())
    }

    async fn env_request(
        &mut self,
        _channel: ChannelId,
        name: &str,
        value: &str,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        if name == "GIT_PROTOCOL" && !self.shared.old_protocol {
            self.protocol = value.to_string();
        }
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let command = String::from_utf8_lossy(command).into_owned();
        self.shared.commands.lock().unwrap_or_else(PoisonError::into_inner).push(command.clone());
        let Some(channel) = self.channel.take() else {
            return session.channel_failure(id);
        };
        session.channel_success(id)?;
        tokio::spawn(run(Arc::clone(&self.shared), channel, command, self.protocol.clone()));
        Ok(())
    }
}

/// Runs `git-upload-pack '/name'` or `git-receive-pack '/name'` on a channel.
async fn run(shared: Arc<Shared>, mut channel: Channel<Msg>, command: String, protocol: String) {
    let (service, path) = command.split_once(' ').unwrap_or((&command, ""));
    let name = path.trim_matches('\'').trim_start_matches('/');
    let repository = shared.root.join(name);
    let known = matches!(service, "git-upload-pack" | "git-receive-pack");
    let escapes = name.split('/').any(|part| matches!(part, "" | "." | ".."));
    if !known || escapes || !repository.join("HEAD").is_file() {
        let words = &b"ERROR: Repository not found.\n"[..];
        let _ = channel.extended_data(1, words).await;
        let _ = channel.exit_status(1).await;
        let _ = channel.eof().await;
        let _ = channel.close().await;
        return;
    }
    let mut child = tokio::process::Command::new("git")
        .envs(QUIET_ENVIRONMENT)
        .env("GIT_PROTOCOL", protocol)
        .arg(service.trim_start_matches("git-"))
        .arg(repository)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("git is installed");
    let mut stdin = child.stdin.take().expect("it was asked for");
    let mut stdout = child.stdout.take().expect("it was asked for");
    let mut writer = channel.make_writer();
    let mut buffer = vec![0; 32 * 1024];
    let mut from_client = true;
    loop {
        tokio::select! {
            read = stdout.read(&mut buffer) => match read {
                Ok(n) if n > 0 => {
                    if writer.write_all(&buffer[..n]).await.is_err() {
                        return;
                    }
                }
                _ => break,
            },
            message = channel.wait(), if from_client => match message {
                Some(russh::ChannelMsg::Data { data }) => {
                    if stdin.write_all(&data).await.is_err() {
                        from_client = false;
                    }
                }
                Some(russh::ChannelMsg::Eof) => {
                    from_client = false;
                    let _ = stdin.shutdown().await;
                }
                None => return,
                Some(_) => {}
            },
        }
    }
    let _ = child.wait().await;
    let _ = channel.exit_status(0).await;
    let _ = channel.eof().await;
    let _ = channel.close().await;
}
