//! `vars`: `$(NAME)` in texts, filled from fields of other objects.
//!
//! Source of behaviour: kustomize `api/filters/refvar`, `api/internal/accumulator/resaccumulator.go`.

use std::collections::{BTreeMap, BTreeSet};

use borax_yaml::{Tag, Text};

use crate::build::Build;
use crate::config::Config;
use crate::decode::Object;
use crate::diag::{Diagnostics, Result, fail};
use crate::fieldspec::{self, split_smart_path};
use crate::id::{Gvk, ResId};
use crate::resmap::ResMap;
use crate::scalar::format_general;
use crate::tree::{Kind, NodeId, Tree};

/// A variable: its name, and the field it stands for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Var {
    pub(crate) name: String,
    gvk: Gvk,
    object: String,
    namespace: String,
    field_path: String,
}

/// The variables of a kustomization and those below it, by name.
pub(crate) type Vars = BTreeMap<String, Var>;

/// What a variable stands for.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Text(Text),
    Int(i64),
    Float(f64),
    Bool(bool),
}

impl Var {
    pub(crate) fn parse(mut o: Object) -> Result<Var> {
        let name = o.text("name")?;
        let mut var = Var { name, ..Var::default() };
        if let Some(mut object) = o.object("objref")? {
            let api_version = object.text("apiVersion")?;
            let (group, version) = (object.text("group")?, object.text("version")?);
            let kind = object.text("kind")?;
            var.gvk = match api_version.split('/').collect::<Vec<_>>().as_slice() {
                [""] => Gvk::new(&group, &version, &kind),
                [version] => Gvk::new(&group, version, &kind),
                [group, version] => Gvk::new(group, version, &kind),
                _ => Gvk::new(&group, &version, &kind),
            };
            var.object = object.text("name")?;
            var.namespace = object.text("namespace")?;
            object.done()?;
        }
        if let Some(mut field) = o.object("fieldref")? {
            var.field_path = field.text("fieldPath")?;
            field.done()?;
        }
        if var.field_path.is_empty() {
            var.field_path = "metadata.name".to_owned();
        }
        o.done()?;
        Ok(var)
    }

    fn id(&self, build: &Build<'_>) -> ResId {
        ResId {
            cluster_scoped: build.schema.is_cluster_scoped(&self.gvk.api_version(), &self.gvk.kind),
            gvk: self.gvk.clone(),
            name: Text::from(self.object.as_str()),
            namespace: Text::from(self.namespace.as_str()),
        }
    }
}

/// Notes in the objects which variables read from them.
pub(crate) fn mark_sources(build: &Build<'_>, map: &mut ResMap, vars: &[Var]) -> Result<()> {
    for var in vars {
        let wanted = var.id(build);
        // Without a namespace, objects in any will do.
        let exact = !wanted.namespace.is_empty() || wanted.cluster_scoped;
        let mut found = map.with_any_name(&build.tree, &build.schema, &wanted.name);
        let ids = map.ids(&build.tree, &build.schema);
        found.retain(|at| {
            ids[*at].all().any(|id| {
                id.name == wanted.name
                    && id.gvk == wanted.gvk
                    && (!exact || id.same_namespace(&wanted))
            })
        });
        match found.as_slice() {
            [] => {}
            [at] => map.resources_keeping_ids()[*at].vars.push(Text::from(var.name.as_str())),
            _ => {
                return fail(format!(
                    "found {} resId matches for var {} (unable to disambiguate)",
                    found.len(),
                    var.name
                ));
            }
        }
    }
    Ok(())
}

/// Adds variables; a name may be taken once.
pub(crate) fn merge(into: &mut Vars, vars: impl IntoIterator<Item = Var>) -> Result<()> {
    for var in vars {
        if into.contains_key(&var.name) {
            return fail(format!("var '{}' already encountered", var.name));
        }
        into.insert(var.name.clone(), var);
    }
    Ok(())
}

/// Fills in the variables wherever the configuration looks for them.
pub(crate) fn resolve(
    build: &mut Build<'_>,
    map: &mut ResMap,
    vars: &Vars,
    config: &Config,
) -> Result<()> {
    let mut values = BTreeMap::new();
    for var in vars.values() {
        values.insert(var.name.clone(), source_value(build, map, var)?);
    }
    if values.is_empty() {
        return Ok(());
    }
    let mut used = BTreeSet::new();
    for object in map.nodes() {
        for spec in &config.var_reference {
            fieldspec::apply(&mut build.tree, object, spec, None, &mut |tree, at| {
                replace_in(tree, at, &values, &mut used)
            })?;
        }
    }
    map.forget_index();
    let unused: Vec<&str> =
        values.keys().filter(|name| !used.contains(*name)).map(String::as_str).collect();
    if !unused.is_empty() {
        build.warn(format!("well-defined vars that were never replaced: {}", unused.join(",")));
    }
    Ok(())
}

