//! Which kinds the server serves, under which paths: cached, asked again when a kind is missing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use borax_object::{GroupKind, Gvk, Value};
use tokio::time::Instant;

use crate::Cluster;
use crate::request::{RequestError, encode};

/// How long an answer stands when a kind is asked for that it does not have.
const FRESH: Duration = Duration::from_secs(2);

/// How long a kind may take from its definition being established to being served everywhere.
const SETTLING: Duration = Duration::from_secs(30);

/// One kind in one version, and where its objects are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Group, version and kind.
    pub gvk: Gvk,
    /// The plural name in paths.
    pub plural: String,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// Whether objects can be watched.
    pub watchable: bool,
}

impl Resource {
    /// The path of the collection in `namespace` (all namespaces when empty), or of one object in it.
    pub fn path(&self, namespace: &str, name: Option<&str>) -> String {
        let mut path = match self.gvk.group.as_str() {
            "" => format!("/api/{}", self.gvk.version),
            group => format!("/apis/{group}/{}", self.gvk.version),
        };
        if self.namespaced && !namespace.is_empty() {
            path.push_str("/namespaces/");
            path.push_str(&encode(namespace));
        }
        path.push('/');
        path.push_str(&self.plural);
        if let Some(name) = name {
            path.push('/');
            path.push_str(&encode(name));
        }
        path
    }

    /// `group/version` of the resource, for typed access.
    pub fn api_resource(&self) -> kube::core::ApiResource {
        kube::core::ApiResource {
            group: self.gvk.group.clone(),
            version: self.gvk.version.clone(),
            api_version: self.gvk.api_version(),
            kind: self.gvk.kind.clone(),
            plural: self.plural.clone(),
        }
    }
}

/// Why a kind has no path.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// The server does not serve it.
    #[error("no matches for kind \"{kind}\" in version \"{api_version}\"")]
    NoMatch {
        /// The kind.
        kind: String,
        /// Its `apiVersion`.
        api_version: String,
    },
    /// The server does not serve it in any version.
    #[error("no matches for kind \"{0}\" in group \"{1}\"")]
    NoKind(String, String),
    /// The server could not be asked.
    #[error(transparent)]
    Request(#[from] RequestError),
}

#[derive(Default)]
struct Table {
    /// By group, version and kind.
    resources: HashMap<Gvk, Arc<Resource>>,
    /// The versions of a kind, the server's preferred one first.
    versions: HashMap<GroupKind, Vec<String>>,
    /// Kinds of definitions that we have just applied: the server may not serve them for some seconds.
    learned: HashMap<GroupKind, (Instant, Vec<Resource>)>,
}

/// The cache of kinds. Shared by all views of a cluster.
#[derive(Default)]
pub struct Discovery {
    table: RwLock<Table>,
    /// When the server was last asked; the lock lets one ask for all.
    asked: tokio::sync::Mutex<Option<Instant>>,
}

