//! `%YAML`, `%TAG`, anchors, aliases and tags.

use std::borrow::Cow;

use super::{Mark, Scan, Scanner, Token, TokenKind, is_alpha, width};

impl<'a> Scanner<'a> {
    pub(super) fn scan_directive(&mut self) -> Scan<()> {
        let start = self.mark();
        self.skip_ascii(1);
        let name = self.alphas();
        if name.is_empty() {
            return Err(self.error(start, "could not find expected directive name"));
        }
        if !self.is_blank_or_end(0) {
            return Err(self.error(start, "found unexpected non-alphabetical character"));
        }
        let token = match name {
            "YAML" => self.version(start)?,
            "TAG" => self.tag_directive(start)?,
            _ => return Err(self.error(start, "found unknown directive name")),
        };
        self.skip_blanks();
        if self.byte(0) == b'#' {
            self.skip_to_break();
        }
        if !self.is_break_or_end(0) {
            return Err(self.error(start, "did not find expected comment or line break"));
        }
        self.read_line();
        self.tokens.push(token);
        Ok(())
    }

    fn version(&mut self, start: Mark) -> Scan<Token<'a>> {
        self.skip_blanks();
        let major = self.version_number(start)?;
        if self.byte(0) != b'.' {
            return Err(self.error(start, "did not find expected digit or '.' character"));
        }
        self.skip_ascii(1);
        let minor = self.version_number(start)?;
        Ok(Token {
            kind: TokenKind::VersionDirective,
            start,
            end: self.mark(),
            value: format!("{major}.{minor}").into(),
            ..Token::default()
        })
    }

    fn version_number(&mut self, start: Mark) -> Scan<u8> {
        let mut value = 0;
        let mut length = 0;
        while self.byte(0).is_ascii_digit() {
            length += 1;
            if length > 2 {
                return Err(self.error(start, "found extremely long version number"));
            }
            value = value * 10 + (self.byte(0) - b'0');
            self.skip_ascii(1);
        }
        if length == 0 {
            return Err(self.error(start, "did not find expected version number"));
        }
        Ok(value)
    }

    fn tag_directive(&mut self, start: Mark) -> Scan<Token<'a>> {
        self.skip_blanks();
        let handle = self.tag_handle(true, start)?;
        if !self.is_blank(0) {
            return Err(self.error(start, "did not find expected whitespace"));
        }
        self.skip_blanks();
        let prefix = self.tag_uri("", start)?;
        if !self.is_blank_or_end(0) {
            return Err(self.error(start, "did not find expected whitespace or line break"));
        }
        Ok(Token {
            kind: TokenKind::TagDirective,
            start,
            end: self.mark(),
            value: format!("{handle}\0{prefix}").into(),
            ..Token::default()
        })
    }

    pub(super) fn scan_anchor(&mut self, kind: TokenKind) -> Scan<()> {
        let start = self.mark();
        self.skip_ascii(1);
        let from = self.pos;
        let empty = self.alphas().is_empty();
        let ended = self.is_blank_or_end(0)
            || matches!(self.byte(0), b'?' | b':' | b',' | b']' | b'}' | b'%' | b'@' | b'`');
        if empty || !ended {
            return Err(self.error(start, "did not find expected alphabetic or numeric character"));
        }
        let value = Cow::Borrowed(self.slice(from, self.pos));
        let end = self.mark();
        self.tokens.push(Token { kind, start, end, value, ..Token::default() });
        Ok(())
    }

    pub(super) fn scan_tag(&mut self) -> Scan<()> {
        let start = self.mark();
        let (handle, suffix);
        if self.byte(1) == b'<' {
            self.skip_ascii(2);
            handle = String::new();
            suffix = self.tag_uri("", start)?;
            if self.byte(0) != b'>' {
                return Err(self.error(start, "did not find the expected '>'"));
            }
            self.skip_ascii(1);
        } else {
            let head = self.tag_handle(false, start)?;
            if head.len() > 1 && head.ends_with('!') {
                handle = head;
                suffix = self.tag_uri("", start)?;
            } else {
                let rest = self.tag_uri(&head, start)?;
                // `!` alone has no handle.
                (handle, suffix) =
                    if rest.is_empty() { (rest, "!".to_owned()) } else { ("!".to_owned(), rest) };
            }
        }
        if !self.is_blank_or_end(0) {
            return Err(self.error(start, "did not find expected whitespace or line break"));
        }
        let end = self.mark();
        self.tokens.push(Token {
            kind: TokenKind::Tag,
            start,
            end,
            value: format!("{handle}\0{suffix}").into(),
            ..Token::default()
        });
        Ok(())
    }

    fn tag_handle(&mut self, directive: bool, start: Mark) -> Scan<String> {
        if self.byte(0) != b'!' {
            return Err(self.error(start, "did not find expected '!'"));
        }
        let from = self.pos;
        self.skip_ascii(1);
        self.alphas();
        if self.byte(0) == b'!' {
            self.skip_ascii(1);
        } else if directive && self.pos > from + 1 {
            return Err(self.error(start, "did not find expected '!'"));
        }
        Ok(self.slice(from, self.pos).to_owned())
    }

    /// The rest of a tag after `head` (of which the leading `!` is not part of the result).
    fn tag_uri(&mut self, head: &str, start: Mark) -> Scan<String> {
        let mut any = !head.is_empty();
        let mut uri: Vec<u8> = head.bytes().skip(1).collect();
        loop {
            let b = self.byte(0);
            if b == b'%' {
                self.uri_escape(&mut uri, start)?;
            } else if is_alpha(b) || b";/?:@&=+$,.!~*'()[]".contains(&b) {
                uri.push(b);
                self.skip_ascii(1);
            } else {
                break;
            }
            any = true;
        }
        if !any {
            return Err(self.error(start, "did not find expected tag URI"));
        }
        String::from_utf8(uri)
            .map_err(|_| self.error(start, "found an incorrect leading UTF-8 octet"))
    }

    /// One escaped character: as many `%XX` as its encoding has bytes.
    fn uri_escape(&mut self, uri: &mut Vec<u8>, start: Mark) -> Scan<()> {
        let mut left = 0;
        loop {
            let hex = |b: u8| char::from(b).to_digit(16);
            let (Some(high), Some(low), b'%') =
                (hex(self.byte(1)), hex(self.byte(2)), self.byte(0))
            else {
                return Err(self.error(start, "did not find URI escaped octet"));
            };
            let octet = (high * 16 + low) as u8;
            if left == 0 {
                if matches!(octet, 0x80..=0xBF | 0xF8..) {
                    return Err(self.error(start, "found an incorrect leading UTF-8 octet"));
                }
                left = width(octet);
            } else if octet & 0xC0 != 0x80 {
                return Err(self.error(start, "found an incorrect trailing UTF-8 octet"));
            }
            uri.push(octet);
            self.skip_ascii(3);
            left -= 1;
            if left == 0 {
                return Ok(());
            }
        }
    }

    fn alphas(&mut self) -> &'a str {
        let from = self.pos;
        while is_alpha(self.byte(0)) {
            self.pos += 1;
        }
        if self.pos > from {
            self.newlines = 0;
        }
        self.slice(from, self.pos)
    }
}
