//! A release as Helm records it. Source: Helm `pkg/release/v1` (`release.go`, `info.go`, `hook.go`) and
//! `pkg/release/common/status.go`.

use std::collections::BTreeMap;
use std::fmt;

use borax_helm::HookEvent;
use serde_json::{Map, Value};

use crate::chart::StoredChart;
use crate::json::{Fields, field};

/// How far a release is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// Not known, or a word that Helm does not have.
    #[default]
    Unknown,
    /// Installed.
    Deployed,
    /// Uninstalled, its record kept.
    Uninstalled,
    /// A newer release took its place.
    Superseded,
    /// It did not work.
    Failed,
    /// Being uninstalled.
    Uninstalling,
    /// Being installed.
    PendingInstall,
    /// Being upgraded to.
    PendingUpgrade,
    /// Being rolled back to.
    PendingRollback,
}

const WORDS: [(Status, &str); 9] = [
    (Status::Unknown, "unknown"),
    (Status::Deployed, "deployed"),
    (Status::Uninstalled, "uninstalled"),
    (Status::Superseded, "superseded"),
    (Status::Failed, "failed"),
    (Status::Uninstalling, "uninstalling"),
    (Status::PendingInstall, "pending-install"),
    (Status::PendingUpgrade, "pending-upgrade"),
    (Status::PendingRollback, "pending-rollback"),
];

impl Status {
    /// Helm's word.
    pub fn as_str(self) -> &'static str {
        WORDS.iter().find(|(status, _)| *status == self).map_or("unknown", |(_, word)| word)
    }

    /// Of Helm's word.
    pub fn parse(word: &str) -> Self {
        WORDS.iter().find(|(_, known)| *known == word).map_or(Self::Unknown, |(status, _)| *status)
    }

    /// Whether someone is, or was, in the middle of it.
    pub fn is_pending(self) -> bool {
        matches!(self, Self::PendingInstall | Self::PendingUpgrade | Self::PendingRollback)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is known of a release besides its content. Times are kept as they are written (RFC 3339), empty for none: the
/// record of someone in another time zone must come out as it went in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// When the release was first made.
    pub first_deployed: String,
    /// When it was last made.
    pub last_deployed: String,
    /// When it was uninstalled.
    pub deleted: String,
    /// For people.
    pub description: String,
    /// How far it is.
    pub status: Status,
    /// The release that was gone back to.
    pub rollback_revision: i64,
    /// The rendered NOTES.txt.
    pub notes: String,
}

/// How a hook's last run went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// It has not run.
    #[default]
    None,
    /// It is not known.
    Unknown,
    /// It runs.
    Running,
    /// It worked.
    Succeeded,
    /// It did not work.
    Failed,
}

impl Phase {
    /// Helm's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Unknown => "Unknown",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }

    fn parse(word: &str) -> Self {
        match word {
            "" => Self::None,
            "Running" => Self::Running,
            "Succeeded" => Self::Succeeded,
            "Failed" => Self::Failed,
            _ => Self::Unknown,
        }
    }
}

/// A hook's last run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HookRun {
    /// When it began.
    pub started_at: String,
    /// When it ended.
    pub completed_at: String,
    /// How.
    pub phase: Phase,
}

/// A hook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hook {
    /// The object's name.
    pub name: String,
    /// The object's kind.
    pub kind: String,
    /// Its template's path.
    pub path: String,
    /// Its manifest.
    pub manifest: String,
    /// What triggers it.
    pub events: Vec<HookEvent>,
    /// Its last run.
    pub last_run: HookRun,
    /// Its place among hooks of an event.
    pub weight: i64,
    /// When it is deleted: `before-hook-creation`, `hook-succeeded`, `hook-failed`.
    pub delete_policies: Vec<String>,
    /// When its logs are shown.
    pub output_log_policies: Vec<String>,
}

/// A release.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Release {
    /// Its name.
    pub name: String,
    /// What is known of it.
    pub info: Info,
    /// Its chart.
    pub chart: StoredChart,
    /// The user's values.
    pub config: Map<String, Value>,
    /// The rendered objects.
    pub manifest: String,
    /// Its hooks.
    pub hooks: Vec<Hook>,
    /// Its number.
    pub version: i64,
    /// Where it is installed.
    pub namespace: String,
    /// Labels of its record that someone chose.
    pub labels: BTreeMap<String, String>,
    /// `ssa` or `csa`; empty as `csa`.
    pub apply_method: String,
}

/// The name of a hook event.
pub fn event_name(event: HookEvent) -> &'static str {
    match event {
        HookEvent::PreInstall => "pre-install",
        HookEvent::PostInstall => "post-install",
        HookEvent::PreDelete => "pre-delete",
        HookEvent::PostDelete => "post-delete",
        HookEvent::PreUpgrade => "pre-upgrade",
        HookEvent::PostUpgrade => "post-upgrade",
        HookEvent::PreRollback => "pre-rollback",
        HookEvent::PostRollback => "post-rollback",
        HookEvent::Test => "test",
    }
}

fn event(name: &str) -> Option<HookEvent> {
    use HookEvent as E;
    [
        E::PreInstall,
        E::PostInstall,
        E::PreDelete,
        E::PostDelete,
        E::PreUpgrade,
        E::PostUpgrade,
        E::PreRollback,
        E::PostRollback,
        E::Test,
    ]
    .into_iter()
    .find(|event| event_name(*event) == name)
}

impl Info {
    pub(crate) fn write(&self) -> String {
        let mut out = Fields::new();
        out.some_text("first_deployed", &self.first_deployed);
        out.some_text("last_deployed", &self.last_deployed);
        out.some_text("deleted", &self.deleted);
        out.some_text("description", &self.description);
        out.text("status", self.status.as_str());
        out.some_number("rollback_revision", self.rollback_revision);
        out.some_text("notes", &self.notes);
        out.end()
    }

