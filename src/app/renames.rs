//! A policy against what the journal knows: renamed credentials that do not say so, and what has left the policy.

use jiff::Timestamp;

use crate::domain::policy::Policy;
use crate::domain::rename::{self, Known};
use crate::domain::report;
use crate::ports::journal::{self, CredentialState, Journal};

/// Refuses a policy that renames a credential in mid-rotation without a word. Returns what is to be said of it: credentials and
/// consumers that left in mid-rotation, and destinations that it names no longer.
///
/// # Errors
/// The journal cannot be read; the inner error is for the operator.
pub(super) async fn check(
    journal: &dyn Journal,
    policy: &Policy,
    before: Option<&Policy>,
    now: Timestamp,
) -> Result<Result<Vec<String>, String>, journal::Error> {
    let loaded = journal.load().await?;
    let states: Vec<&CredentialState> = loaded.iter().filter_map(|(_, known)| known.as_ref().ok()).collect();
    let known: Vec<Known<'_>> =
        states.iter().map(|it| Known { record: &it.record, rotation: it.rotation.as_ref() }).collect();
    if let Some(unsaid) = rename::unsaid(policy, before, &known) {
        return Ok(Err(unsaid));
    }
    let mut notes = Vec::new();
    for (name, rotation) in rename::left(policy, &known) {
        let (phase, way_out) = (rotation.phase.name().label(), rename::way_out(name, rotation, policy));
        tracing::warn!(credential = %name, phase, "no longer in the policy: {way_out}");
        notes.push(format!("`{name}` is no longer in the policy: {way_out}"));
    }
    for rotation in known.iter().filter_map(|it| it.rotation) {
        if let Some(gone) = rename::no_longer_awaited(policy, rotation) {
            tracing::warn!(credential = %rotation.plan.credential, "{gone}");
            notes.push(gone);
        }
    }
    for record in known.iter().map(|it| it.record) {
        for left in report::left::find(record, policy, now) {
            // What is new is told when it is recorded.
            if record.still_left().any(|it| it.destination.to_string() == left.destination) {
                tracing::warn!(credential = %record.credential, "{}", left.summary());
            }
            notes.push(left.summary());
        }
    }
    Ok(Ok(notes))
}
