//! `cargo xtask demo`: the main job end to end on this machine, with progress a person can follow.
//!
//! Owns the keeper (a detached process of this program that holds a control plane, a Git server with the trees of
//! `config/d1` and a running Borax) and the telling of what happens. What the trees say is theirs.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use borax_testkit::cluster::{ControlPlane, Options, TOOLS};
use borax_testkit::git::{Change, HttpOptions, HttpServer, Repositories};
use borax_testkit::oracle;
use futures::{StreamExt as _, pin_mut};
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::runtime::{WatchStreamExt as _, watcher};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What to do with the demonstration; it comes up without a word.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Ends it
    Down,
    /// Holds it until told to stop; `demo` runs this in the background
    #[command(hide = true)]
    Keep,
}

/// What a running demonstration leaves for later commands.
#[derive(Serialize, Deserialize)]
struct Note {
    keeper: i32,
    kubeconfig: PathBuf,
    server: String,
    log: PathBuf,
}

/// The cluster of `fleet/clusters` that the demonstration is.
const CLUSTER: &str = "staging";

/// How long everything may take to become ready.
const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) fn run(args: Args) -> anyhow::Result<()> {
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    match args.command {
        None => runtime()?.block_on(up()),
        Some(Command::Down) => down(),
        Some(Command::Keep) => runtime()?.block_on(keep()),
    }
}

fn note_path() -> PathBuf {
    oracle::cache_dir().join("demo.json")
}

fn running() -> anyhow::Result<Option<Note>> {
    let path = note_path();
    let Ok(text) = fs::read_to_string(&path) else { return Ok(None) };
    let note: Note =
        serde_json::from_str(&text).with_context(|| format!("read {}", path.display()))?;
    let alive = Pid::from_raw(note.keeper).is_some_and(|pid| test_kill_process(pid).is_ok());
    Ok((alive && note.kubeconfig.is_file()).then_some(note))
}

async fn up() -> anyhow::Result<()> {
    let note = match running()? {
        Some(note) => {
            println!("The demonstration runs already.");
            note
        }
        None => {
            println!(
                "1. Building borax and, the first time, the programs of a Kubernetes control plane"
            );
            crate::oracles::build(&oracle::set(TOOLS)?)?;
            build_borax()?;
            println!("2. Starting the control plane, a Git server with config/d1, and borax");
            start()?
        }
    };
    println!("3. What the fleet repository says comes up, in the order of its dependencies");
    let client = connect(&note.kubeconfig).await?;
    follow(client, Instant::now()).await?;
    farewell(&note);
    Ok(())
}

fn build_borax() -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Process::new(cargo)
        .args(["build", "--quiet", "--package", "borax"])
        .current_dir(oracle::project_root())
        .status()?;
    ensure!(status.success(), "borax does not build");
    Ok(())
}

/// The binary that [`build_borax`] made: it lies beside this one.
fn borax() -> anyhow::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name("borax"))
}

