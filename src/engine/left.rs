//! Destinations that left the policy: recorded as soon as a policy without them is in force, and forgotten when an operator says
//! that nothing is left there.

use crate::domain::ids::CredentialName;
use crate::domain::left::{LeftDestination, LeftValue};
use crate::domain::plan::Destination;
use crate::domain::rotation::Rotation;
use crate::engine::commands::Command;
use crate::engine::commit::ReconcileError;
use crate::engine::handle::{CommandError, Handle};
use crate::engine::reconciler::Reconciler;
use crate::ports::journal;

/// Why a destination was not forgotten.
#[derive(Debug, thiserror::Error)]
pub enum ForgetError {
    #[error("the journal cannot be read: {0}")]
    Journal(#[from] journal::Error),
    #[error(transparent)]
    Command(#[from] CommandError),
}

impl Reconciler {
    /// Records which destinations have left the policy or come back; whether anything was written. Repeatable.
    pub(super) async fn note_left(&mut self) -> Result<bool, ReconcileError> {
        let Some(next) = self.record.with_left(&self.context.policy, self.context.now()) else {
            return Ok(false);
        };
        let credential = &self.record.credential;
        for left in next.still_left().filter(|it| !self.record.has_left(&it.destination)) {
            let LeftDestination { destination, fingerprint, .. } = left;
            let fingerprint = fingerprint.as_ref().map(tracing::field::display);
            let what = match next.value_left(left) {
                LeftValue::InService => {
                    "it holds the key in service, which the next rotation replaces everywhere else"
                }
                LeftValue::Replaced => "it holds a key that was replaced",
            };
            tracing::warn!(%credential, %destination, fingerprint, "a destination has left the policy: {what}; remove the value there, then `rekeyd forget {destination}`");
        }
        for left in self.record.still_left().filter(|it| !next.has_left(&it.destination)) {
            tracing::info!(%credential, destination = %left.destination, "a destination is in the policy again");
        }
        self.save(next).await?;
        Ok(true)
    }

    /// An operator says that nothing is left at a destination which left the policy.
    pub(super) async fn forget(&mut self, name: &str) -> Result<Result<String, String>, ReconcileError> {
        let credential = self.record.credential.clone();
        let is_it = |place: &Destination| place.to_string() == name;
        let writes = |rotation: &Rotation| rotation.plan.destinations.iter().any(is_it);
        if self.work.rotation().is_some_and(writes) {
            return Ok(Err(format!(
                "the rotation of `{credential}` under way still writes to `{name}`: forget it when the rotation is over"
            )));
        }
        let known = self.record.left.iter().find(|it| is_it(&it.destination));
        if known.is_some_and(|it| it.forgotten) {
            return Ok(Ok(format!("`{name}` of `{credential}` is forgotten already")));
        }
        let Some(next) = self.record.forget(name) else {
            return Ok(Err(format!("`{name}` is none of the destinations that `{credential}` left behind")));
        };
        tracing::info!(%credential, destination = name, by = %self.actor, "a left destination is forgotten");
        self.save(next).await?;
        Ok(Ok(format!("`{name}` of `{credential}` is forgotten: rekeyd names it no longer")))
    }
}

impl Handle {
    /// Names a destination that left the policy no longer. Repeatable.
    ///
    /// # Errors
    /// The policy names it, a rotation still writes to it, or no credential has left it.
    pub async fn forget(&self, destination: &str, by: &str) -> Result<String, ForgetError> {
        let context = self.context();
        let policy = &context.policy;
        let is_it = |place: &Destination| place.to_string() == destination;
        let owner = policy.credentials.values().find(|it| it.destinations.iter().any(is_it));
        if let Some(owner) = owner {
            let text = format!(
                "`{destination}` is in `publish_to` of `{}`: it holds a key that is in service; take it out of the policy and reload first",
                owner.name
            );
            return Err(CommandError::Because(text).into());
        }
        let mut named: Vec<(CredentialName, String)> = Vec::new();
        let mut owners = Vec::new();
        for (credential, known) in self.journal.load().await? {
            // A damaged credential is left alone, and says so in its status.
            let Ok(known) = known else { continue };
            if policy.renamed(&credential).is_some() {
                continue;
            }
            if known.record.left.iter().any(|it| is_it(&it.destination)) {
                owners.push(credential.clone());
            }
            let all = known.record.still_left();
            named.extend(all.map(|it| (credential.clone(), it.destination.to_string())));
        }
        if owners.is_empty() {
            return Err(CommandError::Because(unknown(&named)).into());
        }
        let mut done = Vec::new();
        for credential in owners {
            done.push(
                self.request(credential, Command::Forget(destination.to_owned()), by.to_owned()).await?,
            );
        }
        Ok(done.join("; "))
    }
}

/// What was asked for is not repeated: it could be a key, pasted by mistake.
fn unknown(named: &[(CredentialName, String)]) -> String {
    let named: Vec<String> =
        named.iter().map(|(credential, destination)| format!("`{destination}` of `{credential}`")).collect();
    let there =
        if named.is_empty() { "none has".to_owned() } else { format!("there is: {}", named.join(", ")) };
    format!("no destination of this name has left the policy; {there}")
}
