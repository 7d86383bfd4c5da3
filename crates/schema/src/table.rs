//! The compiled form and how it is read. Owns the byte layout; does not know OpenAPI documents.
//!
//! Layout, all numbers little-endian:
//!
//! ```text
//! magic  "BXS2"
//! counts u32 × 7: strings, types, fields, keys, kinds, text bytes, names
//! strings u32 × (strings + 1)      offsets into the text; strings are sorted
//! types   16 bytes each            see `TypeRow`
//! fields  (u16 name, u16 type)     sorted by name within a type
//! keys    u16                      string numbers of list map keys
//! kinds   (u16 apiVersion, u16 kind, u16 type + 1 or 0, u16 scope)   sorted by the two names
//! names   (u16 name, u16 type)     definitions, sorted by name
//! text
//! ```

use std::borrow::Cow;
use std::cmp::Ordering;

pub(crate) const MAGIC: &[u8; 4] = b"BXS2";
pub(crate) const HEADER: usize = 4 + 7 * 4;
pub(crate) const TYPE_ROW: usize = 16;

/// Whether objects of a kind live in a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Objects live in a namespace.
    Namespaced,
    /// Objects belong to the cluster.
    Cluster,
}

/// The JSON shape a schema asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Shape {
    /// Anything: the schema names no type.
    Any = 0,
    /// An object.
    Object = 1,
    /// An array.
    Array = 2,
    /// A string.
    String = 3,
    /// An integer.
    Integer = 4,
    /// A number.
    Number = 5,
    /// A boolean.
    Boolean = 6,
    /// A string or an integer (`format: int-or-string`).
    IntOrString = 7,
}

/// The bits of a type's flags.
pub(crate) mod flag {
    pub(crate) const PATCH_MERGE: u16 = 1;
    pub(crate) const PATCH_REPLACE: u16 = 2;
    pub(crate) const PATCH_RETAIN_KEYS: u16 = 4;
    pub(crate) const LIST_ATOMIC: u16 = 8;
    pub(crate) const LIST_SET: u16 = 16;
    pub(crate) const LIST_MAP: u16 = 32;
    pub(crate) const MAP_ATOMIC: u16 = 64;
    pub(crate) const PRESERVE_UNKNOWN: u16 = 128;
    pub(crate) const EMBEDDED: u16 = 256;
}

/// A compiled set of kinds and types.
#[derive(Clone, Debug)]
pub struct Table {
    bytes: Cow<'static, [u8]>,
}

/// The schema of one value: a place in a [`Table`].
#[derive(Clone, Copy, Debug)]
pub struct Type<'t> {
    table: &'t Table,
    index: u16,
}

/// Where the sections begin.
struct Sections {
    strings: usize,
    types: usize,
    fields: usize,
    keys: usize,
    kinds: usize,
    names: usize,
    text: usize,
    n_types: usize,
    n_kinds: usize,
    n_names: usize,
}

impl Table {
    /// Reads a compiled table in place. Bytes that are none give a table without kinds.
    pub const fn from_static(bytes: &'static [u8]) -> Table {
        Table { bytes: Cow::Borrowed(bytes) }
    }

    pub(crate) fn from_vec(bytes: Vec<u8>) -> Table {
        Table { bytes: Cow::Owned(bytes) }
    }

