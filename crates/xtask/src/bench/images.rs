//! Images: a tree of many files searched for setters, and many repositories with many tags.
//!
//! Owns two stories. The first reads the same tree from the same disk twice, once as the setter does and once with the
//! YAML parser. The second runs Borax on a control plane of its own beside a registry, and reads its memory and its
//! requests from outside.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use borax_api::image::{ImagePolicyChoice, SemVerPolicy};
use borax_image::ImageRef;
use borax_image::policy::Policy;
use borax_image::setters::{Policies, edit, is_candidate};
use borax_tags::{TagSet, TagStore};
use borax_testkit::cluster::{ControlPlane, Options};
use borax_testkit::oracle;
use borax_testkit::registry::{PushSpec, Registry, RegistryOptions};
use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;

use super::operator::{Operator, api, free_port, install_crds};

const NAMESPACE: &str = "bench";
const PATIENCE: Duration = Duration::from_secs(900);

/// How much.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Measure this Borax; a release build of this tree without
    #[arg(long)]
    binary: Option<PathBuf>,
    /// How many files; one in a hundred has a marker
    #[arg(long, default_value_t = 10_000)]
    files: usize,
    /// How many image repositories
    #[arg(long, default_value_t = 1_000)]
    repositories: usize,
    /// How many tags each of them has
    #[arg(long, default_value_t = 1_000)]
    tags: usize,
    /// Leave the control plane out
    #[arg(long)]
    engines_only: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    setters(args.files)?;
    policy(args.tags)?;
    if args.engines_only {
        return Ok(());
    }
    crate::oracles::build(&oracle::set("controlplane")?)?;
    let borax = super::borax(args.binary.as_deref())?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(operator(&borax, args.repositories, args.tags))
}

/// The usual sort of manifest, some 60 lines.
fn manifest(number: usize) -> String {
    let mut text = String::new();
    for part in 0..3 {
        let separator = if part > 0 { "---\n" } else { "" };
        let marker = match number.is_multiple_of(100) && part == 1 {
            true => " # {\"$imagepolicy\": \"bench:app\"}",
            false => "",
        };
        let _ = write!(
            text,
            "{separator}# Part {part} of {number}\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: app-{number}-{part}\n  \
             namespace: bench\n  labels: {{app: app-{number}, part: \"{part}\"}}\nspec:\n  replicas: 2\n  selector:\n    \
             matchLabels:\n      app: app-{number}\n  template:\n    spec:\n      containers:\n        - name: app\n          \
             image: registry.example.com/app:1.0.0{marker}\n          args:\n            - --listen=:8080\n            - --level=info\n"
        );
    }
    text
}

/// Every candidate below a folder, read.
fn read_all(
    folder: &Path,
    mut each: impl FnMut(&str, &[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<Duration> {
    let begin = Instant::now();
    let mut open = vec![folder.to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                open.push(path);
            } else if is_candidate(&path.to_string_lossy()) {
                each(&path.to_string_lossy(), &fs::read(&path)?)?;
            }
        }
    }
    Ok(begin.elapsed())
}

fn setters(files: usize) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    for number in 0..files {
        let dir = folder.path().join(format!("team-{}/app-{number}", number % 50));
        fs::create_dir_all(&dir)?;
        fs::write(dir.join("deploy.yaml"), manifest(number))?;
    }
    let image = ImageRef {
        name: "registry.example.com/app".into(),
        tag: "2.0.0".into(),
        digest: String::new(),
    };
    let policies = Policies::from([("bench:app".to_owned(), image)]);
    let mut changed = 0;
    let mut scan = || {
        changed = 0;
        read_all(folder.path(), |path, bytes| {
            let edit = edit(path, bytes, &policies).map_err(anyhow::Error::from)?;
            changed += usize::from(edit.is_some());
            Ok(())
        })
    };
    let parse = || {
        read_all(folder.path(), |_, bytes| {
            borax_yaml::parse(bytes, &borax_yaml::Options::default())?;
            Ok(())
        })
    };
    let mut times = (Vec::new(), Vec::new());
    for _ in 0..5 {
        times.0.push(scan()?);
        times.1.push(parse()?);
    }
    times.0.sort();
    times.1.sort();
    let (ours, parser) = (times.0[2], times.1[2]);
    ensure!(changed == files.div_ceil(100), "{changed} files changed");
    println!(
        "setters: {files} files, {changed} of them marked: {:.0} ms; read with the YAML parser: {:.0} ms, {:.1} times as long",
        ours.as_secs_f64() * 1e3,
        parser.as_secs_f64() * 1e3,
        parser.as_secs_f64() / ours.as_secs_f64()
    );
    Ok(())
}

