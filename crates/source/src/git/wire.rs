//! Git's fetch protocol: what a server advertises, which refs it has, and packs of what we want.
//!
//! Version 2 is asked for and version 0 and 1 are understood (sources: Git's `gitprotocol-v2`, `gitprotocol-pack`). Nothing
//! is negotiated: a fetch starts from nothing and says `done` at once, so no server's multi_ack matters.

use std::io::Read;

use git2::Oid;

use super::cause::{Cause, server_words};
use super::link::{Endpoint, Link, RECEIVE_PACK, UPLOAD_PACK};
use super::pktline::{Pkt, PktReader, write_delimiter, write_flush, write_line};

/// Refs that are kept, and lines that are read, at most. Each costs about 150 bytes.
const MAX_REFS: usize = 500_000;

/// Bytes of advertisement or ref listing that are read at most.
const MAX_LISTING: u64 = 128 << 20;

pub(super) const AGENT: &str = concat!("agent=borax/", env!("CARGO_PKG_VERSION"));

/// A ref of the remote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RemoteRef {
    /// The full name.
    pub(crate) name: String,
    /// What it points to.
    pub(crate) target: Oid,
    /// What an annotated tag points to in the end.
    pub(crate) peeled: Option<Oid>,
}

impl RemoteRef {
    /// The commit it stands for.
    pub(crate) fn commit(&self) -> Oid {
        self.peeled.unwrap_or(self.target)
    }
}

/// What a server can do that a fetch or a push depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Abilities {
    shallow: bool,
    filter: bool,
    pub(super) side_band: bool,
    ofs_delta: bool,
    any_oid: bool,
    pub(super) report_status: bool,
    pub(super) delete_refs: bool,
    pub(super) atomic: bool,
    pub(super) push_options: bool,
}

pub(super) enum Version {
    /// Refs come with the advertisement.
    Zero(Vec<RemoteRef>),
    /// Refs are asked for.
    Two,
}

/// What to fetch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wants {
    /// Objects, each with what it needs.
    pub(crate) oids: Vec<Oid>,
    /// How many commits deep; all of history without it.
    pub(crate) depth: Option<u32>,
    /// Commits only, no trees and files: needs [`Remote::can_filter`].
    pub(crate) commits_only: bool,
    /// A commit that is here already, so that what it holds need not come again.
    pub(crate) have: Option<Have>,
}

/// A commit that is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Have {
    /// Its hash.
    pub(crate) oid: Oid,
    /// Whether its history is not here. The server must know, or it would leave out what only the history holds.
    pub(crate) shallow: bool,
}

/// A server's upload-pack service, connected.
pub(crate) struct Remote {
    link: Link,
    abilities: Abilities,
    version: Version,
}

impl Remote {
    /// Connects. `prefixes` are the beginnings of the refs that [`Remote::refs`] will be asked for.
    pub(crate) fn connect(endpoint: &Endpoint<'_>, prefixes: &[String]) -> Result<Self, Cause> {
        let mut link = Link::open(endpoint, UPLOAD_PACK)?;
        let (abilities, version) = read_advertisement(link.advertisement(), UPLOAD_PACK, prefixes)?;
        Ok(Self { link, abilities, version })
    }

    /// The refs whose names begin with one of `prefixes` (the same as, or fewer than, connected with).
    pub(crate) fn refs(&mut self, prefixes: &[String]) -> Result<Vec<RemoteRef>, Cause> {
        match &self.version {
            Version::Zero(refs) => {
                let wanted = |r: &&RemoteRef| prefixes.iter().any(|p| r.name.starts_with(p));
                return Ok(refs.iter().filter(wanted).cloned().collect());
            }
            Version::Two => {}
        }
        let mut request = command("ls-refs");
        write_line(&mut request, "peel\n");
        for prefix in prefixes {
            write_line(&mut request, &format!("ref-prefix {prefix}\n"));
        }
        write_flush(&mut request);
        read_listing(self.link.exchange(request)?, prefixes)
    }

    /// Whether a fetch ends the conversation.
    pub(crate) fn is_spent(&self) -> bool {
        matches!(self.version, Version::Zero(_))
    }

    /// Whether [`Wants::commits_only`] works.
    pub(crate) fn can_filter(&self) -> bool {
        self.abilities.filter
    }

