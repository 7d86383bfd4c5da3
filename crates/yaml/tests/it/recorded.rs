//! Every text below `tests/cases` against what the originals made of it (`NAME.json`, written by
//! the oracle program in `tests/oracles/yaml` of the repository).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use borax_yaml::{
    Comments, Data, Document, Error, Format, Node, Options, Quoting, Root, decode, json_string,
    parse_documents, to_json, to_json_strict, to_string, write_documents, write_value,
};
use serde_json::Value;

#[test]
fn reads_and_writes_what_the_originals_do() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let failures = compare_all(&dir);
    assert!(failures.is_empty(), "{} differences:\n{}", failures.len(), failures.join("\n"));
}

/// `BORAX_YAML_CASES=DIR cargo test -p borax-yaml -- --ignored` compares a folder of other texts
/// that the oracle has recorded.
#[test]
#[ignore = "compares the folder that BORAX_YAML_CASES names"]
fn reads_and_writes_other_texts_as_the_originals_do() {
    let dir = std::env::var_os("BORAX_YAML_CASES").expect("BORAX_YAML_CASES names a folder");
    let failures = compare_all(Path::new(&dir));
    let shown: Vec<_> = failures.iter().take(20).cloned().collect();
    assert!(failures.is_empty(), "{} differences:\n{}", failures.len(), shown.join("\n"));
}

fn compare_all(dir: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    collect(dir, &mut texts);
    assert!(!texts.is_empty(), "no cases in {}", dir.display());
    let mut failures = Vec::new();
    for path in texts {
        let text = std::fs::read(&path).unwrap();
        let name = path.strip_prefix(dir).unwrap().display().to_string();
        let Ok(record) = std::fs::read(path.with_extension("json")) else {
            failures.push(format!("{name}: no baseline; run the oracle's record"));
            continue;
        };
        let record: Value = serde_json::from_slice(&record).unwrap();
        for (field, ours, theirs) in differences(&text, &record) {
            failures.push(format!("{name}: {field}\n  ours:   {ours:?}\n  theirs: {theirs:?}"));
        }
    }
    failures
}

fn collect(dir: &Path, texts: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, texts);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            texts.push(path);
        }
    }
}

type Difference = (&'static str, String, String);

fn differences(text: &[u8], record: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    let field = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
    let mut compare = |name, ours: String, theirs: String| {
        if ours != theirs {
            found.push((name, ours, theirs));
        }
    };

    let parsed = parse_documents(text, &Options::default());
    let fails_elsewhere = field("nodesError").starts_with("panic: ");
    if !fails_elsewhere {
        compare("nodesError", message(&parsed), field("nodesError"));
    }
    if let Ok(documents) = &parsed {
        compare("nodes", describe(documents), field("nodes"));
        let decoded: Vec<String> = documents
            .iter()
            .map(|document| match decode(&document.root, Root::Any) {
                Ok(value) => json_string(&value),
                Err(error) => format!("error: {}", shorten(&error.to_string())),
            })
            .collect();
        let theirs: Vec<String> = record["decoded"]
            .as_array()
            .map(|list| list.iter().map(|item| raw(&shorten(item.as_str().unwrap()))).collect())
            .unwrap_or_default();
        compare("decoded", decoded.join("\n"), theirs.join("\n"));
        let four = Format { indent: 4, compact_sequences: false };
        for (name, format) in [("compact", Format::KYAML), ("wide", Format::WIDE), ("four", four)] {
            let ours = match write_documents(documents, format) {
                Ok(text) => text,
                Err(error) => format!("error: {error}"),
            };
            if !field(name).starts_with("error: panic") {
                compare(name, ours, field(name));
            }
        }
    }

    let json = to_json(text);
    compare("jsonError", shorten(&message(&json)), shorten(&field("jsonError")));
    let strict = to_json_strict(text);
    if !field("strictError").contains("\n") {
        compare("strictError", shorten(&message(&strict)), shorten(&field("strictError")));
    } else {
        compare("strictError", sorted(&message(&strict)), sorted(&field("strictError")));
    }
    if let Ok(value) = &json {
        compare("json", json_string(value), raw(&field("json")));
        // U+0085 comes out of the original as a space.
        if field("yamlError").is_empty() && !field("json").contains('\u{85}') {
            compare("yaml", to_string(value), field("yaml"));
            let floats = all_floats(value);
            compare("marshal", to_string(&floats), field("marshal"));
            compare("pretty", write_value(&floats, Format::WIDE), field("pretty"));
        }
    }
    found
}

fn message<T>(result: &Result<T, Error>) -> String {
    result.as_ref().err().map(Error::to_string).unwrap_or_default()
}

/// Go escapes what it puts in the place of bytes that are no text.
fn raw(json: &str) -> String {
    let mut out = String::new();
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        if rest[at..].starts_with("\\ufffd") {
            out.push('\u{FFFD}');
            rest = &rest[at + 6..];
        } else {
            out.push_str(&rest[at..at + 2]);
            rest = &rest[at + 2..];
        }
    }
    out + rest
}