impl Discovery {
    /// The kind in exactly this version, if it is known already.
    pub fn cached(&self, gvk: &Gvk) -> Option<Arc<Resource>> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).resources.get(gvk).cloned()
    }

    fn cached_kind(&self, kind: &GroupKind) -> Option<Arc<Resource>> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let version = table.versions.get(kind)?.first()?;
        let gvk =
            Gvk { group: kind.group.clone(), version: version.clone(), kind: kind.kind.clone() };
        table.resources.get(&gvk).cloned()
    }

    /// The kind in exactly this version. Asks the server when it is not known, once for all who ask at a time.
    ///
    /// # Errors
    /// [`DiscoveryError::NoMatch`]; [`DiscoveryError::Request`].
    pub async fn resolve(
        &self,
        cluster: &Cluster,
        gvk: &Gvk,
    ) -> Result<Arc<Resource>, DiscoveryError> {
        self.resolve_by(cluster, || self.cached(gvk)).await?.ok_or_else(|| {
            DiscoveryError::NoMatch { kind: gvk.kind.clone(), api_version: gvk.api_version() }
        })
    }

    /// The kind in the version the server prefers.
    ///
    /// # Errors
    /// [`DiscoveryError::NoKind`]; [`DiscoveryError::Request`].
    pub async fn resolve_kind(
        &self,
        cluster: &Cluster,
        kind: &GroupKind,
    ) -> Result<Arc<Resource>, DiscoveryError> {
        self.resolve_by(cluster, || self.cached_kind(kind))
            .await?
            .ok_or_else(|| DiscoveryError::NoKind(kind.kind.clone(), kind.group.clone()))
    }

    async fn resolve_by(
        &self,
        cluster: &Cluster,
        find: impl Fn() -> Option<Arc<Resource>>,
    ) -> Result<Option<Arc<Resource>>, DiscoveryError> {
        if let Some(found) = find() {
            return Ok(Some(found));
        }
        let mut asked = self.asked.lock().await;
        // Someone may have asked while this one waited.
        if let Some(found) = find() {
            return Ok(Some(found));
        }
        if asked.is_none_or(|at| at.elapsed() > FRESH) {
            self.ask(&cluster.as_self()).await?;
            *asked = Some(Instant::now());
        }
        Ok(find())
    }

    /// All group versions, and `group/version/Kind` of all kinds, sorted: as new as the last [`FRESH`] seconds.
    ///
    /// # Errors
    /// The server could not be asked.
    pub async fn api_versions(&self, cluster: &Cluster) -> Result<Vec<String>, DiscoveryError> {
        {
            let mut asked = self.asked.lock().await;
            if asked.is_none_or(|at| at.elapsed() > FRESH) {
                self.ask(&cluster.as_self()).await?;
                *asked = Some(Instant::now());
            }
        }
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: BTreeSet<String> = BTreeSet::new();
        let mut kinds: Vec<&Gvk> = table.resources.keys().collect();
        kinds.sort();
        for gvk in kinds {
            let version = gvk.api_version();
            all.insert(format!("{version}/{}", gvk.kind));
            all.insert(version);
        }
        Ok(all.into_iter().collect())
    }

    /// Forgets a kind whose path the server does not know: the next one who needs it asks.
    pub(crate) async fn forget(&self, gvk: &Gvk) {
        let mut asked = self.asked.lock().await;
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        table.resources.remove(gvk);
        if let Some(versions) = table.versions.get_mut(&gvk.group_kind()) {
            versions.retain(|version| *version != gvk.version);
        }
        *asked = None;
    }

    async fn ask(&self, cluster: &Cluster) -> Result<(), RequestError> {
        let (core, groups) = tokio::join!(cluster.get("/api"), cluster.get("/apis"));
        let mut table = Table::default();
        for answer in [core?, groups?] {
            if answer.get("kind").and_then(Value::as_str) == Some("APIGroupDiscoveryList") {
                read_aggregated(&answer, &mut table);
            } else {
                read_groups(cluster, &answer, &mut table).await?;
            }
        }
        let mut current = self.table.write().unwrap_or_else(PoisonError::into_inner);
        table.learned = std::mem::take(&mut current.learned);
        table.learned.retain(|_, (at, _)| at.elapsed() < SETTLING);
        let mut learned: Vec<Resource> =
            table.learned.values().flat_map(|(_, all)| all.clone()).collect();
        learned.sort_by(|a, b| a.gvk.cmp(&b.gvk));
        for resource in learned {
            add(&mut table, resource);
        }
        *current = table;
        Ok(())
    }

    /// Learns the kind of a CustomResourceDefinition from the definition itself, so that its objects can be applied
    /// without asking the server again.
    pub fn learn(&self, crd: &Value) {
        let text = |pointer: &str| {
            crd.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let (group, kind, plural) =
            (text("/spec/group"), text("/spec/names/kind"), text("/spec/names/plural"));
        let namespaced = text("/spec/scope") == "Namespaced";
        let versions = crd.pointer("/spec/versions").and_then(Value::as_array);
        let served = versions
            .into_iter()
            .flatten()
            .filter(|v| v.get("served").and_then(Value::as_bool) == Some(true));
        let names: Vec<String> =
            served.filter_map(|v| Some(v.get("name")?.as_str()?.to_owned())).collect();
        if group.is_empty() || kind.is_empty() || plural.is_empty() {
            return;
        }
        let resources = names.into_iter().map(|version| Resource {
            gvk: Gvk { group: group.clone(), version, kind: kind.clone() },
            plural: plural.clone(),
            namespaced,
            watchable: true,
        });
        let resources: Vec<Resource> = resources.collect();
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        for resource in &resources {
            // The definition is right where the cache is old.
            table.resources.remove(&resource.gvk);
            add(&mut table, resource.clone());
        }
        table.learned.insert(GroupKind { group, kind }, (Instant::now(), resources));
    }

    /// Whether the definition of a kind was applied a moment ago, so that the server may not serve it yet.
    pub(crate) fn is_settling(&self, kind: &GroupKind) -> bool {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.learned.get(kind).is_some_and(|(at, _)| at.elapsed() < SETTLING)
    }
}

