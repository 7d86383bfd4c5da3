//! Typed Go values: what a struct, a named slice or a named map with methods shows to a template.
//! Knows no concrete type; Helm's capabilities, files and times implement the trait outside.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;

use crate::func::Func;
use crate::text::Str;
use crate::value::Value;

/// What kind of thing an object is underneath.
#[derive(Clone, Debug)]
pub enum Shape {
    /// A struct: its exported fields in declaration order.
    Struct(Vec<(&'static str, Value)>),
    /// A pointer to a struct; nested, it prints as an address.
    Pointer(Vec<(&'static str, Value)>),
    /// A slice.
    List(Vec<Value>),
    /// A map with string keys.
    Map(Vec<(Str, Value)>),
    /// A map with other keys, in the order in which Go prints and walks them.
    Keyed(Vec<(Value, Value)>),
}

/// A typed Go value.
pub trait Object: fmt::Debug {
    /// The name Go's `%T` prints, such as `*semver.Version`.
    fn type_name(&self) -> Cow<'static, str>;

    /// What the value is underneath.
    fn shape(&self) -> Shape;

    /// The method of that name, bound to this value.
    fn method(&self, _name: &str) -> Option<Rc<Func>> {
        None
    }

    /// A struct field, or a map entry when the shape is a map.
    fn field(&self, name: &str) -> Option<Value> {
        match self.shape() {
            Shape::Struct(fields) | Shape::Pointer(fields) => {
                fields.into_iter().find(|(n, _)| *n == name).map(|(_, v)| v)
            }
            Shape::Map(entries) => {
                entries.into_iter().find(|(k, _)| k.as_bytes() == name.as_bytes()).map(|(_, v)| v)
            }
            Shape::List(_) | Shape::Keyed(_) => None,
        }
    }

    /// What a missing map entry reads as, when the shape is a map.
    fn missing_entry(&self) -> Value {
        Value::Nil
    }

    /// The text of Go's `String()` or `Error()` method, when the type has one.
    fn stringer(&self) -> Option<Str> {
        None
    }

    /// The text of a `String()` method of the pointer to the value, which Go uses when it prints an
    /// addressable value itself, though not when the value is an argument.
    fn addressable_stringer(&self) -> Option<Str> {
        None
    }

    /// Go's truth of the value.
    fn truth(&self) -> bool {
        match self.shape() {
            Shape::Struct(_) | Shape::Pointer(_) => true,
            Shape::List(items) => !items.is_empty(),
            Shape::Map(entries) => !entries.is_empty(),
            Shape::Keyed(entries) => !entries.is_empty(),
        }
    }

    /// What a look at the whole value costs, in bytes gone over.
    fn weight(&self) -> usize {
        0
    }

    /// Whether a value of this type may be given where Go wants the type of that name.
    fn assignable_to(&self, type_name: &str) -> bool {
        self.type_name() == type_name
    }

    /// Whether Go's `==` on the two values holds; `None` when the type cannot be compared.
    fn equals(&self, _other: &dyn Object) -> Option<bool> {
        None
    }

    /// The concrete type, for functions that take it back.
    fn as_any(&self) -> &dyn Any;
}
