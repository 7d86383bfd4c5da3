//! A real Kubernetes control plane for tests: etcd, kube-apiserver, kube-controller-manager,
//! kube-scheduler and kwok (which plays the kubelets), on loopback ports and in a folder of its own.
//!
//! Owns starting, stopping, breaking and measuring it. Deployments become ready, namespaces
//! terminate, owners are collected and RBAC is enforced as in life, because the programs are the real
//! ones. Refuses to know what is tested on it.
//!
//! A test asks [`require`] for the shared one of its process (or the one its caller named by
//! [`KUBECONFIG`]), or [`own`] for one to break or to count on. Either says so and returns `None`
//! where the programs are not built.

mod config;
mod error;
mod pki;
mod process;
mod requests;
mod shared;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::oracle;
use config::Ports;
pub use error::ClusterError;
use error::io_error;
pub use process::Usage;
use process::{Group, Process, Spec};
pub use requests::{Request, RequestLog, count_by};
use shared::client_of;
pub use shared::{Shared, own, require};

/// Names the kubeconfig of a control plane to use for the shared tests. A variable of its own, so
/// that no test ever runs on the cluster someone happens to work with.
pub const KUBECONFIG: &str = "BORAX_TEST_KUBECONFIG";

/// The user of [`ControlPlane::operator_kubeconfig`].
pub const OPERATOR: &str = "borax-test-operator";

/// Set to a reason, tests get no control plane and say that they are skipped for it.
pub const OFF: &str = "BORAX_NO_CLUSTER";

/// The tool set the programs come from.
pub const TOOLS: &str = "controlplane";

/// How long a part may take to answer before the start is given up; a loaded two-core machine
/// needs a tenth of it.
const PATIENCE: Duration = Duration::from_secs(120);

/// The programs of a control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// The store.
    Etcd,
    /// The API.
    Apiserver,
    /// Deployments, namespaces, garbage collection, service accounts, ...
    ControllerManager,
    /// Binds pods to nodes.
    Scheduler,
    /// Plays the nodes' kubelets.
    Kwok,
}

impl Component {
    /// All, in the order they start.
    pub const ALL: [Self; 5] =
        [Self::Etcd, Self::Apiserver, Self::ControllerManager, Self::Scheduler, Self::Kwok];

    /// File name of the program.
    pub fn program(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::Apiserver => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
            Self::Scheduler => "kube-scheduler",
            Self::Kwok => "kwok",
        }
    }
}

/// What kind of control plane to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// Keep an audit log, for [`ControlPlane::request_log`]. Costs the server some CPU.
    pub audit: bool,
    /// Further arguments of kube-apiserver.
    pub apiserver_args: Vec<String>,
    /// How many simulated nodes there are.
    pub nodes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { audit: false, apiserver_args: Vec::new(), nodes: 1 }
    }
}

/// A running control plane. Dropping it ends its processes and removes its folder; so does the end of this
/// process, in whatever way it ends.
#[derive(Debug)]
pub struct ControlPlane {
    // Before the group: the processes are to be ended and waited for first.
    processes: Vec<(Component, Process)>,
    group: Group,
    folder: tempfile::TempDir,
    ports: Ports,
    options: Options,
}

impl ControlPlane {
    /// Starts one and returns when it is ready: the API answers, the node is ready, the `default`
    /// service account exists. Blocks for some seconds, also inside an async runtime.
    ///
    /// # Errors
    /// When a program is not built, ends or is too slow.
    pub fn start(options: Options) -> Result<Self, ClusterError> {
        // A free port may be taken by someone else before the program that was told of it opens it.
        let mut attempts = 3;
        loop {
            attempts -= 1;
            match Self::start_once(options.clone()) {
                Err(ClusterError::Ended { log, .. })
                    if attempts > 0 && log.contains("address already in use") => {}
                other => return other,
            }
        }
    }

    fn start_once(options: Options) -> Result<Self, ClusterError> {
        let set = oracle::set(TOOLS)?;
        let programs = Component::ALL.map(|c| (c, set.program(c.program())));
        let folder = tempfile::Builder::new()
            .prefix("borax-cluster-")
            .tempdir()
            .map_err(io_error("create a folder for the control plane"))?;
        let ports = free_ports().map_err(io_error("find free ports"))?;
        write_files(folder.path(), ports)?;
        let group =
            Group::new(folder.path()).map_err(io_error("start the control plane's guard"))?;
        let mut plane = Self { processes: Vec::new(), group, folder, ports, options };
        for (component, program) in programs {
            let program = program.ok_or(ClusterError::NotBuilt { program: component.program() })?;
            let process = Process::new(plane.spec(component, program));
            plane.processes.push((component, process));
        }
        plane.boot()?;
        Ok(plane)
    }