    /// The compiled form, to be written to a file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The schema of the objects of a kind; `api_version` is `group/version`, or `v1`.
    pub fn type_of(&self, api_version: &str, kind: &str) -> Option<Type<'_>> {
        let row = self.kind_row(api_version, kind)?;
        let index = self.u16(row + 4).checked_sub(1)?;
        Some(Type { table: self, index })
    }

    /// The scope of a kind, where the document tells it.
    pub fn scope(&self, api_version: &str, kind: &str) -> Option<Scope> {
        let row = self.kind_row(api_version, kind)?;
        match self.u16(row + 6) {
            1 => Some(Scope::Namespaced),
            2 => Some(Scope::Cluster),
            _ => None,
        }
    }

    /// All kinds as `(apiVersion, kind)`, sorted.
    pub fn kinds(&self) -> impl Iterator<Item = (&str, &str)> {
        let sections = self.sections();
        let (at, count) = sections.as_ref().map_or((0, 0), |s| (s.kinds, s.n_kinds));
        (0..count).map(move |row| {
            let row = at + row * 8;
            (self.string(self.u16(row)), self.string(self.u16(row + 2)))
        })
    }

    /// What the table is made of, to make another one of it.
    pub(crate) fn n_types(&self) -> usize {
        self.sections().map_or(0, |sections| sections.n_types)
    }

    /// The type with a number.
    pub(crate) fn type_at(&self, index: u16) -> Type<'_> {
        Type { table: self, index }
    }

    /// The definitions by name, with the numbers of their types.
    pub(crate) fn names(&self) -> impl Iterator<Item = (&str, u16)> {
        let sections = self.sections();
        let (at, count) = sections.as_ref().map_or((0, 0), |s| (s.names, s.n_names));
        (0..count).map(move |row| {
            let row = at + row * 4;
            (self.string(self.u16(row)), self.u16(row + 2))
        })
    }

    fn kind_row(&self, api_version: &str, kind: &str) -> Option<usize> {
        let sections = self.sections()?;
        let (mut low, mut high) = (0, sections.n_kinds);
        while low < high {
            let middle = (low + high) / 2;
            let row = sections.kinds + middle * 8;
            let order = self
                .string_in(&sections, self.u16(row))
                .cmp(api_version)
                .then_with(|| self.string_in(&sections, self.u16(row + 2)).cmp(kind));
            match order {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Some(row),
            }
        }
        None
    }

    fn sections(&self) -> Option<Sections> {
        if self.bytes.get(..4)? != MAGIC {
            return None;
        }
        let count = |at: usize| self.u32(4 + at * 4) as usize;
        let strings = HEADER;
        let types = strings + (count(0) + 1) * 4;
        let fields = types + count(1) * TYPE_ROW;
        let keys = fields + count(2) * 4;
        let kinds = keys + count(3) * 2;
        let names = kinds + count(4) * 8;
        let text = names + count(6) * 4;
        let (n_types, n_kinds, n_names) = (count(1), count(4), count(6));
        Some(Sections {
            strings,
            types,
            fields,
            keys,
            kinds,
            names,
            text,
            n_types,
            n_kinds,
            n_names,
        })
    }

    fn string(&self, number: u16) -> &str {
        self.sections().map_or("", |sections| self.string_in(&sections, number))
    }

    fn string_in(&self, sections: &Sections, number: u16) -> &str {
        let at = sections.strings + usize::from(number) * 4;
        let (start, end) = (self.u32(at) as usize, self.u32(at + 4) as usize);
        let text = self.bytes.get(sections.text + start..sections.text + end);
        text.and_then(|text| std::str::from_utf8(text).ok()).unwrap_or("")
    }

    fn u16(&self, at: usize) -> u16 {
        self.bytes.get(at..at + 2).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]))
    }

    fn u32(&self, at: usize) -> u32 {
        self.bytes.get(at..at + 4).map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
    }
}