    fn read(json: &Value) -> Self {
        Self {
            first_deployed: text(json, "first_deployed"),
            last_deployed: text(json, "last_deployed"),
            deleted: text(json, "deleted"),
            description: text(json, "description"),
            status: Status::parse(&text(json, "status")),
            rollback_revision: number(json, "rollback_revision"),
            notes: text(json, "notes"),
        }
    }
}

impl Hook {
    /// Whether the event triggers it.
    pub fn is_for(&self, event: HookEvent) -> bool {
        self.events.contains(&event)
    }

    /// Whether it has the delete policy.
    pub fn has_policy(&self, policy: &str) -> bool {
        self.delete_policies.iter().any(|own| own == policy)
    }

    pub(crate) fn write(&self) -> String {
        let mut run = Fields::new();
        run.some_text("started_at", &self.last_run.started_at);
        run.some_text("completed_at", &self.last_run.completed_at);
        run.text("phase", self.last_run.phase.as_str());
        let mut out = Fields::new();
        out.some_text("name", &self.name);
        out.some_text("kind", &self.kind);
        out.some_text("path", &self.path);
        out.some_text("manifest", &self.manifest);
        out.some_texts("events", self.events.iter().map(|event| event_name(*event)));
        out.raw("last_run", &run.end());
        out.some_number("weight", self.weight);
        out.some_texts("delete_policies", self.delete_policies.iter().map(String::as_str));
        out.some_texts("output_log_policies", self.output_log_policies.iter().map(String::as_str));
        out.end()
    }

    fn read(json: &Value) -> Self {
        let texts = |name: &str| -> Vec<String> {
            let items = json.get(name).and_then(Value::as_array).into_iter().flatten();
            items.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let run = json.get("last_run").unwrap_or(&Value::Null);
        Self {
            name: text(json, "name"),
            kind: text(json, "kind"),
            path: text(json, "path"),
            manifest: text(json, "manifest"),
            events: texts("events").iter().filter_map(|name| event(name)).collect(),
            last_run: HookRun {
                started_at: text(run, "started_at"),
                completed_at: text(run, "completed_at"),
                phase: Phase::parse(&text(run, "phase")),
            },
            weight: number(json, "weight"),
            delete_policies: texts("delete_policies"),
            output_log_policies: texts("output_log_policies"),
        }
    }
}

impl From<&borax_helm::Hook> for Hook {
    fn from(hook: &borax_helm::Hook) -> Self {
        Self {
            name: hook.manifest.name.clone(),
            kind: hook.manifest.kind.clone(),
            path: hook.manifest.path.clone(),
            manifest: hook.manifest.content.clone(),
            events: hook.events.clone(),
            last_run: HookRun::default(),
            weight: hook.weight,
            delete_policies: hook.delete_policies.clone(),
            output_log_policies: hook.output_log_policies.clone(),
        }
    }
}

impl Release {
    /// Sets status and description.
    pub fn set_status(&mut self, status: Status, description: impl Into<String>) {
        self.info.status = status;
        self.info.description = description.into();
    }

    /// Whether its objects were applied on the server.
    pub fn is_server_side(&self) -> bool {
        self.apply_method == "ssa"
    }

    /// The record's JSON, without labels, which are kept beside it.
    pub(crate) fn write(&self) -> String {
        let mut out = Fields::new();
        out.some_text("name", &self.name);
        out.raw("info", &self.info.write());
        if !self.chart.json.is_empty() {
            out.raw("chart", &self.chart.json);
        }
        if !self.config.is_empty() {
            out.raw("config", &values(&self.config));
        }
        out.some_text("manifest", &self.manifest);
        let hooks: Vec<String> = self.hooks.iter().map(Hook::write).collect();
        out.some_list("hooks", &hooks);
        out.some_number("version", self.version);
        out.some_text("namespace", &self.namespace);
        out.some_text("apply_method", &self.apply_method);
        out.end()
    }

    /// Of a record's JSON.
    pub(crate) fn read(json: &str) -> Result<Self, serde_json::Error> {
        #[derive(serde::Deserialize)]
        struct Wire {
            #[serde(default)]
            name: String,
            #[serde(default)]
            info: Value,
            #[serde(default)]
            config: Option<Map<String, Value>>,
            #[serde(default)]
            manifest: String,
            #[serde(default)]
            hooks: Option<Vec<Value>>,
            #[serde(default)]
            version: i64,
            #[serde(default)]
            namespace: String,
            #[serde(default)]
            apply_method: String,
        }
        let wire: Wire = serde_json::from_str(json)?;
        Ok(Self {
            name: wire.name,
            info: Info::read(&wire.info),
            chart: field(json, "chart").map(StoredChart::read).unwrap_or_default(),
            // Go's decoder makes floats of all numbers.
            config: borax_helm::plain_values(&Value::Object(wire.config.unwrap_or_default())),
            manifest: wire.manifest,
            hooks: wire.hooks.unwrap_or_default().iter().map(Hook::read).collect(),
            version: wire.version,
            namespace: wire.namespace,
            labels: BTreeMap::new(),
            apply_method: wire.apply_method,
        })
    }
}

/// Values as Go's encoder writes them.
pub(crate) fn values(values: &Map<String, Value>) -> String {
    borax_yaml::json_string(&Value::Object(values.clone()))
}

fn text(json: &Value, name: &str) -> String {
    json.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn number(json: &Value, name: &str) -> i64 {
    json.get(name).and_then(Value::as_i64).unwrap_or_default()
}
