//! The original's scanner: tokens whose meaning depends on what the parser accepts next.

/// What a scan may find, besides the end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode {
    pub(crate) text: bool,
    pub(crate) open: bool,
    pub(crate) close: bool,
    pub(crate) escapes: bool,
}

impl Mode {
    /// Nothing but text.
    pub(crate) const TEXT: Mode = Mode { text: true, open: false, close: false, escapes: false };
    /// Nothing but `}`.
    pub(crate) const CLOSE: Mode = Mode { text: false, open: false, close: true, escapes: false };
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    End,
    Illegal,
    /// Accepted characters, without what escaped them.
    Text(String),
    /// `${`
    Open,
    /// `}`
    Close,
}

/// Whether a character is accepted; the number counts the token's bytes up to and with it.
pub(crate) type Accept = fn(char, usize) -> bool;

pub(crate) struct Scanner<'a> {
    text: &'a str,
    pos: usize,
    /// `\` escapes as well as `$`.
    pub(crate) backslash: bool,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Scanner<'a> {
        Scanner { text, pos: 0, backslash: false }
    }

    /// The next character; `None` at the end, for which the original also takes a NUL.
    pub(crate) fn peek(&self) -> Option<char> {
        self.char_at(self.pos)
    }

    /// The character after the next one.
    pub(crate) fn peek_second(&self) -> Option<char> {
        let first = self.text[self.pos..].chars().next()?;
        self.char_at(self.pos + first.len_utf8())
    }

    fn char_at(&self, at: usize) -> Option<char> {
        self.text.get(at..)?.chars().next().filter(|&c| c != '\0')
    }

    pub(crate) fn scan(&mut self, mode: Mode, accept: Accept) -> Token {
        let Some(first) = self.peek() else { return Token::End };
        if mode.open && self.at_open() {
            self.pos += 2;
            return Token::Open;
        }
        if mode.close && first == '}' {
            self.pos += 1;
            return Token::Close;
        }
        if !mode.text {
            return Token::Illegal;
        }
        let mut token = String::new();
        while let Some(c) = self.peek() {
            if mode.open && self.at_open() {
                break;
            }
            if mode.escapes && self.at_escape(c) {
                // What is escaped is taken as it is.
                self.pos += 1;
                if let Some(escaped) = self.peek() {
                    token.push(escaped);
                    self.pos += escaped.len_utf8();
                }
                continue;
            }
            if !accept(c, token.len() + c.len_utf8()) {
                break;
            }
            token.push(c);
            self.pos += c.len_utf8();
        }
        if token.is_empty() { Token::Illegal } else { Token::Text(token) }
    }

    fn at_open(&self) -> bool {
        self.text[self.pos..].starts_with("${")
    }

    fn at_escape(&self, c: char) -> bool {
        match c {
            '$' => self.peek_second() == Some('$'),
            '\\' if self.backslash => matches!(self.peek_second(), Some('/' | '\\')),
            _ => false,
        }
    }
}