impl<'t> Type<'t> {
    /// The schema of the field `name`: a property, or else what additional properties may be.
    pub fn field(self, name: &str) -> Option<Type<'t>> {
        let sections = self.table.sections()?;
        let row = self.row(&sections)?;
        let start = self.table.u32(row) as usize;
        let (mut low, mut high) = (start, start + usize::from(self.table.u16(row + 4)));
        while low < high {
            let middle = (low + high) / 2;
            let at = sections.fields + middle * 4;
            match self.table.string_in(&sections, self.table.u16(at)).cmp(name) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Some(self.to(self.table.u16(at + 2))),
            }
        }
        Some(self.to(self.table.u16(row + 6).checked_sub(1)?))
    }

    /// The names of the fields that are properties, sorted.
    pub fn fields(self) -> impl Iterator<Item = &'t str> {
        let table = self.table;
        let sections = table.sections();
        let row = sections.as_ref().and_then(|sections| self.row(sections));
        let at = sections.as_ref().map_or(0, |sections| sections.fields);
        let (start, count) =
            row.map_or((0, 0), |row| (table.u32(row) as usize, table.u16(row + 4)));
        (start..start + usize::from(count))
            .map(move |field| table.string(table.u16(at + field * 4)))
    }

    /// The schema of an array's items; `None` when this is no array.
    pub fn elements(self) -> Option<Type<'t>> {
        if self.shape() != Shape::Array {
            return None;
        }
        let row = self.row(&self.table.sections()?)?;
        Some(self.to(self.table.u16(row + 8).checked_sub(1)?))
    }

    /// The shape of the value.
    pub fn shape(self) -> Shape {
        match self.flags_and_shape() >> 12 {
            1 => Shape::Object,
            2 => Shape::Array,
            3 => Shape::String,
            4 => Shape::Integer,
            5 => Shape::Number,
            6 => Shape::Boolean,
            7 => Shape::IntOrString,
            _ => Shape::Any,
        }
    }

    /// Whether a strategic merge merges the items (`x-kubernetes-patch-strategy` has `merge`).
    pub fn merges(self) -> bool {
        self.has(flag::PATCH_MERGE)
    }

    /// Whether the schema names any patch strategy.
    pub fn has_strategy(self) -> bool {
        self.has(flag::PATCH_MERGE | flag::PATCH_REPLACE | flag::PATCH_RETAIN_KEYS)
    }

    /// Whether a patch lists the keys to keep (`retainKeys`).
    pub fn retains_keys(self) -> bool {
        self.has(flag::PATCH_RETAIN_KEYS)
    }

    /// The key that tells items apart in a strategic merge.
    pub fn merge_key(self) -> Option<&'t str> {
        let row = self.row(&self.table.sections()?)?;
        Some(self.table.string(self.table.u16(row + 10).checked_sub(1)?))
    }

    /// The keys that tell items apart in server-side apply (`x-kubernetes-list-map-keys`).
    pub fn list_map_keys(self) -> Vec<&'t str> {
        let Some(sections) = self.table.sections() else { return Vec::new() };
        let Some(row) = self.row(&sections) else { return Vec::new() };
        // The first four bits count the keys, the rest is where they begin.
        let keys = self.table.u16(row + 12);
        let (count, start) = (usize::from(keys & 15), usize::from(keys >> 4));
        let key = |at| self.table.string(self.table.u16(sections.keys + (start + at) * 2));
        (0..count).map(key).collect()
    }

    /// Whether the array is one value to server-side apply (`x-kubernetes-list-type: atomic`).
    pub fn is_atomic_list(self) -> bool {
        self.has(flag::LIST_ATOMIC)
    }

    /// Whether the array is a set of scalars.
    pub fn is_set_list(self) -> bool {
        self.has(flag::LIST_SET)
    }

    /// Whether the array's items are told apart by [`Type::list_map_keys`].
    pub fn is_map_list(self) -> bool {
        self.has(flag::LIST_MAP)
    }

    /// Whether the object is one value to server-side apply (`x-kubernetes-map-type: atomic`).
    pub fn is_atomic_map(self) -> bool {
        self.has(flag::MAP_ATOMIC)
    }

    /// Whether fields that the schema doesn't name are kept.
    pub fn preserves_unknown_fields(self) -> bool {
        self.has(flag::PRESERVE_UNKNOWN)
    }

    /// Whether the value is an object with its own apiVersion and kind.
    pub fn is_embedded_resource(self) -> bool {
        self.has(flag::EMBEDDED)
    }

    pub(crate) fn index(self) -> u16 {
        self.index
    }

    /// What fields that are no properties may be.
    pub(crate) fn additional(self) -> Option<Type<'t>> {
        let row = self.row(&self.table.sections()?)?;
        Some(self.to(self.table.u16(row + 6).checked_sub(1)?))
    }

    /// What items may be, whether or not this is an array.
    pub(crate) fn items(self) -> Option<Type<'t>> {
        let row = self.row(&self.table.sections()?)?;
        Some(self.to(self.table.u16(row + 8).checked_sub(1)?))
    }

    fn has(self, bits: u16) -> bool {
        self.flags_and_shape() & bits != 0
    }

    pub(crate) fn flags_and_shape(self) -> u16 {
        let row = self.table.sections().and_then(|sections| self.row(&sections));
        row.map_or(0, |row| self.table.u16(row + 14))
    }

    fn row(self, sections: &Sections) -> Option<usize> {
        let index = usize::from(self.index);
        (index < sections.n_types).then(|| sections.types + index * TYPE_ROW)
    }

    fn to(self, index: u16) -> Type<'t> {
        Type { table: self.table, index }
    }
}
