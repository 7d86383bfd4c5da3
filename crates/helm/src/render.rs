//! Rendering: a chart and values in, manifests, hooks, CRDs and notes out. Source: Helm
//! `pkg/engine/engine.go`, `pkg/action/action.go`.

use std::any::Any;
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, PoisonError};

use borax_gotmpl::{
    Context, Elem, Func, FuncError, FuncMap, Limits, Map, MapKind, MissingKey, Notice, Object,
    Room, Shape, Templates, Type, Value,
};
use serde_json::Value as Json;

use crate::capabilities::Capabilities;
use crate::chart::{Chart, File};
use crate::convert;
use crate::env::{Env, Lookup};
use crate::error::Error;
use crate::files::Files;
use crate::funcs::{Host, Mutated, functions, strip_no_value};
use crate::manifest::{self, Hook, Manifest};
use crate::metadata::Metadata;
use crate::schema;
use crate::semver::in_range;
use crate::trace::reworded;
use crate::tree::Tree;
use crate::values;

/// What is rendered, apart from chart and values.
#[derive(Clone)]
pub struct Options {
    /// Release name.
    pub release_name: String,
    /// Release namespace.
    pub namespace: String,
    /// Release revision.
    pub revision: i64,
    /// Whether this is an upgrade, not an install.
    pub is_upgrade: bool,
    /// The cluster as the chart sees it.
    pub capabilities: Capabilities,
    /// `required` and `fail` pass, as when linting.
    pub lint: bool,
    /// Values are not checked against schemas.
    pub skip_schema_validation: bool,
    /// `getHostByName` asks the resolver.
    pub enable_dns: bool,
    /// Bounds of the rendering.
    pub limits: Limits,
    /// Clock, randomness, DNS.
    pub env: Arc<dyn Env>,
    /// The cluster for `lookup`; without one it finds nothing.
    pub lookup: Option<Arc<dyn Lookup>>,
}

impl Options {
    /// Helm's defaults for a release of that name.
    pub fn new(release_name: impl Into<String>, env: Arc<dyn Env>) -> Options {
        Options {
            release_name: release_name.into(),
            namespace: "default".into(),
            revision: 1,
            is_upgrade: false,
            capabilities: Capabilities::default(),
            lint: false,
            skip_schema_validation: false,
            enable_dns: false,
            limits: Limits { depth: 2_000, ..Limits::default() },
            env,
            lookup: None,
        }
    }
}

/// A custom resource definition of `crds/`, as it stands in the chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crd {
    /// Path below the root chart.
    pub path: String,
    /// Path below its own chart.
    pub file: String,
    /// The file's content.
    pub data: Arc<[u8]>,
}

/// What a chart renders to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    /// Manifests in install order.
    pub manifests: Vec<Manifest>,
    /// Hooks in install order of their kinds.
    pub hooks: Vec<Hook>,
    /// CRDs, a chart's before its dependencies'.
    pub crds: Vec<Crd>,
    /// The rendered NOTES.txt.
    pub notes: String,
    /// The values templates saw, coalesced.
    pub values: serde_json::Map<String, Json>,
    /// Chart.yaml as rendering left it: dependencies switched on and off, renamed by their aliases.
    pub metadata: Metadata,
    /// The chart's own values as rendering left them, with what it imports.
    pub chart_values: serde_json::Map<String, Json>,
}

/// Renders a chart.
///
/// # Errors
/// What Helm refuses, in its words where it has any.
pub fn render(
    chart: &Arc<Chart>,
    values: &serde_json::Map<String, Json>,
    options: &Options,
) -> Result<Rendered, Error> {
    let (tree, coalesced, mut files) = prepare(chart, values, options)?;
    let notes = take_notes(&mut files, tree.name());
    let (manifests, hooks) = manifest::sort(&files)?;
    let mut crds = Vec::new();
    collect_crds(&tree, None, &mut crds);
    let chart_values = plain(&tree.values);
    let metadata = tree.metadata;
    Ok(Rendered { manifests, hooks, crds, notes, values: coalesced, metadata, chart_values })
}