fn start() -> anyhow::Result<Note> {
    let path = note_path();
    fs::create_dir_all(path.parent().context("the note has a folder")?)?;
    let log_path = path.with_extension("log");
    let log = File::create(&log_path)?;
    let mut keeper = Process::new(std::env::current_exe()?)
        .args(["demo", "keep"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .process_group(0)
        .spawn()
        .context("start the keeper")?;
    // The keeper tells its steps, a line each, then "up", or ends.
    let steps = BufReader::new(keeper.stdout.take().context("the keeper has an output")?);
    for line in steps.lines() {
        match line?.as_str() {
            "up" => break,
            step => println!("   {step}"),
        }
    }
    match running()? {
        Some(note) => Ok(note),
        None => bail!("the demonstration did not start:\n{}", fs::read_to_string(&log_path)?),
    }
}

/// Holds everything; the drops at the end take it down.
async fn keep() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let begin = Instant::now();
    let plane = ControlPlane::start(Options::default())?;
    println!("control plane up after {:.1} s", begin.elapsed().as_secs_f32());
    let repositories = Repositories::new();
    for name in ["fleet", "infra", "apps"] {
        push(&repositories, name)?;
    }
    let server = HttpServer::start(repositories.root(), HttpOptions::default());
    let server_url = format!("http://{}", server.address());
    println!("fleet.git, infra.git and apps.git served on {server_url}");
    let client = connect(&plane.kubeconfig()).await?;
    bootstrap(&client, &server_url).await?;
    println!("custom resources installed, and the fleet repository named");
    let log = plane.folder().join("borax.log");
    let borax = start_borax(&plane, &log)?;
    println!("borax runs");
    let keeper = std::process::id().cast_signed();
    let note = Note { keeper, kubeconfig: plane.kubeconfig(), server: server_url, log };
    fs::write(note_path(), serde_json::to_vec_pretty(&note)?)?;
    println!("up");
    terminate.recv().await;
    drop(borax);
    fs::remove_file(note_path())?;
    Ok(())
}

/// A child that goes with its owner.
struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn push(repositories: &Repositories, name: &str) -> anyhow::Result<()> {
    let folder = oracle::project_root().join("config/d1").join(name);
    let mut files = Vec::new();
    collect(&folder, &folder, &mut files)?;
    files.sort();
    let changes: Vec<(&str, Change<'_>)> =
        files.iter().map(|(name, bytes)| (name.as_str(), Change::File(bytes))).collect();
    let repository = repositories.create(&format!("{name}.git"));
    let commit = repository.commit_changes(
        "refs/heads/main",
        &changes,
        "The tree of config/d1\n",
        1_700_000_000,
    );
    repository.set_ref("refs/heads/production", &commit);
    Ok(())
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<(String, Vec<u8>)>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            collect(root, &path, files)?;
        } else {
            let name = path.strip_prefix(root)?.to_str().context("a tree's names are UTF-8")?;
            files.push((name.to_owned(), fs::read(&path)?));
        }
    }
    Ok(())
}

async fn connect(kubeconfig: &Path) -> anyhow::Result<kube::Client> {
    let file = Kubeconfig::read_from(kubeconfig)?;
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    Ok(kube::Client::try_from(config)?)
}

/// Applies the plain install without the workload (Borax runs beside the cluster), then what a cluster is given
/// by hand.
async fn bootstrap(client: &kube::Client, server: &str) -> anyhow::Result<()> {
    let config = oracle::project_root().join("config");
    let read = |path: &str| {
        fs::read_to_string(config.join(path)).with_context(|| format!("read config/{path}"))
    };
    for path in ["install/namespace.yaml", "install/crds.yaml", "install/borax.yaml"] {
        apply(client, &read(path)?, &["Deployment", "Service", "NetworkPolicy"]).await?;
    }
    let given = read("d1/bootstrap.yaml")?
        .replace("GIT_SERVER_URL", server)
        .replace("/CLUSTER\n", &format!("/{CLUSTER}\n"));
    apply(client, &given, &[]).await
}

