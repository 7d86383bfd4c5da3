//! Provider: a place to send events to.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::meta::{Duration, LocalObjectReference};
use crate::schema::{INTERVAL, TIMEOUT, string_enum};

/// What a Provider asks for.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "notification.toolkit.fluxcd.io",
    version = "v1beta3",
    kind = "Provider",
    plural = "providers"
)]
#[kube(namespaced, derive = "PartialEq", derive = "Default")]
#[kube(category = "all", category = "fluxcd", category = "fluxcd-notifications")]
#[kube(doc = "A place to send events to.")]
#[kube(
    printcolumn = r#"{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}"#
)]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "self.type == 'github' || self.type == 'gitlab' || self.type == 'gitea' || self.type == 'bitbucketserver' || self.type == 'bitbucket' || self.type == 'azuredevops' || !has(self.commitStatusExpr)", "message": "spec.commitStatusExpr is only supported for the 'github', 'gitlab', 'gitea', 'bitbucketserver', 'bitbucket', 'azuredevops' provider types"},
]))]
pub struct ProviderSpec {
    /// The kind of service.
    pub type_: ProviderType,
    /// Not used any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = INTERVAL))]
    pub interval: Option<Duration>,
    /// The channel, room or topic to post to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 2048))]
    pub channel: String,
    /// The name to post under.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 2048))]
    pub username: String,
    /// Where the service is: a URL, a project or a namespace, as the type has it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 2048))]
    pub address: String,
    /// How long sending may take; 15 s when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = TIMEOUT))]
    pub timeout: Option<Duration>,
    /// The proxy's address. Older than `proxySecretRef`, which is preferred.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 2048), regex(pattern = r"^(http|https)://.*$"))]
    pub proxy: String,
    /// A Secret with the proxy's `address` and, if need be, its `username` and `password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_secret_ref: Option<LocalObjectReference>,
    /// A Secret with the login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalObjectReference>,
    /// The service account whose cloud identity to log in with.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service_account_name: String,
    /// A Secret with a client certificate (`tls.crt`, `tls.key`), a CA (`ca.crt`), or both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert_secret_ref: Option<LocalObjectReference>,
    /// Whether to stop sending.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,
    /// A CEL expression over `event`, `provider` and `alert` that makes the name of a commit
    /// status.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub commit_status_expr: String,
}

string_enum! {
    /// A kind of service that events can be sent to.
    pub enum ProviderType {
        /// Slack.
        Slack = "slack",
        /// Discord.
        Discord = "discord",
        /// Microsoft Teams.
        MsTeams = "msteams",
        /// Rocket.Chat.
        Rocket = "rocket",
        /// Any HTTP server.
        #[default]
        Generic = "generic",
        /// Any HTTP server, with a signature.
        GenericHmac = "generic-hmac",
        /// A GitHub commit status.
        GitHub = "github",
        /// A GitLab commit status.
        GitLab = "gitlab",
        /// A Gitea commit status.
        Gitea = "gitea",
        /// A comment on a Gitea pull request.
        GiteaPullRequestComment = "giteapullrequestcomment",
        /// A commit status of Bitbucket Server.
        BitbucketServer = "bitbucketserver",
        /// A commit status of Bitbucket.
        Bitbucket = "bitbucket",
        /// A commit status of Azure DevOps.
        AzureDevOps = "azuredevops",
        /// Google Chat.
        GoogleChat = "googlechat",
        /// Google Pub/Sub.
        GooglePubSub = "googlepubsub",
        /// Webex.
        Webex = "webex",
        /// Sentry.
        Sentry = "sentry",
        /// Azure Event Hubs.
        AzureEventHub = "azureeventhub",
        /// Telegram.
        Telegram = "telegram",
        /// Lark.
        Lark = "lark",
        /// Matrix.
        Matrix = "matrix",
        /// Opsgenie.
        Opsgenie = "opsgenie",
        /// Prometheus' Alertmanager.
        AlertManager = "alertmanager",
        /// A Grafana annotation.
        Grafana = "grafana",
        /// A GitHub repository dispatch.
        GitHubDispatch = "githubdispatch",
        /// A comment on a GitHub pull request.
        GitHubPullRequestComment = "githubpullrequestcomment",
        /// A comment on a GitLab merge request.
        GitLabMergeRequestComment = "gitlabmergerequestcomment",
        /// PagerDuty.
        PagerDuty = "pagerduty",
        /// Datadog.
        DataDog = "datadog",
        /// NATS.
        Nats = "nats",
        /// Zulip.
        Zulip = "zulip",
        /// An OpenTelemetry collector.
        Otel = "otel",
        /// Zoom.
        Zoom = "zoom",
        /// incident.io.
        IncidentIo = "incident.io",
    }
}

impl ProviderSpec {
    /// How long sending may take, with Flux's default of 15 s.
    pub fn timeout(&self) -> std::time::Duration {
        self.timeout.map_or(std::time::Duration::from_secs(15), Into::into)
    }
}
