//! Git's push protocol: what refs a server has, commands to set some, and what became of each.
//!
//! Each command names what the ref is believed to be, and the server sets it only while that is so: a push never
//! overwrites what somebody else has pushed meanwhile. Source: Git's `gitprotocol-pack` (reference update request).

use std::collections::BTreeMap;
use std::io::Read;

use git2::Oid;

use super::cause::{Cause, server_words};
use super::link::{Endpoint, Link, RECEIVE_PACK};
use super::pktline::{Pkt, PktReader, write_flush, write_line};
use super::wire::{
    AGENT, Abilities, Version, expect_more, read_advertisement, refuse_error, remote,
};

/// Bytes of a report that are read at most.
const MAX_REPORT: usize = 1 << 20;

/// Bytes of what a server says beside the report that are kept.
const MAX_SAID: usize = 2048;

/// One ref to be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Command {
    /// Its full name.
    pub(crate) name: String,
    /// What it is; `None` when it is not there.
    pub(crate) old: Option<Oid>,
    /// What it is to be.
    pub(crate) new: Oid,
}

/// A server's receive-pack service, connected.
pub(crate) struct Receiver {
    link: Link,
    abilities: Abilities,
    refs: BTreeMap<String, Oid>,
}

impl Receiver {
    /// Connects and learns what the refs are whose names begin with one of `prefixes`.
    pub(crate) fn connect(endpoint: &Endpoint<'_>, prefixes: &[String]) -> Result<Self, Cause> {
        let mut link = Link::open(endpoint, RECEIVE_PACK)?;
        let (abilities, version) =
            read_advertisement(link.advertisement(), RECEIVE_PACK, prefixes)?;
        let Version::Zero(refs) = version else {
            let words = "the server answers a push with version 2, which has none";
            return Err(Cause::Protocol(words.to_string()));
        };
        let refs = refs.into_iter().map(|r| (r.name, r.target)).collect();
        Ok(Self { link, abilities, refs })
    }

    /// What a ref is now.
    pub(crate) fn find(&self, name: &str) -> Option<Oid> {
        self.refs.get(name).copied()
    }

    /// Sends `commands` with `pack`, and waits for what became of them: all are done, or what the server has against
    /// the first that is not.
    pub(crate) fn push(
        mut self,
        commands: &[Command],
        options: &[String],
        pack: &[u8],
    ) -> Result<Result<(), Refused>, Cause> {
        if !self.abilities.report_status {
            return Err(lacks("report-status"));
        }
        if !options.is_empty() && !self.abilities.push_options {
            return Err(lacks("push-options, which spec.git.push.options needs"));
        }
        let mut request = Vec::new();
        let mut capabilities = format!("report-status {AGENT}");
        for (use_it, name) in [
            (self.abilities.side_band, "side-band-64k"),
            (self.abilities.atomic && commands.len() > 1, "atomic"),
            (!options.is_empty(), "push-options"),
        ] {
            if use_it {
                capabilities.push(' ');
                capabilities.push_str(name);
            }
        }
        for (i, Command { name, old, new }) in commands.iter().enumerate() {
            let old = old.unwrap_or(Oid::ZERO_SHA1);
            let line = match i {
                0 => format!("{old} {new} {name}\0{capabilities}\n"),
                _ => format!("{old} {new} {name}\n"),
            };
            write_line(&mut request, &line);
        }
        write_flush(&mut request);
        if !options.is_empty() {
            for option in options {
                write_line(&mut request, option);
            }
            write_flush(&mut request);
        }
        request.extend_from_slice(pack);
        let side_band = self.abilities.side_band;
        let answer = self.link.exchange(request)?;
        let (report, said) = match side_band {
            true => demultiplex(answer)?,
            false => {
                let mut report = Vec::new();
                answer.take(MAX_REPORT as u64).read_to_end(&mut report).map_err(Cause::from_io)?;
                (report, String::new())
            }
        };
        read_report(&report, &said)
    }
}

fn lacks(capability: &str) -> Cause {
    Cause::Protocol(format!("the server lacks the capability {capability}"))
}

/// A command that a server did not carry out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// What the server says.
    pub(crate) words: String,
}

