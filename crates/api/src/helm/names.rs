//! The words of the helm group: condition types, and the reasons of conditions and events.
//!
//! Behaviour: helm-controller `api/v2/condition_types.go` and the reasons spelled out in its reconcilers.

/// Condition types of HelmReleases, beside those all groups share.
pub mod condition_types {
    /// How the last install, upgrade or test went.
    pub const RELEASED: &str = "Released";
    /// How the last tests went.
    pub const TEST_SUCCESS: &str = "TestSuccess";
    /// How the last rollback or uninstall after a failure went.
    pub const REMEDIATED: &str = "Remediated";
    /// Whether the cluster has drifted from the release.
    pub const DRIFTED: &str = "Drifted";
}

/// Condition and event reasons of HelmReleases, beside those all groups share.
pub mod reasons {
    /// An install worked.
    pub const INSTALL_SUCCEEDED: &str = "InstallSucceeded";
    /// An install failed.
    pub const INSTALL_FAILED: &str = "InstallFailed";
    /// An upgrade worked.
    pub const UPGRADE_SUCCEEDED: &str = "UpgradeSucceeded";
    /// An upgrade failed.
    pub const UPGRADE_FAILED: &str = "UpgradeFailed";
    /// The tests worked.
    pub const TEST_SUCCEEDED: &str = "TestSucceeded";
    /// A test failed.
    pub const TEST_FAILED: &str = "TestFailed";
    /// A rollback worked.
    pub const ROLLBACK_SUCCEEDED: &str = "RollbackSucceeded";
    /// A rollback failed.
    pub const ROLLBACK_FAILED: &str = "RollbackFailed";
    /// An uninstall worked.
    pub const UNINSTALL_SUCCEEDED: &str = "UninstallSucceeded";
    /// An uninstall failed.
    pub const UNINSTALL_FAILED: &str = "UninstallFailed";
    /// The cluster has drifted from the release.
    pub const DRIFT_DETECTED: &str = "DriftDetected";
    /// The cluster has not drifted from the release.
    pub const NO_DRIFT_DETECTED: &str = "NoDriftDetected";
    /// Drift was corrected.
    pub const DRIFT_CORRECTED: &str = "DriftCorrected";
    /// Drift could not be corrected.
    pub const DRIFT_CORRECTION_FAILED: &str = "DriftCorrectionFailed";
    /// The inventory could not be made.
    pub const INVENTORY_BUILD_FAILED: &str = "InventoryBuildFailed";
    /// Whether a kind is namespaced could not be found out.
    pub const NAMESPACE_CHECK_SKIPPED: &str = "NamespaceCheckSkipped";
    /// There are no tries left.
    pub const RETRIES_EXCEEDED: &str = "RetriesExceeded";
    /// There is no release to go back to.
    pub const MISSING_ROLLBACK_TARGET: &str = "MissingRollbackTarget";
    /// The release is in the middle of an action that no one is carrying out.
    pub const PENDING_RELEASE: &str = "PendingRelease";
    /// The release's tests have not been run.
    pub const AWAITING_TESTS: &str = "AwaitingTests";
    /// The source of the chart is not ready.
    pub const SOURCE_NOT_READY: &str = "SourceNotReady";
    /// The values could not be put together.
    pub const VALUES_ERROR: &str = "ValuesError";
    /// The chart could not be found in its artifact.
    pub const CHART_NOT_FOUND: &str = "ChartNotFound";
    /// The chart's version could not be marked with its digest.
    pub const CHART_MUTATE_ERROR: &str = "ChartMutateError";
    /// The HelmChart was deleted.
    pub const HELM_CHART_DELETED: &str = "HelmChartDeleted";
    /// The HelmChart could not be written.
    pub const HELM_CHART_SYNC_ERROR: &str = "HelmChartSyncErr";
    /// Helm could not be set up.
    pub const FACTORY_ERROR: &str = "FactoryError";
    /// Helm's settings could not be made.
    pub const CONFIG_FACTORY_ERROR: &str = "ConfigFactoryErr";
    /// A client for the cluster could not be made.
    pub const REST_CLIENT_ERROR: &str = "RESTClientError";
    /// A manager of the cluster's objects could not be made.
    pub const RESOURCE_MANAGER_ERROR: &str = "ResourceManagerError";
    /// The release's state could not be found out.
    pub const STATE_ERROR: &str = "StateError";
    /// An action could not be carried out.
    pub const RECONCILE_ERROR: &str = "ReconcileError";
}
