//! 2,000 files with every oddity of YAML: the marked values change and not a byte else, and Flux's setter chooses the
//! same values.
//!
//! A file is written twice as it is generated: as it is, and as it is to become. So what is wanted is known without
//! reading YAML.

use borax_image::ImageRef;
use borax_image::setters::{Policies, edit};
use borax_yaml::{Data, Node, Options, parse};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::flux::{Changed, Flux};

pub(crate) fn policies() -> Policies {
    let image = |name: &str, tag: &str, digest: &str| ImageRef {
        name: name.into(),
        tag: tag.into(),
        digest: digest.into(),
    };
    let digest = format!("sha256:{}", "5c".repeat(32));
    [
        ("ns:app", image("ghcr.io/org/app", "2.1.0", "")),
        ("ns:num", image("registry.example.com:5000/x/y", "1.27", "")),
        ("ns:pin", image("quay.io/team/pinned", "v3", &digest)),
        ("ns:octal", image("docker.io/library/o", "0123", "")),
        ("ns:on", image("docker.io/library/on", "on", "")),
        ("ns:exp", image("docker.io/library/e", "1e3", "")),
        ("ns:date", image("docker.io/library/d", "2026-07-01", "")),
    ]
    .map(|(key, image)| (key.to_owned(), image))
    .into()
}

/// Numbers that depend on nothing but the seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % sides as u64) as usize
    }

    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.roll(choices.len())]
    }
}

struct File {
    dice: Dice,
    policies: Policies,
    input: String,
    want: String,
    eol: &'static str,
    /// Whether Flux's setter finds every marker that ours finds.
    flux: bool,
    keys: usize,
    marked: usize,
}

impl File {
    fn generate(seed: u64) -> File {
        let mut dice = Dice(seed);
        let eol = if dice.roll(5) == 0 { "\r\n" } else { "\n" };
        let mut file = File {
            dice,
            policies: policies(),
            input: String::new(),
            want: String::new(),
            eol,
            flux: true,
            keys: 0,
            marked: 0,
        };
        if file.dice.roll(8) == 0 {
            file.both("\u{FEFF}");
        }
        for number in 0..=file.dice.roll(3) {
            if number > 0 {
                let separator = file.dice.pick(&["---", "---", "--- # next", "---  "]);
                file.line(separator);
            }
            file.document(number);
        }
        if file.dice.roll(6) == 0 {
            // No line break at the end.
            for text in [&mut file.input, &mut file.want] {
                let end = text.trim_end_matches(['\r', '\n']).len();
                text.truncate(end);
            }
        }
        file
    }

    fn both(&mut self, text: &str) {
        self.input.push_str(text);
        self.want.push_str(text);
    }

    fn line(&mut self, text: &str) {
        self.both(text);
        self.both(self.eol);
    }

    /// A line that differs: `{}` stands for the value.
    fn differing(&mut self, frame: &str, old: &str, new: &str) {
        let eol = self.eol;
        self.input.push_str(&frame.replacen("{}", old, 1));
        self.want.push_str(&frame.replacen("{}", new, 1));
        self.both(eol);
    }

    fn key(&mut self) -> String {
        self.keys += 1;
        let stem = self.dice.pick(&["image", "tag", "k", "version", "größe", "a.b/c"]);
        format!("{stem}{}", self.keys)
    }

    fn document(&mut self, number: usize) {
        if self.dice.roll(3) == 0 {
            self.line("# a comment at the top, with 'quotes\" and {braces}");
            if self.dice.roll(2) == 0 {
                self.line("");
            }
        }
        self.line("apiVersion: apps/v1");
        self.line("kind: Deployment");
        self.line("metadata:");
        self.line(&format!("  name: object-{number}"));
        self.line("spec:");
        let indent = [2, 4, 3][self.dice.roll(3)];
        for _ in 0..3 + self.dice.roll(8) {
            if self.dice.roll(2) == 0 { self.odd(indent) } else { self.marked(indent) }
        }
        if self.dice.roll(3) == 0 {
            let key = self.key();
            self.line(&format!("{:indent$}{key}:", ""));
            for _ in 0..1 + self.dice.roll(4) {
                let deeper = indent + [2, 4][self.dice.roll(2)];
                // Entries of one mapping have one indentation.
                let deeper = if indent == 3 { 5 } else { deeper.min(indent + 2) };
                if self.dice.roll(2) == 0 { self.odd(deeper) } else { self.marked(deeper) }
            }
        }
    }

