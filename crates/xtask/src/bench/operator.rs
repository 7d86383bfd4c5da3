//! Many Kustomizations of five objects each on a real control plane of their own.
//!
//! Owns the story (first apply, idle intervals, a commit that changes all, one that changes one, deletion), the table
//! printed of it, and the bounds that Borax must keep: of CPU, requests and memory, which a busy machine does not
//! change. The same story runs with Flux's own kustomize-controller in Borax's place; no bounds hold for that.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use borax_testkit::cluster::{
    Component, ControlPlane, OPERATOR, Options, Request, RequestLog, Usage, count_by,
};
use borax_testkit::git::{HttpOptions, HttpServer, Repositories, Repository};
use borax_testkit::oracle;
use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch,
    PatchParams, PostParams, WatchEvent, WatchParams,
};
use serde_json::{Value, json};

const NAMESPACE: &str = "bench";
const OBJECTS: usize = 5;
const PATIENCE: Duration = Duration::from_secs(600);

/// How much, and of whom.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Measure this Borax; a release build of this tree without
    #[arg(long)]
    binary: Option<PathBuf>,
    /// How many Kustomizations, one control plane for each number
    #[arg(long, value_delimiter = ',', default_value = "100,300,1000")]
    counts: Vec<usize>,
    /// Let Flux's kustomize-controller apply (Borax's source controller feeds it)
    #[arg(long)]
    flux: bool,
    /// How long to watch that nothing is done when nothing changes; the interval is a minute
    #[arg(long, default_value_t = 75)]
    idle_seconds: u64,
    /// Further flags of the operator
    #[arg(last = true)]
    flags: Vec<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    crate::oracles::build(&oracle::set("controlplane")?)?;
    let borax = super::borax(args.binary.as_deref())?;
    let flux = match args.flux {
        false => None,
        true => {
            let set = oracle::set("flux-kustomize-controller")?;
            crate::oracles::build(&set)?;
            Some(set.program("kustomize-controller").context("kustomize-controller is not built")?)
        }
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let mut broken = Vec::new();
    for count in &args.counts {
        let bench = Bench::prepare(*count, borax.clone(), flux.clone(), args.flags.clone())?;
        broken.extend(runtime.block_on(bench.story(Duration::from_secs(args.idle_seconds)))?);
    }
    if !args.flux && !broken.is_empty() {
        bail!("out of bounds: {}", broken.join("; "));
    }
    Ok(())
}

/// The most a phase may cost.
struct Bounds {
    /// Requests for each Kustomization.
    requests: Option<usize>,
    /// Requests that write, in all.
    writes: Option<usize>,
    /// The operator's CPU goes so many times into the API server's.
    cpu_share: Option<u32>,
}

impl Bounds {
    /// A new Kustomization: a dry run and an apply for each object, the finalizer, two status writes, one event, two to
    /// spare.
    const FIRST: Self = Self { requests: Some(16), writes: None, cpu_share: Some(5) };
    const IDLE: Self = Self { requests: None, writes: Some(0), cpu_share: None };
    const CHANGE: Self = Self { requests: Some(6), writes: None, cpu_share: None };
    const NONE: Self = Self { requests: None, writes: None, cpu_share: None };
}

/// Requests that do not depend on how many Kustomizations there are: discovery, lists, watches, the source.
const ONCE: usize = 60;

/// The most the operator may hold, for a thousand Kustomizations.
const MEMORY: u64 = 120 << 20;

impl Phase {
    /// Which of `bounds` it breaks.
    fn broken(&self, count: usize, bounds: &Bounds) -> Vec<String> {
        let mut broken = Vec::new();
        let all: usize = self.requests.values().sum();
        let mut check = |holds: bool, what: String| {
            if !holds {
                broken.push(format!("{count} Kustomizations, {}: {what}", self.name));
            }
        };
        if let Some(most) = bounds.requests {
            let most = most * count + ONCE;
            check(all <= most, format!("{all} requests, {most} are allowed"));
        }
        if let Some(most) = bounds.writes {
            check(self.writes <= most, format!("{} writes, {most} are allowed", self.writes));
        }
        if let Some(share) = bounds.cpu_share {
            let of =
                |name| self.cpu.iter().find(|(n, _)| *n == name).map_or(Duration::ZERO, |c| c.1);
            let (own, server) = (of("operator"), of(Component::Apiserver.program()));
            check(own * share <= server, format!("{own:?} CPU, the API server's {server:?}"));
        }
        check(
            self.peak <= MEMORY,
            format!("{} MiB, {} are allowed", self.peak >> 20, MEMORY >> 20),
        );
        broken
    }
}

/// A program that ends with this one.
pub(super) struct Operator(Child);

