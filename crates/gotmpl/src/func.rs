//! Functions a template can call: their Go signature, checked before the call as Go's reflection
//! checks it, and the closure behind. Knows no concrete function.

use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

use crate::error::FuncError;
use crate::exec::Context;
use crate::value::Value;

/// The Go type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `reflect.Value`: takes anything, a missing value stays missing.
    Reflect,
    /// `interface {}`: takes anything, a missing value becomes nil.
    Any,
    /// `bool`
    Bool,
    /// `int`
    Int,
    /// `int32`
    Int32,
    /// `int64`
    Int64,
    /// `uint`
    Uint,
    /// `uint32`
    Uint32,
    /// `uint64`
    Uint64,
    /// `float64`
    Float,
    /// `complex128`
    Complex,
    /// `string`
    Str,
    /// `[]interface {}`
    List,
    /// `[]string`
    StrList,
    /// `[]uint8`
    Bytes,
    /// `map[string]interface {}`
    Map,
    /// `map[string]string`
    StrMap,
    /// A named struct type that cannot be nil.
    Struct(&'static str),
    /// A named type that can be nil (a pointer or an interface).
    Pointer(&'static str),
}

impl Type {
    /// The name Go prints for the type.
    pub fn go_name(self) -> &'static str {
        match self {
            Type::Reflect => "reflect.Value",
            Type::Any => "interface {}",
            Type::Bool => "bool",
            Type::Int => "int",
            Type::Int32 => "int32",
            Type::Int64 => "int64",
            Type::Uint => "uint",
            Type::Uint32 => "uint32",
            Type::Uint64 => "uint64",
            Type::Float => "float64",
            Type::Complex => "complex128",
            Type::Str => "string",
            Type::List => "[]interface {}",
            Type::StrList => "[]string",
            Type::Bytes => "[]uint8",
            Type::Map => "map[string]interface {}",
            Type::StrMap => "map[string]string",
            Type::Struct(name) | Type::Pointer(name) => name,
        }
    }

    pub(crate) fn can_be_nil(self) -> bool {
        matches!(
            self,
            Type::Reflect
                | Type::Any
                | Type::List
                | Type::StrList
                | Type::Bytes
                | Type::Map
                | Type::StrMap
                | Type::Pointer(_)
        )
    }
}

/// What a function does once its arguments are checked.
pub type Body = dyn Fn(&mut Context<'_>, &[Value]) -> Result<Value, FuncError>;

/// A callable with its Go signature.
pub struct Func {
    /// Parameter types; of a variadic function the last repeats, zero times or more.
    pub params: Vec<Type>,
    /// Whether the last parameter repeats.
    pub variadic: bool,
    /// The closure.
    pub body: Box<Body>,
}

impl Func {
    /// A function with fixed parameters.
    pub fn fixed(
        params: &[Type],
        body: impl Fn(&mut Context<'_>, &[Value]) -> Result<Value, FuncError> + 'static,
    ) -> Func {
        Func { params: params.to_vec(), variadic: false, body: Box::new(body) }
    }

    /// A function whose last parameter repeats.
    pub fn variadic(
        params: &[Type],
        body: impl Fn(&mut Context<'_>, &[Value]) -> Result<Value, FuncError> + 'static,
    ) -> Func {
        Func { params: params.to_vec(), variadic: true, body: Box::new(body) }
    }

    /// The type of the parameter at the position, `None` beyond the last.
    pub(crate) fn param(&self, i: usize) -> Option<Type> {
        if self.variadic && i + 1 >= self.params.len() {
            return self.params.last().copied();
        }
        self.params.get(i).copied()
    }

    pub(crate) fn type_name(&self) -> String {
        let mut params: Vec<String> = self.params.iter().map(|t| t.go_name().into()).collect();
        if self.variadic
            && let Some(last) = params.last_mut()
        {
            last.insert_str(0, "...");
        }
        format!("func({})", params.join(", "))
    }
}

impl fmt::Debug for Func {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.type_name())
    }
}

/// The functions of a rendering, by name.
#[derive(Clone, Debug, Default)]
pub struct FuncMap(HashMap<&'static str, Rc<Func>>);

impl FuncMap {
    /// No function but Go's builtins, which every template knows.
    pub fn new() -> FuncMap {
        FuncMap::default()
    }

    /// Adds a function, in place of one of the same name.
    pub fn insert(&mut self, name: &'static str, func: Func) {
        self.0.insert(name, Rc::new(func));
    }

    /// Takes a function away.
    pub fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// The function of that name.
    pub fn get(&self, name: &str) -> Option<&Rc<Func>> {
        self.0.get(name)
    }

    /// The names, in no order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.keys().copied()
    }
}
