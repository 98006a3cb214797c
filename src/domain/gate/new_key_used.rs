//! Waits until consumers have been seen to use the new key, by the provider's own evidence.

use jiff::SignedDuration;

use crate::domain::gate::GateName;
use crate::domain::gate::kind::{EvidenceNeed, Facts, GateKind, SWITCHED_AT_ONCE};
use crate::domain::gate::verdict::Judgement;

pub(super) struct NewKeyUsed;

impl GateKind for NewKeyUsed {
    fn name(&self) -> GateName {
        GateName::NewKeyUsed
    }

    fn describe(&self) -> String {
        "the new key is seen in use".to_owned()
    }

    fn assumption(&self) -> &'static str {
        SWITCHED_AT_ONCE
    }

    fn needs(&self) -> EvidenceNeed<'_> {
        EvidenceNeed::Usage { quiet: SignedDuration::ZERO }
    }

    fn judge(&self, facts: &Facts<'_>) -> Judgement {
        let observed = &facts.evidence.observed;
        let by = observed.usage.iter().filter_map(|seen| Some((seen.source.label(), seen.new.last?)));
        let seen: Vec<String> = by.map(|(source, last)| format!("{source}, until {last}")).collect();
        if !seen.is_empty() {
            return Judgement::open(format!("consumers use the new key: {}", seen.join("; ")));
        }
        let blind = observed.usage.iter().filter_map(|seen| Some((seen.source.label(), seen.blindness()?)));
        let blind: Vec<String> = blind.map(|(source, why)| format!("{source}: {why}")).collect();
        let why = if blind.is_empty() { String::new() } else { format!(" ({})", blind.join("; ")) };
        Judgement::shut(format!("no consumer has been seen to use the new key yet{why}"), Vec::new())
    }
}