impl Operator {
    pub(super) fn start(
        program: &Path,
        args: &[String],
        plane: &ControlPlane,
        log: &Path,
    ) -> anyhow::Result<Self> {
        let log = File::options().create(true).append(true).open(log)?;
        let child = Command::new(program)
            .args(args)
            .env("KUBECONFIG", plane.operator_kubeconfig())
            .env("RUNTIME_NAMESPACE", NAMESPACE)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("run {}", program.display()))?;
        Ok(Self(child))
    }

    pub(super) fn usage(&self) -> anyhow::Result<Usage> {
        Usage::of(self.0.id()).context("the operator has gone")
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Bench {
    count: usize,
    programs: Vec<(PathBuf, Vec<String>)>,
    plane: ControlPlane,
    repository: Repository,
    server: HttpServer,
    _repositories: Repositories,
    log: RequestLog,
}

/// One phase, measured.
pub(super) struct Phase {
    pub(super) name: &'static str,
    pub(super) wall: Duration,
    /// CPU by program; the operator first.
    pub(super) cpu: Vec<(&'static str, Duration)>,
    pub(super) peak: u64,
    pub(super) requests: BTreeMap<String, usize>,
    pub(super) writes: usize,
}

impl Bench {
    fn prepare(
        count: usize,
        borax: PathBuf,
        flux: Option<PathBuf>,
        flags: Vec<String>,
    ) -> anyhow::Result<Self> {
        let plane = ControlPlane::start(Options { audit: true, ..Options::default() })?;
        let repositories = Repositories::new();
        let repository = repositories.create("bench.git");
        let server = HttpServer::start(repositories.root(), HttpOptions::default());
        let (storage, metrics, health) = (free_port()?, free_port()?, free_port()?);
        let cache = plane.folder().join("cache");
        let mut args = vec![
            "run".to_owned(),
            format!("--storage-path={}", cache.display()),
            format!("--storage-addr=127.0.0.1:{storage}"),
            format!("--storage-adv-addr=127.0.0.1:{storage}"),
            format!("--metrics-addr=127.0.0.1:{metrics}"),
            format!("--health-addr=127.0.0.1:{health}"),
        ];
        // The one that is measured comes first.
        let programs = match flux {
            None => {
                args.extend(flags);
                vec![(borax, args)]
            }
            Some(flux) => {
                args.push("--controllers=source".to_owned());
                let mut theirs = vec![
                    "--metrics-addr=127.0.0.1:0".to_owned(),
                    format!("--health-addr=127.0.0.1:{}", free_port()?),
                ];
                theirs.extend(flags);
                vec![(flux, theirs), (borax, args)]
            }
        };
        let log = plane.request_log();
        Ok(Self { count, programs, plane, repository, server, _repositories: repositories, log })
    }

    /// Runs the story; which bounds were broken.
    async fn story(mut self, idle: Duration) -> anyhow::Result<Vec<String>> {
        let client = self.plane.client().await?;
        install_crds(&client).await?;
        let first = self.commit(self.count, "first");
        self.create_objects(&client).await?;
        let kustomizations = api(&client, "kustomize.toolkit.fluxcd.io", "v1", "Kustomization");
        let repositories = api(&client, "source.toolkit.fluxcd.io", "v1", "GitRepository");

        let before = self.cost(None);
        let mut operators = Vec::new();
        self.log.take()?;
        let begin = Instant::now();
        for (index, (program, args)) in self.programs.iter().enumerate() {
            let log = self.plane.folder().join(format!("operator-{index}.log"));
            operators.push(Operator::start(program, args, &self.plane, &log)?);
        }
        let result = self
            .phases(idle, &kustomizations, &repositories, &operators, first, begin, before)
            .await;
        if result.is_err() {
            let log = std::fs::read_to_string(self.plane.folder().join("operator-0.log"));
            let log = log.unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!(
                "the operator's last words:\n{}",
                lines[lines.len().saturating_sub(20)..].join("\n")
            );
        }
        result
    }

    #[expect(clippy::too_many_arguments, reason = "the story's state, handed over once")]
    async fn phases(
        &mut self,
        idle: Duration,
        kustomizations: &Api<DynamicObject>,
        repositories: &Api<DynamicObject>,
        operators: &[Operator],
        first: String,
        begin: Instant,
        before: Vec<(&'static str, Duration)>,
    ) -> anyhow::Result<Vec<String>> {
        let operator = &operators[0];
        let mut broken = Vec::new();
        until_applied(kustomizations, self.count, &first).await?;
        let phase = self.measured("first apply", begin, &before, operator)?;
        print!("{}", self.table(&phase));
        broken.extend(phase.broken(self.count, &Bounds::FIRST));

        let (begin, before) = (Instant::now(), self.cost(Some(operator)));
        tokio::time::sleep(idle).await;
        let phase = self.measured("idle", begin, &before, operator)?;
        print!("{}", self.table(&phase));
        broken.extend(phase.broken(self.count, &Bounds::IDLE));

        for (name, changed) in [("a commit changes all", self.count), ("a commit changes one", 1)] {
            let revision = self.commit(changed, name);
            let (begin, before) = (Instant::now(), self.cost(Some(operator)));
            request(repositories, "bench").await?;
            until_applied(kustomizations, self.count, &revision).await?;
            let phase = self.measured(name, begin, &before, operator)?;
            print!("{}", self.table(&phase));
            broken.extend(phase.broken(self.count, &Bounds::CHANGE));
        }

        let (begin, before) = (Instant::now(), self.cost(Some(operator)));
        kustomizations.delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
        let gone = async {
            while !kustomizations.list_metadata(&ListParams::default()).await?.items.is_empty() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(PATIENCE, gone).await.context("deletion takes too long")??;
        let phase = self.measured("deletion", begin, &before, operator)?;
        print!("{}", self.table(&phase));
        broken.extend(phase.broken(self.count, &Bounds::NONE));
        Ok(broken)
    }

    /// Commits a new text in one object of the first `changed` folders; the revision as a status names it.
    fn commit(&self, changed: usize, text: &str) -> String {
        let mut files = Vec::new();
        for app in 0..changed {
            for object in 0..OBJECTS {
                // Only the first object of a folder ever changes.
                let value = if object == 0 { text } else { "same" };
                let manifest = format!(
                    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: app-{app}-{object}\n  \
                     namespace: {NAMESPACE}\ndata:\n  text: {value}\n"
                );
                files.push((format!("app-{app}/object-{object}.yaml"), manifest));
            }
        }
        let files: Vec<(&str, &str)> =
            files.iter().map(|(p, t)| (p.as_str(), t.as_str())).collect();
        let hash = self.repository.commit("main", &files);
        format!("main@sha1:{hash}")
    }

    async fn create_objects(&self, client: &kube::Client) -> anyhow::Result<()> {
        let namespaces: Api<DynamicObject> = Api::all_with(
            client.clone(),
            &ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Namespace")),
        );
        let create = async |api: &Api<DynamicObject>, object: Value| {
            let object: DynamicObject = serde_json::from_value(object)?;
            api.create(&PostParams::default(), &object).await?;
            anyhow::Ok(())
        };
        let namespace =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
        create(&namespaces, namespace).await?;
        let repositories = api(client, "source.toolkit.fluxcd.io", "v1", "GitRepository");
        let repository = json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": {"name": "bench", "namespace": NAMESPACE},
            "spec": {
                "interval": "1h", "url": self.server.url("bench.git"), "ref": {"branch": "main"},
            },
        });
        create(&repositories, repository).await?;
        let kustomizations = api(client, "kustomize.toolkit.fluxcd.io", "v1", "Kustomization");
        let all = (0..self.count).map(|app| {
            let kustomization = json!({
                "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
                "metadata": {"name": format!("app-{app}"), "namespace": NAMESPACE},
                "spec": {
                    "interval": "1m", "prune": true, "path": format!("./app-{app}"),
                    "sourceRef": {"kind": "GitRepository", "name": "bench"},
                },
            });
            create(&kustomizations, kustomization)
        });
        futures::stream::iter(all).buffer_unordered(16).try_collect::<Vec<()>>().await?;
        Ok(())
    }

    fn cost(&self, operator: Option<&Operator>) -> Vec<(&'static str, Duration)> {
        cost(&self.plane, operator)
    }

    fn measured(
        &mut self,
        name: &'static str,
        begin: Instant,
        before: &[(&'static str, Duration)],
        operator: &Operator,
    ) -> anyhow::Result<Phase> {
        measured(&self.plane, &mut self.log, name, begin, before, operator)
    }

    fn table(&self, phase: &Phase) -> String {
        table(&format!("Kustomizations of {OBJECTS} objects"), self.count, phase)
    }
}

/// CPU so far, by program.
pub(super) fn cost(
    plane: &ControlPlane,
    operator: Option<&Operator>,
) -> Vec<(&'static str, Duration)> {
    let own = operator.and_then(|o| o.usage().ok()).unwrap_or_default().cpu;
    let parts =
        Component::ALL.iter().map(|c| (c.program(), plane.usage(*c).unwrap_or_default().cpu));
    std::iter::once(("operator", own)).chain(parts).collect()
}

/// What a phase that began at `begin` has cost.
pub(super) fn measured(
    plane: &ControlPlane,
    log: &mut RequestLog,
    name: &'static str,
    begin: Instant,
    before: &[(&'static str, Duration)],
    operator: &Operator,
) -> anyhow::Result<Phase> {
    let wall = begin.elapsed();
    let after = cost(plane, Some(operator));
    let cpu =
        after.iter().zip(before).map(|((name, a), (_, b))| (*name, a.saturating_sub(*b))).collect();
    let requests: Vec<Request> = log.take()?.into_iter().filter(|r| r.user == OPERATOR).collect();
    let writes = requests.iter().filter(|request| request.writes()).count();
    let requests = count_by(&requests, Request::label);
    Ok(Phase { name, wall, cpu, peak: operator.usage()?.peak_resident, requests, writes })
}

/// A phase as it is printed.
pub(super) fn table(what: &str, count: usize, phase: &Phase) -> String {
    let mut text = String::new();
    let all: usize = phase.requests.values().sum();
    let each = all as f64 / count as f64;
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "\n{count} {what}, {}: {:.2} s, peak {} MiB, {all} requests ({each:.1} each)",
        phase.name,
        phase.wall.as_secs_f64(),
        phase.peak >> 20,
    );
    let cpu: Vec<String> =
        phase.cpu.iter().map(|(name, time)| format!("{name} {:.2}", time.as_secs_f64())).collect();
    let _ = writeln!(text, "  CPU s: {}", cpu.join(", "));
    let mut requests: Vec<_> = phase.requests.iter().collect();
    requests.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    for (label, number) in requests.into_iter().take(12) {
        let _ = writeln!(text, "  {number:>7} {label}");
    }
    text
}

pub(super) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

pub(super) fn api(
    client: &kube::Client,
    group: &str,
    version: &str,
    kind: &str,
) -> Api<DynamicObject> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    let resource = match kind {
        // The plural rule of the kube crate does not know the word.
        "GitRepository" => ApiResource { plural: "gitrepositories".to_owned(), ..resource },
        "ImageRepository" => ApiResource { plural: "imagerepositories".to_owned(), ..resource },
        "ImagePolicy" => ApiResource { plural: "imagepolicies".to_owned(), ..resource },
        _ => resource,
    };
    Api::namespaced_with(client.clone(), NAMESPACE, &resource)
}

pub(super) async fn install_crds(client: &kube::Client) -> anyhow::Result<()> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
    ));
    let crds: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    for crd in borax_api::crds() {
        let crd: DynamicObject = serde_json::from_value(serde_json::to_value(crd)?)?;
        crds.create(&PostParams::default(), &crd).await?;
    }
    let established = async {
        loop {
            let list = crds.list(&ListParams::default()).await?;
            let open = list.iter().any(|crd| {
                let conditions = crd.data["status"]["conditions"].as_array().cloned();
                !conditions
                    .into_iter()
                    .flatten()
                    .any(|c| c["type"] == "Established" && c["status"] == "True")
            });
            if !open {
                return anyhow::Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, established).await.context("CRDs take too long")?
}

/// Asks for a reconciliation, as `flux reconcile` does.
pub(super) async fn request(repositories: &Api<DynamicObject>, name: &str) -> anyhow::Result<()> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_nanos();
    let patch = json!({
        "metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": now.to_string()}},
    });
    repositories.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
    Ok(())
}

