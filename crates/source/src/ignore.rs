//! Which files of a tree stay out of its artifact: `.sourceignore` files, `spec.ignore` and Flux's defaults. Pure.
//!
//! Source: fluxcd/pkg `sourceignore` and its copy of go-git's `gitignore`, whose semantics differ from Git's in places
//! (`**` only stands for whole parts, a directory pattern also holds for everything below it however a later pattern
//! re-includes). Recorded results of it are the tests.

/// The name of an ignore file in a tree.
pub const IGNORE_FILE: &str = ".sourceignore";

/// Always excluded, unless a later pattern says otherwise.
const VCS: [&str; 4] = [".git/", ".gitignore", ".gitmodules", ".gitattributes"];

/// Excluded when there is no pattern in the tree and in the spec.
const DEFAULTS: [&str; 20] = [
    "*.jpg",
    "*.jpeg",
    "*.gif",
    "*.png",
    "*.wmv",
    "*.flv",
    "*.tar.gz",
    "*.zip",
    ".github/",
    ".circleci/",
    ".travis.yml",
    ".gitlab-ci.yml",
    "appveyor.yml",
    ".drone.yml",
    "cloudbuild.yaml",
    "codeship-services.yml",
    "codeship-steps.yml",
    "**/.goreleaser.yml",
    "**/.sops.yaml",
    "**/.flux.yaml",
];

/// The longest line that is read, as Go's scanner has it; reading a file stops at a longer one.
const MAX_LINE: usize = 64 * 1024;

/// An ignore file found in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoreFile {
    /// The directory it is in, `/`-separated; empty for the root.
    pub dir: String,
    /// Its content.
    pub content: String,
}

/// The rules of one artifact.
#[derive(Clone, Debug)]
pub struct Rules {
    /// In order of increasing priority.
    patterns: Vec<Pattern>,
}

impl Rules {
    /// The rules made of the ignore files of a tree (in any order) and `spec.ignore`.
    ///
    /// Deeper files overrule the ones above, `spec.ignore` overrules all. Any pattern at all replaces Flux's defaults, but
    /// not those for version control.
    pub fn new(mut files: Vec<IgnoreFile>, spec: Option<&str>) -> Self {
        files.sort_by(|a, b| parts(&a.dir).cmp(parts(&b.dir)));
        let mut own = Vec::new();
        for file in &files {
            read_patterns(&file.content, &file.dir, &mut own);
        }
        read_patterns(spec.unwrap_or_default(), "", &mut own);
        let of_root = |text: &&str| Pattern::parse(text, "");
        let mut patterns: Vec<Pattern> = VCS.iter().map(of_root).collect();
        if own.is_empty() {
            patterns.extend(DEFAULTS.iter().map(of_root));
        }
        patterns.extend(own);
        Self { patterns }
    }

    /// Rules that leave everything in, not even version control's own files out.
    pub fn nothing() -> Self {
        Self { patterns: Vec::new() }
    }

    /// Whether the file or directory stays out. What is below an excluded directory is asked for on its own.
    pub fn excludes(&self, path: &str, is_dir: bool) -> bool {
        let path: Vec<&str> = parts(path).collect();
        self.patterns
            .iter()
            .rev()
            .find(|pattern| pattern.matches(&path, is_dir))
            .is_some_and(|pattern| !pattern.inclusion)
    }
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty())
}

fn read_patterns(content: &str, dir: &str, out: &mut Vec<Pattern>) {
    for line in content.split('\n') {
        if line.len() >= MAX_LINE {
            return;
        }
        let line = line.strip_suffix('\r').unwrap_or(line);
        if !line.starts_with('#') && !line.trim().is_empty() {
            out.push(Pattern::parse(line, dir));
        }
    }
}

#[derive(Clone, Debug)]
struct Pattern {
    /// The directory it holds in.
    domain: Vec<String>,
    parts: Vec<String>,
    inclusion: bool,
    dir_only: bool,
    /// Whether it is anchored; without a slash inside it holds for any part of a path.
    anchored: bool,
}

