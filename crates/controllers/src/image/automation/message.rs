//! The commit's message: `spec.git.commit.messageTemplate` run over what was changed.
//!
//! Templates see Go's types as Flux's controller has them, so that what they print, and what they get wrong, is the same.
//!
//! Behaviour: image-automation-controller v1.2 `internal/source/source.go` (`templateMsg`), `internal/update/result.go`.

use std::any::Any;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use borax_gotmpl::{
    Context, Elem, Func, Limits, List, Map, MissingKey, Object, Shape, Str, Templates, Value,
};
use borax_helm::{Env, hermetic};
use borax_image::setters::{Change, ObjectId};
use borax_image::update::{ObjectChanges, Update};
use borax_reconcile::Key;

/// What is written without a template.
const DEFAULT: &str = "Update from image update automation";

/// The template's name in errors.
const NAME: &str = "commit message";

/// More than any message needs, and little enough that a template can't keep a clone that others wait for.
const LIMITS: Limits = Limits { depth: 1_000, output: 1 << 20, steps: 1_000_000, memory: 16 << 20 };

const GUIDE: &str =
    "See: https://fluxcd.io/flux/components/image/imageupdateautomations/#message-template";

/// Why there is no message. The texts are Flux's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum MessageError {
    /// The template does not parse.
    #[error("unable to create commit message template from spec: {0}")]
    Parse(String),
    /// The template uses what Flux 2.9 has no more.
    #[error("template uses removed '{field}' field. Please use {instead} instead. {GUIDE}")]
    Removed {
        /// What it uses.
        field: &'static str,
        /// What there is now.
        instead: &'static str,
    },
    /// The template fails.
    #[error("failed to run template from spec: {0}")]
    Run(String),
}