/// Waits until `count` Kustomizations are ready at `revision`.
async fn until_applied(
    api: &Api<DynamicObject>,
    count: usize,
    revision: &str,
) -> anyhow::Result<()> {
    let mut done = std::collections::BTreeSet::new();
    let applied = |object: &DynamicObject| {
        let status = &object.data["status"];
        let ready = status["conditions"].as_array().cloned().into_iter().flatten();
        let ready = ready.filter(|c| c["type"] == "Ready").any(|c| c["status"] == "True");
        ready && status["lastAppliedRevision"] == revision
    };
    let watch = async {
        while done.len() < count {
            let mut events = api.watch(&WatchParams::default(), "0").await?.boxed();
            while let Some(event) = events.try_next().await? {
                let (WatchEvent::Added(object) | WatchEvent::Modified(object)) = event else {
                    continue;
                };
                if applied(&object) {
                    done.insert(object.metadata.name.unwrap_or_default());
                }
                if done.len() >= count {
                    break;
                }
            }
        }
        anyhow::Ok(())
    };
    match tokio::time::timeout(PATIENCE, watch).await {
        Ok(result) => result,
        Err(_) => bail!(
            "after {} s {} of {count} are ready at {revision}",
            PATIENCE.as_secs(),
            done.len()
        ),
    }
}
