//! The `--set` language: `a.b[0].c=value,d={x,y}`, its string, JSON, file and literal forms.
//! Source: Helm `pkg/strvals`.

use serde_json::{Map, Value as Json};

const MAX_INDEX: usize = 65_536;
const MAX_LEVEL: usize = 30;

/// What a value text becomes.
pub(crate) enum Kind<'r> {
    /// Booleans, null and integers are recognised.
    Typed,
    /// Everything is a string.
    Text,
    /// Values are JSON.
    Json,
    /// The text names a file; the reader gives its content.
    File(&'r dyn Fn(&str) -> Result<String, String>),
    /// The rest of the argument is the value, as it stands.
    Literal,
}

enum Stop {
    /// The input is used up; what was read is set.
    End,
    Error(String),
}

type Result<T, E = Stop> = std::result::Result<T, E>;

/// Parses one argument into the map.
///
/// # Errors
/// Helm's words.
pub(crate) fn parse(
    text: &str,
    kind: &Kind<'_>,
    into: &mut Map<String, Json>,
) -> std::result::Result<(), String> {
    let mut parser = Parser { input: text.chars().collect(), at: 0, kind };
    loop {
        match parser.key(into, 0) {
            Ok(()) => {}
            Err(Stop::End) => return Ok(()),
            Err(Stop::Error(message)) => return Err(message),
        }
    }
}

struct Parser<'a> {
    input: Vec<char>,
    at: usize,
    kind: &'a Kind<'a>,
}

fn fail<T>(message: impl Into<String>) -> Result<T> {
    Err(Stop::Error(message.into()))
}

fn quoted(s: &str) -> String {
    borax_gotmpl::quote(s.as_bytes())
}

fn set(map: &mut Map<String, Json>, key: String, value: Json) {
    if !key.is_empty() {
        map.insert(key, value);
    }
}

fn set_index(list: &mut Vec<Json>, index: usize, value: Json) -> Result<()> {
    if index > MAX_INDEX {
        return fail(format!(
            "index of {index} is greater than maximum supported index of {MAX_INDEX}"
        ));
    }
    if list.len() <= index {
        list.resize(index + 1, Json::Null);
    }
    list[index] = value;
    Ok(())
}

fn typed(text: String) -> Json {
    if text.eq_ignore_ascii_case("true") {
        return Json::Bool(true);
    }
    if text.eq_ignore_ascii_case("false") {
        return Json::Bool(false);
    }
    if text.eq_ignore_ascii_case("null") {
        return Json::Null;
    }
    if text == "0" {
        return Json::from(0);
    }
    if !text.is_empty()
        && !text.starts_with('0')
        && text.strip_prefix(['+', '-']).unwrap_or(&text).bytes().all(|b| b.is_ascii_digit())
        && let Ok(n) = text.parse::<i64>()
    {
        return Json::from(n);
    }
    Json::String(text)
}