async fn apply(client: &kube::Client, text: &str, without: &[&str]) -> anyhow::Result<()> {
    for document in serde_norway::Deserializer::from_str(text) {
        let object = Value::deserialize(document)?;
        let word = |pointer: &str| {
            object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let (api_version, kind) = (word("/apiVersion"), word("/kind"));
        if object.is_null() || without.contains(&kind.as_str()) {
            continue;
        }
        let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &kind));
        let (namespace, name) = (word("/metadata/namespace"), word("/metadata/name"));
        let api: Api<DynamicObject> = match namespace.as_str() {
            "" => Api::all_with(client.clone(), &resource),
            namespace => Api::namespaced_with(client.clone(), namespace, &resource),
        };
        let begin = Instant::now();
        // A kind is served some moments after its definition was accepted.
        while let Err(error) =
            api.patch(&name, &PatchParams::apply("kubectl").force(), &Patch::Apply(&object)).await
        {
            let not_yet = matches!(&error, kube::Error::Api(status) if status.code == 404);
            if !not_yet || begin.elapsed() > Duration::from_secs(20) {
                return Err(error).with_context(|| format!("apply {kind} {name}"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}

fn start_borax(plane: &ControlPlane, log: &Path) -> anyhow::Result<Owned> {
    let hold = |_| TcpListener::bind(("127.0.0.1", 0));
    let held = (0..3).map(hold).collect::<Result<Vec<_>, _>>()?;
    let ports = held
        .iter()
        .map(|held| Ok(held.local_addr()?.port()))
        .collect::<anyhow::Result<Vec<_>>>()?;
    drop(held);
    let storage = plane.folder().join("storage");
    fs::create_dir_all(&storage)?;
    let output = File::create(log)?;
    let mut command = Process::new(borax()?);
    command
        .arg("run")
        .arg(format!("--kubeconfig={}", plane.kubeconfig().display()))
        .arg(format!("--storage-path={}", storage.display()))
        .arg(format!("--storage-addr=127.0.0.1:{}", ports[0]))
        .arg(format!("--metrics-addr=127.0.0.1:{}", ports[1]))
        .arg(format!("--health-addr=127.0.0.1:{}", ports[2]))
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output);
    Ok(Owned(command.spawn().context("run borax")?))
}

/// Tells what becomes ready, and what does not, until all is.
async fn follow(client: kube::Client, begin: Instant) -> anyhow::Result<()> {
    let resource = |group: &str, kind: &str| {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
        let api = Api::<DynamicObject>::all_with(client.clone(), &resource);
        watcher(api, watcher::Config::default()).default_backoff().applied_objects().boxed()
    };
    let sources = resource("source.toolkit.fluxcd.io", "GitRepository");
    let appliers = resource("kustomize.toolkit.fluxcd.io", "Kustomization");
    let changes = futures::stream::select(sources, appliers);
    pin_mut!(changes);
    let mut told: BTreeMap<String, (String, String)> = BTreeMap::new();
    loop {
        let Ok(change) =
            tokio::time::timeout(PATIENCE.saturating_sub(begin.elapsed()), changes.next()).await
        else {
            let late = told
                .iter()
                .filter(|(_, (status, _))| status != "True")
                .map(|(name, _)| name.as_str());
            bail!("not everything became ready: {}", late.collect::<Vec<_>>().join(", "));
        };
        let Some(Ok(object)) = change else { continue };
        let object = serde_json::to_value(object)?;
        let word =
            |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let name =
            format!("{} {}/{}", word("/kind"), word("/metadata/namespace"), word("/metadata/name"));
        let now = ready(&object);
        let before = told.insert(name.clone(), now.clone());
        if before.as_ref() != Some(&now) && !now.0.is_empty() && now.0 != "Unknown" {
            let mark = if now.0 == "True" { "ready    " } else { "not ready" };
            println!("   {:6.1} s  {mark}  {name:<58} {}", begin.elapsed().as_secs_f32(), now.1);
        }
        // The last to come up is a tenant's; until it is named, more is to come.
        let complete =
            ["Kustomization flux-system/admission-configs", "Kustomization backend/backend"];
        if complete.iter().all(|name| told.contains_key(*name))
            && told.values().all(|(status, _)| status == "True")
        {
            println!("   {:6.1} s  everything is ready", begin.elapsed().as_secs_f32());
            return Ok(());
        }
    }
}

/// Status and message of the Ready condition.
fn ready(object: &Value) -> (String, String) {
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let ready = conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready");
    let word =
        |key: &str| ready.and_then(|ready| ready[key].as_str()).unwrap_or_default().to_owned();
    (word("status"), word("message").lines().next().unwrap_or_default().to_owned())
}

fn farewell(note: &Note) {
    let (server, kubeconfig) = (&note.server, note.kubeconfig.display());
    println!(
        "\nIt stays up. Look at it:\n  \
           export KUBECONFIG={kubeconfig}\n  \
           kubectl get gitrepositories,kustomizations -A\n  \
           kubectl get deployments -n metrics -o wide\n\
         Change something, as anyone would:\n  \
           git clone {server}/infra.git && cd infra\n  \
           sed -i 's/collector:1.4.0/collector:1.5.0/' components/monitoring/controllers/base/collector.yaml\n  \
           git commit -am 'collector 1.5.0' && git push\n  \
           kubectl annotate -n flux-system gitrepository/flux-infra --overwrite reconcile.fluxcd.io/requestedAt=$(date +%s)  # or wait a minute\n\
         What Borax says:  {}\n\
         End it:           cargo xtask demo down",
        note.log.display()
    );
}

fn down() -> anyhow::Result<()> {
    let Some(note) = running()? else {
        println!("no demonstration runs");
        return Ok(());
    };
    if let Some(pid) = Pid::from_raw(note.keeper) {
        kill_process(pid, Signal::TERM).context("end the keeper")?;
    }
    let begin = Instant::now();
    while note.kubeconfig.exists() {
        ensure!(begin.elapsed() < Duration::from_secs(20), "the control plane is still there");
        std::thread::sleep(Duration::from_millis(20));
    }
    println!("the demonstration has ended");
    Ok(())
}