/// From a scan's tags to the latest of them, one tag being new.
fn policy(tags: usize) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let store = TagStore::open(&folder.path().join("tags"))?;
    let choice = ImagePolicyChoice {
        semver: Some(SemVerPolicy { range: ">=1.0.0".into() }),
        ..ImagePolicyChoice::default()
    };
    let mut times = Vec::new();
    for added in 0..9 {
        let list = (0..tags + added).map(|n| format!("1.{}.{}", n / 100, n % 100)).collect();
        let begin = Instant::now();
        store.put("bench/app", &TagSet::new(list))?;
        let policy = Policy::new(&choice, None)?;
        let latest = store.read("bench/app", |tags| {
            let mut choice = policy.choose();
            tags.for_each(|tag| choice.offer(tag));
            choice.latest()
        })?;
        times.push(begin.elapsed());
        let newest = tags + added - 1;
        let want = format!("1.{}.{}", newest / 100, newest % 100);
        ensure!(latest == Some(Ok(want)), "{latest:?} is not the latest");
    }
    times.sort();
    println!(
        "policy: a tag is added to {tags}: stored and looked at in {:.1} ms",
        times[times.len() / 2].as_secs_f64() * 1e3
    );
    Ok(())
}

async fn operator(borax: &Path, repositories: usize, tags: usize) -> anyhow::Result<()> {
    let plane = ControlPlane::start(Options::default())?;
    let client = plane.client().await?;
    install_crds(&client).await?;
    let registry = Registry::start(RegistryOptions::default());
    for number in 0..repositories {
        let name = format!("bench/app-{number}");
        let digest = registry.push(&name, None, &PushSpec::default());
        for tag in 0..tags {
            registry.tag(&name, &format!("1.{}.{}", tag / 100, tag % 100), &digest);
        }
    }
    let namespaces = Api::<DynamicObject>::all_with(
        client.clone(),
        &kube::api::ApiResource::from_gvk(&kube::api::GroupVersionKind::gvk("", "v1", "Namespace")),
    );
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    namespaces.create(&PostParams::default(), &serde_json::from_value(namespace)?).await?;
    let group = "image.toolkit.fluxcd.io";
    let images = api(&client, group, "v1", "ImageRepository");
    let policies = api(&client, group, "v1", "ImagePolicy");
    let create = async |api: &Api<DynamicObject>, object: serde_json::Value| {
        api.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
        anyhow::Ok(())
    };
    let all =
        (0..repositories).map(|number| {
            let (images, policies, registry) = (&images, &policies, &registry);
            async move {
                let meta = json!({"namespace": NAMESPACE, "name": format!("app-{number}")});
                let image = format!("{}/bench/app-{number}", registry.host());
                create(images, json!({
                "apiVersion": format!("{group}/v1"), "kind": "ImageRepository", "metadata": meta,
                "spec": {"image": image, "interval": "1h"},
            }))
            .await?;
                create(policies, json!({
                "apiVersion": format!("{group}/v1"), "kind": "ImagePolicy", "metadata": meta,
                "spec": {
                    "imageRepositoryRef": {"name": format!("app-{number}")},
                    "policy": {"semver": {"range": ">=1.0.0"}},
                },
            }))
            .await
            }
        });
    futures::stream::iter(all).buffer_unordered(16).try_collect::<Vec<()>>().await?;

    registry.take_lines();
    let begin = Instant::now();
    let arguments = [
        "run".to_owned(),
        "--controllers=image-reflector".to_owned(),
        format!("--storage-path={}", plane.folder().join("cache").display()),
        format!("--storage-addr=127.0.0.1:{}", free_port()?),
        format!("--metrics-addr=127.0.0.1:{}", free_port()?),
        format!("--health-addr=127.0.0.1:{}", free_port()?),
    ];
    let log = plane.folder().join("operator.log");
    let operator = Operator::start(borax, &arguments, &plane, &log)?;
    let chosen = async {
        loop {
            let list = policies.list(&ListParams::default()).await?;
            let done = list.items.iter().filter(|p| p.data["status"]["latestRef"].is_object());
            if done.count() == repositories {
                return anyhow::Ok(());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::time::timeout(PATIENCE, chosen).await.context("the policies take too long")??;
    let usage = operator.usage()?;
    println!(
        "reflector: {repositories} repositories with {} tags scanned and {repositories} policies ready in {:.1} s; \
         {} requests to the registry; {} MiB resident, {} MiB at most",
        repositories * tags,
        begin.elapsed().as_secs_f64(),
        registry.take_lines().len(),
        usage.resident >> 20,
        usage.peak_resident >> 20
    );

    let digest = registry.push("bench/app-0", Some("2.0.0"), &PushSpec::default());
    let asked = Instant::now();
    let request = json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": digest}}});
    images.patch("app-0", &PatchParams::default(), &Patch::Merge(request)).await?;
    let chosen = async {
        while policies.get("app-0").await?.data["status"]["latestRef"]["tag"] != "2.0.0" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, chosen).await.context("the new tag is not chosen")??;
    println!(
        "reflector: a new tag is asked for, scanned ({:?}) and chosen, by way of the API server, in {:.0} ms",
        registry.take_lines(),
        asked.elapsed().as_secs_f64() * 1e3
    );
    Ok(())
}
