//! Git's commits, tags and trees read from their bytes. Pure.
//!
//! What is signed is cut out of the very bytes that were received, as Git does it, and not written anew.

use git2::Oid;

/// A person and a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// Name.
    pub name: String,
    /// Mail address.
    pub email: String,
    /// Seconds since 1970 in UTC.
    pub seconds: i64,
}

/// A commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its hash, in hex.
    pub hash: String,
    /// Who wrote the change.
    pub author: Person,
    /// Who made the commit.
    pub committer: Person,
    /// The message, as it is.
    pub message: String,
    /// The armored signature; `None` for an unsigned commit.
    pub signature: Option<String>,
    /// The bytes the signature is over.
    pub payload: Vec<u8>,
}

impl Commit {
    /// The first line of the message, cut after 50 characters as in Flux's events.
    pub fn short_message(&self) -> String {
        let subject = self.message.split('\n').next().unwrap_or_default();
        match subject.char_indices().nth(50) {
            Some((end, _)) => format!("{}...", &subject[..end]),
            None => subject.to_string(),
        }
    }
}

/// The tag that led to a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Its hash, in hex; `None` for a lightweight tag, which is no object.
    pub hash: Option<String>,
    /// Its name.
    pub name: String,
    /// The armored signature; `None` for an unsigned tag.
    pub signature: Option<String>,
    /// The bytes the signature is over; empty for a lightweight tag.
    pub payload: Vec<u8>,
}

impl Tag {
    pub(crate) fn lightweight(name: &str) -> Self {
        Self { hash: None, name: name.to_string(), signature: None, payload: Vec::new() }
    }
}

impl std::fmt::Display for Tag {
    /// `1.0.0@<hash>`, or the name alone.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.hash {
            Some(hash) => write!(f, "{}@{hash}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// An object that does not read as what it should be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{kind} {oid} is broken: {reason}")]
pub(crate) struct BrokenObject {
    kind: &'static str,
    oid: Oid,
    reason: &'static str,
}

/// Reads a commit: it, its tree and its parents.
pub(crate) fn parse_commit(oid: Oid, data: &[u8]) -> Result<(Commit, Oid, Vec<Oid>), BrokenObject> {
    let broken = |reason| BrokenObject { kind: "commit", oid, reason };
    let (headers, message) = split_headers(data);
    let mut payload = Vec::with_capacity(data.len());
    let mut signature: Option<Vec<u8>> = None;
    let mut tree = None;
    let mut parents = Vec::new();
    let (mut author, mut committer) = (Person::default(), Person::default());
    let mut skipping = None;
    for line in headers.split_inclusive(|b| *b == b'\n') {
        if let Some(more) = line.strip_prefix(b" ") {
            match skipping {
                None => payload.extend_from_slice(line),
                Some(true) => signature.get_or_insert_default().extend_from_slice(more),
                Some(false) => {}
            }
            continue;
        }
        skipping = None;
        let (key, value) = split_once(trim_newline(line), b' ');
        match key {
            b"gpgsig" => {
                skipping = Some(true);
                let text = signature.get_or_insert_default();
                text.clear();
                text.extend_from_slice(value);
                text.push(b'\n');
                continue;
            }
            // The signature of the same commit under another hash: not part of what is signed either.
            b"gpgsig-sha256" => {
                skipping = Some(false);
                continue;
            }
            b"tree" => tree = Some(hex_oid(value).ok_or_else(|| broken("its tree is no hash"))?),
            b"parent" => {
                parents.push(hex_oid(value).ok_or_else(|| broken("a parent is no hash"))?);
            }
            b"author" => author = parse_person(value),
            b"committer" => committer = parse_person(value),
            _ => {}
        }
        payload.extend_from_slice(line);
    }
    payload.extend_from_slice(&data[headers.len()..]);
    let commit = Commit {
        hash: oid.to_string(),
        author,
        committer,
        message: String::from_utf8_lossy(message).into_owned(),
        signature: signature.map(|text| String::from_utf8_lossy(&text).into_owned()),
        payload,
    };
    Ok((commit, tree.ok_or_else(|| broken("it has no tree"))?, parents))
}

/// Reads a tag object: it and what it points to.
pub(crate) fn parse_tag(oid: Oid, data: &[u8]) -> Result<(Tag, Oid), BrokenObject> {
    let broken = |reason| BrokenObject { kind: "tag", oid, reason };
    let (headers, _) = split_headers(data);
    let (mut target, mut name) = (None, None);
    for line in headers.split(|b| *b == b'\n') {
        match split_once(line, b' ') {
            (b"object", value) => target = hex_oid(value),
            (b"tag", value) => name = Some(String::from_utf8_lossy(value).into_owned()),
            _ => {}
        }
    }
    let end = signature_start(data);
    let signature = &data[end..];
    let tag = Tag {
        hash: Some(oid.to_string()),
        name: name.ok_or_else(|| broken("it has no name"))?,
        signature: (!signature.is_empty()).then(|| String::from_utf8_lossy(signature).into_owned()),
        payload: data[..end].to_vec(),
    };
    Ok((tag, target.ok_or_else(|| broken("it points to nothing"))?))
}

