//! From a text to its parts: plain text and expansions with their operator and arguments.

use crate::error::Error;
use crate::scan::{Accept, Mode, Scanner, Token};

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Text(String),
    Expansion(Expansion),
}

/// `${name}`, `${#name}`, `${name OPERATOR arguments}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expansion {
    pub(crate) name: String,
    /// Empty for the bare variable.
    pub(crate) operator: String,
    pub(crate) arguments: Vec<Part>,
}

pub(crate) fn parse(text: &str) -> Result<Vec<Part>, Error> {
    let mut parser = Parser { scanner: Scanner::new(text), depth: 0 };
    let mut parts = Vec::new();
    loop {
        parser.scanner.backslash = false;
        let mode = Mode { text: true, open: true, close: false, escapes: true };
        match parser.scanner.scan(mode, |_, _| true) {
            Token::End => return Ok(parts),
            Token::Text(text) => parts.push(Part::Text(text)),
            Token::Open => parts.push(Part::Expansion(parser.expansion()?)),
            Token::Illegal | Token::Close => return Err(Error::BadSubstitution),
        }
    }
}

struct Parser<'a> {
    scanner: Scanner<'a>,
    depth: usize,
}

fn is_name(c: char, _: usize) -> bool {
    c == '_' || c.is_alphabetic() || c.is_numeric()
}

fn not_closing(c: char, _: usize) -> bool {
    c != '}'
}

impl Parser<'_> {
    /// After `${`.
    fn expansion(&mut self) -> Result<Expansion, Error> {
        if self.depth == crate::MAX_DEPTH {
            return Err(Error::Depth(crate::MAX_DEPTH));
        }
        self.depth += 1;
        let expansion = self.expansion_at_depth();
        self.depth -= 1;
        expansion
    }

    fn expansion_at_depth(&mut self) -> Result<Expansion, Error> {
        self.scanner.backslash = true;
        if self.scanner.peek() == Some('#') {
            return self.length();
        }
        let Token::Text(name) = self.scanner.scan(Mode::TEXT, is_name) else {
            return Err(Error::VariableName);
        };
        match self.scanner.peek() {
            Some(':') => match self.scanner.peek_second() {
                Some('=' | '-' | '?' | '+') => self.default(name),
                // The original steps back by this character's bytes and not by the colon's.
                Some(c) if c.is_ascii() => self.substring(name),
                _ => Err(Error::BadSubstitution),
            },
            Some('=') => self.default(name),
            Some(',' | '^') => self.casing(name),
            Some('/') => self.replace(name),
            Some('#') => self.remove(name, |c, at| c == '#' && at < 3),
            Some('%') => self.remove(name, |c, at| c == '%' && at < 3),
            _ => match self.scanner.scan(Mode::CLOSE, is_name) {
                Token::Close => {
                    Ok(Expansion { name, operator: String::new(), arguments: Vec::new() })
                }
                _ => Err(Error::MissingClosingBrace),
            },
        }
    }

    fn operator(&mut self, accept: Accept, error: Error) -> Result<String, Error> {
        match self.scanner.scan(Mode::TEXT, accept) {
            Token::Text(operator) => Ok(operator),
            _ => Err(error),
        }
    }

    fn argument(&mut self, accept: Accept, escapes: bool) -> Result<Part, Error> {
        match self.scanner.scan(Mode { text: true, open: true, close: false, escapes }, accept) {
            Token::Open => self.expansion().map(Part::Expansion),
            Token::Text(text) => Ok(Part::Text(text)),
            _ => Err(Error::Argument),
        }
    }

    fn close(&mut self) -> Result<(), Error> {
        match self.scanner.scan(Mode::CLOSE, is_name) {
            Token::Close => Ok(()),
            _ => Err(Error::BadSubstitution),
        }
    }

    /// `${name:position}`, `${name:position:length}`
    fn substring(&mut self, name: String) -> Result<Expansion, Error> {
        let operator = self.operator(|c, at| c == ':' && at == 1, Error::BadSubstitution)?;
        let mut arguments = vec![self.argument(|c, _| c != ':' && c != '}', false)?];
        let mode = Mode { close: true, ..Mode::TEXT };
        match self.scanner.scan(mode, |c, _| c == ':') {
            Token::Close => return Ok(Expansion { name, operator, arguments }),
            Token::Text(_) => {}
            _ => return Err(Error::BadSubstitution),
        }
        arguments.push(self.argument(not_closing, false)?);
        self.close()?;
        Ok(Expansion { name, operator, arguments })
    }

    /// `${name#pattern}`, `${name##pattern}`, `${name%pattern}`, `${name%%pattern}`
    fn remove(&mut self, name: String, accept: Accept) -> Result<Expansion, Error> {
        let operator = self.operator(accept, Error::BadSubstitution)?;
        let arguments = vec![self.argument(not_closing, false)?];
        self.close()?;
        Ok(Expansion { name, operator, arguments })
    }

    /// `${name/old/new}`, `${name//old/new}`, `${name/#old/new}`, `${name/%old/new}`
    fn replace(&mut self, name: String) -> Result<Expansion, Error> {
        let accept: Accept = |c, at| match at {
            1 => c == '/',
            2 => matches!(c, '/' | '#' | '%'),
            _ => false,
        };
        let operator = self.operator(accept, Error::BadSubstitution)?;
        let mut arguments = vec![self.argument(|c, _| c != '/', true)?];
        self.operator(|c, _| c == '/', Error::BadSubstitution)?;
        if self.scanner.peek() != Some('}') {
            arguments.push(self.argument(not_closing, true)?);
        }
        self.close()?;
        Ok(Expansion { name, operator, arguments })
    }

    /// `${name=word}`, `${name:=word}`, `${name:-word}`, `${name:?word}`, `${name:+word}`
    fn default(&mut self, name: String) -> Result<Expansion, Error> {
        let accept: Accept = if self.scanner.peek() == Some('=') {
            |c, at| c == '=' && at == 1
        } else {
            |c, at| match at {
                1 => c == ':',
                2 => matches!(c, '=' | '-' | '?' | '+'),
                _ => false,
            }
        };
        let operator = self.operator(accept, Error::DefaultOperator)?;
        let mut arguments = Vec::new();
        while self.scanner.peek() != Some('}') {
            arguments.push(self.argument(not_closing, false)?);
        }
        self.close()?;
        Ok(Expansion { name, operator, arguments })
    }

    /// `${name,}`, `${name,,}`, `${name^}`, `${name^^}`
    fn casing(&mut self, name: String) -> Result<Expansion, Error> {
        let accept: Accept = |c, at| matches!(c, ',' | '^') && at < 3;
        let operator = self.operator(accept, Error::BadSubstitution)?;
        self.close()?;
        Ok(Expansion { name, operator, arguments: Vec::new() })
    }

    /// `${#name}`
    fn length(&mut self) -> Result<Expansion, Error> {
        let operator = self.operator(|c, at| c == '#' && at == 1, Error::BadSubstitution)?;
        let name = self.operator(is_name, Error::BadSubstitution)?;
        self.close()?;
        Ok(Expansion { name, operator, arguments: Vec::new() })
    }
}