type Prepared = (Tree, serde_json::Map<String, Json>, BTreeMap<String, String>);

fn prepare(
    chart: &Arc<Chart>,
    values: &serde_json::Map<String, Json>,
    options: &Options,
) -> Result<Prepared, Error> {
    let user = convert::map(values);
    let mut tree = Tree::new(chart);
    tree.process(&user)?;
    let all = values::coalesce(&tree, &user, false)?;
    if !options.skip_schema_validation {
        schema::validate(&tree, &all)?;
    }
    let wanted = &tree.metadata.kube_version;
    let kube = &options.capabilities.kube_version;
    if !wanted.is_empty() && !in_range(wanted, &kube.normalized) {
        return Err(Error::KubeVersion { wanted: wanted.clone(), have: kube.version.clone() });
    }
    let coalesced = plain(&all);
    let (files, _) = execute(&tree, &all, options)?;
    Ok((tree, coalesced, files))
}

impl Chart {
    /// The custom resource definitions of a chart and those of its dependencies that `values` switch on.
    ///
    /// # Errors
    /// When values and charts do not fit.
    pub fn crds(
        self: &Arc<Self>,
        values: &serde_json::Map<String, Json>,
    ) -> Result<Vec<Crd>, Error> {
        let mut tree = Tree::new(self);
        tree.process(&convert::map(values))?;
        let mut crds = Vec::new();
        collect_crds(&tree, None, &mut crds);
        Ok(crds)
    }
}

/// More room than values of the largest chart take as plain data.
pub(crate) const MAX_VALUES: usize = 512 << 20;

/// Template values as JSON; empty where they have no JSON.
pub(crate) fn plain(values: &Map) -> serde_json::Map<String, Json> {
    match crate::funcs::to_json(&Value::Map(values.clone()), &mut Room::of(MAX_VALUES), 0) {
        Ok(Json::Object(entries)) => entries,
        _ => serde_json::Map::new(),
    }
}

/// What linting needs of a rendering: texts by path, and what `required` and `fail` had to say. `None`
/// when charts and values do not fit each other, which Helm's linter leaves unsaid.
///
/// # Errors
/// As [`render`].
pub(crate) fn lint_templates(
    chart: &Arc<Chart>,
    values: &serde_json::Map<String, Json>,
    options: &Options,
) -> Result<Option<Executed>, Error> {
    let user = convert::map(values);
    let mut tree = Tree::new(chart);
    // The linter coalesces twice, so a null that the user gave removes nothing.
    let coalesce = |tree: &Tree, user: &Map| values::coalesce(tree, user, false).ok();
    if tree.process(&user).is_err() {
        return Ok(None);
    }
    let Some(all) = coalesce(&tree, &user).and_then(|once| coalesce(&tree, &once)) else {
        return Ok(None);
    };
    if !options.skip_schema_validation {
        schema::validate(&tree, &all)?;
    }
    execute(&tree, &all, options).map(Some)
}

/// Runs a chart's templates: what each gives, by its path below the root chart, unsorted and unread.
///
/// # Errors
/// As [`render`], without what makes of the texts manifests.
pub fn render_templates(
    chart: &Arc<Chart>,
    values: &serde_json::Map<String, Json>,
    options: &Options,
) -> Result<BTreeMap<String, String>, Error> {
    prepare(chart, values, options).map(|(_, _, files)| files)
}

fn take_notes(files: &mut BTreeMap<String, String>, name: &str) -> String {
    let mut notes = String::new();
    let own = format!("{name}/templates/NOTES.txt");
    files.retain(|path, text| {
        if !path.ends_with("NOTES.txt") {
            return true;
        }
        if *path == own {
            notes.push_str(text);
        }
        false
    });
    notes
}

