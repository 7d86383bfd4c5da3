//! From an OpenAPI v2 document to a [`Table`]. Owns what is read of such a document.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use crate::table::{MAGIC, Scope, Shape, Table, Type, flag};

/// Why a document could not become a [`Table`].
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// Not an object, or a part that must be one is not.
    #[error("the OpenAPI document's {0} is not an object")]
    NotAnObject(&'static str),
    /// More of something than a table can hold.
    #[error("the OpenAPI document has too many {0}")]
    TooMany(&'static str),
    /// Definitions refer to each other without end.
    #[error("the definition {0} refers to itself")]
    Cycle(String),
}

/// One schema as it is stored; equal ones are stored once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Row {
    fields: Vec<(String, u16)>,
    additional: Option<u16>,
    items: Option<u16>,
    merge_key: Option<String>,
    map_keys: Vec<String>,
    flags: u16,
    shape: u8,
}

struct Compiler<'v> {
    base: HashMap<&'v str, u16>,
    definitions: &'v serde_json::Map<String, Value>,
    named: HashMap<&'v str, u16>,
    rows: Vec<Row>,
    known: HashMap<Row, u16>,
}

impl Table {
    /// Compiles the structure of an OpenAPI v2 document: `definitions`, and the scopes that `paths`
    /// show (or kustomize's `resources` list of `{apiVersion, kind, scope}`).
    pub fn compile(document: &Value) -> Result<Table, CompileError> {
        Table::compile_onto(&Table::from_static(&[]), document)
    }

    /// As [`Table::compile`], on top of another table: its definitions can be referred to, and its
    /// kinds stay unless the document has them too.
    pub fn compile_onto(base: &Table, document: &Value) -> Result<Table, CompileError> {
        let document = document.as_object().ok_or(CompileError::NotAnObject("root"))?;
        let empty = serde_json::Map::new();
        let definitions = match document.get("definitions") {
            None | Some(Value::Null) => &empty,
            Some(value) => value.as_object().ok_or(CompileError::NotAnObject("definitions"))?,
        };
        let mut compiler = Compiler {
            definitions,
            base: base.names().collect(),
            named: HashMap::new(),
            rows: (0..base.n_types()).map(|at| row_of(base.type_at(at as u16))).collect(),
            known: HashMap::new(),
        };
        // Definitions may be recursive, so each gets its number before any is read.
        let mut names: Vec<&str> = definitions.keys().map(String::as_str).collect();
        names.sort_unstable();
        for name in &names {
            let number = compiler.push(Row::default())?;
            compiler.named.insert(name, number);
        }
        let mut kinds = Kinds::new();
        for (api_version, kind) in base.kinds() {
            let to = base.type_of(api_version, kind).map(|to| to.index());
            let scope = base.scope(api_version, kind);
            kinds.insert((api_version.to_owned(), kind.to_owned()), (to, scope));
        }
        for name in names {
            let schema = &definitions[name];
            let number = compiler.named[name];
            // A definition that is only a reference stands for what it refers to.
            let row = match compiler.follow(schema)? {
                Some(target) if target != number => compiler.rows[usize::from(target)].clone(),
                _ => compiler.row(schema)?,
            };
            compiler.rows[usize::from(number)] = row;
            for (api_version, kind) in group_version_kinds(schema) {
                kinds.entry((api_version, kind)).or_default().0 = Some(number);
            }
        }
        for (key, scope) in scopes(document) {
            kinds.entry(key).or_default().1 = Some(scope);
        }
        let mut names: BTreeMap<&str, u16> = base.names().collect();
        names.extend(compiler.named.iter().map(|(name, number)| (*name, *number)));
        write(&compiler.rows, &kinds, &names)
    }
}

/// A row as it was compiled.
fn row_of(from: Type<'_>) -> Row {
    let flags = from.flags_and_shape();
    Row {
        fields: from
            .fields()
            .filter_map(|name| Some((name.to_owned(), from.field(name)?.index())))
            .collect(),
        additional: from.additional().map(Type::index),
        items: from.items().map(Type::index),
        merge_key: from.merge_key().map(str::to_owned),
        map_keys: from.list_map_keys().into_iter().map(str::to_owned).collect(),
        flags: flags & 0xfff,
        shape: (flags >> 12) as u8,
    }
}

impl<'v> Compiler<'v> {
    fn push(&mut self, row: Row) -> Result<u16, CompileError> {
        let number =
            u16::try_from(self.rows.len()).map_err(|_| CompileError::TooMany("schemas"))?;
        if number >= u16::MAX - 1 {
            return Err(CompileError::TooMany("schemas"));
        }
        self.rows.push(row);
        Ok(number)
    }

