//! `cargo xtask cluster`: a control plane that stays up between commands.
//!
//! Owns the keeper (a detached process of this program that holds one
//! `borax_testkit::cluster::ControlPlane`) and the note by which later commands find it. What a
//! control plane is, is the testkit's.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command as Process, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use borax_testkit::cluster::{Component, ControlPlane, Options, TOOLS};
use borax_testkit::oracle;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde::{Deserialize, Serialize};

/// What to do with a control plane.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Starts one (building its programs the first time) and prints its kubeconfig's path
    Up(Which),
    /// Ends it
    Down(Which),
    /// Says what runs, and what it costs
    Status(Which),
    /// Holds a control plane until killed; `up` runs this in the background
    #[command(hide = true)]
    Keep(Which),
}

/// Which control plane.
#[derive(clap::Args)]
pub(crate) struct Which {
    /// Several may run side by side under names of their own
    #[arg(long, default_value = "default")]
    name: String,
    /// Keep an audit log of every request in the folder of the control plane
    #[arg(long)]
    audit: bool,
}

/// What `up` leaves for later commands.
#[derive(Serialize, Deserialize)]
struct Note {
    keeper: i32,
    kubeconfig: PathBuf,
    folder: PathBuf,
    processes: Vec<(String, u32)>,
}

pub(crate) fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Up(which) => up(&which),
        Command::Down(which) => down(&which.name),
        Command::Status(which) => status(&which.name),
        Command::Keep(which) => keep(&which),
    }
}

fn note_path(name: &str) -> anyhow::Result<PathBuf> {
    if name.is_empty() || name.contains(['/', '.']) {
        bail!("a control plane's name is one plain word, not {name:?}");
    }
    Ok(oracle::cache_dir().join("clusters").join(format!("{name}.json")))
}

/// The note of the control plane `name`, unless its keeper has gone.
fn running(name: &str) -> anyhow::Result<Option<Note>> {
    let path = note_path(name)?;
    let Ok(text) = fs::read_to_string(&path) else { return Ok(None) };
    let note: Note =
        serde_json::from_str(&text).with_context(|| format!("read {}", path.display()))?;
    let alive = Pid::from_raw(note.keeper).is_some_and(|pid| test_kill_process(pid).is_ok());
    Ok((alive && note.kubeconfig.is_file()).then_some(note))
}

fn up(which: &Which) -> anyhow::Result<()> {
    let note = match running(&which.name)? {
        Some(note) => note,
        None => start(which)?,
    };
    println!("{}", note.kubeconfig.display());
    eprintln!("use it:   export KUBECONFIG={}", note.kubeconfig.display());
    eprintln!("end it:   cargo xtask cluster down --name {}", which.name);
    Ok(())
}

fn start(which: &Which) -> anyhow::Result<Note> {
    crate::oracles::build(&oracle::set(TOOLS)?)?;
    let begin = Instant::now();
    let path = note_path(&which.name)?;
    let log_path = path.with_extension("log");
    fs::create_dir_all(path.parent().context("a note has a folder")?)?;
    let log = File::create(&log_path)?;
    let mut keeper = Process::new(std::env::current_exe()?);
    keeper.args(["cluster", "keep", "--name", &which.name]);
    if which.audit {
        keeper.arg("--audit");
    }
    let mut child = keeper
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .process_group(0)
        .spawn()
        .context("start the keeper")?;
    // The keeper says one line when it is up, or ends.
    let mut line = String::new();
    let stdout = child.stdout.take().context("the keeper has an output")?;
    BufReader::new(stdout).read_line(&mut line)?;
    match running(&which.name)? {
        Some(note) => {
            eprintln!("control plane up in {:.1} s", begin.elapsed().as_secs_f32());
            Ok(note)
        }
        None => bail!("the control plane did not start:\n{}", fs::read_to_string(&log_path)?),
    }
}

fn keep(which: &Which) -> anyhow::Result<()> {
    let mut plane = ControlPlane::start(Options { audit: which.audit, ..Options::default() })?;
    let processes = Component::ALL
        .iter()
        .filter_map(|c| Some((c.program().to_owned(), plane.pid(*c)?)))
        .collect();
    let note = Note {
        keeper: std::process::id().cast_signed(),
        kubeconfig: plane.kubeconfig(),
        folder: plane.folder().to_path_buf(),
        processes,
    };
    fs::write(note_path(&which.name)?, serde_json::to_vec_pretty(&note)?)?;
    println!("up");
    loop {
        if let Some((component, status)) = plane.ended()? {
            bail!("{} ended with {status}", component.program());
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn down(name: &str) -> anyhow::Result<()> {
    let Some(note) = running(name)? else {
        eprintln!("no control plane named {name} runs");
        return Ok(());
    };
    if let Some(pid) = Pid::from_raw(note.keeper) {
        // Its guard ends the rest and removes the folder.
        kill_process(pid, Signal::TERM).context("end the keeper")?;
    }
    let begin = Instant::now();
    while note.folder.exists() {
        if begin.elapsed() > Duration::from_secs(20) {
            bail!("{} is still there", note.folder.display());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    fs::remove_file(note_path(name)?)?;
    Ok(())
}

fn status(name: &str) -> anyhow::Result<()> {
    let Some(note) = running(name)? else {
        println!("no control plane named {name} runs");
        return Ok(());
    };
    println!("kubeconfig {}", note.kubeconfig.display());
    for (program, pid) in note.processes {
        let usage = borax_testkit::cluster::Usage::of(pid)
            .with_context(|| format!("{program} (process {pid}) has gone"))?;
        println!(
            "{program:<24} {:>7.1} s CPU {:>6} MiB resident",
            usage.cpu.as_secs_f32(),
            usage.resident >> 20
        );
    }
    Ok(())
}
