//! Git's pkt-line framing and its side band, read from a stream and written to a buffer.
//!
//! Source: Git's `gitprotocol-common` and `gitprotocol-pack`. It knows frames, not what they say.

use std::io::{self, Read};

/// The longest frame Git allows, its four length digits included.
const MAX_FRAME: usize = 65_520;

/// One frame's kind; the data of a [`Pkt::Data`] is [`PktReader::data`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pkt {
    /// A frame with data (which may be empty).
    Data,
    /// `0000`
    Flush,
    /// `0001`, between the sections of a version 2 message.
    Delimiter,
    /// `0002`, the end of a version 2 response over a stateless connection.
    ResponseEnd,
    /// The stream ended between two frames.
    End,
}

/// What is wrong with a frame.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("invalid pkt-len {0:?} found")]
    Length(String),
    #[error("the server's answer ended in the middle of a frame")]
    Truncated,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads frames from a stream, one in memory at a time.
pub(crate) struct PktReader<R> {
    stream: R,
    frame: Vec<u8>,
}

impl<R: Read> PktReader<R> {
    pub(crate) fn new(stream: R) -> Self {
        Self { stream, frame: Vec::new() }
    }

    /// Reads the next frame.
    pub(crate) fn next(&mut self) -> Result<Pkt, FrameError> {
        self.frame.clear();
        let mut digits = [0; 4];
        let mut have = 0;
        while have < 4 {
            match self.stream.read(&mut digits[have..]) {
                Ok(0) if have == 0 => return Ok(Pkt::End),
                Ok(0) => return Err(FrameError::Truncated),
                Ok(n) => have += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        let length = parse_length(digits)
            .ok_or_else(|| FrameError::Length(String::from_utf8_lossy(&digits).into_owned()))?;
        match length {
            0 => Ok(Pkt::Flush),
            1 => Ok(Pkt::Delimiter),
            2 => Ok(Pkt::ResponseEnd),
            4..=MAX_FRAME => {
                self.frame.resize(length - 4, 0);
                self.stream.read_exact(&mut self.frame).map_err(|error| match error.kind() {
                    io::ErrorKind::UnexpectedEof => FrameError::Truncated,
                    _ => FrameError::Io(error),
                })?;
                Ok(Pkt::Data)
            }
            _ => Err(FrameError::Length(String::from_utf8_lossy(&digits).into_owned())),
        }
    }

    /// The data of the frame [`PktReader::next`] has read last.
    pub(crate) fn data(&self) -> &[u8] {
        &self.frame
    }

    /// That data as a line: without its newline, and readable whatever the bytes are.
    pub(crate) fn line(&self) -> String {
        let data = self.frame.strip_suffix(b"\n").unwrap_or(&self.frame);
        String::from_utf8_lossy(data).into_owned()
    }
}

fn parse_length(digits: [u8; 4]) -> Option<usize> {
    digits
        .iter()
        .try_fold(0, |sum, &digit| Some(sum * 16 + char::from(digit).to_digit(16)? as usize))
}

/// Appends one frame of text.
pub(crate) fn write_line(out: &mut Vec<u8>, text: &str) {
    debug_assert!(text.len() + 4 <= MAX_FRAME, "requests are short lines");
    out.extend_from_slice(format!("{:04x}", text.len() + 4).as_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Appends `0000`.
pub(crate) fn write_flush(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0000");
}

/// Appends `0001`.
pub(crate) fn write_delimiter(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0001");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(mut bytes: &[u8]) -> Vec<Result<(Pkt, Vec<u8>), String>> {
        let mut reader = PktReader::new(&mut bytes);
        let mut found = Vec::new();
        loop {
            match reader.next() {
                Ok(Pkt::End) => return found,
                Ok(pkt) => found.push(Ok((pkt, reader.data().to_vec()))),
                Err(error) => {
                    found.push(Err(error.to_string()));
                    return found;
                }
            }
        }
    }

    #[test]
    fn frames_are_read_one_by_one() {
        assert_eq!(
            frames(b"0006a\n00000001000200040005b"),
            [
                Ok((Pkt::Data, b"a\n".to_vec())),
                Ok((Pkt::Flush, vec![])),
                Ok((Pkt::Delimiter, vec![])),
                Ok((Pkt::ResponseEnd, vec![])),
                Ok((Pkt::Data, vec![])),
                Ok((Pkt::Data, b"b".to_vec())),
            ]
        );
    }

    #[test]
    fn broken_frames_are_errors() {
        assert_eq!(frames(b"<htm"), [Err(r#"invalid pkt-len "<htm" found"#.to_string())]);
        assert_eq!(frames(b"0003"), [Err(r#"invalid pkt-len "0003" found"#.to_string())]);
        assert_eq!(frames(b"fff5"), [Err(r#"invalid pkt-len "fff5" found"#.to_string())]);
        let truncated = "the server's answer ended in the middle of a frame";
        assert_eq!(frames(b"00"), [Err(truncated.to_string())]);
        assert_eq!(frames(b"0008ab"), [Err(truncated.to_string())]);
    }

    #[test]
    fn what_is_written_is_read() {
        let mut out = Vec::new();
        write_line(&mut out, "want x\n");
        write_delimiter(&mut out);
        write_flush(&mut out);
        assert_eq!(out, b"000bwant x\n00010000");
    }
}
