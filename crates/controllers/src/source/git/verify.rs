//! `spec.verify`: whose signatures the commit and the tag must bear.

use std::sync::Arc;

use borax_api::meta::{
    Condition, ConditionStatus, condition_types, find_condition, is_condition_true, reasons,
    remove_condition, set_condition,
};
use borax_api::source::{
    GitRepository, GitRepositorySpec, GitRepositoryStatus, GitVerificationMode,
    condition_types as types, reasons as source_reasons,
};
use borax_source::git::Checkout;
use borax_source::verify::{self, Mode, TrustedKeys};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt};

use super::super::secrets;
use super::super::summary::Problem;
use crate::shared::{Shared, now};

/// Whether the last verification is of what the spec asks for, so that an unmoved remote needs no new one.
pub(super) fn is_settled(spec: &GitRepositorySpec, status: &GitRepositoryStatus) -> bool {
    match &spec.verification {
        None => find_condition(&status.conditions, types::SOURCE_VERIFIED).is_none(),
        Some(verification) => {
            is_condition_true(&status.conditions, types::SOURCE_VERIFIED)
                && status.source_verification_mode.as_deref() == Some(verification.mode().as_str())
                && is_condition_true(&status.conditions, condition_types::READY)
        }
    }
}

/// Verifies what was checked out, and says so in the SourceVerified condition.
///
/// # Errors
/// A signature is missing or wrong, or the keys can't be read: a [`Problem`] about SourceVerified.
pub(super) async fn check(
    shared: &Arc<Shared>,
    object: &GitRepository,
    checkout: &Checkout,
    status: &mut GitRepositoryStatus,
) -> Result<(), Problem> {
    let Some(verification) = &object.spec.verification else {
        status.source_verification_mode = None;
        remove_condition(&mut status.conditions, types::SOURCE_VERIFIED);
        return Ok(());
    };
    let namespace = object.namespace().unwrap_or_default();
    let secrets = Api::<Secret>::namespaced(shared.cluster.client(), &namespace);
    let secret = secrets.get(&verification.secret_ref.name).await.map_err(|error| {
        let cause = secrets::message(error);
        Problem::verification(
            source_reasons::VERIFICATION_ERROR,
            format!("public keys secret error: {cause}"),
        )
    })?;
    let data = secrets::data(secret);
    let mode = match verification.mode() {
        GitVerificationMode::Tag => Mode::Tag,
        GitVerificationMode::TagAndHead => Mode::TagAndHead,
        GitVerificationMode::Head | GitVerificationMode::LegacyHead => Mode::Head,
    };
    let keys = TrustedKeys::from_secret(&data);
    let at = jiff::Timestamp::now().as_second();
    let message = verify::verify(mode, &checkout.commit, checkout.tag.as_ref(), &keys, at)
        .map_err(|error| {
            let problem = Problem::verification(error.reason(), error.to_string());
            if error.is_stalled() { problem.stalled() } else { problem }
        })?;
    status.source_verification_mode = Some(mode.as_str().to_owned());
    let generation = object.metadata.generation.unwrap_or_default();
    let condition = Condition::new(
        types::SOURCE_VERIFIED,
        ConditionStatus::True,
        reasons::SUCCEEDED,
        message,
        generation,
    );
    set_condition(&mut status.conditions, condition, now());
    Ok(())
}
