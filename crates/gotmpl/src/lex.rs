//! The lexer: template text to tokens, with Go's trim markers, comments and error texts.
//! Knows no grammar beyond what separates tokens. Behaviour: Go 1.26 `text/template/parse`.

use crate::quote::quote_rune_unicode;
use crate::text::{decode_rune, is_digit, is_letter, is_print};

/// The kinds of token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Error,
    Bool,
    Char,
    CharConstant,
    Complex,
    Assign,
    Declare,
    Eof,
    Field,
    Identifier,
    LeftDelim,
    LeftParen,
    Number,
    Pipe,
    RawString,
    RightDelim,
    RightParen,
    Space,
    Str,
    Text,
    Variable,
    // Keywords.
    Block,
    Break,
    Continue,
    Dot,
    Define,
    Else,
    End,
    If,
    Nil,
    Range,
    Template,
    With,
}

impl Kind {
    pub(crate) fn is_keyword(self) -> bool {
        use Kind::*;
        matches!(
            self,
            Block
                | Break
                | Continue
                | Dot
                | Define
                | Else
                | End
                | If
                | Nil
                | Range
                | Template
                | With
        )
    }
}

/// A token: kind, byte position, text and the line it starts on.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) pos: usize,
    pub(crate) val: Vec<u8>,
    pub(crate) line: usize,
}

const LEFT: &[u8] = b"{{";
const RIGHT: &[u8] = b"}}";
const TRIM_MARKER_LEN: usize = 2;

pub(crate) struct Lexer<'a> {
    input: &'a [u8],
    pos: usize,
    start: usize,
    line: usize,
    start_line: usize,
    paren_depth: i64,
    inside_action: bool,
    /// Whether `break` and `continue` are keywords (no function takes their name).
    pub(crate) break_ok: bool,
    pub(crate) continue_ok: bool,
}

/// What a scanning step leads to: a token, or another step.
enum Step {
    Emit(Token),
    Text,
    LeftDelim,
    RightDelim,
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

fn newlines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&b| b == b'\n').count()
}

fn is_space_byte(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\r' | b'\n')
}

fn has_left_trim(s: &[u8]) -> bool {
    s.len() >= 2 && s[0] == b'-' && is_space_byte(s[1])
}

fn has_right_trim(s: &[u8]) -> bool {
    s.len() >= 2 && is_space_byte(s[0]) && s[1] == b'-'
}