    /// The number of the definition that a `$ref` leads to; `None` when the schema is no reference,
    /// or leads nowhere.
    fn follow(&self, schema: &'v Value) -> Result<Option<u16>, CompileError> {
        let mut schema = schema;
        let mut found = None;
        let mut seen = BTreeSet::new();
        while let Some(name) = reference(schema) {
            if !seen.insert(name) {
                return Err(CompileError::Cycle(name.to_owned()));
            }
            let (Some(number), Some(next)) = (self.named.get(name), self.definitions.get(name))
            else {
                return Ok(self.base.get(name).copied().or(found));
            };
            found = Some(*number);
            schema = next;
        }
        Ok(found)
    }

    fn number(&mut self, schema: &'v Value) -> Result<u16, CompileError> {
        if let Some(number) = self.follow(schema)? {
            return Ok(number);
        }
        let row = self.row(schema)?;
        if let Some(number) = self.known.get(&row) {
            return Ok(*number);
        }
        let number = self.push(row.clone())?;
        self.known.insert(row, number);
        Ok(number)
    }

    fn row(&mut self, schema: &'v Value) -> Result<Row, CompileError> {
        let mut row = Row::default();
        let Some(schema) = schema.as_object() else { return Ok(row) };
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            for (name, property) in properties {
                row.fields.push((name.clone(), self.number(property)?));
            }
            row.fields.sort();
        }
        if let Some(additional) = schema.get("additionalProperties").filter(|v| v.is_object()) {
            row.additional = Some(self.number(additional)?);
        }
        if let Some(items) = schema.get("items").filter(|v| v.is_object()) {
            row.items = Some(self.number(items)?);
        }
        let text = |key: &str| schema.get(key).and_then(Value::as_str);
        row.merge_key = text("x-kubernetes-patch-merge-key").map(str::to_owned);
        if let Some(keys) = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array) {
            row.map_keys = keys.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            row.map_keys.truncate(15);
        }
        for strategy in text("x-kubernetes-patch-strategy").unwrap_or("").split(',') {
            row.flags |= match strategy {
                "merge" => flag::PATCH_MERGE,
                "replace" => flag::PATCH_REPLACE,
                "retainKeys" => flag::PATCH_RETAIN_KEYS,
                _ => 0,
            };
        }
        row.flags |= match text("x-kubernetes-list-type") {
            Some("atomic") => flag::LIST_ATOMIC,
            Some("set") => flag::LIST_SET,
            Some("map") => flag::LIST_MAP,
            _ => 0,
        };
        let is = |key: &str| schema.get(key) == Some(&Value::Bool(true));
        if text("x-kubernetes-map-type") == Some("atomic") {
            row.flags |= flag::MAP_ATOMIC;
        }
        if is("x-kubernetes-preserve-unknown-fields") {
            row.flags |= flag::PRESERVE_UNKNOWN;
        }
        if is("x-kubernetes-embedded-resource") {
            row.flags |= flag::EMBEDDED;
        }
        row.shape = shape(schema) as u8;
        Ok(row)
    }
}

fn shape(schema: &serde_json::Map<String, Value>) -> Shape {
    let named = match schema.get("type") {
        Some(Value::String(name)) => name.as_str(),
        Some(Value::Array(names)) if names.len() == 1 => names[0].as_str().unwrap_or(""),
        _ => "",
    };
    let int_or_string = schema.get("format").and_then(Value::as_str) == Some("int-or-string")
        || schema.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true));
    match named {
        "object" => Shape::Object,
        "array" => Shape::Array,
        _ if int_or_string => Shape::IntOrString,
        "string" => Shape::String,
        "integer" => Shape::Integer,
        "number" => Shape::Number,
        "boolean" => Shape::Boolean,
        _ => Shape::Any,
    }
}

fn reference(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix("#/definitions/")
}

fn group_version_kinds(schema: &Value) -> Vec<(String, String)> {
    let listed = schema.get("x-kubernetes-group-version-kind").and_then(Value::as_array);
    listed.into_iter().flatten().filter_map(group_version_kind).collect()
}

fn group_version_kind(value: &Value) -> Option<(String, String)> {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let (version, kind) = (text("version")?, text("kind")?);
    let api_version = match text("group") {
        None | Some("") => version.to_owned(),
        Some(group) => format!("{group}/{version}"),
    };
    Some((api_version, kind.to_owned()))
}

