//! Acknowledgements: written to the journal, then answered from the state that the reconciler last committed.
//!
//! The answer waits for no reconciler: one that is in the middle of a call may take as long as the call.

use crate::domain::ack::Ack;
use crate::domain::gate::{self, Evidence, Gate, Verdict};
use crate::domain::ids::{ConsumerName, CredentialName, RotationId};
use crate::domain::phase::{Phase, PhaseName};
use crate::domain::plan::RevocationPolicy;
use crate::domain::rotation::Rotation;
use crate::engine::handle::{Handle, Message};
use crate::ports::journal;

/// An acknowledgement as it is recorded, and the credential's state.
#[derive(Debug)]
pub struct AckOutcome {
    pub ack: Ack,
    /// Whether it is the fingerprint of the credential's key, or of the one that replaces it.
    pub known: bool,
    pub rotation: Option<(RotationId, PhaseName)>,
    /// The gates' verdicts with this acknowledgement; empty unless old and new key overlap.
    pub gates: Vec<Verdict>,
}

/// Why a consumer may not acknowledge a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AckRefusal {
    #[error("there is no credential of this name")]
    UnknownCredential,
    #[error("no gate requires an acknowledgement of this consumer")]
    NotRequired,
    #[error("the rows of the credential in the journal are damaged")]
    Damaged,
}

impl Handle {
    /// A consumer may acknowledge what the policy waits for, or what a rotation under way still waits for.
    ///
    /// # Errors
    /// Neither waits for it.
    pub fn may_acknowledge(
        &self,
        credential: &CredentialName,
        consumer: &ConsumerName,
    ) -> Result<(), AckRefusal> {
        let context = self.context();
        let of_policy = context.policy.credentials.get(credential).map(|policy| &policy.terms);
        let credential = &self.under_way_as(credential);
        let view = match self.shared.committed.of(credential) {
            Some(view) => view,
            None if of_policy.is_some() => return Err(AckRefusal::Damaged),
            None => return Err(AckRefusal::UnknownCredential),
        };
        let of_rotation = view.rotation.as_ref().map(|rotation| &rotation.plan.terms);
        let awaits = |terms: &&RevocationPolicy| {
            terms.gates.iter().filter_map(Gate::consumers).any(|awaited| awaited.contains(consumer))
        };
        let is_awaited = of_policy.iter().chain(of_rotation.iter()).any(awaits);
        is_awaited.then_some(()).ok_or(AckRefusal::NotRequired)
    }

    /// Records an acknowledgement, has the credential's gates judged again, and returns their verdicts. Repeatable.
    ///
    /// # Errors
    /// The journal cannot be used: the consumer has to send it again.
    pub async fn acknowledge(
        &self,
        credential: CredentialName,
        ack: Ack,
    ) -> Result<AckOutcome, journal::Error> {
        let credential = self.under_way_as(&credential);
        let mut acks = self.journal.acks(&credential).await?;
        let before = acks.iter().position(|before| before.consumer == ack.consumer);
        let before = before.map(|index| acks.remove(index));
        // The newest counts, also when the clock was set back a little.
        let known = before.as_ref().filter(|before| !ack.supersedes(before));
        let at = known.map_or(ack.at, |before| before.at);
        let ack = Ack { at, ..ack }.following(before.as_ref());
        self.journal.acknowledge(&credential, &ack).await?;
        let view = self.shared.committed.of(&credential);
        // A stopping engine needs no waking: the next start reads what is journalled.
        drop(self.messages.send(Message::Requeue { credential }).await);
        acks.push(ack.clone());
        let rotation = view.as_ref().and_then(|view| view.rotation.as_ref());
        let new = rotation.and_then(Rotation::successor).map(|successor| &successor.fingerprint);
        let current = view.as_ref().and_then(|view| view.fingerprint.as_ref());
        Ok(AckOutcome {
            known: [current, new].contains(&Some(&ack.fingerprint)),
            ack,
            rotation: rotation.map(|rotation| (rotation.plan.rotation, rotation.phase.name())),
            gates: match rotation {
                Some(rotation) => self.verdicts(rotation, acks).await?,
                None => Vec::new(),
            },
        })
    }

    /// The name that the credential's rotation began with: while it is under way, consumers may use the new name already.
    fn under_way_as(&self, name: &CredentialName) -> CredentialName {
        let context = self.context();
        let old = context.policy.renames.get(name);
        let is_rotating =
            |old: &&CredentialName| self.shared.committed.of(old).is_some_and(|view| view.rotation.is_some());
        old.filter(is_rotating).unwrap_or(name).clone()
    }

    async fn verdicts(&self, rotation: &Rotation, acks: Vec<Ack>) -> Result<Vec<Verdict>, journal::Error> {
        let Phase::Overlap(_) = &rotation.phase else { return Ok(Vec::new()) };
        let plan = &rotation.plan;
        let observed = self.journal.observed(&plan.credential, plan.rotation).await?.unwrap_or_default();
        let evidence = Evidence { acks, observed };
        let (since, now) = (rotation.overlap_since(), self.context().now());
        Ok(gate::judge(rotation, &evidence, since, now))
    }
}
