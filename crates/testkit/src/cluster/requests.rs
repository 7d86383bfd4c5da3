//! What a control plane was asked: its audit log, read as plain data.
//!
//! Owns reading and grouping. Refuses to know who asks or what would be a good number.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::PathBuf;

use serde::Deserialize;

/// One answered request. Watches appear when they end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// API group, empty for core and for paths that are no resource.
    pub group: String,
    /// Plural resource name with its subresource (`deployments/status`); empty when it is none.
    pub resource: String,
    /// Namespace, empty when there is none.
    pub namespace: String,
    /// Object name, empty when the request names none.
    pub name: String,
    /// The whole request URI.
    pub uri: String,
    /// Who was authenticated.
    pub user: String,
    /// Whom that one acted for, when it impersonated.
    pub impersonated: Option<String>,
    /// The `User-Agent` header.
    pub agent: String,
    /// HTTP status.
    pub code: u16,
}

impl Request {
    /// Whether nothing was to be written (`dryRun=All`).
    pub fn dry_run(&self) -> bool {
        self.uri.contains("dryRun=")
    }

    /// Whether it changes what is stored.
    pub fn writes(&self) -> bool {
        let mutating =
            ["create", "update", "patch", "delete", "deletecollection"].contains(&&*self.verb);
        mutating && !self.dry_run()
    }

    /// A line for a table: verb (`apply` for server-side apply, `dry-run` in front where so) and
    /// resource.
    pub fn label(&self) -> String {
        let apply = self.verb == "patch" && self.uri.contains("fieldManager=");
        let verb = if apply { "apply" } else { self.verb.as_str() };
        let dry = if self.dry_run() { "dry-run " } else { "" };
        let what = if self.resource.is_empty() {
            self.uri.split('?').next().unwrap_or_default()
        } else {
            &self.resource
        };
        format!("{dry}{verb} {what}")
    }
}

/// Reads an audit log from where the last reading ended.
#[derive(Debug)]
pub struct RequestLog {
    path: PathBuf,
    offset: u64,
}

impl RequestLog {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, offset: 0 }
    }

    /// The requests answered since the last call (since the start at the first), in the order of
    /// their answers.
    ///
    /// # Errors
    /// When the log cannot be read or holds what is no audit event.
    pub fn take(&mut self) -> io::Result<Vec<Request>> {
        let mut requests = Vec::new();
        let mut file = match File::open(&self.path) {
            // The server creates it with its first entry.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(requests),
            other => other?,
        };
        file.seek(SeekFrom::Start(self.offset))?;
        let mut reader = BufReader::new(file);
        let mut line = String::new();
        // A line without its end is still being written: left for the next call.
        while reader.read_line(&mut line)? > 0 && line.ends_with('\n') {
            self.offset += line.len() as u64;
            requests.push(serde_json::from_str::<Event>(&line)?.into());
            line.clear();
        }
        Ok(requests)
    }
}

/// How many of `requests` have the same key.
pub fn count_by<K: Ord>(requests: &[Request], key: impl Fn(&Request) -> K) -> BTreeMap<K, usize> {
    let mut counts = BTreeMap::new();
    for request in requests {
        *counts.entry(key(request)).or_insert(0) += 1;
    }
    counts
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    verb: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    #[serde(default)]
    user: User,
    impersonated_user: Option<User>,
    #[serde(default)]
    user_agent: String,
    #[serde(default)]
    object_ref: ObjectRef,
    #[serde(default)]
    response_status: Status,
}

#[derive(Deserialize, Default)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ObjectRef {
    api_group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Deserialize, Default)]
struct Status {
    #[serde(default)]
    code: u16,
}

impl From<Event> for Request {
    fn from(event: Event) -> Self {
        let ObjectRef { api_group, mut resource, subresource, namespace, name } = event.object_ref;
        if !subresource.is_empty() {
            resource = format!("{resource}/{subresource}");
        }
        Self {
            verb: event.verb,
            group: api_group,
            resource,
            namespace,
            name,
            uri: event.request_uri,
            user: event.user.username,
            impersonated: event.impersonated_user.map(|u| u.username),
            agent: event.user_agent,
            code: event.response_status.code,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_log_is_read_on_from_where_the_last_reading_ended_and_half_lines_wait() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        let mut log = RequestLog::new(path.clone());
        assert_eq!(log.take().unwrap(), []);

        let line = r#"{"kind":"Event","stage":"ResponseComplete","verb":"patch","requestURI":"/apis/apps/v1/namespaces/a/deployments/b/status?fieldManager=x&dryRun=All","user":{"username":"admin"},"impersonatedUser":{"username":"jane"},"userAgent":"borax/1","objectRef":{"resource":"deployments","namespace":"a","name":"b","apiGroup":"apps","apiVersion":"v1","subresource":"status"},"responseStatus":{"metadata":{},"code":200}}"#;
        let mut file = File::create(&path).unwrap();
        write!(file, "{line}\n{}", &line[..40]).unwrap();
        let first = log.take().unwrap();
        assert_eq!(first.len(), 1);
        assert_eq!(first[0].label(), "dry-run apply deployments/status");
        assert_eq!(first[0].impersonated.as_deref(), Some("jane"));
        assert!(!first[0].writes());

        writeln!(file, "{}", &line[40..]).unwrap();
        assert_eq!(log.take().unwrap(), first);
        assert_eq!(count_by(&first, |r| r.code), BTreeMap::from([(200, 1)]));
    }
}