    fn spec(&self, component: Component, program: PathBuf) -> Spec {
        let folder = self.folder();
        let args = match component {
            Component::Etcd => config::etcd(folder, self.ports),
            Component::Apiserver => config::apiserver(folder, self.ports, &self.options),
            Component::ControllerManager => config::controller_manager(folder),
            Component::Scheduler => config::scheduler(folder),
            Component::Kwok => config::kwok(folder),
        };
        let log = folder.join(format!("{}.log", component.program()));
        // kwok would create its folder in the user's home.
        let envs = vec![("KWOK_WORKDIR", folder.join("kwok").to_string_lossy().into_owned())];
        Spec { program, args, envs, log }
    }

    fn boot(&mut self) -> Result<(), ClusterError> {
        self.start_component(Component::Etcd)?;
        self.wait_port(Component::Etcd, self.ports.etcd)?;
        self.start_component(Component::Apiserver)?;
        self.wait_port(Component::Apiserver, self.ports.apiserver)?;
        on_own_runtime(|| async {
            let client = self.client().await?;
            self.wait_for(Component::Apiserver, "the API server", async || {
                get(&client, "/readyz").await.is_ok_and(|body| body == "ok")
            })
            .await?;
            // The controller manager gives up on an API server that is not healthy for 20 s, which a busy machine can
            // take to begin.
            self.start_component(Component::ControllerManager)?;
            self.start_component(Component::Scheduler)?;
            self.start_component(Component::Kwok)?;
            let nodes = self.options.nodes;
            for index in 0..nodes {
                create_node(&client, index).await?;
            }
            self.wait_for(
                Component::ControllerManager,
                "the default service account",
                async || {
                    get(&client, "/api/v1/namespaces/default/serviceaccounts/default").await.is_ok()
                },
            )
            .await?;
            self.wait_for(Component::Kwok, "the node", async || {
                let list = get(&client, "/api/v1/nodes").await.unwrap_or_default();
                list.matches("KubeletReady").count() >= nodes
            })
            .await
        })
    }