/// The CRDs of a chart and those below it.
pub(crate) fn collect_crds(tree: &Tree, parent: Option<&str>, out: &mut Vec<Crd>) {
    let path = tree.full_path(parent);
    for file in &tree.chart.files {
        let extension = file.path.rsplit('.').next().unwrap_or("");
        let manifest = ["yaml", "yml", "json"].iter().any(|e| extension.eq_ignore_ascii_case(e));
        if file.path.starts_with("crds/") && manifest {
            let path = crate::funcs::clean_path(&format!("{path}/{}", file.path));
            out.push(Crd { path, file: file.path.clone(), data: Arc::clone(&file.data) });
        }
    }
    for child in &tree.children {
        collect_crds(child, Some(&path), out);
    }
}

/// A template to render: where, what, with which values.
struct Renderable<'a> {
    path: String,
    file: &'a File,
    base: String,
    scope: Map,
}

/// The type Helm gives `.Values`, `.Template` and the top of a template's data.
struct CommonValues;

static COMMON_VALUES: CommonValues = CommonValues;

fn kind() -> Option<&'static dyn MapKind> {
    Some(&COMMON_VALUES)
}

impl MapKind for CommonValues {
    fn name(&self) -> &'static str {
        "common.Values"
    }

    fn method(&self, map: &Map, name: &str) -> Option<Rc<Func>> {
        let map = map.with_kind(None);
        let argument = |v: &Value| v.as_str().map(|s| s.to_text().into_owned()).unwrap_or_default();
        let func = match name {
            "AsMap" => Func::fixed(&[], move |_, _| Ok(Value::Map(map.clone()))),
            "YAML" => Func::fixed(&[], move |cx, _| {
                let mut room = cx.room();
                let text = crate::yaml::write(&Value::Map(map.clone()), &mut room)?;
                cx.made(room)?;
                Ok(Value::str(format!("{text}\n")))
            }),
            "Table" => Func::fixed(&[Type::Str], move |_, a| {
                let path = argument(&a[0]);
                match values::table(&map, &path) {
                    Some(found) => Ok(Value::Map(found.with_kind(kind()))),
                    None => {
                        let shown = borax_gotmpl::quote(path.as_bytes());
                        Err(FuncError::new(format!("{shown} is not a table")))
                    }
                }
            }),
            "PathValue" => Func::fixed(&[Type::Str], move |_, a| {
                let path = argument(&a[0]);
                match values::path_value(&map, &path) {
                    Some(found) => Ok(found),
                    None => {
                        let key = path.rsplit('.').next().unwrap_or(&path);
                        let shown = borax_gotmpl::quote(key.as_bytes());
                        Err(FuncError::new(format!("{shown} is not a value")))
                    }
                }
            }),
            _ => return None,
        };
        Some(Rc::new(func))
    }
}

/// The root values every template shares.
struct Root {
    release: Value,
    capabilities: Value,
}

fn collect<'a>(
    tree: &'a Tree,
    parent: Option<(&str, &Map)>,
    root_values: &Map,
    root: &Root,
    out: &mut Vec<Renderable<'a>>,
) -> Map {
    let path = tree.full_path(parent.map(|(path, _)| path));
    let own = match parent {
        None => root_values.with_kind(kind()),
        Some((_, scope)) => match scope.get("Values") {
            Some(Value::Map(values)) => match values.get(tree.name()) {
                Some(Value::Map(own)) => own.with_kind(kind()),
                _ => Map::new().with_kind(kind()),
            },
            _ => Map::new().with_kind(kind()),
        },
    };
    let scope = Map::new();
    let subcharts = Map::new();
    scope.set("Chart", Value::Map(chart_map(&tree.metadata, parent.is_none())));
    scope.set("Files", Files::value(&tree.chart.files));
    scope.set("Release", root.release.clone());
    scope.set("Capabilities", root.capabilities.clone());
    scope.set("Values", Value::Map(own));
    scope.set("Subcharts", Value::Map(subcharts.clone()));
    for child in &tree.children {
        let inner = collect(child, Some((&path, &scope)), root_values, root, out);
        subcharts.set(child.name(), Value::Map(inner));
    }
    let library = tree.metadata.is_library();
    for file in &tree.chart.templates {
        let name = file.path.rsplit('/').next().unwrap_or("");
        if library && !name.starts_with('_') {
            continue;
        }
        out.push(Renderable {
            path: crate::funcs::clean_path(&format!("{path}/{}", file.path)),
            file,
            base: format!("{path}/templates"),
            scope: scope.clone(),
        });
    }
    scope
}

