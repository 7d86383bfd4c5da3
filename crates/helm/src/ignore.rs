//! `.helmignore` and Go's `filepath.Match`. Source: Helm `pkg/ignore/rules.go`.

use crate::error::Error;

/// Rules of a `.helmignore` file, with Helm's default.
#[derive(Debug)]
pub struct IgnoreRules {
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    rule: String,
    negate: bool,
    must_dir: bool,
    scope: Scope,
}

#[derive(Debug)]
enum Scope {
    /// Matches the path from the root.
    Path,
    /// Matches the last element.
    Name,
}

impl Default for IgnoreRules {
    fn default() -> Self {
        let mut rules = IgnoreRules { patterns: Vec::new() };
        // Dot files among templates are always left out.
        rules.patterns.extend(Pattern::parse("templates/.?*").ok().flatten());
        rules
    }
}

impl IgnoreRules {
    /// Reads a `.helmignore` file.
    ///
    /// # Errors
    /// When a pattern is malformed.
    pub fn parse(text: &[u8]) -> Result<IgnoreRules, Error> {
        let text = String::from_utf8_lossy(text);
        let text = text.trim_start_matches('\u{feff}');
        let mut patterns = Vec::new();
        for line in text.lines() {
            patterns.extend(Pattern::parse(line).map_err(Error::Chart)?);
        }
        patterns.append(&mut IgnoreRules::default().patterns);
        Ok(IgnoreRules { patterns })
    }

    /// Whether a file, or a folder above it, is left out.
    pub(crate) fn leaves_out(&self, path: &str) -> bool {
        let folders = path.match_indices('/').map(|(i, _)| &path[..i]);
        folders.into_iter().any(|folder| self.ignores(folder, true)) || self.ignores(path, false)
    }

    /// Whether this file or folder itself is left out.
    pub fn ignores(&self, path: &str, is_dir: bool) -> bool {
        if path.is_empty() || path == "." {
            return false;
        }
        for p in &self.patterns {
            let name = match p.scope {
                Scope::Path => path,
                Scope::Name => path.rsplit('/').next().unwrap_or(path),
            };
            let hit = || match_pattern(&p.rule, name) == Ok(true);
            if p.negate {
                if (p.must_dir && !is_dir) || !hit() {
                    return true;
                }
                continue;
            }
            if p.must_dir && !is_dir {
                continue;
            }
            if hit() {
                return true;
            }
        }
        false
    }
}

impl Pattern {
    fn parse(line: &str) -> Result<Option<Pattern>, String> {
        let rule = line.trim();
        if rule.is_empty() || rule.starts_with('#') {
            return Ok(None);
        }
        if rule.contains("**") {
            return Err("double-star (**) syntax is not supported".into());
        }
        match_pattern(rule, "abc").map_err(|()| "syntax error in pattern".to_owned())?;
        let (negate, rule) = match rule.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, rule),
        };
        let (must_dir, rule) = match rule.strip_suffix('/') {
            Some(rest) => (true, rest),
            None => (false, rule),
        };
        let (scope, rule) = match rule.strip_prefix('/') {
            Some(rest) => (Scope::Path, rest),
            None if rule.contains('/') => (Scope::Path, rule),
            None => (Scope::Name, rule),
        };
        Ok(Some(Pattern { rule: rule.into(), negate, must_dir, scope }))
    }
}

/// Go's `filepath.Match`: `*` and `?` stop at `/`, classes in brackets, `\` escapes.
///
/// # Errors
/// For a malformed pattern.
pub(crate) fn match_pattern(pattern: &str, name: &str) -> Result<bool, ()> {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    check(&pattern)?;
    // With backtracking to the last star only, as stars cannot pass a separator.
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p + 1, n));
            p += 1;
            continue;
        }
        if n == name.len() && p == pattern.len() {
            return Ok(true);
        }
        if n < name.len()
            && p < pattern.len()
            && let Some(next) = one(&pattern, p, name[n])?
        {
            p = next;
            n += 1;
            continue;
        }
        match star {
            Some((after, from)) if from < name.len() && name[from] != '/' => {
                star = Some((after, from + 1));
                p = after;
                n = from + 1;
            }
            _ => return Ok(false),
        }
    }
}

/// Matches one character; the pattern position after it when it does.
fn one(pattern: &[char], p: usize, c: char) -> Result<Option<usize>, ()> {
    match pattern[p] {
        '?' => Ok((c != '/').then_some(p + 1)),
        '\\' => Ok((pattern.get(p + 1) == Some(&c)).then_some(p + 2)),
        '[' => {
            let (hit, next) = class(pattern, p, c)?;
            Ok(hit.then_some(next))
        }
        literal => Ok((literal == c).then_some(p + 1)),
    }
}

fn class(pattern: &[char], start: usize, c: char) -> Result<(bool, usize), ()> {
    let mut p = start + 1;
    let negated = pattern.get(p) == Some(&'^');
    p += usize::from(negated);
    let mut hit = false;
    let mut ranges = 0;
    loop {
        if pattern.get(p) == Some(&']') && ranges > 0 {
            return Ok((hit != negated, p + 1));
        }
        let (low, next) = class_char(pattern, p)?;
        p = next;
        let mut high = low;
        if pattern.get(p) == Some(&'-') {
            (high, p) = class_char(pattern, p + 1)?;
        }
        hit |= (low..=high).contains(&c);
        ranges += 1;
    }
}

fn class_char(pattern: &[char], p: usize) -> Result<(char, usize), ()> {
    match pattern.get(p) {
        None | Some('-' | ']') => Err(()),
        Some('\\') => pattern.get(p + 1).map(|c| (*c, p + 2)).ok_or(()),
        Some(c) if p + 1 < pattern.len() => Ok((*c, p + 1)),
        Some(_) => Err(()),
    }
}

fn check(pattern: &[char]) -> Result<(), ()> {
    let mut p = 0;
    while p < pattern.len() {
        match pattern[p] {
            '\\' if p + 1 == pattern.len() => return Err(()),
            '\\' => p += 2,
            '[' => p = class(pattern, p, 'a')?.1,
            _ => p += 1,
        }
    }
    Ok(())
}