/// Makes the message of the automation `object`. `env` is for Sprig's generators.
pub(super) fn render(
    template: &str,
    object: &Key,
    update: &Update,
    values: &BTreeMap<String, String>,
    env: &Arc<dyn Env>,
) -> Result<String, MessageError> {
    let text = if template.is_empty() { DEFAULT } else { template };
    let funcs = hermetic(env);
    let mut templates = Templates::new();
    templates
        .parse(NAME, text.as_bytes(), &funcs)
        .map_err(|error| MessageError::Parse(error.to_string()))?;
    let mut context = Context::new(templates.into(), &funcs, MissingKey::Invalid, LIMITS);
    let data = Value::Object(Rc::new(data(object, update, values)));
    let out = context.execute(NAME, data).map_err(|error| failed(error.to_string()))?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

fn failed(error: String) -> MessageError {
    for (marks, field, instead) in [
        ("can't evaluate field Updated in type source.TemplateData", ".Updated", "'.Changed'"),
        (
            "can't evaluate field ImageResult in type update.Result",
            ".Changed.ImageResult",
            "'.Changed.FileChanges' or '.Changed.Objects'",
        ),
    ] {
        if error.contains(marks) {
            return MessageError::Removed { field, instead };
        }
    }
    MessageError::Run(error)
}

/// A Go struct, with methods without parameters.
#[derive(Debug)]
struct Struct {
    name: &'static str,
    fields: Vec<(&'static str, Value)>,
    /// Fields of embedded structs.
    promoted: Vec<(&'static str, Value)>,
    methods: Vec<(&'static str, Value)>,
    text: Option<String>,
}

impl Struct {
    fn new(name: &'static str, fields: Vec<(&'static str, Value)>) -> Self {
        Self { name, fields, promoted: Vec::new(), methods: Vec::new(), text: None }
    }

    fn value(self) -> Value {
        Value::Object(Rc::new(self))
    }
}

impl Object for Struct {
    fn type_name(&self) -> Cow<'static, str> {
        self.name.into()
    }

    fn shape(&self) -> Shape {
        Shape::Struct(self.fields.clone())
    }

    fn field(&self, name: &str) -> Option<Value> {
        let mut all = self.fields.iter().chain(&self.promoted);
        all.find(|(field, _)| *field == name).map(|(_, value)| value.clone())
    }

    fn method(&self, name: &str) -> Option<Rc<Func>> {
        let (_, value) = self.methods.iter().find(|(method, _)| *method == name)?;
        let value = value.clone();
        Some(Rc::new(Func::fixed(&[], move |_, _| Ok(value.clone()))))
    }

    fn stringer(&self) -> Option<Str> {
        self.text.as_deref().map(Str::from)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `map[update.ObjectIdentifier][]update.Change`
#[derive(Debug)]
struct Objects(Vec<(Value, Value)>);

impl Object for Objects {
    fn type_name(&self) -> Cow<'static, str> {
        "update.ObjectChanges".into()
    }

    fn shape(&self) -> Shape {
        Shape::Keyed(self.0.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `map[string]update.ObjectChanges`
#[derive(Debug)]
struct Files(Vec<(Str, Value)>);

impl Object for Files {
    fn type_name(&self) -> Cow<'static, str> {
        "map[string]update.ObjectChanges".into()
    }

    fn shape(&self) -> Shape {
        Shape::Map(self.0.clone())
    }

    fn missing_entry(&self) -> Value {
        Value::Object(Rc::new(Objects(Vec::new())))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn data(object: &Key, update: &Update, values: &BTreeMap<String, String>) -> Struct {
    let name = Struct {
        text: Some(object.to_string()),
        methods: vec![("String", Value::str(object.to_string()))],
        ..Struct::new(
            "types.NamespacedName",
            vec![
                ("Namespace", Value::str(&*object.namespace)),
                ("Name", Value::str(&*object.name)),
            ],
        )
    };
    let given = Map::typed(Elem::Str);
    for (key, value) in values {
        given.set(key.as_str(), Value::str(value.as_str()));
    }
    Struct::new(
        "source.TemplateData",
        vec![
            ("AutomationObject", name.value()),
            ("Changed", result(update).value()),
            ("Values", Value::Map(given)),
        ],
    )
}

fn result(update: &Update) -> Struct {
    let file =
        |(file, changes): (&String, &ObjectChanges)| (file.as_str().into(), objects(changes));
    let files = Files(update.file_changes.iter().map(file).collect());
    let all = update.changes().into_iter().map(change).collect();
    Struct {
        methods: vec![
            ("Changes", Value::List(List::new(Elem::Named("update.Change"), all))),
            ("Objects", objects(&update.objects())),
        ],
        ..Struct::new("update.Result", vec![("FileChanges", Value::Object(Rc::new(files)))])
    }
}

fn objects(changes: &ObjectChanges) -> Value {
    let mut entries: Vec<_> = changes.iter().collect();
    // Go compares struct keys field by field, in the order of their declaration.
    let order = |id: &ObjectId| {
        (id.api_version.clone(), id.kind.clone(), id.name.clone(), id.namespace.clone())
    };
    entries.sort_by_key(|(id, _)| order(id));
    let entry = |(id, changes): (&ObjectId, &Vec<Change>)| {
        let changes = changes.iter().map(change).collect();
        (identifier(id), Value::List(List::new(Elem::Named("update.Change"), changes)))
    };
    Value::Object(Rc::new(Objects(entries.into_iter().map(entry).collect())))
}

/// `update.ObjectIdentifier`, which embeds kyaml's structs.
fn identifier(id: &ObjectId) -> Value {
    let text = |text: &String| Value::str(text.as_str());
    let kind = vec![("APIVersion", text(&id.api_version)), ("Kind", text(&id.kind))];
    let name = vec![("Name", text(&id.name)), ("Namespace", text(&id.namespace))];
    let all: Vec<_> = kind.iter().chain(&name).cloned().collect();
    let inner = vec![
        ("TypeMeta", Struct::new("yaml.TypeMeta", kind).value()),
        ("NameMeta", Struct::new("yaml.NameMeta", name).value()),
    ];
    let embedded =
        Struct { promoted: all.clone(), ..Struct::new("yaml.ResourceIdentifier", inner.clone()) };
    Struct {
        promoted: all.into_iter().chain(inner).collect(),
        ..Struct::new("update.ObjectIdentifier", vec![("ResourceIdentifier", embedded.value())])
    }
    .value()
}

fn change(change: &Change) -> Value {
    Struct::new(
        "update.Change",
        vec![
            ("OldValue", Value::str(change.old.as_str())),
            ("NewValue", Value::str(change.new.as_str())),
            ("Setter", Value::str(change.setter.as_str())),
        ],
    )
    .value()
}

#[cfg(test)]
#[path = "message/tests.rs"]
mod tests;
