//! Credentials that the policy has no longer, or has under another name.

use std::collections::BTreeSet;

use crate::domain::gate::{GateName, Verdict};
use crate::domain::ids::CredentialName;
use crate::domain::policy::Policy;
use crate::domain::rename;
use crate::domain::report::{CredentialHealth, CredentialReport, RotationReport};

const NEITHER: &str = "no longer in the policy: its key is neither rotated nor watched; put it back, or delete the key in the dashboard";
const RELOAD: &str = "systemctl reload rekeyd";

impl CredentialReport {
    /// Says that the policy, if there is one, has no such credential any more.
    pub(super) fn apply_removal(&mut self, policy: &Policy) {
        let name = self.credential.clone();
        if policy.credentials.is_empty()
            || policy.credentials.contains_key(&name)
            || self.health == CredentialHealth::Damaged
        {
            return;
        }
        // No schedule rotates it.
        self.next_due = None;
        self.due = None;
        self.due_by_expiry = false;
        match (&self.rotation, policy.renamed(&name)) {
            (Some(_), Some(new)) => {
                self.summary =
                    format!("{}; renamed to `{new}`, which takes over when this is over", self.summary);
            }
            (Some(rotation), None) => {
                let back = rotation.rollback.possible.then(|| format!("rekeyd rollback {name}"));
                let told = under_way(&name, rotation, policy, back.as_deref());
                self.attention = true;
                self.removed = true;
                self.summary = format!("{}; {told}", self.summary);
                self.next_command = back.or_else(|| Some(RELOAD.to_owned()));
            }
            (None, Some(new)) => {
                self.blocked = None;
                self.health = CredentialHealth::OutOfSync;
                self.attention = false;
                self.summary = format!("no longer in the policy: renamed to `{new}`");
                self.next_command = Some(format!("rekeyd status {new}"));
            }
            (None, None) => self.at_rest(),
        }
    }

    /// Of a credential without a rotation under way, rekeyd does nothing: what it would say of one of the policy does not
    /// hold.
    fn at_rest(&mut self) {
        let name = &self.credential;
        self.blocked = None;
        if let Some(leak) = self.findings.iter().find(|it| it.kind.is_leak()) {
            let key =
                leak.key.as_ref().map_or_else(|| "its key".to_owned(), |key| format!("the key `{key}`"));
            self.summary = format!(
                "{}: {}; no longer in the policy, so that rekeyd does not replace it: disable {key} in the dashboard now, or put \
                 `{name}` back and reload: then it is replaced at once",
                leak.kind.label(),
                leak.detail
            );
            self.attention = true;
            self.next_command = Some(RELOAD.to_owned());
        } else if self.attention {
            self.summary = format!("{}; {NEITHER}", self.summary);
            self.next_command = Some(RELOAD.to_owned());
        } else {
            self.summary = NEITHER.to_owned();
            self.next_command = Some(format!("rekeyd history {name}"));
        }
        if matches!(self.health, CredentialHealth::Fine | CredentialHealth::Waiting) {
            self.health = CredentialHealth::OutOfSync;
        }
    }
}

/// What becomes of a rotation whose credential is not in the policy any more.
fn under_way(
    name: &CredentialName,
    rotation: &RotationReport,
    policy: &Policy,
    back: Option<&str>,
) -> String {
    let or_back = back.map(|back| format!(", or `{back}`")).unwrap_or_default();
    let by_consumers = |gate: &&Verdict| matches!(gate.gate, GateName::Acks | GateName::Failing);
    let awaited = rotation.gates.iter().filter(by_consumers).filter(|gate| !gate.satisfied);
    let awaited = awaited.flat_map(|gate| &gate.waiting_on).map(|it| it.who.as_str());
    let silenced: BTreeSet<&str> = awaited.filter(|who| !rename::may_acknowledge(who, policy)).collect();
    if silenced.is_empty() {
        return format!(
            "no longer in the policy: the rotation goes on by its own terms; put `{name}` back and reload{or_back}"
        );
    }
    let silenced = rename::named(silenced);
    format!(
        "no longer in the policy: the rotation goes on by its own terms and waits for {silenced}, which left the policy too and cannot \
         acknowledge any more; put them and `{name}` back and reload{or_back}"
    )
}