    /// Something that stays.
    fn odd(&mut self, indent: usize) {
        let pad = " ".repeat(indent);
        let key = self.key();
        match self.dice.roll(16) {
            0 => self.line(&format!("{pad}{key}: plain text with no end   ")),
            1 => {
                self.line(&format!("{pad}{key}:   'single ''quoted'' # no comment'   # a comment"))
            }
            2 => self.line(&format!("{pad}{key}: \"double \\\"quoted\\\" \\u00e9 # no comment\"")),
            3 => {
                self.line(&format!("{pad}{key}: |"));
                self.line(&format!("{pad}  image: x # {{\"$imagepolicy\": \"ns:app\"}}"));
                self.line(&format!("{pad}    - {{a: b}} # {{\"$imagepolicy\": \"ns:app:tag\"}}"));
                self.line("");
                self.line(&format!("{pad}  # {{\"$imagepolicy\": \"ns:app\"}}"));
            }
            4 => {
                // Flux adds an empty line to it, marked or not.
                self.flux = false;
                self.line(&format!("{pad}{key}: >+"));
                self.line(&format!("{pad}  folded"));
                self.line(&format!("{pad}  more"));
                self.line("");
            }
            5 => self.line(&format!("{pad}{key}: &anchor{} {{a: 1, b: [2, 3]}}", self.keys)),
            6 => self.line(&format!("{pad}{key}: {}", "long ".repeat(60).trim_end())),
            7 => {
                self.line(&format!("{pad}{key}: \"on two"));
                self.line(&format!("{pad}  lines # {{\\\"$imagepolicy\\\"\""));
            }
            8 => self.line(""),
            9 => self.line(&format!("{pad}# commented: out # {{\"$imagepolicy\": \"ns:other\"}}")),
            10 => self.line(&format!("{pad}{key}: nginx:1 # {{\"$imagepolicy\": \"ns:other\"}}")),
            11 => self.line(&format!("{pad}{key}: nginx:1 # see {{\"$imagepolicy\": \"ns:app\"}}")),
            12 => self.line(&format!("{pad}{key}: yes")),
            13 => {
                self.line(&format!("{pad}{key}: ["));
                self.line(&format!("{pad}  'a' , # first"));
                self.line(&format!("{pad}  b,"));
                self.line(&format!("{pad}  ]"));
            }
            14 => self.line(&format!("{pad}{key}: 日本語 \u{1F600}")),
            _ => self.line(&format!("{pad}\"{key}\" : null")),
        }
    }

    fn marker(&mut self, setter: &str) -> String {
        let gap = self.dice.pick(&[" ", "  ", "\t", "      "]);
        let text = match self.dice.roll(4) {
            0 => format!("#{{\"$imagepolicy\":\"{setter}\"}}"),
            1 => format!("# {{ \"$imagepolicy\" : \"{setter}\" }}  "),
            2 => format!("## {{\"$imagepolicy\": \"{setter}\", \"why\": \"x\"}}"),
            _ => format!("# {{\"$imagepolicy\": \"{setter}\"}}"),
        };
        format!("{gap}{text}")
    }

