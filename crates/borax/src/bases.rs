//! Remote bases for `borax build`: what it takes to fetch them is set up when the first one is met.

use std::sync::{Arc, OnceLock};

use anyhow::Context;
use borax_kustomize::{Remote, RepoSpec};
use borax_source::bases::Bases;
use borax_stdx::files::Files;
use tokio::runtime::Runtime;

/// The way to remote bases.
#[derive(Default)]
pub(crate) struct LazyBases {
    open: OnceLock<Result<Open, String>>,
}

struct Open {
    bases: Bases,
    // Dropped after the bases: first nothing uses them any more, then they go.
    _runtime: Runtime,
    _scratch: tempfile::TempDir,
}

impl LazyBases {
    fn bases(&self) -> Result<&Bases, String> {
        let open = self.open.get_or_init(|| open().map_err(|error| format!("{error:#}")));
        open.as_ref().map(|open| &open.bases).map_err(Clone::clone)
    }
}

fn open() -> anyhow::Result<Open> {
    // An earlier subcommand can't have installed one; if a library did, it is as good.
    rustls::crypto::ring::default_provider().install_default().ok();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("can't start the runtime")?;
    let scratch = tempfile::tempdir().context("can't make a temporary folder")?;
    let client = reqwest::Client::builder()
        .user_agent(concat!("borax/", env!("CARGO_PKG_VERSION")))
        .build()
        .context("can't set up the HTTP client")?;
    let bases = Bases::new(client, runtime.handle().clone(), scratch.path());
    Ok(Open { bases, _runtime: runtime, _scratch: scratch })
}

impl Remote for LazyBases {
    fn file(&self, url: &str) -> Result<Arc<[u8]>, String> {
        self.bases()?.file(url)
    }

    fn repository(&self, spec: &RepoSpec) -> Result<Arc<dyn Files>, String> {
        self.bases()?.repository(spec)
    }
}