fn add(table: &mut Table, resource: Resource) {
    let versions = table.versions.entry(resource.gvk.group_kind()).or_default();
    if !versions.contains(&resource.gvk.version) {
        versions.push(resource.gvk.version.clone());
    }
    table.resources.entry(resource.gvk.clone()).or_insert_with(|| Arc::new(resource));
}

fn items<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    value.get(field).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn has_verb(resource: &Value, verb: &str) -> bool {
    items(resource, "verbs").any(|v| v.as_str() == Some(verb))
}

/// Reads `APIGroupDiscoveryList`, in which versions come in the order of preference.
fn read_aggregated(answer: &Value, table: &mut Table) {
    for group in items(answer, "items") {
        for version in items(group, "versions") {
            for resource in items(version, "resources") {
                let kind = text(resource, "/responseKind/kind");
                let group = match text(resource, "/responseKind/group") {
                    "" => text(group, "/metadata/name"),
                    group => group,
                };
                if kind.is_empty() || !has_verb(resource, "get") {
                    continue;
                }
                let version = text(version, "/version");
                let resource = Resource {
                    gvk: Gvk {
                        group: group.to_owned(),
                        version: version.to_owned(),
                        kind: kind.to_owned(),
                    },
                    plural: text(resource, "/resource").to_owned(),
                    namespaced: text(resource, "/scope") == "Namespaced",
                    watchable: has_verb(resource, "watch"),
                };
                add(table, resource);
            }
        }
    }
}

/// Reads discovery as servers before 1.26 answer it: one more request per group and version.
async fn read_groups(
    cluster: &Cluster,
    answer: &Value,
    table: &mut Table,
) -> Result<(), RequestError> {
    let mut paths: BTreeMap<usize, (String, String)> = BTreeMap::new();
    for version in items(answer, "versions").filter_map(Value::as_str) {
        paths.insert(paths.len(), (format!("/api/{version}"), version.to_owned()));
    }
    for group in items(answer, "groups") {
        let preferred = text(group, "/preferredVersion/groupVersion");
        let all = items(group, "versions").map(|version| text(version, "/groupVersion"));
        for group_version in std::iter::once(preferred).chain(all.filter(|v| *v != preferred)) {
            paths.insert(paths.len(), (format!("/apis/{group_version}"), group_version.to_owned()));
        }
    }
    for (path, group_version) in paths.into_values() {
        // One broken aggregated API must not take all others down.
        let Ok(list) = cluster.get(&path).await else { continue };
        for resource in items(&list, "resources")
            .filter(|r| !text(r, "/name").contains('/') && has_verb(r, "get"))
        {
            let resource = Resource {
                gvk: Gvk::new(&group_version, text(resource, "/kind")),
                plural: text(resource, "/name").to_owned(),
                namespaced: resource.get("namespaced").and_then(Value::as_bool) == Some(true),
                watchable: has_verb(resource, "watch"),
            };
            add(table, resource);
        }
    }
    Ok(())
}
