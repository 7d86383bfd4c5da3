//! The words of the source group: condition types, and the reasons of conditions and events.
//!
//! Behaviour: source-controller `api/v1` and the reasons spelled out in its reconcilers.

/// Condition types of sources, beside those all groups share.
pub mod condition_types {
    /// True when the artifact is stored; absent otherwise.
    pub const ARTIFACT_IN_STORAGE: &str = "ArtifactInStorage";
    /// True when the upstream is ahead of the artifact; absent otherwise.
    pub const ARTIFACT_OUTDATED: &str = "ArtifactOutdated";
    /// Whether the signature was right; absent when none is asked for.
    pub const SOURCE_VERIFIED: &str = "SourceVerified";
    /// True when the upstream could not be fetched; absent otherwise.
    pub const FETCH_FAILED: &str = "FetchFailed";
    /// True when the artifact could not be built; absent otherwise.
    pub const BUILD_FAILED: &str = "BuildFailed";
    /// True when storing failed; absent otherwise.
    pub const STORAGE_OPERATION_FAILED: &str = "StorageOperationFailed";
    /// True when a GitRepository's include has no artifact; absent otherwise.
    pub const INCLUDE_UNAVAILABLE: &str = "IncludeUnavailable";
}

/// Condition and event reasons of sources, beside those all groups share.
pub mod reasons {
    /// The URL is wrong.
    pub const URL_INVALID: &str = "URLInvalid";
    /// The login is incomplete or was refused.
    pub const AUTHENTICATION_FAILED: &str = "AuthenticationFailed";
    /// The signature check failed.
    pub const VERIFICATION_ERROR: &str = "VerificationError";
    /// A directory could not be made.
    pub const DIRECTORY_CREATION_FAILED: &str = "DirectoryCreationFailed";
    /// A path could not be looked at.
    pub const STAT_OPERATION_FAILED: &str = "StatOperationFailed";
    /// A file could not be read.
    pub const READ_OPERATION_FAILED: &str = "ReadOperationFailed";
    /// A lock could not be had.
    pub const ACQUIRE_LOCK_FAILED: &str = "AcquireLockFailed";
    /// A path is wrong.
    pub const INVALID_PATH: &str = "InvalidPath";
    /// The archive could not be written.
    pub const ARCHIVE_OPERATION_FAILED: &str = "ArchiveOperationFailed";
    /// The link to the latest artifact could not be set.
    pub const SYMLINK_UPDATE_FAILED: &str = "SymlinkUpdateFailed";
    /// The artifact is what the upstream has.
    pub const ARTIFACT_UP_TO_DATE: &str = "ArtifactUpToDate";
    /// The cache failed.
    pub const CACHE_OPERATION_FAILED: &str = "CacheOperationFailed";
    /// A write to the API server failed.
    pub const PATCH_OPERATION_FAILED: &str = "PatchOperationFailed";
    /// The STS settings do not fit together.
    pub const INVALID_STS_CONFIGURATION: &str = "InvalidSTSConfiguration";
    /// The settings do not fit the provider.
    pub const INVALID_PROVIDER_CONFIGURATION: &str = "InvalidProviderConfiguration";
    /// A new artifact was stored.
    pub const NEW_ARTIFACT: &str = "NewArtifact";
    /// There is no artifact, or none of the spec.
    pub const NO_ARTIFACT: &str = "NoArtifact";
    /// A referenced object is not there.
    pub const NOT_FOUND: &str = "NotFound";
    /// The stored artifact was not what it should be.
    pub const ARTIFACT_VERIFICATION_FAILED: &str = "ArtifactVerificationFailed";
    /// The upstream has a new revision.
    pub const NEW_REVISION: &str = "NewRevision";
    /// An included artifact is new.
    pub const INCLUDE_CHANGE: &str = "IncludeChange";
    /// Old artifacts could not be deleted.
    pub const GARBAGE_COLLECTION_FAILED: &str = "GarbageCollectionFailed";
    /// Old artifacts were deleted.
    pub const GARBAGE_COLLECTION_SUCCEEDED: &str = "GarbageCollectionSucceeded";
    /// `.sourceignore` could not be read.
    pub const SOURCE_IGNORE_ERROR: &str = "SourceIgnoreError";
    /// A Git operation worked.
    pub const GIT_OPERATION_SUCCEEDED: &str = "GitOperationSucceeded";
    /// A Git operation failed.
    pub const GIT_OPERATION_FAILED: &str = "GitOperationFailed";
    /// The Git repository has no commit.
    pub const EMPTY_GIT_REPOSITORY: &str = "EmptyGitRepository";
    /// An include leads out of the artifact.
    pub const ILLEGAL_PATH: &str = "IllegalPath";
    /// An include could not be copied.
    pub const COPY_FAILURE: &str = "CopyFailure";
    /// The verification mode is not known.
    pub const INVALID_VERIFICATION_MODE: &str = "InvalidVerificationMode";
    /// There is no tag or commit to verify.
    pub const INVALID_GIT_OBJECT: &str = "InvalidGitObject";
    /// The tag's signature is missing or wrong.
    pub const INVALID_TAG_SIGNATURE: &str = "InvalidTagSignature";
    /// The commit's signature is missing or wrong.
    pub const INVALID_COMMIT_SIGNATURE: &str = "InvalidCommitSignature";
    /// The OCI artifact could not be pulled.
    pub const OCI_PULL_FAILED: &str = "OCIArtifactPullFailed";
    /// The OCI artifact's layer could not be unpacked or copied.
    pub const OCI_LAYER_OPERATION_FAILED: &str = "OCIArtifactLayerOperationFailed";
    /// The bucket's objects were fetched.
    pub const BUCKET_OPERATION_SUCCEEDED: &str = "BucketOperationSucceeded";
    /// The bucket's objects could not be fetched.
    pub const BUCKET_OPERATION_FAILED: &str = "BucketOperationFailed";
    /// The Helm repository's index could not be had.
    pub const INDEXATION_FAILED: &str = "IndexationFailed";
    /// The chart's source is not there.
    pub const SOURCE_UNAVAILABLE: &str = "SourceUnavailable";
    /// The chart's source is of a kind that holds no charts.
    pub const UNSUPPORTED_SOURCE_KIND: &str = "UnsupportedSourceKind";
    /// The chart's source has no artifact yet.
    pub const NO_SOURCE_ARTIFACT: &str = "NoSourceArtifact";
    /// The chart's dependencies were found.
    pub const RESOLVED_DEPENDENCIES: &str = "ResolvedDependencies";
    /// There is a new chart.
    pub const NEW_CHART: &str = "NewChart";
    /// The chart's name or version is wrong.
    pub const INVALID_CHART_REFERENCE: &str = "InvalidChartReference";
    /// The chart could not be pulled.
    pub const CHART_PULL_ERROR: &str = "ChartPullError";
    /// The chart's metadata could not be changed.
    pub const METADATA_PATCH_ERROR: &str = "MetadataPatchError";
    /// The values files could not be merged.
    pub const VALUES_FILES_ERROR: &str = "ValuesFilesError";
    /// The chart's dependencies could not be had.
    pub const DEPENDENCY_BUILD_ERROR: &str = "DependencyBuildError";
    /// The chart could not be packaged.
    pub const CHART_PACKAGE_ERROR: &str = "ChartPackageError";
    /// The chart's signature is missing or wrong.
    pub const CHART_VERIFICATION_ERROR: &str = "ChartVerificationError";
    /// A chart was pulled.
    pub const CHART_PULL_SUCCEEDED: &str = "ChartPullSucceeded";
    /// A chart was packaged.
    pub const CHART_PACKAGE_SUCCEEDED: &str = "ChartPackageSucceeded";
}
