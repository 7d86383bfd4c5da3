//! Globs of the gobwas library with `/` as separator: `*` within a path element, `**` across, `?`,
//! `[a-z]`, `[!abc]`, `{a,b}`.

/// Most steps of one match; a pattern that needs more matches nothing.
const MAX_STEPS: usize = 1 << 20;

#[derive(Debug)]
enum Token {
    Char(char),
    Any,
    Star,
    SuperStar,
    Class { not: bool, ranges: Vec<(char, char)> },
    Either(Vec<Vec<Token>>),
}

/// A parsed glob.
#[derive(Debug)]
pub(crate) struct Glob(Vec<Token>);

impl Glob {
    /// `None` when the pattern is malformed.
    pub(crate) fn parse(pattern: &str) -> Option<Glob> {
        let chars: Vec<char> = pattern.chars().collect();
        let mut at = 0;
        let tokens = sequence(&chars, &mut at, 0)?;
        (at == chars.len()).then_some(Glob(tokens))
    }

    /// Whether the name matches.
    pub(crate) fn matches(&self, name: &str) -> bool {
        let chars: Vec<char> = name.chars().collect();
        let tokens: Vec<&Token> = self.0.iter().collect();
        let mut steps = 0;
        run(&tokens, &chars, &mut steps)
    }
}

fn sequence(chars: &[char], at: &mut usize, depth: usize) -> Option<Vec<Token>> {
    if depth > 50 {
        return None;
    }
    let mut out = Vec::new();
    while let Some(&c) = chars.get(*at) {
        match c {
            '*' => {
                *at += 1;
                let mut double = false;
                while chars.get(*at) == Some(&'*') {
                    *at += 1;
                    double = true;
                }
                out.push(if double { Token::SuperStar } else { Token::Star });
                continue;
            }
            '?' => out.push(Token::Any),
            '\\' => {
                *at += 1;
                out.push(Token::Char(*chars.get(*at)?));
            }
            '[' => {
                out.push(class(chars, at)?);
                continue;
            }
            '{' => {
                *at += 1;
                let mut options = Vec::new();
                loop {
                    options.push(sequence(chars, at, depth + 1)?);
                    *at += 1;
                    match chars.get(*at - 1)? {
                        ',' => {}
                        '}' => break,
                        _ => return None,
                    }
                }
                out.push(Token::Either(options));
                continue;
            }
            ',' | '}' if depth > 0 => return Some(out),
            _ => out.push(Token::Char(c)),
        }
        *at += 1;
    }
    (depth == 0).then_some(out)
}

fn class(chars: &[char], at: &mut usize) -> Option<Token> {
    *at += 1;
    let not = chars.get(*at) == Some(&'!');
    *at += usize::from(not);
    let mut ranges = Vec::new();
    loop {
        let mut low = *chars.get(*at)?;
        if low == ']' && !ranges.is_empty() {
            *at += 1;
            return Some(Token::Class { not, ranges });
        }
        if low == '\\' {
            *at += 1;
            low = *chars.get(*at)?;
        }
        *at += 1;
        let mut high = low;
        if chars.get(*at) == Some(&'-') && chars.get(*at + 1).is_some_and(|c| *c != ']') {
            high = *chars.get(*at + 1)?;
            *at += 2;
        }
        ranges.push((low, high));
    }
}

fn run(tokens: &[&Token], name: &[char], steps: &mut usize) -> bool {
    *steps += 1;
    if *steps > MAX_STEPS {
        return false;
    }
    let Some((first, rest)) = tokens.split_first() else {
        return name.is_empty();
    };
    match first {
        Token::Star | Token::SuperStar => {
            let most = match first {
                Token::Star => name.iter().position(|c| *c == '/').unwrap_or(name.len()),
                _ => name.len(),
            };
            (0..=most).any(|n| run(rest, &name[n..], steps))
        }
        Token::Either(options) => options.iter().any(|option| {
            let joined: Vec<&Token> = option.iter().chain(rest.iter().copied()).collect();
            run(&joined, name, steps)
        }),
        _ => {
            let Some((c, tail)) = name.split_first() else {
                return false;
            };
            let hit = match first {
                Token::Char(want) => want == c,
                Token::Any => *c != '/',
                Token::Class { not, ranges } => {
                    ranges.iter().any(|(low, high)| (low..=high).contains(&c)) != *not
                }
                _ => false,
            };
            hit && run(rest, tail, steps)
        }
    }
}
