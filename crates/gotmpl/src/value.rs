//! The values a template works on, shaped after what Go's reflection tells apart: integer widths,
//! `nil` inside an interface against no value at all, element types of slices, shared mutable maps.
//! Knows nothing of how values are printed or where they come from.

use std::cell::{Ref, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::func::Func;
use crate::held;
use crate::object::Object;
use crate::text::Str;

/// The Go type of a signed integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntType {
    /// `int`
    Int,
    /// `int32`, also `rune`
    Int32,
    /// `int64`
    Int64,
    /// A named integer type, by its Go name, such as `time.Month`.
    Named(&'static str),
}

/// The Go type of an unsigned integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UintType {
    /// `uint`
    Uint,
    /// `uint8`, also `byte`
    Uint8,
    /// `uint32`
    Uint32,
    /// `uint64`
    Uint64,
}

/// The element type of a slice or map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elem {
    /// `interface {}`
    Any,
    /// `string`
    Str,
    /// `int`
    Int,
    /// `[]interface {}`
    List,
    /// `[]string`
    StrList,
    /// `map[string]interface {}`
    Map,
    /// Any other type, by its Go name.
    Named(&'static str),
}

impl Elem {
    /// The Go name of the type.
    pub fn go_name(self) -> &'static str {
        match self {
            Elem::Any => "interface {}",
            Elem::Str => "string",
            Elem::Int => "int",
            Elem::List => "[]interface {}",
            Elem::StrList => "[]string",
            Elem::Map => "map[string]interface {}",
            Elem::Named(name) => name,
        }
    }

    /// The zero value of the type, what a missing map entry reads as.
    pub fn zero(self) -> Value {
        match self {
            Elem::Any | Elem::Named(_) => Value::Nil,
            Elem::Str => Value::Str(Str::default()),
            Elem::Int => Value::int(0),
            Elem::List => Value::List(List::new(Elem::Any, Vec::new())),
            Elem::StrList => Value::List(List::new(Elem::Str, Vec::new())),
            Elem::Map => Value::Map(Map::new()),
        }
    }
}

/// A template value.
///
/// Cloning is cheap: containers are shared, and maps keep Go's aliasing (a change through one
/// handle is seen through all).
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// No value at all (Go's zero `reflect.Value`): what an empty pipeline or a looked-up nil gives.
    #[default]
    Missing,
    /// `nil` held in an interface, such as a map entry of nil or a missing entry.
    Nil,
    /// `bool`
    Bool(bool),
    /// A signed integer.
    Int(i64, IntType),
    /// An unsigned integer.
    Uint(u64, UintType),
    /// `float64`
    Float(f64),
    /// `complex128`: real and imaginary part.
    Complex(f64, f64),
    /// `string`
    Str(Str),
    /// `[]uint8`
    Bytes(Str),
    /// A slice.
    List(List),
    /// A map with string keys.
    Map(Map),
    /// A typed Go value with fields or methods.
    Object(Rc<dyn Object>),
    /// A function value.
    Func(Rc<Func>),
}

impl Value {
    /// A Go `int`.
    pub fn int(n: i64) -> Value {
        Value::Int(n, IntType::Int)
    }

    /// A Go `int64`.
    pub fn int64(n: i64) -> Value {
        Value::Int(n, IntType::Int64)
    }

    /// A Go `string`.
    pub fn str(s: impl Into<Str>) -> Value {
        Value::Str(s.into())
    }

    /// A `[]interface {}`.
    pub fn list(items: Vec<Value>) -> Value {
        Value::List(List::new(Elem::Any, items))
    }

    /// A `[]string`.
    pub fn strings<S: Into<Str>>(items: impl IntoIterator<Item = S>) -> Value {
        let items = items.into_iter().map(|s| Value::Str(s.into())).collect();
        Value::List(List::new(Elem::Str, items))
    }

    /// Whether this is no value or a nil.
    pub fn is_nil(&self) -> bool {
        matches!(self, Value::Missing | Value::Nil)
    }

    /// The value as a Go string, when it is one.
    pub fn as_str(&self) -> Option<&Str> {
        match self {
            Value::Str(s) => Some(s),
            _ => None,
        }
    }

