//! The `known_hosts` of a Secret: which key a host must show. Pure.
//!
//! Source: OpenSSH's sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT", as fluxcd/pkg `ssh/knownhosts` reads it: hosts with
//! wildcards and negation, `[host]:port`, hashed hosts, `@cert-authority` and `@revoked`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A parsed file.
#[derive(Clone, Debug, Default)]
pub struct KnownHosts {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    hosts: Hosts,
    marker: Marker,
    key: HostKey,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marker {
    None,
    Authority,
    Revoked,
}

/// A public key as it travels: its type and its bytes (the type included).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostKey {
    /// `ssh-ed25519`, `ecdsa-sha2-nistp256`, `ssh-rsa`, ...
    pub kind: String,
    /// The key in SSH's encoding.
    pub blob: Vec<u8>,
}

#[derive(Clone, Debug)]
enum Hosts {
    Patterns(Vec<Pattern>),
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
}

#[derive(Clone, Debug)]
struct Pattern {
    negated: bool,
    host: String,
    port: String,
}

/// A line that does not read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("knownhosts: line {line}: {reason}")]
pub struct KnownHostsError {
    /// Counted from one.
    pub line: usize,
    /// Why.
    pub reason: &'static str,
}

/// What the file says of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The host's own.
    Known,
    /// The host has other keys: someone may be in between.
    Mismatch,
    /// The file does not know the host.
    Unknown,
    /// The key must not be used any more.
    Revoked,
}

impl KnownHosts {
    /// Reads a file's content. One line that does not read makes it fail, as a typo must not pass unseen.
    pub fn parse(content: &[u8]) -> Result<Self, KnownHostsError> {
        let text = String::from_utf8_lossy(content);
        let mut entries = Vec::new();
        for (i, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let entry =
                parse_line(line).map_err(|reason| KnownHostsError { line: i + 1, reason })?;
            entries.push(entry);
        }
        Ok(Self { entries })
    }

    /// Whether `host` may show `key`.
    pub fn check(&self, host: &str, port: u16, key: &HostKey) -> Verdict {
        let same = |e: &&Entry| e.key == *key;
        if self.entries.iter().filter(|e| e.marker == Marker::Revoked).any(|e| same(&e)) {
            return Verdict::Revoked;
        }
        let of_host = || {
            self.entries.iter().filter(|e| e.marker == Marker::None && e.hosts.matches(host, port))
        };
        match of_host().next() {
            None => Verdict::Unknown,
            Some(_) if of_host().any(|e| same(&e)) => Verdict::Known,
            Some(_) => Verdict::Mismatch,
        }
    }

    /// Whether `key` may sign certificates of `host`.
    pub fn is_authority(&self, host: &str, port: u16, key: &HostKey) -> bool {
        self.entries
            .iter()
            .any(|e| e.marker == Marker::Authority && e.key == *key && e.hosts.matches(host, port))
    }

    /// The types of key to ask the host for, in the order of the file: those it is known by, or all when it is unknown.
    pub fn kinds(&self, host: &str, port: u16) -> Vec<&str> {
        let known = |e: &&Entry| e.marker != Marker::Revoked;
        let mut kinds: Vec<&str> = Vec::new();
        let of_host: Vec<&Entry> =
            self.entries.iter().filter(known).filter(|e| e.hosts.matches(host, port)).collect();
        let all: Vec<&Entry> = self.entries.iter().filter(known).collect();
        for entry in if of_host.is_empty() { all } else { of_host } {
            if !kinds.contains(&entry.key.kind.as_str()) {
                kinds.push(&entry.key.kind);
            }
        }
        kinds
    }

    /// Whether certificates may be shown at all.
    pub fn has_authorities(&self) -> bool {
        self.entries.iter().any(|e| e.marker == Marker::Authority)
    }
}

