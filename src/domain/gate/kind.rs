//! What a kind of gate declares about itself, once, in its file beside this one.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::domain::gate::command::CommandGate;
use crate::domain::gate::probes::Probe;
use crate::domain::gate::verdict::Judgement;
use crate::domain::gate::{Evidence, GateName};
use crate::domain::ids::ConsumerName;
use crate::domain::plan::RevocationPolicy;
use crate::domain::secret::Fingerprint;

/// The assumption of a gate whose evidence shows what consumers do.
pub(super) const SWITCHED_AT_ONCE: &str = "consumers switch at once, and the provider shows that at once";

pub(super) trait GateKind {
    fn name(&self) -> GateName;

    /// What it waits for, in words.
    fn describe(&self) -> String;

    /// What a prediction takes for granted, so that the gate opens.
    fn assumption(&self) -> &'static str;

    /// The evidence that rekeyd has to gather before it is judged.
    fn needs(&self) -> EvidenceNeed<'_>;

    /// The consumers whose acknowledgement is waited for.
    fn consumers(&self) -> Option<&BTreeSet<ConsumerName>> {
        None
    }

    /// Judges by the evidence alone. Evidence that is missing or old never opens a gate.
    fn judge(&self, facts: &Facts<'_>) -> Judgement;
}

/// Where the evidence for a gate comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EvidenceNeed<'g> {
    /// From nowhere: somebody tells rekeyd, and the journal has it.
    Nothing,
    /// From the provider: of how both keys were used, so far back that a quiet time can be seen.
    Usage { quiet: SignedDuration },
    /// From the consumers' endpoints.
    Probes(&'g [Probe]),
    /// From a run of the operator's program.
    Command(&'g CommandGate),
}

/// All that a gate is judged by.
pub(super) struct Facts<'e> {
    pub(super) terms: &'e RevocationPolicy,
    pub(super) new: &'e Fingerprint,
    pub(super) evidence: &'e Evidence,
    pub(super) since: Timestamp,
    pub(super) now: Timestamp,
    /// Whether a consumer is waited for; on the way back only if it has something to go back from.
    pub(super) is_awaited: &'e dyn Fn(&ConsumerName) -> bool,
}