    /// The value as a map, when it is one.
    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Value::Map(m) => Some(m),
            _ => None,
        }
    }

    /// The name Go's `%T` prints.
    pub fn type_name(&self) -> String {
        match self {
            Value::Missing | Value::Nil => "<nil>".into(),
            Value::Bool(_) => "bool".into(),
            Value::Int(_, t) => match t {
                IntType::Int => "int".into(),
                IntType::Int32 => "int32".into(),
                IntType::Int64 => "int64".into(),
                IntType::Named(name) => (*name).into(),
            },
            Value::Uint(_, t) => match t {
                UintType::Uint => "uint".into(),
                UintType::Uint8 => "uint8".into(),
                UintType::Uint32 => "uint32".into(),
                UintType::Uint64 => "uint64".into(),
            },
            Value::Float(_) => "float64".into(),
            Value::Complex(..) => "complex128".into(),
            Value::Str(_) => "string".into(),
            Value::Bytes(_) => "[]uint8".into(),
            Value::List(l) => format!("[]{}", l.elem().go_name()),
            Value::Map(m) => m.type_name(),
            Value::Object(o) => o.type_name().into_owned(),
            Value::Func(f) => f.type_name(),
        }
    }

    /// Go's truth: not the zero of its type, not empty.
    pub fn truth(&self) -> bool {
        match self {
            Value::Missing | Value::Nil => false,
            Value::Bool(b) => *b,
            Value::Int(n, _) => *n != 0,
            Value::Uint(n, _) => *n != 0,
            Value::Float(f) => *f != 0.0,
            Value::Complex(re, im) => *re != 0.0 || *im != 0.0,
            Value::Str(s) => !s.is_empty(),
            Value::Bytes(b) => !b.is_empty(),
            Value::List(l) => !l.items().is_empty(),
            Value::Map(m) => !m.is_empty(),
            Value::Object(o) => o.truth(),
            Value::Func(_) => true,
        }
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Value::Bool(b)
    }
}

impl From<&str> for Value {
    fn from(s: &str) -> Self {
        Value::str(s)
    }
}

impl From<String> for Value {
    fn from(s: String) -> Self {
        Value::str(s)
    }
}

impl From<f64> for Value {
    fn from(f: f64) -> Self {
        Value::Float(f)
    }
}

/// An immutable Go slice. (No template function writes into a slice's elements.)
#[derive(Clone, Debug)]
pub struct List(Rc<ListData>);

#[derive(Debug)]
struct ListData {
    elem: Elem,
    items: Vec<Value>,
}

impl List {
    /// A slice of the element type.
    pub fn new(elem: Elem, items: Vec<Value>) -> List {
        held::hold(held_by(&items));
        List(Rc::new(ListData { elem, items }))
    }

    /// The element type.
    pub fn elem(&self) -> Elem {
        self.0.elem
    }

    /// The elements.
    pub fn items(&self) -> &[Value] {
        &self.0.items
    }

    /// Whether both handles are the same slice.
    pub fn same(&self, other: &List) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// A number unique to the slice while it lives, for `%p`.
    pub fn address(&self) -> usize {
        Rc::as_ptr(&self.0).cast::<u8>().addr()
    }
}

/// A named Go map type, such as Helm's `common.Values`: its name and its methods.
pub trait MapKind: Sync {
    /// The Go name of the type.
    fn name(&self) -> &'static str;

    /// The method of that name, bound to the map.
    fn method(&self, map: &Map, name: &str) -> Option<Rc<Func>>;
}

/// A shared, mutable Go map with string keys, iterated in key order. Handles of different named types
/// can share the same entries.
#[derive(Clone)]
pub struct Map {
    data: Rc<MapData>,
    kind: Option<&'static dyn MapKind>,
}

#[derive(Debug)]
struct MapData {
    elem: Elem,
    entries: RefCell<BTreeMap<Str, Value>>,
}

impl std::fmt::Debug for Map {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.data.fmt(f)
    }
}

impl Default for Map {
    fn default() -> Self {
        Map::new()
    }
}

impl Map {
    /// An empty `map[string]interface {}`.
    pub fn new() -> Map {
        Map::typed(Elem::Any)
    }

    /// An empty map of the element type.
    pub fn typed(elem: Elem) -> Map {
        held::hold(held::BASE);
        Map { data: Rc::new(MapData { elem, entries: RefCell::default() }), kind: None }
    }

    /// A handle of a named type to the same entries; `None` gives the plain type.
    pub fn with_kind(&self, kind: Option<&'static dyn MapKind>) -> Map {
        Map { data: Rc::clone(&self.data), kind }
    }

