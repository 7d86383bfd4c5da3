//! How far a rendering may go, and what is used of it. Templates and functions draw on the same limits: a
//! function is charged for what it is given and what it makes, before it makes more than its arguments hold.

use std::fmt;

use crate::error::FuncError;
use crate::exec::Context;
use crate::held;
use crate::value::Value;

/// How far a rendering may go.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Templates within templates. (Go: 100 000.)
    pub depth: usize,
    /// Bytes written, those of inner templates included.
    pub output: usize,
    /// Actions, commands, loop rounds, and the work of functions in about the same measure.
    pub steps: u64,
    /// Bytes that its values hold at one time, those a function is making included.
    pub memory: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { depth: 5_000, output: 256 << 20, steps: 200_000_000, memory: 256 << 20 }
    }
}

/// Which limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// [`Limits::depth`]
    Depth,
    /// [`Limits::output`]
    Output,
    /// [`Limits::steps`]
    Steps,
    /// [`Limits::memory`]
    Memory,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Limit::Depth => "templates within templates",
            Limit::Output => "bytes of output",
            Limit::Steps => "steps",
            Limit::Memory => "bytes held by values",
        })
    }
}

/// What a rendering has used.
#[derive(Debug)]
pub(crate) struct Used {
    written: usize,
    steps: u64,
    /// What this thread's values held before.
    before: usize,
}

impl Default for Used {
    fn default() -> Self {
        Used { written: 0, steps: 0, before: held::held() }
    }
}

/// Bytes of input that count as one step.
const STEP: usize = 64;
/// How many bytes a function may take to work on a byte of text: escapes, encodings and copies. What can take
/// more asks for itself.
const PER_BYTE: usize = 8;
/// As [`PER_BYTE`], for an element of a list.
const PER_ITEM: usize = 96;

/// Room for what a function makes, measured once and drawn on without asking the rendering again.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    whole: usize,
    left: usize,
    most: usize,
}

impl Room {
    /// Room of that many bytes, outside of a rendering.
    pub fn of(bytes: usize) -> Room {
        Room { whole: bytes, left: bytes, most: bytes }
    }

    /// Bytes that are left.
    pub fn left(&self) -> usize {
        self.left
    }

    /// Takes a part.
    ///
    /// # Errors
    /// When less is left.
    pub fn take(&mut self, bytes: usize) -> Result<(), FuncError> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                self.left = 0;
                Err(self.over())
            }
        }
    }

    /// The refusal of what does not fit.
    pub fn over(&self) -> FuncError {
        FuncError::Limit(Limit::Memory, self.most as u64)
    }

    fn taken(&self) -> usize {
        self.whole - self.left
    }
}

impl Context<'_> {
    /// Bytes that may still be written.
    pub fn output_left(&self) -> usize {
        self.limits.output.saturating_sub(self.used.written)
    }

    /// Counts bytes that are written.
    ///
    /// # Errors
    /// When the limit is reached.
    pub(crate) fn charge(&mut self, bytes: usize) -> Result<(), FuncError> {
        if bytes > self.output_left() {
            return Err(FuncError::Limit(Limit::Output, self.limits.output as u64));
        }
        self.used.written += bytes;
        Ok(())
    }

    /// Counts work done by a function against the step limit.
    ///
    /// # Errors
    /// When the limit is reached.
    pub fn spend(&mut self, steps: u64) -> Result<(), FuncError> {
        self.used.steps = self.used.steps.saturating_add(steps);
        if self.used.steps > self.limits.steps {
            return Err(FuncError::Limit(Limit::Steps, self.limits.steps));
        }
        Ok(())
    }

    /// Steps that are left.
    pub fn steps_left(&self) -> u64 {
        self.limits.steps.saturating_sub(self.used.steps)
    }

    /// Room for what a function makes: half of what values may still hold, since most functions make their result
    /// first and then a value of it.
    pub fn room(&self) -> Room {
        let held = held::held().saturating_sub(self.used.before);
        let left = self.limits.memory.saturating_sub(held) / 2;
        Room { whole: left, left, most: self.limits.memory }
    }

    /// Counts the making of what was drawn from the room.
    ///
    /// # Errors
    /// When a limit is reached.
    pub fn made(&mut self, room: Room) -> Result<(), FuncError> {
        self.spend((room.taken() / STEP) as u64)
    }

    /// Asks for the making of so many bytes at once.
    ///
    /// # Errors
    /// When a limit would be reached.
    pub fn make(&mut self, bytes: usize) -> Result<(), FuncError> {
        let mut room = self.room();
        room.take(bytes)?;
        self.made(room)
    }

    /// Charges a call for its arguments, as if it went over them once and made several times as much.
    pub(crate) fn charge_call(&mut self, args: &[Value]) -> Result<(), FuncError> {
        let (mut bytes, mut work) = (0usize, 0usize);
        for arg in args {
            match arg {
                Value::Str(s) | Value::Bytes(s) => {
                    bytes = bytes.saturating_add(s.len().saturating_mul(PER_BYTE));
                    work += s.len();
                }
                Value::List(l) => {
                    bytes = bytes.saturating_add(l.items().len().saturating_mul(PER_ITEM));
                    work += l.items().len() * 8;
                }
                Value::Object(o) => work += o.weight(),
                _ => {}
            }
        }
        if work < STEP {
            return Ok(());
        }
        self.spend((work / STEP) as u64)?;
        self.room().take(bytes)
    }
}