impl Pattern {
    fn parse(text: &str, dir: &str) -> Self {
        let (inclusion, mut text) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        if !text.ends_with("\\ ") {
            text = text.trim_end_matches(' ');
        }
        let (dir_only, text) = match text.strip_suffix('/') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        Self {
            domain: parts(dir).map(str::to_string).collect(),
            parts: text.split('/').map(str::to_string).collect(),
            inclusion,
            dir_only,
            anchored: text.contains('/'),
        }
    }

    fn matches(&self, path: &[&str], is_dir: bool) -> bool {
        if path.len() <= self.domain.len() || self.domain.iter().zip(path).any(|(a, b)| a != b) {
            return false;
        }
        let path = &path[self.domain.len()..];
        match self.anchored {
            true => self.matches_anchored(path, is_dir),
            false => self.matches_name(path, is_dir),
        }
    }

    fn matches_name(&self, path: &[&str], is_dir: bool) -> bool {
        let Some(at) = path.iter().position(|name| glob(&self.parts[0], name)) else {
            return false;
        };
        !(self.dir_only && !is_dir && at == path.len() - 1)
    }

    fn matches_anchored(&self, mut path: &[&str], is_dir: bool) -> bool {
        let (mut matched, mut traverse) = (false, false);
        for (i, part) in self.parts.iter().enumerate() {
            if part.is_empty() {
                traverse = false;
                continue;
            }
            if part == "**" {
                if i == self.parts.len() - 1 {
                    break;
                }
                traverse = true;
                continue;
            }
            if part.contains("**") || path.is_empty() {
                return false;
            }
            if traverse {
                traverse = false;
                match path.iter().position(|name| glob(part, name)) {
                    Some(at) => {
                        matched = true;
                        path = &path[at + 1..];
                    }
                    None => {
                        matched = false;
                        path = &[];
                    }
                }
            } else {
                if !glob(part, path[0]) {
                    return false;
                }
                matched = true;
                path = &path[1..];
            }
        }
        matched && !(self.dir_only && !is_dir && path.is_empty())
    }
}

/// Go's `path.Match` for one part of a path; a malformed pattern matches nothing.
fn glob(pattern: &str, name: &str) -> bool {
    let Some(tokens) = tokens(pattern) else {
        return false;
    };
    let name: Vec<char> = name.chars().collect();
    // Backtracking to the last star only: as a star stands for any run, an earlier one never needs another try.
    let (mut t, mut n) = (0, 0);
    let mut star = None;
    while n < name.len() {
        match tokens.get(t) {
            Some(Token::Star) => {
                star = Some((t, n));
                t += 1;
                continue;
            }
            Some(token) if token.is(name[n]) => {
                t += 1;
                n += 1;
                continue;
            }
            _ => {}
        }
        let Some((at, from)) = star else {
            return false;
        };
        star = Some((at, from + 1));
        t = at + 1;
        n = from + 1;
    }
    tokens[t..].iter().all(|token| matches!(token, Token::Star))
}

enum Token {
    Star,
    Any,
    One(char),
    Class { negated: bool, ranges: Vec<(char, char)> },
}

impl Token {
    fn is(&self, c: char) -> bool {
        match self {
            Self::Star => false,
            Self::Any => true,
            Self::One(one) => *one == c,
            Self::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
            }
        }
    }
}

/// `None` for a malformed pattern.
fn tokens(pattern: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '*' => Token::Star,
            '?' => Token::Any,
            '\\' => Token::One(chars.next()?),
            '[' => {
                let negated = chars.next_if_eq(&'^').is_some();
                let mut ranges = Vec::new();
                while ranges.is_empty() || chars.peek() != Some(&']') {
                    let low = class_char(&mut chars)?;
                    let high = match chars.next_if_eq(&'-') {
                        Some(_) => class_char(&mut chars)?,
                        None => low,
                    };
                    ranges.push((low, high));
                }
                chars.next();
                Token::Class { negated, ranges }
            }
            other => Token::One(other),
        });
    }
    Some(tokens)
}

fn class_char(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<char> {
    match chars.next()? {
        '-' | ']' => None,
        '\\' => chars.next(),
        c => Some(c),
    }
}
