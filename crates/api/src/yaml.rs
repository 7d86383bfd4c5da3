//! Writes a JSON value as block YAML that every YAML reader, 1.1 or 1.2, reads back as the same value.
//!
//! For generated files only: keys sorted, strings quoted unless they are plainly words. What Kubernetes' own
//! tools would write is another crate's business.

use std::fmt::Write;

use serde_json::Value;

/// The text of `value`, with a newline at its end.
pub(crate) fn write(value: &Value) -> String {
    let mut out = String::new();
    block(&mut out, value, 0);
    out
}

/// Writes `value` as a block whose first line stands where `out` ends.
fn block(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            let mut keys: Vec<&String> = fields.keys().collect();
            keys.sort();
            for (place, key) in keys.into_iter().enumerate() {
                if place > 0 {
                    pad(out, indent);
                }
                scalar(out, key);
                out.push(':');
                below(out, &fields[key], indent);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    pad(out, indent);
                }
                out.push_str("- ");
                block(out, item, indent + 2);
            }
        }
        Value::String(text) => {
            scalar(out, text);
            out.push('\n');
        }
        // A schema's bounds are floats to Rust; Kubernetes writes whole ones without a fraction.
        Value::Number(number) if number.is_f64() => {
            let _ = writeln!(out, "{}", number.as_f64().unwrap_or_default());
        }
        // Other numbers, booleans, null and empty collections are written alike in JSON and YAML.
        other => {
            let _ = writeln!(out, "{other}");
        }
    }
}

/// Writes what a key holds: on its line, or below it.
fn below(out: &mut String, value: &Value, indent: usize) {
    let indent = match value {
        Value::Object(fields) if !fields.is_empty() => indent + 2,
        Value::Array(items) if !items.is_empty() => indent,
        _ => {
            out.push(' ');
            return block(out, value, indent);
        }
    };
    out.push('\n');
    pad(out, indent);
    block(out, value, indent);
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// Writes a string plain when no reader can take it for anything else, and as JSON otherwise.
fn scalar(out: &mut String, text: &str) {
    if is_plain(text) {
        out.push_str(text);
    } else {
        let _ = write!(out, "{}", Value::from(text));
    }
}

fn is_plain(text: &str) -> bool {
    const SPECIAL: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric() || ".)`'\"".contains(c))
        && text.chars().all(|c| c.is_ascii_alphanumeric() || " .,;:/-_()`'\"…".contains(c))
        && !text.contains(": ")
        && !SPECIAL.contains(&text.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_as_the_same_value() {
        let value = serde_json::json!({
            "b": [{"x": 1.0, "y": "yes"}, [], {}, ["a", "b: c"]],
            "a": {"~": null, "deep": {"pattern": "^.*\\.sig$", "true": true}},
            "text": "a line\nand \"another\" # no comment",
            "colon": "at the end:",
        });
        let text = write(&value);
        assert_eq!(
            text,
            "a:\n  deep:\n    pattern: \"^.*\\\\.sig$\"\n    \"true\": true\n  \"~\": null\n\
             b:\n- x: 1\n  \"y\": \"yes\"\n- []\n- {}\n- - a\n  - \"b: c\"\n\
             colon: \"at the end:\"\n\
             text: \"a line\\nand \\\"another\\\" # no comment\"\n"
        );
    }
}