fn parse_line(line: &str) -> Result<Entry, &'static str> {
    let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
    let mut word = words.next().unwrap_or_default();
    let marker = match word {
        "@cert-authority" => Marker::Authority,
        "@revoked" => Marker::Revoked,
        _ => Marker::None,
    };
    if marker != Marker::None {
        word = words.next().ok_or("missing host pattern")?;
    }
    let hosts = match word.starts_with('|') {
        true => parse_hashed(word)?,
        false => parse_patterns(word)?,
    };
    words.next().ok_or("missing key type pattern")?;
    let blob = words.next().ok_or("missing key")?;
    let blob = STANDARD.decode(blob).map_err(|_| "the key is not base64")?;
    Ok(Entry {
        hosts,
        marker,
        key: HostKey::from_blob(blob).ok_or("the key is no SSH public key")?,
    })
}

impl HostKey {
    /// Reads the type out of the key's own bytes.
    pub fn from_blob(blob: Vec<u8>) -> Option<Self> {
        let length = u32::from_be_bytes(blob.get(..4)?.try_into().ok()?) as usize;
        let kind = blob.get(4..4usize.checked_add(length)?)?;
        let kind = std::str::from_utf8(kind).ok()?.to_string();
        (!kind.is_empty()).then_some(Self { kind, blob })
    }
}

fn parse_hashed(word: &str) -> Result<Hosts, &'static str> {
    let parts: Vec<&str> = word.split('|').collect();
    let ["", "1", salt, hash] = parts[..] else {
        return Err("a hashed host must be |1|salt|hash");
    };
    let decode = |text| STANDARD.decode(text).map_err(|_| "a hashed host is not base64");
    Ok(Hosts::Hashed { salt: decode(salt)?, hash: decode(hash)? })
}

fn parse_patterns(word: &str) -> Result<Hosts, &'static str> {
    let mut patterns = Vec::new();
    for part in word.split(',').filter(|part| !part.is_empty()) {
        let (negated, part) = match part.strip_prefix('!') {
            Some("") => return Err("negation without following hostname"),
            Some(part) => (true, part),
            None => (false, part),
        };
        let (host, port) = match part.strip_prefix('[') {
            Some(rest) => rest.split_once("]:").ok_or("missing port after ]")?,
            None => match part.split_once(':') {
                Some((host, port)) if !port.contains(':') => (host, port),
                _ => (part, "22"),
            },
        };
        patterns.push(Pattern { negated, host: host.to_string(), port: port.to_string() });
    }
    Ok(Hosts::Patterns(patterns))
}

impl Hosts {
    fn matches(&self, host: &str, port: u16) -> bool {
        match self {
            Self::Patterns(patterns) => {
                let port = port.to_string();
                let mut matched = false;
                for pattern in patterns.iter().filter(|p| p.port == port && wildcard(&p.host, host))
                {
                    if pattern.negated {
                        return false;
                    }
                    matched = true;
                }
                matched
            }
            Self::Hashed { salt, hash } => {
                use ring::hmac;
                let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
                hmac::verify(&key, normal(host, port).as_bytes(), hash).is_ok()
            }
        }
    }
}

/// A host as it is hashed.
fn normal(host: &str, port: u16) -> String {
    match port {
        22 if host.contains(':') => format!("[{host}]"),
        22 => host.to_string(),
        port => format!("[{host}]:{port}"),
    }
}