/// Where the last line begins that starts an armored signature; the end without one.
fn signature_start(data: &[u8]) -> usize {
    const MARKERS: [&[u8]; 4] = [
        b"-----BEGIN PGP SIGNATURE-----",
        b"-----BEGIN PGP MESSAGE-----",
        b"-----BEGIN SSH SIGNATURE-----",
        b"-----BEGIN SIGNED MESSAGE-----",
    ];
    let (mut start, mut at) = (data.len(), 0);
    for line in data.split_inclusive(|b| *b == b'\n') {
        if MARKERS.iter().any(|marker| line.starts_with(marker)) {
            start = at;
        }
        at += line.len();
    }
    start
}

/// What an entry of a tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    Directory,
    File { executable: bool },
    Link,
    Submodule,
}

/// An entry of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TreeEntry<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) kind: EntryKind,
    pub(crate) oid: Oid,
    /// Where the hash stands in the tree's bytes.
    pub(crate) at: usize,
}

/// Reads a tree. The entries come sorted by name alone, as a file system walk gives them (Git sorts directories as if
/// they ended in a slash).
pub(crate) fn parse_tree(oid: Oid, data: &[u8]) -> Result<Vec<TreeEntry<'_>>, BrokenObject> {
    let broken = |reason| BrokenObject { kind: "tree", oid, reason };
    let mut entries: Vec<TreeEntry<'_>> = Vec::new();
    let mut rest = data;
    while !rest.is_empty() {
        let end = position(rest, 0).ok_or_else(|| broken("an entry has no end"))?;
        let (mode, name) = split_once(&rest[..end], b' ');
        let at = data.len() - rest.len() + end + 1;
        let hash = rest.get(end + 1..end + 21).ok_or_else(|| broken("an entry has no hash"))?;
        if !is_safe_name(name) {
            return Err(broken("an entry's name is unsafe"));
        }
        entries.push(TreeEntry {
            name,
            kind: kind_of(mode).ok_or_else(|| broken("an entry has an unknown mode"))?,
            oid: Oid::from_bytes(hash).map_err(|_| broken("an entry has no hash"))?,
            at,
        });
        rest = &rest[end + 21..];
    }
    entries.sort_unstable_by(|a, b| a.name.cmp(b.name));
    if entries.windows(2).any(|pair| pair[0].name == pair[1].name) {
        return Err(broken("it names an entry twice"));
    }
    Ok(entries)
}

fn kind_of(mode: &[u8]) -> Option<EntryKind> {
    let mode = std::str::from_utf8(mode).ok()?;
    let mode = u32::from_str_radix(mode, 8).ok()?;
    match mode & 0o170_000 {
        0o040_000 => Some(EntryKind::Directory),
        0o100_000 => Some(EntryKind::File { executable: mode & 0o111 != 0 }),
        0o120_000 => Some(EntryKind::Link),
        0o160_000 => Some(EntryKind::Submodule),
        _ => None,
    }
}

/// Whether a name is one path part and not one that Git itself never checks out.
fn is_safe_name(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..")
        && !name.contains(&b'/')
        && !name.eq_ignore_ascii_case(b".git")
}

fn split_headers(data: &[u8]) -> (&[u8], &[u8]) {
    match data.windows(2).position(|pair| pair == b"\n\n") {
        Some(at) => (&data[..=at], &data[at + 2..]),
        None => (data, b""),
    }
}

fn position(data: &[u8], byte: u8) -> Option<usize> {
    data.iter().position(|b| *b == byte)
}

fn split_once(data: &[u8], byte: u8) -> (&[u8], &[u8]) {
    match position(data, byte) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, b""),
    }
}

fn trim_newline(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\n").unwrap_or(line)
}

fn hex_oid(text: &[u8]) -> Option<Oid> {
    let text = std::str::from_utf8(text).ok()?;
    (text.len() == 40).then(|| Oid::from_str(text).ok())?
}

