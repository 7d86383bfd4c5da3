//! The charts of one rendering: the loaded chart with its dependencies switched on and off, aliased,
//! and their values imported. Source: Helm `pkg/chart/v2/util/dependencies.go`.

use std::sync::Arc;

use borax_gotmpl::{Map, Room, Value};
use serde_json::Value as Json;

use crate::chart::Chart;
use crate::convert;
use crate::error::Error;
use crate::metadata::Metadata;
use crate::render::MAX_VALUES;
use crate::semver::in_range;
use crate::values::{coalesce, merge_tables, path_value, table};

/// A chart as this rendering sees it.
#[derive(Clone)]
pub(crate) struct Tree {
    pub(crate) chart: Arc<Chart>,
    /// Name and dependencies may differ from the chart's own.
    pub(crate) metadata: Metadata,
    pub(crate) values: Map,
    pub(crate) children: Vec<Tree>,
}

impl Tree {
    /// The tree of a chart before anything is processed.
    pub(crate) fn new(chart: &Arc<Chart>) -> Tree {
        Tree {
            chart: Arc::clone(chart),
            metadata: chart.metadata.clone(),
            values: convert::map(&chart.values),
            children: chart.dependencies.iter().map(Tree::new).collect(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.metadata.name
    }

    /// Applies conditions, tags and aliases by the user's values, then imports values.
    ///
    /// # Errors
    /// When values and charts do not fit.
    pub(crate) fn process(&mut self, values: &Map) -> Result<(), Error> {
        self.enable(values, "")?;
        self.import()
    }

    fn enable(&mut self, values: &Map, path: &str) -> Result<(), Error> {
        if self.metadata.dependencies.is_empty() {
            return Ok(());
        }
        let mut children: Vec<Tree> = self
            .children
            .iter()
            .filter(|child| {
                !self.metadata.dependencies.iter().any(|d| {
                    d.name == child.name() && in_range(&d.version, &child.metadata.version)
                })
            })
            .cloned()
            .collect();
        for dependency in &mut self.metadata.dependencies {
            let found = self.children.iter().find(|c| {
                c.name() == dependency.name && in_range(&dependency.version, &c.metadata.version)
            });
            if let Some(found) = found {
                let mut child = found.clone();
                if !dependency.alias.is_empty() {
                    child.metadata.name.clone_from(&dependency.alias);
                }
                children.push(child);
            }
            if !dependency.alias.is_empty() {
                dependency.name.clone_from(&dependency.alias);
            }
            dependency.enabled = true;
        }
        self.children = children;
        let all = coalesce(self, values, false)?;
        self.apply_tags(&all);
        self.apply_conditions(&all, path);
        let dependencies = &self.metadata.dependencies;
        let off = |name: &str| dependencies.iter().any(|d| !d.enabled && d.name == name);
        self.children.retain(|c| !off(c.name()));
        let removed: Vec<String> =
            dependencies.iter().filter(|d| !d.enabled).map(|d| d.name.clone()).collect();
        for child in &mut self.children {
            let path = format!("{path}{}.", child.name());
            child.enable(&all, &path)?;
        }
        self.metadata.dependencies.retain(|d| !removed.contains(&d.name));
        Ok(())
    }

    fn apply_tags(&mut self, values: &Map) {
        let Some(tags) = table(values, "tags") else {
            return;
        };
        for dependency in &mut self.metadata.dependencies {
            let (mut on, mut off) = (false, false);
            for tag in &dependency.tags {
                match tags.get(tag) {
                    Some(Value::Bool(true)) => on = true,
                    Some(Value::Bool(false)) => off = true,
                    _ => {}
                }
            }
            dependency.enabled = on || !off;
        }
    }

    fn apply_conditions(&mut self, values: &Map, path: &str) {
        for dependency in &mut self.metadata.dependencies {
            for condition in dependency.condition.trim().split(',').filter(|c| !c.is_empty()) {
                if let Some(Value::Bool(on)) = path_value(values, &format!("{path}{condition}")) {
                    dependency.enabled = on;
                    break;
                }
            }
        }
    }

    fn import(&mut self) -> Result<(), Error> {
        for child in &mut self.children {
            child.import()?;
        }
        if self.metadata.dependencies.is_empty() {
            return Ok(());
        }
        let all = coalesce(self, &Map::new(), true)?;
        let imported = Map::new();
        for dependency in &mut self.metadata.dependencies {
            let mut described = Vec::new();
            for import in &dependency.import_values {
                let (child, parent) = match import {
                    Json::Object(pair) => {
                        let text = |key: &str| match pair.get(key) {
                            None | Some(Json::Null) => "<nil>".to_owned(),
                            Some(Json::String(s)) => s.clone(),
                            Some(other) => crate::metadata::scalar_text(other).unwrap_or_default(),
                        };
                        (text("child"), text("parent"))
                    }
                    Json::String(name) => (format!("exports.{name}"), ".".to_owned()),
                    _ => continue,
                };
                described.push(serde_json::json!({ "child": child, "parent": parent }));
                let Some(found) = table(&all, &format!("{}.{child}", dependency.name)) else {
                    continue;
                };
                merge_tables(&imported, &nested(&parent, found), true, 0)?;
            }
            dependency.import_values = described;
        }
        let all = convert::deep_copy_map(&all, &mut Room::of(MAX_VALUES), 0)
            .map_err(|e| Error::Coalesce(e.to_string()))?;
        merge_tables(&all, &imported, true, 0)?;
        self.values = all;
        Ok(())
    }

    /// Full path of the chart: its name below those of its parents.
    pub(crate) fn full_path(&self, parent: Option<&str>) -> String {
        match parent {
            Some(parent) => format!("{parent}/charts/{}", self.name()),
            None => self.name().to_owned(),
        }
    }
}

/// The map placed below a dotted path.
fn nested(path: &str, map: Map) -> Map {
    if path == "." {
        return map;
    }
    path.split('.').rev().fold(map, |inner, part| {
        let outer = Map::new();
        outer.set(part, Value::Map(inner));
        outer
    })
}