    /// Whether objects may be asked for that no ref points to.
    pub(crate) fn can_fetch_any(&self) -> bool {
        self.abilities.any_oid || matches!(self.version, Version::Two)
    }

    /// Fetches a pack, handing its bytes to `sink` as they come. Ends a version 0 conversation.
    pub(crate) fn fetch(
        &mut self,
        wants: &Wants,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), Cause>,
    ) -> Result<(), Cause> {
        let shallow = wants.depth.is_some() || wants.have.is_some_and(|have| have.shallow);
        if shallow && !self.abilities.shallow {
            // Fetching everything is slower, and right.
            let wants = Wants { depth: None, have: None, ..wants.clone() };
            return self.fetch(&wants, sink);
        }
        match self.version {
            Version::Zero(_) => self.fetch_v0(wants, sink),
            Version::Two => self.fetch_v2(wants, sink),
        }
    }

    fn fetch_v2(
        &mut self,
        wants: &Wants,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), Cause>,
    ) -> Result<(), Cause> {
        let mut request = command("fetch");
        write_line(&mut request, "no-progress\n");
        write_line(&mut request, "ofs-delta\n");
        if let Some(depth) = wants.depth {
            write_line(&mut request, &format!("deepen {depth}\n"));
        }
        if wants.commits_only {
            write_line(&mut request, "filter tree:0\n");
        }
        for oid in &wants.oids {
            write_line(&mut request, &format!("want {oid}\n"));
        }
        if let Some(Have { oid, shallow }) = wants.have {
            if shallow {
                write_line(&mut request, &format!("shallow {oid}\n"));
            }
            write_line(&mut request, &format!("have {oid}\n"));
        }
        write_line(&mut request, "done\n");
        write_flush(&mut request);
        let mut reader = PktReader::new(self.link.exchange(request)?);
        loop {
            match reader.next()? {
                Pkt::Data if reader.line() == "packfile" => break,
                // A section's name or content that a fetch from nothing has no use for: shallow-info, acknowledgments.
                Pkt::Data => refuse_error(&reader.line())?,
                Pkt::Delimiter => {}
                Pkt::Flush => return Err(no_pack()),
                other => expect_more(other)?,
            }
        }
        demultiplex(&mut reader, sink)
    }

    fn fetch_v0(
        &mut self,
        wants: &Wants,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), Cause>,
    ) -> Result<(), Cause> {
        if !self.abilities.side_band {
            return Err(Cause::Protocol(
                "the server lacks the capability side-band-64k".to_string(),
            ));
        }
        let mut request = Vec::new();
        let mut capabilities = format!("side-band-64k no-progress {AGENT}");
        for (has, name) in [
            (self.abilities.ofs_delta, "ofs-delta"),
            (wants.depth.is_some() || wants.have.is_some_and(|have| have.shallow), "shallow"),
            (wants.commits_only, "filter"),
        ] {
            if has {
                capabilities.push(' ');
                capabilities.push_str(name);
            }
        }
        for (i, oid) in wants.oids.iter().enumerate() {
            let line = match i {
                0 => format!("want {oid} {capabilities}\n"),
                _ => format!("want {oid}\n"),
            };
            write_line(&mut request, &line);
        }
        if let Some(have) = wants.have.filter(|have| have.shallow) {
            write_line(&mut request, &format!("shallow {}\n", have.oid));
        }
        if let Some(depth) = wants.depth {
            write_line(&mut request, &format!("deepen {depth}\n"));
        }
        if wants.commits_only {
            write_line(&mut request, "filter tree:0\n");
        }
        write_flush(&mut request);
        if let Some(have) = wants.have {
            write_line(&mut request, &format!("have {}\n", have.oid));
        }
        write_line(&mut request, "done\n");
        let mut reader = PktReader::new(self.link.exchange(request)?);
        // With a depth: shallow lines and a flush. Then one NAK, or one ACK for the one commit we have in common.
        loop {
            match reader.next()? {
                Pkt::Data => {
                    let line = reader.line();
                    refuse_error(&line)?;
                    if line == "NAK" || line.starts_with("ACK ") {
                        break;
                    }
                    if !line.starts_with("shallow ") && !line.starts_with("unshallow ") {
                        return Err(no_pack());
                    }
                }
                Pkt::Flush => {}
                other => expect_more(other)?,
            }
        }
        demultiplex(&mut reader, sink)
    }
}