/// `Name <mail> seconds zone`; what does not read so is left empty, as Git does.
fn parse_person(value: &[u8]) -> Person {
    let text = String::from_utf8_lossy(value);
    let (Some(open), Some(close)) = (text.find('<'), text.rfind('>')) else {
        return Person::default();
    };
    if close < open {
        return Person::default();
    }
    let seconds = text[close + 1..].split_whitespace().next();
    Person {
        name: text[..open].trim().to_string(),
        email: text[open + 1..close].to_string(),
        seconds: seconds.and_then(|s| s.parse().ok()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "5394cb7f48332b2de7c17dd8b8384bbc84b7e738";

    fn oid() -> Oid {
        Oid::from_str(HASH).expect("a hash")
    }

    #[test]
    fn a_signature_is_cut_out_of_the_bytes() {
        let head = format!(
            "tree {HASH}\nparent {HASH}\nauthor A B <a@b> 7 +0100\ncommitter C <c> 8 +0000\n"
        );
        let signed = format!(
            "{head}gpgsig -----BEGIN X-----\n \n abc\n -----END X-----\nencoding ISO-8859-1\nodd a\n b\n\nSubject\n\nBody\n"
        );
        let (commit, tree, parents) = parse_commit(oid(), signed.as_bytes()).expect("valid");
        assert_eq!(
            commit.signature.as_deref(),
            Some("-----BEGIN X-----\n\nabc\n-----END X-----\n")
        );
        let payload = format!("{head}encoding ISO-8859-1\nodd a\n b\n\nSubject\n\nBody\n");
        assert_eq!(String::from_utf8_lossy(&commit.payload), payload);
        assert_eq!((tree, parents), (oid(), vec![oid()]));
        assert_eq!(commit.message, "Subject\n\nBody\n");
        let author = Person { name: "A B".into(), email: "a@b".into(), seconds: 7 };
        assert_eq!(commit.author, author);
    }

    #[test]
    fn a_tag_is_signed_up_to_the_last_marker() {
        let head = format!(
            "object {HASH}\ntype commit\ntag v1\ntagger A <a> 7 +0000\n\nSays -----BEGIN PGP SIGNATURE-----\n"
        );
        let signed =
            format!("{head}-----BEGIN SSH SIGNATURE-----\nabc\n-----END SSH SIGNATURE-----\n");
        let (tag, target) = parse_tag(oid(), signed.as_bytes()).expect("valid");
        assert_eq!(target, oid());
        assert_eq!(tag.to_string(), format!("v1@{HASH}"));
        assert_eq!(String::from_utf8_lossy(&tag.payload), head);
        assert!(tag.signature.expect("signed").starts_with("-----BEGIN SSH"));
        let (tag, _) = parse_tag(oid(), head.as_bytes()).expect("valid");
        assert_eq!(tag.signature, None);
    }

    fn tree(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut data = Vec::new();
        for (mode, name) in entries {
            data.extend_from_slice(format!("{mode} {name}\0").as_bytes());
            data.extend_from_slice(oid().as_bytes());
        }
        data
    }

    #[test]
    fn trees_are_sorted_as_a_walk_sorts() {
        let data = tree(&[
            ("100644", "a.b"),
            ("40000", "a"),
            ("100755", "b"),
            ("120000", "l"),
            ("160000", "s"),
        ]);
        let found: Vec<_> = parse_tree(oid(), &data)
            .expect("valid")
            .iter()
            .map(|e| (String::from_utf8_lossy(e.name).into_owned(), e.kind))
            .collect();
        let file = |executable| EntryKind::File { executable };
        assert_eq!(
            found,
            [
                ("a".to_string(), EntryKind::Directory),
                ("a.b".to_string(), file(false)),
                ("b".to_string(), file(true)),
                ("l".to_string(), EntryKind::Link),
                ("s".to_string(), EntryKind::Submodule),
            ]
        );
    }

    #[test]
    fn hostile_trees_are_refused() {
        for name in ["..", ".", "", ".git", ".GIT", "a/b", "/a"] {
            let data = tree(&[("100644", name)]);
            assert!(parse_tree(oid(), &data).is_err(), "{name}");
        }
        assert!(parse_tree(oid(), &tree(&[("100644", "a"), ("40000", "a")])).is_err());
        assert!(parse_tree(oid(), &tree(&[("60000", "a")])).is_err());
        let data = tree(&[("100644", "a")]);
        for end in 1..data.len() {
            assert!(parse_tree(oid(), &data[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn events_show_fifty_characters() {
        let commit = |message: &str| Commit {
            hash: String::new(),
            author: Person::default(),
            committer: Person::default(),
            message: message.to_string(),
            signature: None,
            payload: Vec::new(),
        };
        assert_eq!(commit("short\nbody").short_message(), "short");
        assert_eq!(commit(&"é".repeat(50)).short_message(), "é".repeat(50));
        assert_eq!(commit(&"é".repeat(51)).short_message(), format!("{}...", "é".repeat(50)));
    }
}
