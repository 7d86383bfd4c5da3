//! What the types of this crate share to describe their own JSON schema: patterns, the string-enum
//! macro, and the rewrite from schemars' output to the structural schema a CRD holds.
//!
//! Conventions the rewrite relies on:
//! - A field is `required` when it is always written, as in Go's types: it has no `skip_serializing_if`.
//! - A field's default is spelled `extend("x-default" = …)`. What `Default::default()` says is Rust's own
//!   business and stays out of the schema.
//!
//! Knows no kind of resource.

use schemars::generate::{Contract, SchemaSettings};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value};

/// What a duration in a spec may look like, hours allowed.
pub(crate) const INTERVAL: &str = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$";

/// What a duration in a spec may look like where hours are not allowed.
pub(crate) const TIMEOUT: &str = r"^([0-9]+(\.[0-9]+)?(ms|s|m))+$";

/// Whether a count is absent, in the sense of Go's `omitempty`.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
pub(crate) fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// Takes the size out of an integer's schema: Go's `int` has none.
pub(crate) fn unsized_int(schema: &mut Schema) {
    schema.remove("format");
}

/// The schema of a field that takes any JSON.
pub(crate) fn preserved(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"x-kubernetes-preserve-unknown-fields": true})
}

/// The structural schema of `T`, nothing referenced, as a CRD version holds it.
pub(crate) fn structural<T: JsonSchema>() -> Value {
    let mut generator = SchemaSettings::default()
        .with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
            settings.contract = Contract::Serialize;
        })
        .into_generator();
    let mut schema = generator.root_schema_for::<T>().to_value();
    if let Some(object) = schema.as_object_mut() {
        object.remove("title");
        rewrite(object);
    }
    schema
}

/// Rewrites one schema object, and all below it, to the structural form.
fn rewrite(schema: &mut Map<String, Value>) {
    // `Option<T>` says "or null" in one of two ways; a CRD field that may be absent says nothing.
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(mut choices)) = schema.remove("anyOf") {
        choices.retain(|choice| choice["type"] != "null");
        if let [Value::Object(only)] = choices.as_slice() {
            for (key, value) in only {
                schema.entry(key.clone()).or_insert_with(|| value.clone());
            }
        } else {
            schema.insert("anyOf".to_owned(), Value::Array(choices));
        }
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if let Some(Value::String(text)) = schema.get_mut("description") {
        // A line's end in a doc comment is no line's end in what people are shown.
        let paragraphs: Vec<String> =
            text.split("\n\n").map(|text| text.replace('\n', " ")).collect();
        *text = paragraphs.join("\n\n");
    }
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
    }
    schema.remove("default");
    if let Some(default) = schema.remove("x-default") {
        schema.insert("default".to_owned(), default);
    }
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.values_mut().filter_map(Value::as_object_mut).for_each(rewrite);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(Value::Object(below)) = schema.get_mut(key) {
            rewrite(below);
        }
    }
}

/// Declares an enum that is one of a closed set of strings in JSON, with the schema's `enum` in the order
/// of the lines.
macro_rules! string_enum {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$attr:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        #[derive(::serde::Deserialize, ::serde::Serialize)]
        pub enum $name {
            $($(#[$attr])* #[serde(rename = $text)] $variant,)+
        }

        impl $name {
            /// The JSON spelling.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.as_str() == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.as_str() == *other
            }
        }

        impl ::schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut ::schemars::SchemaGenerator) -> ::schemars::Schema {
                ::schemars::json_schema!({"type": "string", "enum": [$($text),+]})
            }
        }
    };
}
pub(crate) use string_enum;