    /// Its folder: logs (`<program>.log`), keys, the store.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder().join("kubeconfig")
    }

    /// A kubeconfig of the user [`OPERATOR`], who may do everything too: for what is measured, so that
    /// its requests can be told from the test's own.
    pub fn operator_kubeconfig(&self) -> PathBuf {
        self.folder().join("operator.kubeconfig")
    }

    /// A new client of the administrator.
    ///
    /// # Errors
    /// When the kubeconfig cannot be used.
    pub async fn client(&self) -> Result<kube::Client, ClusterError> {
        client_of(&self.kubeconfig()).await
    }

    /// Starts `component` where it was killed; returns at once.
    ///
    /// # Errors
    /// When the program cannot be run.
    pub fn start_component(&mut self, component: Component) -> Result<(), ClusterError> {
        let action = format!("start {}", component.program());
        let (process, group) = self.process(component);
        process.start(group).map_err(io_error(action))
    }

    /// kill -9 of `component`; it stays down until started again.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self, component: Component) -> Result<(), ClusterError> {
        let action = format!("kill {}", component.program());
        self.process(component).0.kill().map_err(io_error(action))
    }

    /// Stops `component` from answering: connections stay open, nothing comes back. As a cut
    /// network looks to its peers.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn freeze(&mut self, component: Component) -> Result<(), ClusterError> {
        let action = format!("freeze {}", component.program());
        self.process(component).0.signal(Signal::STOP).map_err(io_error(action))
    }

    /// Ends [`ControlPlane::freeze`].
    ///
    /// # Errors
    /// When the system refuses.
    pub fn thaw(&mut self, component: Component) -> Result<(), ClusterError> {
        let action = format!("thaw {}", component.program());
        self.process(component).0.signal(Signal::CONT).map_err(io_error(action))
    }

    /// kill -9 of kube-apiserver, a new one on the same port, and waits until that is ready.
    ///
    /// # Errors
    /// When it does not come back.
    pub fn restart_apiserver(&mut self) -> Result<(), ClusterError> {
        self.kill(Component::Apiserver)?;
        self.start_component(Component::Apiserver)?;
        self.wait_ready()
    }

    /// Waits until the API answers that it is ready.
    ///
    /// # Errors
    /// When it ends or takes too long.
    pub fn wait_ready(&mut self) -> Result<(), ClusterError> {
        self.wait_port(Component::Apiserver, self.ports.apiserver)?;
        on_own_runtime(|| async {
            let client = self.client().await?;
            self.wait_for(Component::Apiserver, "the API server", async || {
                get(&client, "/readyz").await.is_ok_and(|body| body == "ok")
            })
            .await
        })
    }

    /// What `component` has cost since it was last started; `None` while it is down.
    pub fn usage(&self, component: Component) -> Option<Usage> {
        let (_, process) = self.processes.iter().find(|(c, _)| *c == component)?;
        process.pid().and_then(|pid| Usage::of(pid).ok())
    }

    /// Process id of `component`; `None` while it is down.
    pub fn pid(&self, component: Component) -> Option<u32> {
        self.processes.iter().find(|(c, _)| *c == component)?.1.pid()
    }

    /// Reads what the API was asked since the start; needs [`Options::audit`], else it stays empty.
    pub fn request_log(&self) -> RequestLog {
        RequestLog::new(self.folder().join("audit.log"))
    }

    /// The first component that ended by itself, with how.
    ///
    /// # Errors
    /// When the system refuses to say.
    pub fn ended(&mut self) -> Result<Option<(Component, std::process::ExitStatus)>, ClusterError> {
        for (component, process) in &mut self.processes {
            if let Some(status) = process.ended().map_err(io_error("look at a process"))? {
                return Ok(Some((*component, status)));
            }
        }
        Ok(None)
    }

    fn process(&mut self, component: Component) -> (&mut Process, &Group) {
        let found = self.processes.iter_mut().find(|(c, _)| *c == component);
        let (_, process) = found.expect("a control plane has every component");
        (process, &self.group)
    }

    fn wait_port(&mut self, component: Component, port: u16) -> Result<(), ClusterError> {
        let begin = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            self.check(component, "opening its port", begin)?;
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    async fn wait_for(
        &mut self,
        component: Component,
        what: &'static str,
        ready: impl AsyncFn() -> bool,
    ) -> Result<(), ClusterError> {
        let begin = Instant::now();
        while !ready().await {
            self.check(component, what, begin)?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    fn check(
        &mut self,
        component: Component,
        what: &'static str,
        begin: Instant,
    ) -> Result<(), ClusterError> {
        let program = component.program();
        let process = self.process(component).0;
        let log = |process: &Process| {
            let text = std::fs::read_to_string(process.log()).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(15)..].join("\n")
        };
        if let Some(status) = process.ended().map_err(io_error("look at a process"))? {
            return Err(ClusterError::Ended { program, status, log: log(process) });
        }
        if begin.elapsed() > PATIENCE {
            return Err(ClusterError::TooSlow { what, program, log: log(process) });
        }
        Ok(())
    }
}

/// Distinct free ports: they are held until all are known.
fn free_ports() -> std::io::Result<Ports> {
    let hold = || TcpListener::bind(("127.0.0.1", 0));
    let (etcd, etcd_peer, apiserver) = (hold()?, hold()?, hold()?);
    let port = |held: &TcpListener| held.local_addr().map(|a| a.port());
    Ok(Ports { etcd: port(&etcd)?, etcd_peer: port(&etcd_peer)?, apiserver: port(&apiserver)? })
}

/// Who talks to the API server, and the file that says how. Each has a name of its own, so that
/// requests can be counted by user.
const MASTERS: [(&str, &str); 5] = [
    ("borax-test-admin", "kubeconfig"),
    (OPERATOR, "operator.kubeconfig"),
    ("system:kube-controller-manager", "controller-manager.kubeconfig"),
    ("system:kube-scheduler", "scheduler.kubeconfig"),
    ("kwok", "kwok.kubeconfig"),
];

fn write_files(folder: &Path, ports: Ports) -> Result<(), ClusterError> {
    let pki = pki::Pki::generate(config::SERVICE_IP, &MASTERS.map(|(user, _)| user))?;
    let ca = &pki.authority.certificate;
    let mut files = vec![
        ("ca.crt", ca.clone()),
        ("ca.key", pki.authority.key.clone()),
        ("server.crt", pki.server.certificate),
        ("server.key", pki.server.key),
        ("sa.key", pki.service_account_key),
        ("sa.pub", pki.service_account_public_key),
        ("audit-policy.yaml", config::AUDIT_POLICY.to_owned()),
        ("stages.yaml", config::STAGES.to_owned()),
    ];
    for (pair, (_, file)) in pki.masters.iter().zip(MASTERS) {
        let text = config::kubeconfig(ports.apiserver, ca, &pair.certificate, &pair.key);
        files.push((file, text));
    }
    for (name, text) in files {
        let path = folder.join(name);
        let action = format!("write {}", path.display());
        std::fs::write(&path, text).map_err(io_error(action))?;
    }
    Ok(())
}

/// Runs `task` to its end on a runtime of its own, so that callers may be inside one or not.
fn on_own_runtime<T: Send, F>(task: impl FnOnce() -> F + Send) -> Result<T, ClusterError>
where
    F: Future<Output = Result<T, ClusterError>>,
{
    let run = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(io_error("start an async runtime"))?
            .block_on(task())
    };
    std::thread::scope(|scope| match scope.spawn(run).join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

async fn get(client: &kube::Client, path: &str) -> Result<String, kube::Error> {
    let request = http::Request::get(path).body(Vec::new()).map_err(kube::Error::HttpError)?;
    client.request_text(request).await
}

async fn create_node(client: &kube::Client, index: usize) -> Result<(), ClusterError> {
    let name = format!("node-{index}");
    let node = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "node.kubernetes.io/instance-type": "kwok",
            },
        },
    });
    let post = async {
        let body = serde_json::to_vec(&node).map_err(kube::Error::SerdeError)?;
        let request = http::Request::post("/api/v1/nodes")
            .header("Content-Type", "application/json")
            .body(body)
            .map_err(kube::Error::HttpError)?;
        client.request_text(request).await
    };
    let source = |e| ClusterError::Request { action: "create the node", source: Box::new(e) };
    post.await.map(drop).map_err(source)
}
