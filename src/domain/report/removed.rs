//! Credentials that the policy has no longer, or has under another name.

use crate::domain::policy::Policy;
use crate::domain::report::{CredentialHealth, CredentialReport};

const NEITHER: &str = "no longer in the policy: its key is neither rotated nor watched; put it back, or delete the key in the dashboard";

impl CredentialReport {
    /// Says that the policy, if there is one, has no such credential any more.
    pub(super) fn apply_removal(&mut self, policy: &Policy) {
        let name = &self.credential;
        if policy.credentials.is_empty()
            || policy.credentials.contains_key(name)
            || self.health == CredentialHealth::Damaged
        {
            return;
        }
        match (&self.rotation, policy.renamed(name)) {
            (Some(_), Some(new)) => {
                self.summary =
                    format!("{}; renamed to `{new}`, which takes over when this is over", self.summary);
            }
            (Some(rotation), None) => {
                let back = rotation.rollback.possible.then(|| format!("rekeyd rollback {name}"));
                let or_back = back.as_ref().map(|back| format!(", or `{back}`")).unwrap_or_default();
                self.attention = true;
                self.removed = true;
                self.summary = format!(
                    "{}; no longer in the policy: the rotation goes on by its own terms, and consumers that have left the policy too \
                     cannot acknowledge; put `{name}` back and reload{or_back}",
                    self.summary
                );
                self.next_command = back.or_else(|| Some("systemctl reload rekeyd".to_owned()));
            }
            (None, Some(new)) => {
                self.health = CredentialHealth::OutOfSync;
                self.attention = false;
                self.summary = format!("no longer in the policy: renamed to `{new}`");
                self.next_command = Some(format!("rekeyd status {new}"));
            }
            (None, None) if self.attention => {
                self.summary = format!("{}; {NEITHER}", self.summary);
            }
            (None, None) => {
                self.health = CredentialHealth::OutOfSync;
                self.summary = NEITHER.to_owned();
                self.next_command = Some(format!("rekeyd history {name}"));
            }
        }
    }
}
