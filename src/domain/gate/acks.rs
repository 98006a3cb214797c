//! Waits for consumers to acknowledge the new key.

use std::collections::BTreeSet;

use crate::domain::ack::{Ack, Health};
use crate::domain::gate::GateName;
use crate::domain::gate::kind::{EvidenceNeed, Facts, GateKind};
use crate::domain::gate::verdict::{Judgement, LaggingConsumer, named};
use crate::domain::ids::ConsumerName;

/// Each of these consumers has to acknowledge the new key's fingerprint.
pub type Acks = BTreeSet<ConsumerName>;

impl GateKind for Acks {
    fn name(&self) -> GateName {
        GateName::Acks
    }

    fn describe(&self) -> String {
        let names: Vec<&str> = self.iter().map(ConsumerName::as_str).collect();
        format!("acknowledged by {}", names.join(", "))
    }

    fn assumption(&self) -> &'static str {
        "every consumer that is waited for acknowledges at once"
    }

    fn needs(&self) -> EvidenceNeed<'_> {
        EvidenceNeed::Nothing
    }

    fn consumers(&self) -> Option<&BTreeSet<ConsumerName>> {
        Some(self)
    }

    fn judge(&self, facts: &Facts<'_>) -> Judgement {
        let awaited: Vec<&ConsumerName> = self.iter().filter(|it| (facts.is_awaited)(it)).collect();
        let newest = |consumer: &ConsumerName| {
            facts.evidence.acks.iter().filter(|ack| ack.consumer == *consumer).max_by_key(|ack| ack.at)
        };
        let stale = |ack: &Ack| {
            facts.terms.acks_valid_for.is_some_and(|valid_for| facts.now.duration_since(ack.at) > valid_for)
        };
        let why = |ack: &Ack| match (ack.fingerprint == *facts.new, ack.health) {
            (true, Health::Using) if stale(ack) => Some(format!("not heard of since {}", ack.at)),
            (true, Health::Using) => None,
            (_, Health::Failing) => Some(format!("fails with {} since {}", ack.fingerprint, ack.since)),
            (false, Health::Using) => Some(format!("last acknowledged {} at {}", ack.fingerprint, ack.at)),
        };
        let straggler = |consumer: &ConsumerName| {
            let ack = newest(consumer);
            let why = ack.map_or_else(|| Some("never acknowledged anything".to_owned()), why)?;
            let last = ack.map(|ack| ack.at);
            Some(LaggingConsumer { who: consumer.to_string(), why, last, ..LaggingConsumer::default() })
        };
        let waiting_on: Vec<LaggingConsumer> = awaited.iter().copied().filter_map(straggler).collect();
        if waiting_on.is_empty() {
            return Judgement::open(format!("{} consumers acknowledged {}", awaited.len(), facts.new));
        }
        Judgement::shut(format!("waiting for {} from {}", facts.new, named(&waiting_on)), waiting_on)
    }
}
