//! Flux's own setter and policies, as `tests/oracles/image` builds them; and its answers.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use borax_image::setters::Policies;
use borax_testkit::oracle;
use serde::Deserialize;
use serde_json::{Value, json};

/// A program that answers a line with a line.
pub(crate) struct Flux {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

/// What Flux's setter made of a file.
#[derive(Debug, Deserialize)]
pub(crate) struct Set {
    file: Option<String>,
    pub(crate) changes: Option<Vec<Changed>>,
    /// It could not be read.
    pub(crate) problem: bool,
    pub(crate) error: String,
}

#[derive(Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Changed {
    pub(crate) old: String,
    pub(crate) new: String,
    pub(crate) setter: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) namespace: String,
}

impl Set {
    pub(crate) fn text(&self) -> String {
        let bytes = self.file.as_deref().map(|file| STANDARD.decode(file).unwrap());
        String::from_utf8(bytes.unwrap_or_default()).unwrap()
    }
}

impl Flux {
    /// Starts the program; says that the test is skipped where it is not built.
    pub(crate) fn start(program: &str) -> Option<Flux> {
        let path = oracle::require(program)?;
        let piped = Stdio::piped;
        let mut child = Command::new(path).stdin(piped()).stdout(piped()).spawn().unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Some(Flux { child, input, output })
    }

    pub(crate) fn ask(&mut self, question: &Value) -> String {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{question}").unwrap();
        input.flush().unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line
    }

    pub(crate) fn set(&mut self, name: &str, file: &[u8], policies: &Policies) -> Set {
        let policies: BTreeMap<&String, Value> = policies
            .iter()
            .map(|(key, image)| {
                let value = json!({"name": image.name, "tag": image.tag, "digest": image.digest});
                (key, value)
            })
            .collect();
        let question = json!({"name": name, "file": STANDARD.encode(file), "policies": policies});
        serde_json::from_str(&self.ask(&question)).unwrap()
    }
}

impl Drop for Flux {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}