pub(crate) fn is_alphanumeric(c: char) -> bool {
    c == '_' || is_letter(c) || is_digit(c)
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Lexer<'a> {
        Lexer {
            input,
            pos: 0,
            start: 0,
            line: 1,
            start_line: 1,
            paren_depth: 0,
            inside_action: false,
            break_ok: true,
            continue_ok: true,
        }
    }

    /// The next token; after an error or the end, the end again.
    pub(crate) fn next_token(&mut self) -> Token {
        let mut step = if self.inside_action { self.inside() } else { Step::Text };
        loop {
            step = match step {
                Step::Emit(token) => return token,
                Step::Text => self.text(),
                Step::LeftDelim => self.left_delim(),
                Step::RightDelim => self.right_delim(),
            };
        }
    }

    fn rest(&self) -> &'a [u8] {
        &self.input[self.pos..]
    }

    fn peek(&self) -> Option<char> {
        let (c, width) = decode_rune(self.rest());
        (width > 0).then_some(c)
    }

    fn next(&mut self) -> Option<char> {
        let (c, width) = decode_rune(self.rest());
        if width == 0 {
            return None;
        }
        self.pos += width;
        if c == '\n' {
            self.line += 1;
        }
        Some(c)
    }

    fn token(&mut self, kind: Kind) -> Token {
        let token = Token {
            kind,
            pos: self.start,
            val: self.input[self.start..self.pos].to_vec(),
            line: self.start_line,
        };
        self.start = self.pos;
        self.start_line = self.line;
        token
    }

    fn emit(&mut self, kind: Kind) -> Step {
        Step::Emit(self.token(kind))
    }

    /// Skips pending input, counting its newlines.
    fn ignore(&mut self) {
        self.line += newlines(&self.input[self.start..self.pos]);
        self.start = self.pos;
        self.start_line = self.line;
    }

    fn error(&mut self, message: impl Into<String>) -> Step {
        let token = Token {
            kind: Kind::Error,
            pos: self.start,
            val: message.into().into_bytes(),
            line: self.start_line,
        };
        self.input = &[];
        self.start = 0;
        self.pos = 0;
        Step::Emit(token)
    }

    fn accept(&mut self, valid: &str) -> bool {
        match self.peek() {
            Some(c) if valid.contains(c) => {
                self.next();
                true
            }
            _ => false,
        }
    }

    fn accept_run(&mut self, valid: &str) {
        while self.accept(valid) {}
    }

    fn text(&mut self) -> Step {
        let Some(x) = find(self.rest(), LEFT) else {
            self.pos = self.input.len();
            if self.pos > self.start {
                self.line += newlines(&self.input[self.start..self.pos]);
                return self.emit(Kind::Text);
            }
            return self.emit(Kind::Eof);
        };
        if x > 0 {
            self.pos += x;
            let mut trim = 0;
            if has_left_trim(&self.input[self.pos + LEFT.len()..]) {
                let text = &self.input[self.start..self.pos];
                trim = text.iter().rev().take_while(|&&b| is_space_byte(b)).count();
            }
            self.pos -= trim;
            self.line += newlines(&self.input[self.start..self.pos]);
            let token = self.token(Kind::Text);
            self.pos += trim;
            self.ignore();
            if !token.val.is_empty() {
                return Step::Emit(token);
            }
        }
        Step::LeftDelim
    }

    fn left_delim(&mut self) -> Step {
        self.pos += LEFT.len();
        let after_marker = if has_left_trim(self.rest()) { TRIM_MARKER_LEN } else { 0 };
        if self.rest()[after_marker..].starts_with(b"/*") {
            self.pos += after_marker;
            self.ignore();
            return self.comment();
        }
        let token = self.token(Kind::LeftDelim);
        self.inside_action = true;
        self.pos += after_marker;
        self.ignore();
        self.paren_depth = 0;
        Step::Emit(token)
    }

    fn comment(&mut self) -> Step {
        self.pos += 2;
        let Some(x) = find(self.rest(), b"*/") else {
            return self.error("unclosed comment");
        };
        self.pos += x + 2;
        let (delim, trim) = self.at_right_delim();
        if !delim {
            return self.error("comment ends before closing delimiter");
        }
        self.line += newlines(&self.input[self.start..self.pos]);
        self.start = self.pos;
        self.start_line = self.line;
        if trim {
            self.pos += TRIM_MARKER_LEN;
        }
        self.pos += RIGHT.len();
        if trim {
            self.pos += self.rest().iter().take_while(|&&b| is_space_byte(b)).count();
        }
        self.ignore();
        Step::Text
    }

    fn at_right_delim(&self) -> (bool, bool) {
        let rest = self.rest();
        if has_right_trim(rest) && rest[TRIM_MARKER_LEN..].starts_with(RIGHT) {
            return (true, true);
        }
        (rest.starts_with(RIGHT), false)
    }

    fn right_delim(&mut self) -> Step {
        let (_, trim) = self.at_right_delim();
        if trim {
            self.pos += TRIM_MARKER_LEN;
            self.ignore();
        }
        self.pos += RIGHT.len();
        let token = self.token(Kind::RightDelim);
        if trim {
            self.pos += self.rest().iter().take_while(|&&b| is_space_byte(b)).count();
            self.ignore();
        }
        self.inside_action = false;
        Step::Emit(token)
    }

    fn inside(&mut self) -> Step {
        if self.at_right_delim().0 {
            if self.paren_depth == 0 {
                return Step::RightDelim;
            }
            return self.error("unclosed left paren");
        }
        let before = self.pos;
        let Some(c) = self.next() else {
            return self.error("unclosed action");
        };
        match c {
            ' ' | '\t' | '\r' | '\n' => {
                self.back_to(before, c);
                self.space()
            }
            '=' => self.emit(Kind::Assign),
            ':' => {
                if self.next() != Some('=') {
                    return self.error("expected :=");
                }
                self.emit(Kind::Declare)
            }
            '|' => self.emit(Kind::Pipe),
            '"' => self.quoted('"', "unterminated quoted string", Kind::Str),
            '\'' => self.quoted('\'', "unterminated character constant", Kind::CharConstant),
            '`' => loop {
                match self.next() {
                    None => return self.error("unterminated raw quoted string"),
                    Some('`') => return self.emit(Kind::RawString),
                    Some(_) => {}
                }
            },
            '$' => {
                if self.at_terminator() {
                    return self.emit(Kind::Variable);
                }
                self.field_or_variable(Kind::Variable)
            }
            '.' if self.rest().first().is_some_and(|b| !b.is_ascii_digit()) => {
                self.field_or_variable(Kind::Field)
            }
            '.' | '+' | '-' | '0'..='9' => {
                self.pos = before;
                self.number()
            }
            '(' => {
                self.paren_depth += 1;
                self.emit(Kind::LeftParen)
            }
            ')' => {
                self.paren_depth -= 1;
                if self.paren_depth < 0 {
                    return self.error("unexpected right paren");
                }
                self.emit(Kind::RightParen)
            }
            _ if is_alphanumeric(c) => {
                self.pos = before;
                self.identifier()
            }
            _ if c.is_ascii() && is_print(c) => self.emit(Kind::Char),
            _ => {
                let shown = quote_rune_unicode(c);
                self.error(format!("unrecognized character in action: {shown}"))
            }
        }
    }

    fn back_to(&mut self, pos: usize, over: char) {
        self.pos = pos;
        if over == '\n' {
            self.line -= 1;
        }
    }

    fn space(&mut self) -> Step {
        let mut count = 0;
        let mut last = (self.pos, ' ');
        while let Some(c @ (' ' | '\t' | '\r' | '\n')) = self.peek() {
            last = (self.pos, c);
            self.next();
            count += 1;
        }
        // The last space may belong to a trim marker of the closing delimiter.
        let tail = &self.input[self.pos - 1..];
        if has_right_trim(tail) && tail[TRIM_MARKER_LEN..].starts_with(RIGHT) {
            self.back_to(last.0, last.1);
            if count == 1 {
                return Step::RightDelim;
            }
        }
        self.emit(Kind::Space)
    }

    fn identifier(&mut self) -> Step {
        while self.peek().is_some_and(is_alphanumeric) {
            self.next();
        }
        if !self.at_terminator() {
            return self.bad_character();
        }
        let kind = match &self.input[self.start..self.pos] {
            b"block" => Kind::Block,
            b"break" if self.break_ok => Kind::Break,
            b"continue" if self.continue_ok => Kind::Continue,
            b"define" => Kind::Define,
            b"else" => Kind::Else,
            b"end" => Kind::End,
            b"if" => Kind::If,
            b"range" => Kind::Range,
            b"nil" => Kind::Nil,
            b"template" => Kind::Template,
            b"with" => Kind::With,
            b"true" | b"false" => Kind::Bool,
            _ => Kind::Identifier,
        };
        self.emit(kind)
    }

    fn field_or_variable(&mut self, kind: Kind) -> Step {
        if self.at_terminator() {
            return self.emit(if kind == Kind::Variable { kind } else { Kind::Dot });
        }
        while self.peek().is_some_and(is_alphanumeric) {
            self.next();
        }
        if !self.at_terminator() {
            return self.bad_character();
        }
        self.emit(kind)
    }

    fn bad_character(&mut self) -> Step {
        let shown = self.peek().map_or_else(String::new, quote_rune_unicode);
        self.error(format!("bad character {shown}"))
    }

    fn at_terminator(&self) -> bool {
        match self.peek() {
            None | Some(' ' | '\t' | '\r' | '\n' | '.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(_) => self.rest().starts_with(RIGHT),
        }
    }

    fn quoted(&mut self, quote: char, message: &str, kind: Kind) -> Step {
        loop {
            match self.next() {
                Some('\\') => {
                    if matches!(self.next(), None | Some('\n')) {
                        return self.error(message);
                    }
                }
                None | Some('\n') => return self.error(message),
                Some(c) if c == quote => return self.emit(kind),
                Some(_) => {}
            }
        }
    }

    fn number(&mut self) -> Step {
        if !self.scan_number() {
            return self.bad_number();
        }
        if matches!(self.peek(), Some('+' | '-')) {
            if !self.scan_number() || self.input[self.pos - 1] != b'i' {
                return self.bad_number();
            }
            return self.emit(Kind::Complex);
        }
        self.emit(Kind::Number)
    }

    fn bad_number(&mut self) -> Step {
        let shown = crate::quote::quote(&self.input[self.start..self.pos]);
        self.error(format!("bad number syntax: {shown}"))
    }

    fn scan_number(&mut self) -> bool {
        self.accept("+-");
        let (mut digits, mut decimal, mut hex) = ("0123456789_", true, false);
        if self.accept("0") {
            if self.accept("xX") {
                (digits, decimal, hex) = ("0123456789abcdefABCDEF_", false, true);
            } else if self.accept("oO") {
                (digits, decimal) = ("01234567_", false);
            } else if self.accept("bB") {
                (digits, decimal) = ("01_", false);
            }
        }
        self.accept_run(digits);
        if self.accept(".") {
            self.accept_run(digits);
        }
        if decimal && self.accept("eE") || hex && self.accept("pP") {
            self.accept("+-");
            self.accept_run("0123456789_");
        }
        self.accept("i");
        if self.peek().is_some_and(is_alphanumeric) {
            self.next();
            return false;
        }
        true
    }
}

/// A token as an error names it: keywords in angle brackets, long texts cut.
pub(crate) fn describe(token: &Token) -> String {
    let text = String::from_utf8_lossy(&token.val);
    match token.kind {
        Kind::Eof => "EOF".into(),
        Kind::Error => text.into_owned(),
        kind if kind.is_keyword() => format!("<{text}>"),
        _ if token.val.len() > 10 => {
            let mut end = 0;
            for _ in 0..10 {
                end += decode_rune(&token.val[end..]).1;
            }
            format!("{}...", crate::quote::quote(&token.val[..end]))
        }
        _ => crate::quote::quote(&token.val),
    }
}