/// Reads the side band: 1 is the report, 2 is what hooks say, 3 is an error.
fn demultiplex(stream: impl Read) -> Result<(Vec<u8>, String), Cause> {
    let mut reader = PktReader::new(stream);
    let (mut report, mut said) = (Vec::new(), Vec::new());
    loop {
        match reader.next()? {
            Pkt::Data => match reader.data().split_first() {
                Some((1, bytes)) if report.len() + bytes.len() <= MAX_REPORT => {
                    report.extend_from_slice(bytes);
                }
                Some((1, _)) => {
                    return Err(Cause::TooLarge {
                        what: "the report of a push",
                        limit: MAX_REPORT as u64,
                    });
                }
                Some((2, bytes)) => {
                    let room = MAX_SAID.saturating_sub(said.len());
                    said.extend_from_slice(&bytes[..bytes.len().min(room)]);
                }
                Some((3, words)) => return Err(remote(&String::from_utf8_lossy(words))),
                _ => refuse_error(&reader.line())?,
            },
            Pkt::Flush | Pkt::ResponseEnd => break,
            // Some servers hang up where a flush should stand.
            Pkt::End if !report.is_empty() => break,
            other => expect_more(other)?,
        }
    }
    Ok((report, String::from_utf8_lossy(&said).into_owned()))
}

/// Reads `unpack <ok or why not>`, then `ok <ref>` or `ng <ref> <why>` for each command.
fn read_report(report: &[u8], said: &str) -> Result<Result<(), Refused>, Cause> {
    let mut reader = PktReader::new(report);
    let mut unpacked = false;
    let mut refused = None;
    loop {
        match reader.next()? {
            Pkt::Data => {
                let line = reader.line();
                refuse_error(&line)?;
                match line.split_once(' ') {
                    Some(("unpack", "ok")) => unpacked = true,
                    Some(("unpack", why)) => {
                        return Err(Cause::Remote(format!("unpack error{}", server_words(why))));
                    }
                    Some(("ng", rest)) => {
                        let (name, why) = rest.split_once(' ').unwrap_or((rest, "refused"));
                        // A hook's own words say more than `pre-receive hook declined`.
                        let words = format!(
                            "command error on {name}{}{}",
                            server_words(why),
                            server_words(said)
                        );
                        refused.get_or_insert(Refused { words });
                    }
                    _ => {}
                }
            }
            Pkt::Flush | Pkt::ResponseEnd | Pkt::End => break,
            Pkt::Delimiter => {}
        }
    }
    match (unpacked, refused) {
        (_, Some(refused)) => Ok(Err(refused)),
        (true, None) => Ok(Ok(())),
        (false, None) => Err(Cause::Protocol("the server sent no report of the push".to_string())),
    }
}

/// Reads `bytes` as everything a server may answer to a push.
pub(super) fn read_anything(bytes: &[u8]) {
    // Only that it comes back matters.
    if let Ok((report, said)) = demultiplex(bytes) {
        let _ = read_report(&report, &said);
    }
    let _ = read_report(bytes, "");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(lines: &[&str], said: &str) -> Result<Result<(), String>, String> {
        let mut bytes = Vec::new();
        for line in lines {
            write_line(&mut bytes, line);
        }
        write_flush(&mut bytes);
        let mut framed = Vec::new();
        for (band, content) in [(b'\x02', said.as_bytes()), (b'\x01', &bytes[..])] {
            framed.extend_from_slice(format!("{:04x}", content.len() + 5).as_bytes());
            framed.push(band);
            framed.extend_from_slice(content);
        }
        write_flush(&mut framed);
        let (report, said) = demultiplex(&framed[..]).map_err(|error| error.to_string())?;
        let read = read_report(&report, &said).map_err(|error| error.to_string())?;
        Ok(read.map_err(|refused| refused.words))
    }

    #[test]
    fn reports_say_what_became_of_each_command() {
        assert_eq!(report(&["unpack ok\n", "ok refs/heads/main\n"], ""), Ok(Ok(())));
        assert_eq!(
            report(&["unpack ok\n", "ng refs/heads/main failed to update ref\n"], ""),
            Ok(Err("command error on refs/heads/main: failed to update ref".to_string()))
        );
        assert_eq!(
            report(
                &["unpack ok\n", "ng refs/heads/main pre-receive hook declined\n"],
                "Sign\nyour work\n"
            ),
            Ok(Err("command error on refs/heads/main: pre-receive hook declined: Sign your work"
                .to_string()))
        );
        assert_eq!(
            report(&["unpack index-pack abnormal exit\n", "ng x unpacker error\n"], ""),
            Err("remote: unpack error: index-pack abnormal exit".to_string())
        );
        assert!(report(&["ok refs/heads/main\n"], "").is_err(), "no word of the pack");
    }
}