impl Parser<'_> {
    fn literal(&self) -> bool {
        matches!(self.kind, Kind::Literal)
    }

    /// Reads up to one of the characters: the text, and the character or the end.
    fn until(&mut self, stop: &[char]) -> (String, Option<char>) {
        let mut out = String::new();
        while let Some(&c) = self.input.get(self.at) {
            self.at += 1;
            if stop.contains(&c) {
                return (out, Some(c));
            }
            if c == '\\' && !self.literal() {
                match self.input.get(self.at) {
                    Some(&next) => {
                        self.at += 1;
                        out.push(next);
                    }
                    None => return (out, None),
                }
            } else {
                out.push(c);
            }
        }
        (out, None)
    }

    fn value(&self, text: String) -> Result<Json> {
        match self.kind {
            Kind::Typed => Ok(typed(text)),
            Kind::File(read) => match read(&text) {
                Ok(content) => Ok(Json::String(content)),
                Err(message) => fail(message),
            },
            _ => Ok(Json::String(text)),
        }
    }

    fn key(&mut self, data: &mut Map<String, Json>, level: usize) -> Result<()> {
        let stops: &[char] = if self.literal() { &['=', '[', '.'] } else { &['=', '[', ',', '.'] };
        let (key, stop) = self.until(stops);
        match stop {
            None if key.is_empty() => Err(Stop::End),
            None => fail(format!("key {} has no value", quoted(&key))),
            Some('[') => {
                let index = self.index()?;
                let mut list = match data.get(&key) {
                    None => Vec::new(),
                    Some(Json::Array(list)) => list.clone(),
                    Some(Json::Null) => {
                        return fail(
                            "unable to parse key: interface conversion: interface {} is nil, not []interface {}",
                        );
                    }
                    Some(_) => {
                        return fail("unable to parse key: interface conversion: not a list");
                    }
                };
                let result = self.list_item(&mut list, index, level);
                set(data, key, Json::Array(list));
                result
            }
            Some('=') => self.assignment(data, key),
            Some(',') => {
                set(data, key.clone(), Json::String(String::new()));
                fail(format!("key {} has no value (cannot end with ,)", quoted(&key)))
            }
            _ => {
                let level = level + 1;
                if level > MAX_LEVEL {
                    return fail(format!(
                        "value name nested level is greater than maximum supported nested level of {MAX_LEVEL}"
                    ));
                }
                let mut inner = match data.get_mut(&key) {
                    None => Map::new(),
                    Some(Json::Object(inner)) => std::mem::take(inner),
                    Some(_) => {
                        return fail("unable to parse key: interface conversion: not a map");
                    }
                };
                let result = self.key(&mut inner, level);
                if result.is_ok() && inner.is_empty() {
                    return fail(format!("key map {} has no value", quoted(&key)));
                }
                if !inner.is_empty() {
                    set(data, key, Json::Object(inner));
                }
                result
            }
        }
    }

    fn assignment(&mut self, data: &mut Map<String, Json>, key: String) -> Result<()> {
        match self.kind {
            Kind::Literal => {
                let (text, _) = self.until(&[]);
                set(data, key, Json::String(text));
                return Ok(());
            }
            Kind::Json => {
                let value = self.json()?;
                set(data, key, value);
                return Ok(());
            }
            _ => {}
        }
        match self.list_or_text()? {
            Found::End => {
                set(data, key, Json::String(String::new()));
                Err(Stop::End)
            }
            Found::List(list) => {
                set(data, key, Json::Array(list));
                Ok(())
            }
            Found::Text(text) => {
                let value = self.value(text)?;
                set(data, key, value);
                Ok(())
            }
        }
    }

    fn index(&mut self) -> Result<i64> {
        let (text, stop) = self.until(&[']']);
        if stop.is_none() {
            return fail("error parsing index: EOF");
        }
        let digits = text.strip_prefix(['+', '-']).unwrap_or(&text);
        match text.parse() {
            Ok(n) if !digits.is_empty() => Ok(n),
            _ => fail(format!(
                "error parsing index: strconv.Atoi: parsing {}: invalid syntax",
                quoted(&text)
            )),
        }
    }

    fn list_item(&mut self, list: &mut Vec<Json>, index: i64, level: usize) -> Result<()> {
        let Ok(i) = usize::try_from(index) else {
            return fail(format!("negative {index} index not allowed"));
        };
        let (text, stop) = self.until(&['[', '.', '=']);
        if !text.is_empty() {
            return fail(format!("unexpected data at end of array index: {}", quoted(&text)));
        }
        match stop {
            None => Err(Stop::End),
            Some('=') => {
                let value = match self.kind {
                    Kind::Literal => Json::String(self.until(&[]).0),
                    Kind::Json => self.json()?,
                    _ => match self.list_or_text()? {
                        Found::End => Json::String(String::new()),
                        Found::List(items) => Json::Array(items),
                        Found::Text(text) => self.value(text)?,
                    },
                };
                set_index(list, i, value)
            }
            Some('[') => {
                let next = self.index()?;
                let mut inner = match list.get(i) {
                    None | Some(Json::Null) => Vec::new(),
                    Some(Json::Array(inner)) => inner.clone(),
                    Some(_) => {
                        return fail("unable to parse key: interface conversion: not a list");
                    }
                };
                self.list_item(&mut inner, next, level)?;
                set_index(list, i, Json::Array(inner))
            }
            _ => {
                let mut inner = match list.get(i) {
                    Some(Json::Object(inner)) => inner.clone(),
                    _ => Map::new(),
                };
                match self.key(&mut inner, level) {
                    Ok(()) => set_index(list, i, Json::Object(inner)),
                    Err(e) => {
                        // Go keeps a map that was there already, changed as far as it came.
                        if matches!(list.get(i), Some(Json::Object(_))) {
                            list[i] = Json::Object(inner);
                        }
                        Err(e)
                    }
                }
            }
        }
    }

    /// Skips spaces; whether nothing but a comma or the end follows.
    fn empty_value(&mut self) -> bool {
        loop {
            match self.input.get(self.at) {
                None => return true,
                Some(',') => {
                    self.at += 1;
                    return true;
                }
                Some(c) if borax_gotmpl::is_space(*c) => self.at += 1,
                Some(_) => return false,
            }
        }
    }

    fn json(&mut self) -> Result<Json> {
        if self.empty_value() {
            return Ok(Json::Null);
        }
        let rest: String = self.input[self.at..].iter().collect();
        let mut stream = serde_json::Deserializer::from_str(&rest).into_iter::<Json>();
        let value = match stream.next() {
            Some(Ok(value)) => value,
            Some(Err(e)) => return fail(e.to_string()),
            None => return Err(Stop::End),
        };
        let used = stream.byte_offset();
        self.at += rest[..used].chars().count();
        self.empty_value();
        Ok(crate::yaml::as_floats(value))
    }

    fn list_or_text(&mut self) -> Result<Found> {
        match self.input.get(self.at) {
            None => return Ok(Found::End),
            Some('{') => self.at += 1,
            Some(_) => return Ok(Found::Text(self.until(&[',']).0)),
        }
        let mut list = Vec::new();
        loop {
            let (text, stop) = self.until(&[',', '}']);
            let Some(stop) = stop else {
                return fail("list must terminate with '}'");
            };
            list.push(self.value(text)?);
            if stop == '}' {
                if self.input.get(self.at) == Some(&',') {
                    self.at += 1;
                }
                return Ok(Found::List(list));
            }
        }
    }
}

enum Found {
    End,
    List(Vec<Json>),
    Text(String),
}