    /// The named type of this handle.
    pub fn kind(&self) -> Option<&'static dyn MapKind> {
        self.kind
    }

    /// The element type.
    pub fn elem(&self) -> Elem {
        self.data.elem
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.data.entries.borrow().len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.data.entries.borrow().is_empty()
    }

    /// The entry for the key.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<Value> {
        self.data.entries.borrow().get(key.as_ref()).cloned()
    }

    /// Whether the key has an entry.
    pub fn contains(&self, key: impl AsRef<[u8]>) -> bool {
        self.data.entries.borrow().contains_key(key.as_ref())
    }

    /// Sets an entry, for every holder of the map.
    pub fn set(&self, key: impl Into<Str>, value: Value) {
        let old = self.data.entries.borrow_mut().insert(key.into(), value);
        if old.is_none() {
            held::hold(held::ENTRY);
        }
        drop(old);
    }

    /// Removes an entry and returns it.
    pub fn remove(&self, key: impl AsRef<[u8]>) -> Option<Value> {
        let old = self.data.entries.borrow_mut().remove(key.as_ref());
        if old.is_some() {
            held::free(held::ENTRY);
        }
        old
    }

    /// Removes every entry; ends reference cycles once a rendering is over.
    pub fn clear(&self) {
        let old = std::mem::take(&mut *self.data.entries.borrow_mut());
        held::free(held::ENTRY * old.len());
        drop(old);
    }

    /// A look at the entries. The map must not be changed while it is held.
    pub fn entries(&self) -> Ref<'_, BTreeMap<Str, Value>> {
        self.data.entries.borrow()
    }

    /// The entries as they are now, in key order.
    pub fn snapshot(&self) -> Vec<(Str, Value)> {
        self.entries().iter().map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    /// Whether both handles are the same map.
    pub fn same(&self, other: &Map) -> bool {
        Rc::ptr_eq(&self.data, &other.data)
    }

    /// A number unique to the map while it lives, for `%p`.
    pub fn address(&self) -> usize {
        Rc::as_ptr(&self.data).cast::<u8>().addr()
    }

    /// The Go name of the handle's type.
    pub fn type_name(&self) -> String {
        match self.kind {
            Some(kind) => kind.name().into(),
            None => format!("map[string]{}", self.elem().go_name()),
        }
    }
}

impl FromIterator<(Str, Value)> for Map {
    fn from_iter<T: IntoIterator<Item = (Str, Value)>>(iter: T) -> Self {
        let entries: BTreeMap<Str, Value> = iter.into_iter().collect();
        held::hold(held::BASE + held::ENTRY * entries.len());
        let entries = RefCell::new(entries);
        Map { data: Rc::new(MapData { elem: Elem::Any, entries }), kind: None }
    }
}

/// What a list takes for its elements, which count for themselves.
fn held_by(items: &[Value]) -> usize {
    held::BASE + std::mem::size_of_val(items)
}

impl ListData {
    /// Takes the elements out, once.
    fn take(&mut self) -> Vec<Value> {
        let items = std::mem::take(&mut self.items);
        held::free(held_by(&items) - held::BASE);
        items
    }
}

impl MapData {
    /// Takes the entries out.
    fn take(&mut self) -> BTreeMap<Str, Value> {
        let entries = std::mem::take(self.entries.get_mut());
        held::free(held::ENTRY * entries.len());
        entries
    }
}

// A template can nest values as deep as its step budget allows; dropping them must not use a stack
// frame per level.
impl Drop for ListData {
    fn drop(&mut self) {
        held::free(held::BASE);
        release(self.take());
    }
}

impl Drop for MapData {
    fn drop(&mut self) {
        held::free(held::BASE);
        let entries = self.take();
        if entries.values().any(is_container) {
            release(entries.into_values().collect());
        }
    }
}

fn is_container(v: &Value) -> bool {
    matches!(v, Value::List(_) | Value::Map(_))
}

fn release(mut pending: Vec<Value>) {
    if !pending.iter().any(is_container) {
        return;
    }
    while let Some(value) = pending.pop() {
        match value {
            Value::List(list) => {
                if let Some(mut data) = Rc::into_inner(list.0) {
                    pending.append(&mut data.take());
                }
            }
            Value::Map(map) => {
                if let Some(mut data) = Rc::into_inner(map.data) {
                    pending.extend(data.take().into_values());
                }
            }
            _ => {}
        }
    }
}