    /// Setter, value before, value after, and whether that needs quotes.
    fn setter(&mut self) -> (String, String, String, bool) {
        let names: Vec<String> = self.policies.keys().cloned().collect();
        let policy = names[self.dice.roll(names.len())].clone();
        let image = self.policies[&policy].clone();
        let old =
            self.dice.pick(&["nginx:1.0", "old", "1.5", "registry.example.com:5000/a/b:v1", "0"]);
        let (part, new) = match self.dice.roll(4) {
            0 => (":tag", image.tag.clone()),
            1 => (":name", image.name.clone()),
            2 if !image.digest.is_empty() => (":digest", image.digest.clone()),
            _ => ("", image.to_string()),
        };
        let quoted = part == ":tag" && !matches!(&*image.tag, "2.1.0" | "v3");
        (format!("{policy}{part}"), old.to_owned(), new, quoted)
    }

    /// Something that changes.
    fn marked(&mut self, indent: usize) {
        self.marked += 1;
        let pad = " ".repeat(indent);
        let key = self.key();
        let (setter, old, new, needs_quotes) = self.setter();
        let marker = self.marker(&setter);
        let plain = if needs_quotes { format!("\"{new}\"") } else { new.clone() };
        match self.dice.roll(20) {
            0 => self.differing(&format!("{pad}{key}: '{{}}'{marker}"), &old, &new),
            1 => self.differing(&format!("{pad}{key}: \"{{}}\"{marker}"), &old, &new),
            2 => {
                let header = self.dice.pick(&["|", "|-", "|+", ">", ">-"]);
                let becomes = format!("{}-", &header[..1]);
                let (input, want) = (
                    format!("{pad}{key}: {header}{marker}"),
                    format!("{pad}{key}: {becomes}{marker}"),
                );
                self.input.push_str(&input);
                self.want.push_str(&want);
                self.both(self.eol);
                self.differing(&format!("{pad}   {{}}"), &old, &new);
            }
            3 => {
                self.line(&format!("{pad}{key}:"));
                self.differing(&format!("{pad}  {{}}{marker}"), &old, &plain);
            }
            4 => {
                self.line(&format!("{pad}{key}:"));
                self.line(&format!("{pad}- other"));
                self.differing(&format!("{pad}- {{}}{marker}"), &old, &plain);
            }
            5 => {
                self.line(&format!("{pad}{key}:"));
                self.line(&format!("{pad}  -   name: c"));
                self.differing(&format!("{pad}      image: {{}}{marker}"), &old, &plain);
                self.line(&format!("{pad}      pull: Always"));
            }
            6 => {
                self.line(&format!("{pad}{key}:"));
                self.line(&format!("{pad}{}", marker.trim_start()));
                self.differing(&format!("{pad}- {{}}"), &old, &plain);
            }
            7 => {
                let n = self.keys;
                self.differing(&format!("{pad}{key}: &v{n} {{}}{marker}"), &old, &plain);
                self.line(&format!("{pad}{key}x: *v{n}"));
            }
            8 => {
                self.flux = false;
                self.differing(
                    &format!("{pad}{key}: {{name: app, tag: {{}}}}{marker}"),
                    &old,
                    &plain,
                );
            }
            9 => {
                self.flux = false;
                self.differing(&format!("{pad}{key}: [ a, [b, '{{}}' ] ]{marker}"), &old, &new);
            }
            10 => {
                self.line(&format!("{pad}{key}: {{"));
                self.line(&format!("{pad}  name: app,"));
                self.differing(&format!("{pad}  tag: {{}},{marker}"), &old, &plain);
                self.line(&format!("{pad}  }}"));
            }
            11 => self.differing(&format!("{pad}{key}: !!str {{}}{marker}"), &old, &plain),
            12 => {
                self.line(&format!("{pad}? {key}"));
                self.differing(&format!("{pad}: {{}}{marker}"), &old, &plain);
            }
            13 => {
                let eol = self.eol;
                let frame = format!("{pad}{key}: {{}}{marker}");
                self.differing(
                    &frame,
                    &format!("\"{old}{eol}{pad}  more\""),
                    &format!("\"{new}\""),
                );
            }
            14 => {
                let eol = self.eol;
                let frame = format!("{pad}{key}: {{}}{marker}");
                self.differing(&frame, &format!("{old}{eol}{pad}  more"), &plain);
            }
            15 => {
                let header = self.dice.pick(&["|2", "|2-", "|-2", ">2-"]);
                let becomes = match header {
                    "|2" => "|2-",
                    other => other,
                };
                self.input.push_str(&format!("{pad}{key}: {header}{marker}"));
                self.want.push_str(&format!("{pad}{key}: {becomes}{marker}"));
                self.both(self.eol);
                let frame = format!("{pad}  {{}}");
                self.differing(&frame, &format!("  {old}"), &new);
            }
            16 => self.differing(&format!("{pad}'{key}'  :   {{}}{marker}"), &old, &plain),
            _ => self.differing(&format!("{pad}{key}: {{}}{marker}"), &old, &plain),
        }
    }
}

