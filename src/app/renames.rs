//! A policy against what the journal has under way: renamed credentials that do not say so, and credentials that left.

use crate::domain::policy::Policy;
use crate::domain::rename::{self, Known};
use crate::ports::journal::{self, CredentialState, Journal};

/// Refuses a policy that renames a credential in mid-rotation without a word, and warns of one that it has left.
///
/// # Errors
/// The journal cannot be read; the inner error is for the operator.
pub(super) async fn check(
    journal: &dyn Journal,
    policy: &Policy,
    before: Option<&Policy>,
) -> Result<Result<(), String>, journal::Error> {
    let loaded = journal.load().await?;
    let states: Vec<&CredentialState> = loaded.iter().filter_map(|(_, known)| known.as_ref().ok()).collect();
    let known: Vec<Known<'_>> =
        states.iter().map(|it| Known { record: &it.record, rotation: it.rotation.as_ref() }).collect();
    if let Some(unsaid) = rename::unsaid(policy, before, &known) {
        return Ok(Err(unsaid));
    }
    for (name, rotation) in rename::left(policy, &known) {
        let (phase, way_out) = (rotation.phase.name().label(), rename::way_out(name, rotation));
        tracing::warn!(credential = %name, phase, "no longer in the policy: {way_out}");
    }
    Ok(Ok(()))
}