/// Reads what a server says first: in version 2 what it can do, before that its refs as well.
///
/// Receive-pack knows no version 2 and answers with its refs.
pub(super) fn read_advertisement(
    stream: impl Read,
    service: &str,
    prefixes: &[String],
) -> Result<(Abilities, Version), Cause> {
    let mut reader = PktReader::new(stream.take(MAX_LISTING));
    let mut pkt = reader.next()?;
    if pkt == Pkt::Data && reader.line() == format!("# service={service}") {
        while pkt != Pkt::Flush {
            expect_more(pkt)?;
            pkt = reader.next()?;
        }
        pkt = reader.next()?;
    }
    if pkt == Pkt::End {
        return Err(Cause::Protocol("the server said nothing".to_string()));
    }
    let mut abilities = Abilities::default();
    if pkt == Pkt::Data && reader.line() == "version 2" {
        loop {
            match reader.next()? {
                Pkt::Data => abilities.read_v2(&reader.line())?,
                Pkt::Flush => break,
                other => expect_more(other)?,
            }
        }
        return Ok((abilities, Version::Two));
    }
    let mut refs = RefList::new(prefixes);
    let mut first = true;
    loop {
        match pkt {
            Pkt::Flush => break,
            Pkt::Data => {}
            other => expect_more(other)?,
        }
        let line = reader.line();
        refuse_error(&line)?;
        if line != "version 1" && !line.starts_with("shallow ") {
            let line = match line.split_once('\0') {
                Some((line, capabilities)) if first => {
                    first = false;
                    abilities.read_v0(capabilities)?;
                    line
                }
                _ => &line,
            };
            refs.add_v0(line)?;
        }
        pkt = reader.next()?;
    }
    Ok((abilities, Version::Zero(refs.found)))
}

/// Reads the answer to `ls-refs`.
fn read_listing(stream: impl Read, prefixes: &[String]) -> Result<Vec<RemoteRef>, Cause> {
    let mut reader = PktReader::new(stream.take(MAX_LISTING));
    let mut refs = RefList::new(prefixes);
    loop {
        match reader.next()? {
            Pkt::Data => {
                let line = reader.line();
                refuse_error(&line)?;
                refs.add_v2(&line)?;
            }
            Pkt::Flush => return Ok(refs.found),
            other => expect_more(other)?,
        }
    }
}

/// Reads `bytes` as everything a server may say of its refs, or as a pack in its side band.
pub(super) fn read_anything(bytes: &[u8]) {
    let prefixes = ["refs/heads/".to_string()];
    // Only that it comes back matters.
    let _ = read_advertisement(bytes, UPLOAD_PACK, &prefixes);
    let _ = read_advertisement(bytes, RECEIVE_PACK, &prefixes);
    let _ = read_listing(bytes, &prefixes);
    let _ = demultiplex(&mut PktReader::new(bytes), &mut |_| Ok(()));
}

fn command(name: &str) -> Vec<u8> {
    let mut request = Vec::new();
    write_line(&mut request, &format!("command={name}\n"));
    write_line(&mut request, &format!("{AGENT}\n"));
    write_line(&mut request, "object-format=sha1\n");
    write_delimiter(&mut request);
    request
}

/// Reads the side band: 1 is the pack, 2 is progress, 3 is an error.
fn demultiplex<R: Read>(
    reader: &mut PktReader<R>,
    sink: &mut dyn FnMut(&[u8]) -> Result<(), Cause>,
) -> Result<(), Cause> {
    loop {
        match reader.next()? {
            Pkt::Data => match reader.data().split_first() {
                Some((1, pack)) => sink(pack)?,
                Some((3, words)) => return Err(remote(&String::from_utf8_lossy(words))),
                _ => refuse_error(&reader.line())?,
            },
            Pkt::Flush | Pkt::ResponseEnd => return Ok(()),
            other => expect_more(other)?,
        }
    }
}

/// `Ok` for what may stand between; an error for the end of the stream.
pub(super) fn expect_more(pkt: Pkt) -> Result<(), Cause> {
    match pkt {
        Pkt::End => Err(Cause::Protocol("the server's answer ended too early".to_string())),
        _ => Ok(()),
    }
}

pub(super) fn refuse_error(line: &str) -> Result<(), Cause> {
    match line.strip_prefix("ERR ") {
        Some(words) => Err(remote(words)),
        None => Ok(()),
    }
}