/// A nil `map[string]string`: empty, and null when written.
#[derive(Debug)]
pub(crate) struct NilMap;

impl Object for NilMap {
    fn type_name(&self) -> Cow<'static, str> {
        "map[string]string".into()
    }

    fn shape(&self) -> Shape {
        Shape::Map(Vec::new())
    }

    fn missing_entry(&self) -> Value {
        Value::str("")
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `.Chart`: Go's field names.
fn chart_map(meta: &Metadata, is_root: bool) -> Map {
    let text = |s: &String| Value::str(s.as_str());
    let texts = |all: &[String]| Value::list(all.iter().map(text).collect());
    let map = Map::new();
    map.set("Name", text(&meta.name));
    map.set("Home", text(&meta.home));
    map.set("Sources", texts(&meta.sources));
    map.set("Version", text(&meta.version));
    map.set("Description", text(&meta.description));
    map.set("Keywords", texts(&meta.keywords));
    map.set("Icon", text(&meta.icon));
    map.set("APIVersion", text(&meta.api_version));
    map.set("Condition", text(&meta.condition));
    map.set("Tags", text(&meta.tags));
    map.set("AppVersion", text(&meta.app_version));
    map.set("Deprecated", Value::Bool(meta.deprecated));
    map.set("KubeVersion", text(&meta.kube_version));
    map.set("Type", text(&meta.kind));
    map.set("IsRoot", Value::Bool(is_root));
    let annotations = Map::typed(Elem::Str);
    for (k, v) in &meta.annotations {
        annotations.set(k.as_str(), text(v));
    }
    let annotations = match annotations.is_empty() {
        true => Value::Object(Rc::new(NilMap)),
        false => Value::Map(annotations),
    };
    map.set("Annotations", annotations);
    let maintainers = meta.maintainers.iter().map(|m| {
        let map = Map::new();
        map.set("Name", text(&m.name));
        map.set("Email", text(&m.email));
        map.set("URL", text(&m.url));
        Value::Map(map)
    });
    map.set("Maintainers", Value::list(maintainers.collect()));
    let dependencies = meta.dependencies.iter().map(|d| {
        let map = Map::new();
        map.set("Name", text(&d.name));
        map.set("Version", text(&d.version));
        map.set("Repository", text(&d.repository));
        map.set("Condition", text(&d.condition));
        map.set("Tags", texts(&d.tags));
        map.set("Enabled", Value::Bool(d.enabled));
        let imports = d.import_values.iter().map(convert::value).collect();
        map.set("ImportValues", Value::list(imports));
        map.set("Alias", text(&d.alias));
        Value::Map(map)
    });
    map.set("Dependencies", Value::list(dependencies.collect()));
    map
}

/// Deepest path first, then reverse alphabetical: later parses win, so parents beat subcharts.
fn order(renderables: &mut [Renderable<'_>]) {
    let depth = |path: &str| path.matches('/').count();
    renderables
        .sort_by(|a, b| depth(&b.path).cmp(&depth(&a.path)).then_with(|| b.path.cmp(&a.path)));
}

fn host(options: &Options) -> Host {
    Host {
        env: Arc::clone(&options.env),
        lookup: options.lookup.clone(),
        lint: options.lint,
        enable_dns: options.enable_dns,
        mutated: Mutated::default(),
        included: Rc::new(RefCell::default()),
    }
}

/// What each template gave, by path, and what functions had to say meanwhile.
pub(crate) type Executed = (BTreeMap<String, String>, Vec<Notice>);

fn execute(tree: &Tree, values: &Map, options: &Options) -> Result<Executed, Error> {
    let host = Rc::new(host(options));
    let funcs = functions(&host);
    let release = Map::new();
    release.set("Name", Value::str(options.release_name.as_str()));
    release.set("Namespace", Value::str(options.namespace.as_str()));
    release.set("IsUpgrade", Value::Bool(options.is_upgrade));
    release.set("IsInstall", Value::Bool(!options.is_upgrade && !options.lint));
    release.set("Revision", Value::int(options.revision));
    release.set("Service", Value::str("Helm"));
    let root = Root { release: Value::Map(release), capabilities: options.capabilities.value() };
    let mut renderables = Vec::new();
    let scope = collect(tree, None, values, &root, &mut renderables);
    order(&mut renderables);
    // Two charts of one path cannot both count; Go keeps one per path.
    renderables.dedup_by(|a, b| a.path == b.path);
    let result = parse(tree, &renderables, &funcs)
        .and_then(|templates| run(&renderables, templates, &funcs, options));
    // Subcharts hold their parents' values, so the scopes are circles.
    host.mutated.release();
    scope.clear();
    for r in &renderables {
        r.scope.clear();
    }
    result
}

fn parse(
    tree: &Tree,
    renderables: &[Renderable<'_>],
    funcs: &FuncMap,
) -> Result<Arc<Templates>, Error> {
    let paths: Vec<String> = renderables.iter().map(|r| r.path.clone()).collect();
    let mut cache = tree.chart.parsed.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((known, templates)) = &*cache
        && *known == paths
    {
        return Ok(Arc::clone(templates));
    }
    let mut templates = Templates::named("gotpl");
    for r in renderables {
        templates.parse(&r.path, &r.file.data, funcs).map_err(|e| {
            // The place, and the last part of the complaint.
            let whole = e.to_string();
            let parts: Vec<&str> = whole.split(": ").collect();
            let place = parts.get(1).copied().unwrap_or(&r.path);
            let last = parts.last().copied().unwrap_or("");
            Error::Template(format!("parse error at ({place}): {last}"))
        })?;
    }
    let templates = Arc::new(templates);
    *cache = Some((paths, Arc::clone(&templates)));
    Ok(templates)
}

fn run(
    renderables: &[Renderable<'_>],
    templates: Arc<Templates>,
    funcs: &FuncMap,
    options: &Options,
) -> Result<Executed, Error> {
    let mut cx = Context::new(templates, funcs, MissingKey::Zero, options.limits);
    let mut out = BTreeMap::new();
    for r in renderables {
        if r.path.rsplit('/').next().is_some_and(|name| name.starts_with('_')) {
            continue;
        }
        let template = Map::new().with_kind(kind());
        template.set("Name", Value::str(r.path.as_str()));
        template.set("BasePath", Value::str(r.base.as_str()));
        r.scope.set("Template", Value::Map(template));
        let data = Value::Map(r.scope.with_kind(kind()));
        let text = cx.execute(&r.path, data).map_err(|e| Error::Template(reworded(&e)))?;
        let text = String::from_utf8_lossy(&strip_no_value(text)).into_owned();
        out.insert(r.path.clone(), text);
    }
    Ok((out, cx.notices().to_vec()))
}

/// The release name that a `--name-template` gives: Sprig's functions, no data.
///
/// # Errors
/// When the template is refused or fails.
pub(crate) fn release_name(template: &str, options: &Options) -> Result<String, Error> {
    const NAME: &str = "name-template";
    let host = Rc::new(host(options));
    let funcs = functions(&host);
    let mut templates = Templates::new();
    templates
        .parse(NAME, template.as_bytes(), &funcs)
        .map_err(|e| Error::Template(e.to_string()))?;
    let mut cx = Context::new(templates.into(), &funcs, MissingKey::Invalid, options.limits);
    let out = cx.execute(NAME, Value::Nil).map_err(|e| Error::Template(e.to_string()))?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}