/// The texts of a file's scalars in their collections. Types are left aside: where a number was before, Flux writes
/// `!!int` before an image's name.
fn texts(text: &str) -> Vec<Value> {
    fn of(node: &Node) -> Value {
        match &node.data {
            Data::Scalar(text) => json!(text.as_str()),
            Data::Alias(name) => json!({ "alias": name.as_str() }),
            Data::Sequence(items) => items.iter().map(of).collect(),
            Data::Mapping(entries) => {
                entries.iter().map(|(key, value)| json!([of(key), of(value)])).collect()
            }
        }
    }
    parse(text, &Options::default()).unwrap().iter().map(of).collect()
}

#[test]
fn only_the_marked_values_change() {
    let mut runner =
        TestRunner::new(Config { cases: 2_000, failure_persistence: None, ..Config::default() });
    runner
        .run(&any::<u64>(), |seed| {
            let file = File::generate(seed);
            let edited = edit("file.yaml", file.input.as_bytes(), &file.policies);
            let edited = edited
                .map_err(|problem| TestCaseError::fail(format!("{problem}\n{}", file.input)))?;
            let text = match edited {
                Some(edit) => String::from_utf8(edit.bytes).unwrap(),
                None => file.input.clone(),
            };
            prop_assert_eq!(text, file.want, "seed {} of\n{}", seed, file.input);
            Ok(())
        })
        .unwrap();
}

#[test]
fn flux_chooses_the_same_values() {
    let Some(mut flux) = Flux::start("flux-setters") else { return };
    let (mut compared, mut changed) = (0, 0);
    let mut seed = 0;
    while compared < 2_000 {
        seed += 1;
        assert!(seed < 20_000, "only {compared} files could be compared");
        let file = File::generate(seed);
        if !file.flux {
            continue;
        }
        let theirs = flux.set("file.yaml", file.input.as_bytes(), &file.policies);
        if theirs.problem || !theirs.error.is_empty() {
            // What Flux can't read or write, ours has to read and write all the same: the test above.
            continue;
        }
        compared += 1;
        let ours = edit("file.yaml", file.input.as_bytes(), &file.policies).unwrap();
        let mut our_changes: Vec<Changed> = ours
            .iter()
            .flat_map(|edit| &edit.changes)
            .map(|change| Changed {
                old: change.old.clone(),
                new: change.new.clone(),
                setter: change.setter.clone(),
                kind: change.object.kind.clone(),
                name: change.object.name.clone(),
                namespace: change.object.namespace.clone(),
            })
            .collect();
        let text = theirs.text();
        let mut their_changes = theirs.changes.unwrap_or_default();
        our_changes.sort();
        their_changes.sort();
        assert_eq!(our_changes, their_changes, "seed {seed} of\n{}", file.input);
        changed += our_changes.len();
        assert_eq!(texts(&file.want), texts(&text), "seed {seed} of\n{}", file.input);
    }
    assert!(changed > 5_000, "{changed} values changed in {compared} files");
}
