//! JSON as Go writes structs: fields in a given order, empty ones left out where the type says so. Values themselves
//! are written by `borax_yaml::json_string`, which knows Go's numbers and escapes.

use serde_json::Value;

/// A JSON object that is being written.
pub(crate) struct Fields {
    out: String,
}

impl Fields {
    pub(crate) fn new() -> Self {
        Self { out: "{".to_owned() }
    }

    fn name(&mut self, name: &str) {
        if self.out.len() > 1 {
            self.out.push(',');
        }
        self.out.push('"');
        self.out.push_str(name);
        self.out.push_str("\":");
    }

    /// A field whose value is JSON text already.
    pub(crate) fn raw(&mut self, name: &str, json: &str) {
        self.name(name);
        self.out.push_str(json);
    }

    /// A field that is always there.
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        self.raw(name, &text(value));
    }

    /// A field with `omitempty`.
    pub(crate) fn some_text(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.text(name, value);
        }
    }

    /// A list of texts with `omitempty`.
    pub(crate) fn some_texts<'a>(&mut self, name: &str, values: impl IntoIterator<Item = &'a str>) {
        let values: Vec<String> = values.into_iter().map(text).collect();
        self.some_list(name, &values);
    }

    /// A list of JSON texts with `omitempty`.
    pub(crate) fn some_list(&mut self, name: &str, values: &[String]) {
        if !values.is_empty() {
            self.raw(name, &list(values));
        }
    }

    /// A number with `omitempty`.
    pub(crate) fn some_number(&mut self, name: &str, value: i64) {
        if value != 0 {
            self.raw(name, &value.to_string());
        }
    }

    /// A flag with `omitempty`.
    pub(crate) fn some_flag(&mut self, name: &str, value: bool) {
        if value {
            self.raw(name, "true");
        }
    }

    pub(crate) fn end(mut self) -> String {
        self.out.push('}');
        self.out
    }
}

/// A text as Go quotes it.
pub(crate) fn text(value: &str) -> String {
    borax_yaml::json_string(&Value::String(value.to_owned()))
}

/// A list of JSON texts.
pub(crate) fn list(values: &[String]) -> String {
    format!("[{}]", values.join(","))
}

/// The text of a field of the object that valid JSON text holds, without reading the others.
pub(crate) fn field<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    let bytes = json.as_bytes();
    let space = |at: &mut usize| {
        while bytes.get(*at).is_some_and(u8::is_ascii_whitespace) {
            *at += 1;
        }
    };
    let mut at = 0;
    space(&mut at);
    if bytes.get(at) != Some(&b'{') {
        return None;
    }
    at += 1;
    loop {
        space(&mut at);
        let key = at;
        at = end_of_text(bytes, at)?;
        let is_it = json.get(key + 1..at - 1) == Some(name);
        space(&mut at);
        at += 1;
        space(&mut at);
        let value = at;
        at = end_of_value(bytes, at)?;
        if is_it {
            return json.get(value..at).map(str::trim_end);
        }
        space(&mut at);
        if bytes.get(at) != Some(&b',') {
            return None;
        }
        at += 1;
    }
}

/// Where the text that begins at `at` ends.
fn end_of_text(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes.get(at) != Some(&b'"') {
        return None;
    }
    let mut at = at + 1;
    loop {
        match bytes.get(at)? {
            b'\\' => at += 2,
            b'"' => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// Where the value that begins at `at` ends.
fn end_of_value(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0usize;
    loop {
        match bytes.get(at)? {
            b'"' => {
                at = end_of_text(bytes, at)?;
                if depth == 0 {
                    return Some(at);
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 0 => return Some(at),
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            b',' if depth == 0 => return Some(at),
            _ => {}
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_whatever_stands_before_it() {
        let json = r#" {"a": "x\"}{,", "b": [1, {"c": "]"}], "chart" : {"c": [true]} , "d": 1}"#;
        assert_eq!(field(json, "chart"), Some(r#"{"c": [true]}"#));
        assert_eq!(field(json, "d"), Some("1"));
        assert_eq!(field(json, "c"), None);
        assert_eq!(field("[]", "c"), None);
        assert_eq!(field("{}", "c"), None);
    }
}
