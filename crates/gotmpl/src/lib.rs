//! Go's text/template: lexer, parser and evaluator.
//!
//! Input: template texts, a function map and a value; output: bytes, or an error worded, placed and
//! chained as Go words it. Templates are parsed once ([`Templates`], `Send + Sync`) and executed many
//! times, in parallel; a rendering's values and functions live on its own thread.
//!
//! It knows nothing of Helm, YAML or files. Everything a template can reach comes in through
//! [`Value`], [`Object`] and [`FuncMap`], and every rendering is bounded by [`Limits`].
//!
//! ```
//! use borax_gotmpl::{Context, FuncMap, Limits, Map, MissingKey, Templates, Value};
//!
//! let funcs = FuncMap::new();
//! let mut templates = Templates::new();
//! templates.parse("hello", b"Hello, {{ .name }}!", &funcs).unwrap();
//! let data = Map::new();
//! data.set("name", Value::str("world"));
//! let mut cx = Context::new(templates.into(), &funcs, MissingKey::Invalid, Limits::default());
//! assert_eq!(cx.execute("hello", Value::Map(data)).unwrap(), b"Hello, world!");
//! ```
//!
//! Start reading at `exec` (walking the tree), then `eval` (pipelines and fields) and `call`.

mod builtins;
mod call;
mod compare;
mod error;
mod escape;
mod eval;
mod exec;
mod float;
mod func;
mod held;
mod lex;
mod limits;
mod node;
mod number;
mod object;
mod parse;
mod printf;
mod quote;
mod templates;
mod text;
mod value;

pub use error::{ExecError, FuncError, Notice, ParseError};
pub use escape::{html_escape, js_escape, query_escape};
pub use exec::{Context, MissingKey};
pub use float::format_float;
pub use func::{Body, Func, FuncMap, Type};
pub use limits::{Limit, Limits, Room};
pub use node::Tree;
pub use number::{parse_float, parse_int, parse_uint};
pub use object::{Object, Shape};
pub use printf::{Overflow, sprint, sprintf, sprintln};
pub use quote::{can_backquote, quote, quote_ascii, quote_rune, quote_rune_unicode};
pub use templates::Templates;
pub use text::{Str, decode_rune, is_digit, is_letter, is_print, is_space, rune_count, runes};
pub use value::{Elem, IntType, List, Map, MapKind, UintType, Value};

/// Runs `f` with stack to spare: recursion follows the template's and the values' nesting, which is
/// bounded by limits, not by the thread's stack.
pub(crate) fn grow<T>(f: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(1024 * 1024, 8 * 1024 * 1024, f)
}