/// What a server's own words mean.
pub(super) fn remote(words: &str) -> Cause {
    let detail = server_words(words);
    let lower = detail.to_lowercase();
    // The ways servers say it, as go-git knows them.
    let not_found = [
        "repository not found",
        "does not exist",
        "could not be found",
        "does not appear to be a git repository",
        "no such project",
    ];
    if not_found.iter().any(|text| lower.contains(text)) {
        return Cause::RepositoryNotFound { detail };
    }
    Cause::Remote(detail.trim_start_matches(": ").to_string())
}

fn no_pack() -> Cause {
    Cause::Protocol("the server sent no pack".to_string())
}

impl Abilities {
    fn read_v2(&mut self, line: &str) -> Result<(), Cause> {
        refuse_error(line)?;
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        match name {
            "fetch" => {
                self.shallow = value.split(' ').any(|v| v == "shallow");
                self.filter = value.split(' ').any(|v| v == "filter");
            }
            "object-format" => only_sha1(value)?,
            _ => {}
        }
        Ok(())
    }

    fn read_v0(&mut self, capabilities: &str) -> Result<(), Cause> {
        for capability in capabilities.split(' ') {
            match capability {
                "shallow" => self.shallow = true,
                "filter" => self.filter = true,
                "side-band-64k" => self.side_band = true,
                "ofs-delta" => self.ofs_delta = true,
                "allow-reachable-sha1-in-want" | "allow-any-sha1-in-want" => self.any_oid = true,
                "report-status" => self.report_status = true,
                "delete-refs" => self.delete_refs = true,
                "atomic" => self.atomic = true,
                "push-options" => self.push_options = true,
                other => {
                    if let Some(format) = other.strip_prefix("object-format=") {
                        only_sha1(format)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn only_sha1(format: &str) -> Result<(), Cause> {
    match format {
        "sha1" => Ok(()),
        other => Err(Cause::Protocol(format!(
            "the repository's object format is {other}, only sha1 is supported"
        ))),
    }
}

struct RefList<'a> {
    prefixes: &'a [String],
    found: Vec<RemoteRef>,
}

impl<'a> RefList<'a> {
    fn new(prefixes: &'a [String]) -> Self {
        Self { prefixes, found: Vec::new() }
    }

    /// `<oid> <name>`; a tag's target follows as `<oid> <name>^{}`.
    fn add_v0(&mut self, line: &str) -> Result<(), Cause> {
        let (oid, name) = line.split_once(' ').ok_or_else(|| bad_ref(line))?;
        let target = parse_oid(oid, line)?;
        if name == "capabilities^{}" {
            return Ok(());
        }
        if let Some(name) = name.strip_suffix("^{}") {
            if let Some(last) = self.found.last_mut().filter(|r| r.name == name) {
                last.peeled = Some(target);
            }
            return Ok(());
        }
        self.add(name, target, None)
    }

    /// `<oid> <name> [symref-target:<name>] [peeled:<oid>]`; an unborn ref has `unborn` for an oid.
    fn add_v2(&mut self, line: &str) -> Result<(), Cause> {
        let mut parts = line.split(' ');
        let (Some(oid), Some(name)) = (parts.next(), parts.next()) else {
            return Err(bad_ref(line));
        };
        if oid == "unborn" {
            return Ok(());
        }
        let target = parse_oid(oid, line)?;
        let peeled = parts
            .find_map(|part| part.strip_prefix("peeled:"))
            .map(|oid| parse_oid(oid, line))
            .transpose()?;
        self.add(name, target, peeled)
    }

    fn add(&mut self, name: &str, target: Oid, peeled: Option<Oid>) -> Result<(), Cause> {
        // Servers may send more than they were asked for.
        if !self.prefixes.iter().any(|prefix| name.starts_with(prefix)) {
            return Ok(());
        }
        if self.found.len() >= MAX_REFS {
            return Err(Cause::Protocol(format!("the server lists more than {MAX_REFS} refs")));
        }
        self.found.push(RemoteRef { name: name.to_string(), target, peeled });
        Ok(())
    }
}

fn parse_oid(text: &str, line: &str) -> Result<Oid, Cause> {
    match text.len() {
        40 => Oid::from_str(text).map_err(|_| bad_ref(line)),
        _ => Err(bad_ref(line)),
    }
}

fn bad_ref(line: &str) -> Cause {
    Cause::Protocol(format!("not a line of a ref listing{}", server_words(line)))
}