fn scopes(document: &serde_json::Map<String, Value>) -> BTreeMap<(String, String), Scope> {
    let mut scopes = BTreeMap::new();
    for (path, item) in document.get("paths").and_then(Value::as_object).into_iter().flatten() {
        let kind = item.get("get").and_then(|get| get.get("x-kubernetes-group-version-kind"));
        let Some(kind) = kind.and_then(group_version_kind) else { continue };
        if path.contains("namespaces/{namespace}") {
            scopes.insert(kind, Scope::Namespaced);
        } else {
            scopes.entry(kind).or_insert(Scope::Cluster);
        }
    }
    for resource in document.get("resources").and_then(Value::as_array).into_iter().flatten() {
        let text = |key: &str| resource.get(key).and_then(Value::as_str);
        let (Some(api_version), Some(kind)) = (text("apiVersion"), text("kind")) else { continue };
        let scope = match text("scope") {
            Some("Namespaced") => Scope::Namespaced,
            Some("Cluster") => Scope::Cluster,
            _ => continue,
        };
        scopes.insert((api_version.to_owned(), kind.to_owned()), scope);
    }
    scopes
}

type Kinds = BTreeMap<(String, String), (Option<u16>, Option<Scope>)>;

fn write(rows: &[Row], kinds: &Kinds, names: &BTreeMap<&str, u16>) -> Result<Table, CompileError> {
    let mut strings: BTreeSet<&str> = BTreeSet::new();
    for row in rows {
        strings.extend(row.fields.iter().map(|(name, _)| name.as_str()));
        strings.extend(row.merge_key.as_deref());
        strings.extend(row.map_keys.iter().map(String::as_str));
    }
    for (api_version, kind) in kinds.keys() {
        strings.extend([api_version.as_str(), kind.as_str()]);
    }
    strings.extend(names.keys());
    if strings.len() >= usize::from(u16::MAX) {
        return Err(CompileError::TooMany("names"));
    }
    let number: HashMap<&str, u16> =
        strings.iter().enumerate().map(|(at, name)| (*name, at as u16)).collect();
    let (mut types, mut fields, mut keys) = (Vec::new(), Vec::new(), Vec::new());
    let mut key_lists: HashMap<&[String], u16> = HashMap::new();
    for row in rows {
        let first = (fields.len() / 4) as u32;
        types.extend(first.to_le_bytes());
        let n_fields = u16::try_from(row.fields.len());
        types.extend(n_fields.map_err(|_| CompileError::TooMany("fields"))?.to_le_bytes());
        types.extend(row.additional.map_or(0, |to| to + 1).to_le_bytes());
        types.extend(row.items.map_or(0, |to| to + 1).to_le_bytes());
        types.extend(row.merge_key.as_deref().map_or(0, |key| number[key] + 1).to_le_bytes());
        let packed = if row.map_keys.is_empty() {
            0
        } else if let Some(packed) = key_lists.get(row.map_keys.as_slice()) {
            *packed
        } else {
            let start = keys.len() / 2;
            if start >= 1 << 12 {
                return Err(CompileError::TooMany("list map keys"));
            }
            let packed = (start << 4 | row.map_keys.len()) as u16;
            keys.extend(row.map_keys.iter().flat_map(|key| number[key.as_str()].to_le_bytes()));
            key_lists.insert(&row.map_keys, packed);
            packed
        };
        types.extend(packed.to_le_bytes());
        types.extend((row.flags | u16::from(row.shape) << 12).to_le_bytes());
        for (name, to) in &row.fields {
            fields.extend(number[name.as_str()].to_le_bytes());
            fields.extend(to.to_le_bytes());
        }
    }
    let mut offsets = Vec::new();
    let mut text: Vec<u8> = Vec::new();
    for string in &strings {
        offsets.extend((text.len() as u32).to_le_bytes());
        text.extend(string.as_bytes());
    }
    offsets.extend((text.len() as u32).to_le_bytes());
    let mut bytes = MAGIC.to_vec();
    let counts = [
        strings.len(),
        rows.len(),
        fields.len() / 4,
        keys.len() / 2,
        kinds.len(),
        text.len(),
        names.len(),
    ];
    for count in counts {
        let count = u32::try_from(count).map_err(|_| CompileError::TooMany("bytes"))?;
        bytes.extend(count.to_le_bytes());
    }
    bytes.extend(offsets);
    bytes.extend(types);
    bytes.extend(fields);
    bytes.extend(keys);
    for ((api_version, kind), (to, scope)) in kinds {
        bytes.extend(number[api_version.as_str()].to_le_bytes());
        bytes.extend(number[kind.as_str()].to_le_bytes());
        bytes.extend(to.map_or(0, |to| to + 1).to_le_bytes());
        let scope: u16 = match scope {
            None => 0,
            Some(Scope::Namespaced) => 1,
            Some(Scope::Cluster) => 2,
        };
        bytes.extend(scope.to_le_bytes());
    }
    for (name, to) in names {
        bytes.extend(number[name].to_le_bytes());
        bytes.extend(to.to_le_bytes());
    }
    bytes.extend(text);
    Ok(Table::from_vec(bytes))
}
