//! Doing it: log in, wait for the clone, change the files, commit, push.

use std::sync::Arc;

use borax_api::image::{ImageUpdateAutomation, SigningKeyType, reasons};
use borax_api::source::reasons as source_reasons;
use borax_image::setters;
use borax_image::update::Update;
use borax_reconcile::Key;
use borax_source::git::{
    self, Change, Draft, FetchRequest, Marker, Person, Proposal, ProposeError, Proposed, RemoteUrl,
};
use borax_source::sign::{KeyFormat, Signer};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt};
use tokio_util::sync::CancellationToken;

use super::decide::{Work, source_problem};
use super::desks::DeskKey;
use super::message::{MessageError, render};
use crate::image::summary::Problem;
use crate::machine::Machine;
use crate::shared::Shared;
use crate::source::git::{login, refuse_unsupported};
use crate::source::secrets;

/// What a turn came to.
#[derive(Debug)]
pub(super) struct Done {
    /// How it ended.
    pub(super) proposed: Proposed,
    /// Marked values that were left alone, and why.
    pub(super) problems: Vec<String>,
}

/// Does the work of the automation `key`.
///
/// # Errors
/// Nothing was pushed.
pub(super) async fn act(
    shared: &Arc<Shared>,
    key: &Key,
    object: &ImageUpdateAutomation,
    work: Work,
) -> Result<Done, Problem> {
    let spec = &work.source.spec;
    refuse_unsupported(spec).map_err(|problem| {
        Problem::stalled(reasons::INVALID_SOURCE_CONFIGURATION, problem.message)
    })?;
    let url = RemoteUrl::parse(&spec.url)
        .map_err(|error| source_problem(format!("failed to parse URL '{}': {error}", spec.url)))?;
    let login = login::login(shared, &work.source, &url).await.map_err(|problem| match problem
        .reason
        .as_str()
    {
        source_reasons::INVALID_PROVIDER_CONFIGURATION => Problem::stalled(
            reasons::INVALID_SOURCE_CONFIGURATION,
            format!("{}: invalid source configuration", problem.message),
        ),
        _ => source_problem(problem.message),
    })?;
    let signer = signer(shared, object, &work).await?;
    let desk =
        DeskKey { url: spec.url.clone(), login: login.fingerprint, branch: work.branch.clone() };
    let scratch = shared.artifacts.scratch();
    let mut workspace = shared.desks.sit_down(desk, &scratch).await;
    let _place = shared.upstreams.place(url.host()).await;
    let proposal = Proposal {
        checkout: FetchRequest {
            url,
            reference: work.reference.clone(),
            auth: login.auth,
            proxy: login.proxy,
            ssh: git::SshAlgorithms {
                kex: shared.options.ssh_kex_algos.clone(),
                host_key: shared.options.ssh_hostkey_algos.clone(),
            },
            last_revision: work.unless.clone(),
            sparse: Vec::new(),
            recurse_submodules: false,
            timeout: spec.timeout(),
            limits: git::Limits::default(),
        },
        branch: work.branch.clone(),
        refspecs: work.refspecs.clone(),
        options: work.options.clone(),
        path: work.path.clone(),
        rules: shared.options.gates.push_rules,
    };
    let cancel = CancellationToken::new();
    let _stop = cancel.clone().drop_guard();
    let key = key.clone();
    let proposing = tokio::task::spawn_blocking(move || {
        let mut edit = Edit::new(key, &work);
        let proposed = workspace.propose(&proposal, MARKER, signer.as_ref(), &mut edit, &cancel);
        (proposed, edit.problems, edit.removed)
    });
    let (proposed, problems, removed) = proposing
        .await
        .map_err(|error| Problem::new(reasons::GIT_OPERATION_FAILED, error.to_string()))?;
    match (proposed, removed) {
        (Ok(proposed), _) => Ok(Done { proposed, problems }),
        (Err(_), Some(removed)) => Err(Problem::stalled(reasons::REMOVED_TEMPLATE_FIELD, removed)),
        (Err(error), None) => {
            let reason = match error {
                ProposeError::Apply(_) => reasons::UPDATE_FAILED,
                ProposeError::Checkout(_) | ProposeError::Commit(_) | ProposeError::Push { .. } => {
                    reasons::GIT_OPERATION_FAILED
                }
            };
            Err(Problem::new(reason, error.to_string()))
        }
    }
}

const MARKER: Marker = Marker {
    named: |name| std::str::from_utf8(name).is_ok_and(setters::is_candidate),
    marked: setters::may_be_marked,
};

/// The key that commits are signed with, if any.
async fn signer(
    shared: &Arc<Shared>,
    object: &ImageUpdateAutomation,
    work: &Work,
) -> Result<Option<Signer>, Problem> {
    let Some(key) = &work.git.commit.signing_key else { return Ok(None) };
    let name = &key.secret_ref.name;
    let namespace = object.namespace().unwrap_or_default();
    let secrets = Api::<Secret>::namespaced(shared.cluster.client(), &namespace);
    let secret = secrets.get(name).await.map_err(|error| {
        let cause = secrets::message(error);
        source_problem(format!("could not find signing key secret '{name}': {cause}"))
    })?;
    let format = match key.type_.unwrap_or_default() {
        SigningKeyType::Gpg => KeyFormat::Gpg,
        SigningKeyType::Ssh => KeyFormat::Ssh,
    };
    let data = secrets::data(secret);
    Signer::from_secret(format, name, &data).map(Some).map_err(source_problem)
}

/// The change: marked values get the latest images.
struct Edit<'w> {
    object: Key,
    work: &'w Work,
    update: Update,
    problems: Vec<String>,
    /// Why the template can never work, when that is so.
    removed: Option<String>,
}

impl<'w> Edit<'w> {
    fn new(object: Key, work: &'w Work) -> Self {
        Self { object, work, update: Update::default(), problems: Vec::new(), removed: None }
    }
}

impl Change for Edit<'_> {
    fn begin(&mut self) {
        self.update = Update::default();
        self.problems.clear();
    }

    fn file(&mut self, path: &str, content: &[u8]) -> Option<Vec<u8>> {
        match setters::edit(path, content, &self.work.policies) {
            Ok(None) => None,
            Ok(Some(edit)) => {
                self.problems.extend(edit.problems.iter().map(ToString::to_string));
                self.update.add(path, &edit.changes);
                Some(edit.bytes)
            }
            Err(problem) => {
                self.problems.push(problem.to_string());
                None
            }
        }
    }

    fn commit(&mut self) -> Result<Draft, String> {
        let commit = &self.work.git.commit;
        let (template, values) = (&commit.message_template, &commit.message_template_values);
        let env: Arc<dyn borax_helm::Env> = Arc::new(Machine);
        let message =
            render(template, &self.object, &self.update, values, &env).map_err(|error| {
                if let MessageError::Removed { .. } = error {
                    self.removed = Some(error.to_string());
                }
                error.to_string()
            })?;
        let author = Person {
            name: commit.author.name.clone(),
            email: commit.author.email.clone(),
            seconds: jiff::Timestamp::now().as_second(),
        };
        Ok(Draft { author, message })
    }
}