fn source_value(build: &mut Build<'_>, map: &ResMap, var: &Var) -> Result<Option<Value>> {
    let marked = |vars: &[Text]| vars.iter().any(|name| name == var.name.as_str());
    let Some(resource) = map.resources().iter().find(|resource| marked(&resource.vars)) else {
        return fail(format!(
            "var '{}' cannot be mapped to a field in the set of known resources: there is no {} \
             named {:?}",
            var.name, var.gvk, var.object
        ));
    };
    let not_found = || {
        Diagnostics::new(format!(
            "field {} specified in var '{}' not found in corresponding resource",
            var.field_path, var.name
        ))
    };
    let Some(object) = resource.node else { return Err(not_found()) };
    let mut path = Vec::new();
    for part in split_smart_path(&var.field_path, '.') {
        // `ports[0]` is two steps.
        match part.strip_suffix(']').and_then(|rest| rest.rsplit_once('[')) {
            Some((name, index))
                if !index.is_empty() && index.bytes().all(|b| b.is_ascii_digit()) =>
            {
                if !name.is_empty() {
                    path.push(name.to_owned());
                }
                path.push(index.to_owned());
            }
            _ => path.push(part),
        }
    }
    let tree = &mut build.tree;
    let found = tree.lookup(object, &path).map_err(|_| not_found())?;
    let node = found.ok_or_else(not_found)?;
    if tree.kind(node) != Kind::Scalar {
        return Ok(None);
    }
    let cell = tree.cell(node);
    Ok(Some(match cell.tag() {
        Tag::Int => Value::Int(cell.text().parse().map_err(|_| not_found())?),
        Tag::Float => Value::Float(cell.text().parse().map_err(|_| not_found())?),
        Tag::Bool => match cell.text().as_str() {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Value::Bool(true),
            "0" | "f" | "F" | "FALSE" | "false" | "False" => Value::Bool(false),
            _ => return Err(not_found()),
        },
        _ => Value::Text(cell.text().clone()),
    }))
}

type Values = BTreeMap<String, Option<Value>>;

fn replace_in(
    tree: &mut Tree,
    at: NodeId,
    values: &Values,
    used: &mut BTreeSet<String>,
) -> Result<()> {
    if tree.is_null(at) {
        return Ok(());
    }
    match tree.kind(at) {
        Kind::Scalar => {
            if tree.is_string(at) {
                replace_scalar(tree, at, values, used);
            }
            Ok(())
        }
        Kind::Mapping => {
            for pair in tree.content(at).to_vec().chunks_exact(2) {
                if !tree.is_string(pair[0]) {
                    return fail(format!("invalid map key: value='{}'", tree.text(pair[0])));
                }
                if tree.is_string(pair[1]) {
                    replace_scalar(tree, pair[1], values, used);
                }
            }
            Ok(())
        }
        Kind::Sequence => {
            for item in tree.content(at).to_vec() {
                if !tree.is_string(item) {
                    return fail("invalid value type expect a string");
                }
                replace_scalar(tree, item, values, used);
            }
            Ok(())
        }
    }
}

fn replace_scalar(tree: &mut Tree, at: NodeId, values: &Values, used: &mut BTreeSet<String>) {
    let text = tree.text(at).clone();
    let (text, tag) = match expand(&text, values, used) {
        Value::Text(text) => (text, Tag::Str),
        Value::Int(number) => (Text::from(number.to_string()), Tag::Int),
        Value::Float(number) => (Text::from(number.to_string()), Tag::Float),
        Value::Bool(flag) => (Text::from(flag.to_string()), Tag::Bool),
    };
    tree.overwrite(at, text, tag);
}

/// Replaces `$(NAME)`; `$$` is a dollar. A text that is one variable becomes its value, type and all.
fn expand(text: &str, values: &Values, used: &mut BTreeSet<String>) -> Value {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let after = &rest[at + 1..];
        if after.is_empty() {
            break;
        }
        out.push_str(&rest[..at]);
        rest = after;
        if let Some(next) = rest.strip_prefix('$') {
            out.push('$');
            rest = next;
        } else if let Some(inner) = rest.strip_prefix('(') {
            let Some(end) = inner.find(')') else {
                out.push_str("$(");
                rest = inner;
                continue;
            };
            let name = &inner[..end];
            let known = values.get(name).and_then(Option::as_ref);
            if let Some(value) = known {
                used.insert(name.to_owned());
                if text.len() == name.len() + 3 {
                    return value.clone();
                }
                match value {
                    Value::Text(text) => out.push_str(text),
                    Value::Int(number) => out.push_str(&number.to_string()),
                    Value::Float(number) => out.push_str(&format_general(*number)),
                    Value::Bool(flag) => out.push_str(&flag.to_string()),
                }
            } else {
                out.push_str("$(");
                out.push_str(name);
                out.push(')');
            }
            rest = &inner[end + 1..];
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    Value::Text(Text::from(out))
}