/// Without Go's rendering of values.
fn shorten(message: &str) -> String {
    for stem in ["unsupported map key of type", "invalid map key"] {
        if let Some(at) = message.find(stem) {
            return message[..at + stem.len()].to_owned();
        }
    }
    message.to_owned()
}

/// The problems of one error in any order: v2 reports them in the order of its maps.
fn sorted(message: &str) -> String {
    let mut lines: Vec<&str> = message.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

fn all_floats(value: &Value) -> Value {
    match value {
        Value::Number(number) => Value::from(number.as_f64().unwrap()),
        Value::Array(items) => items.iter().map(all_floats).collect(),
        Value::Object(map) => {
            map.iter().map(|(key, value)| (key.clone(), all_floats(value))).collect()
        }
        other => other.clone(),
    }
}

fn describe(documents: &[Document]) -> String {
    let mut out = String::new();
    for document in documents {
        let position = document.position;
        write!(out, "document {}:{} ", position.line, position.column).unwrap();
        describe_comments(&mut out, &document.comments);
        describe_node(&mut out, &document.root, 1);
    }
    out
}

fn describe_node(out: &mut String, node: &Node, depth: usize) {
    let (kind, text) = match &node.data {
        Data::Scalar(text) => ("scalar", text.as_str()),
        Data::Alias(name) => ("alias", name.as_str()),
        Data::Sequence(_) => ("sequence", ""),
        Data::Mapping(_) => ("mapping", ""),
    };
    let position = node.position;
    let indent = " ".repeat(depth);
    write!(out, "{indent}{kind} {}:{} {}", position.line, position.column, node.tag).unwrap();
    let style = u8::from(node.style.tagged)
        + match node.style.quoting {
            Quoting::Plain => 0,
            Quoting::Double => 2,
            Quoting::Single => 4,
            Quoting::Literal => 8,
            Quoting::Folded => 16,
        }
        + if node.style.flow { 32 } else { 0 };
    if style != 0 {
        write!(out, " style={style}").unwrap();
    }
    describe_field(out, "value", text);
    describe_field(out, "anchor", node.anchor());
    describe_comments(out, node.comments());
    match &node.data {
        Data::Sequence(items) => items.iter().for_each(|item| describe_node(out, item, depth + 1)),
        Data::Mapping(entries) => entries.iter().for_each(|(key, value)| {
            describe_node(out, key, depth + 1);
            describe_node(out, value, depth + 1);
        }),
        _ => {}
    }
}

fn describe_comments(out: &mut String, comments: &Comments) {
    describe_field(out, "head", &comments.head);
    describe_field(out, "line", &comments.line);
    describe_field(out, "foot", &comments.foot);
    out.push('\n');
}

fn describe_field(out: &mut String, name: &str, text: &str) {
    if !text.is_empty() {
        write!(out, " {name}={}", json_string(&Value::from(text))).unwrap();
    }
}
