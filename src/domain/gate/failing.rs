//! Consumers that say that they cannot work with the new key: they keep the old one, whatever the policy says.

use jiff::Timestamp;

use crate::domain::ack::{Ack, Health};
use crate::domain::gate::GateName;
use crate::domain::gate::verdict::{Judgement, LaggingConsumer, Verdict, named};
use crate::domain::secret::Fingerprint;

/// Whether some consumer says that it cannot work with the new key: then not even a deadline revokes the old one.
#[must_use]
pub fn is_anyone_failing(verdicts: &[Verdict]) -> bool {
    verdicts.iter().any(|verdict| verdict.gate == GateName::Failing && !verdict.satisfied)
}

/// The consumers that fail, each in a line; empty if none does: whoever has said so since `since`, or of the `new` key at
/// any time. The first destination may have served that long before the overlap began.
#[must_use]
pub fn failures(acks: &[Ack], since: Timestamp, new: Option<&Fingerprint>) -> Vec<LaggingConsumer> {
    let counts = |ack: &&Ack| ack.at >= since || Some(&ack.fingerprint) == new;
    let failing = acks.iter().filter(|ack| ack.health == Health::Failing).filter(counts);
    failing
        .map(|ack| LaggingConsumer {
            who: ack.consumer.to_string(),
            why: format!("reports since {} that it fails with {}", ack.since, ack.fingerprint),
            last: Some(ack.at),
            ..LaggingConsumer::default()
        })
        .collect()
}

/// The gate that no policy can leave out: shut if some consumer fails, else not there.
pub(super) fn judge(acks: &[Ack], since: Timestamp, new: Option<&Fingerprint>) -> Option<Verdict> {
    let failures = failures(acks, since, new);
    (!failures.is_empty()).then(|| Judgement::shut(named(&failures), failures).of(GateName::Failing))
}