/// `*` is any run of characters, `?` any one.
fn wildcard(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == b'?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, from)) = star else {
                    return false;
                };
                star = Some((at, from + 1));
                p = at + 1;
                t = from + 1;
            }
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key of type `kind` whose bytes end in `tail`.
    fn key(kind: &str, tail: u8) -> HostKey {
        let mut blob = (kind.len() as u32).to_be_bytes().to_vec();
        blob.extend_from_slice(kind.as_bytes());
        blob.push(tail);
        HostKey::from_blob(blob).expect("a key")
    }

    fn line(hosts: &str, key: &HostKey) -> String {
        format!("{hosts} {} {} comment\n", key.kind, STANDARD.encode(&key.blob))
    }

    #[test]
    fn hosts_are_matched_as_openssh_does() {
        let key = key("ssh-ed25519", 1);
        for (hosts, host, port, want) in [
            ("example.com", "example.com", 22, Verdict::Known),
            ("example.com", "example.com", 2222, Verdict::Unknown),
            ("[example.com]:2222", "example.com", 2222, Verdict::Known),
            ("example.com:2222", "example.com", 2222, Verdict::Known),
            ("a,b", "b", 22, Verdict::Known),
            ("*.example.com", "git.example.com", 22, Verdict::Known),
            ("*.example.com", "example.com", 22, Verdict::Unknown),
            ("*.example.com,!bad.example.com", "bad.example.com", 22, Verdict::Unknown),
            ("?it", "git", 22, Verdict::Known),
            ("::1", "::1", 22, Verdict::Known),
            ("[::1]:22", "::1", 22, Verdict::Known),
        ] {
            let known = KnownHosts::parse(line(hosts, &key).as_bytes()).expect("valid");
            assert_eq!(known.check(host, port, &key), want, "{hosts} {host} {port}");
        }
    }

    #[test]
    fn hashed_hosts_are_matched() {
        let key = key("ssh-ed25519", 1);
        for (host, port) in [("example.com", 22), ("example.com", 2222), ("::1", 22)] {
            let hmac_key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"salt");
            let hash = ring::hmac::sign(&hmac_key, normal(host, port).as_bytes());
            let hosts = format!("|1|{}|{}", STANDARD.encode(b"salt"), STANDARD.encode(hash));
            let known = KnownHosts::parse(line(&hosts, &key).as_bytes()).expect("valid");
            assert_eq!(known.check(host, port, &key), Verdict::Known);
            assert_eq!(known.check("other", port, &key), Verdict::Unknown);
        }
    }

    #[test]
    fn another_key_is_a_mismatch() {
        let (one, two, rsa) = (key("ssh-ed25519", 1), key("ssh-ed25519", 2), key("ssh-rsa", 1));
        let file = format!(
            "# c\n\n{}{}@revoked {}",
            line("h", &one),
            line("other", &two),
            line("*", &rsa)
        );
        let known = KnownHosts::parse(file.as_bytes()).expect("valid");
        assert_eq!(known.check("h", 22, &two), Verdict::Mismatch);
        assert_eq!(known.check("h", 22, &rsa), Verdict::Revoked);
        assert_eq!(known.kinds("h", 22), ["ssh-ed25519"]);
    }

    #[test]
    fn authorities_are_not_host_keys() {
        let ca = key("ssh-ed25519", 1);
        let file = format!("@cert-authority {}", line("*.example.com", &ca));
        let known = KnownHosts::parse(file.as_bytes()).expect("valid");
        assert_eq!(known.check("a.example.com", 22, &ca), Verdict::Unknown);
        assert!(known.is_authority("a.example.com", 22, &ca));
        assert!(!known.is_authority("example.org", 22, &ca));
    }

    #[test]
    fn broken_lines_are_named() {
        for (file, want) in [
            ("\nexample.com", "knownhosts: line 2: missing key type pattern"),
            ("h ssh-ed25519", "knownhosts: line 1: missing key"),
            ("h ssh-ed25519 !!", "knownhosts: line 1: the key is not base64"),
            ("h ssh-ed25519 AAAA", "knownhosts: line 1: the key is no SSH public key"),
            ("@revoked", "knownhosts: line 1: missing host pattern"),
            ("|2|a|b t AAAA", "knownhosts: line 1: a hashed host must be |1|salt|hash"),
            ("! t AAAA", "knownhosts: line 1: negation without following hostname"),
        ] {
            assert_eq!(KnownHosts::parse(file.as_bytes()).expect_err(file).to_string(), want);
        }
    }
}
