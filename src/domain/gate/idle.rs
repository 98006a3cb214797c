//! Waits until the old key has not been used for a while, by the provider's own evidence.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::domain::gate::kind::{EvidenceNeed, Facts, GateKind, SWITCHED_AT_ONCE};
use crate::domain::gate::verdict::{Judgement, LaggingConsumer, named};
use crate::domain::gate::{GateName, Observations, STALE_AFTER};
use crate::domain::schedule::brief;
use crate::domain::usage::Opinion;

/// How long the old key must have been idle, and what counts when that cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idle {
    pub quiet: SignedDuration,
    pub when_unknown: WhenUnknown,
}

/// What follows when nothing can be concluded from the provider's evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenUnknown {
    /// The gate stays shut.
    Hold,
    /// The time of the overlap alone decides.
    Time,
}

impl GateKind for Idle {
    fn name(&self) -> GateName {
        GateName::Idle
    }

    fn describe(&self) -> String {
        format!("the old key has been idle for {}", brief(self.quiet))
    }

    fn assumption(&self) -> &'static str {
        SWITCHED_AT_ONCE
    }

    fn needs(&self) -> EvidenceNeed<'_> {
        EvidenceNeed::Usage { quiet: self.quiet }
    }

    fn judge(&self, facts: &Facts<'_>) -> Judgement {
        judge(*self, &facts.evidence.observed, facts.since, facts.now)
    }
}

/// If any source shows use of the old key, the key is in use. It is idle only by a source that showed use of the new key.
fn judge(idle: Idle, observed: &Observations, since: Timestamp, now: Timestamp) -> Judgement {
    let Idle { quiet, when_unknown } = idle;
    if observed.gone {
        return Judgement::open("the key that is to go is gone already".to_owned());
    }
    let opinions = observed.usage.iter().map(|seen| (seen, seen.judge(quiet, since, now, STALE_AFTER)));
    let (mut users, mut trusted, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    for (seen, opinion) in opinions {
        let source = seen.source.label();
        match opinion {
            Opinion::Used { last } => users.push(LaggingConsumer {
                who: source.to_owned(),
                why: format!("shows use of the old key until {last}"),
                last: Some(last),
                amount: Some(seen.old.amount),
                about: seen.old.origins(quiet),
            }),
            Opinion::Idle { since: Some(last) } => trusted.push(format!(
                "{source} shows its last use before {last} (it is {:#} late at most)",
                seen.delay
            )),
            Opinion::Idle { since: None } => {
                trusted.push(format!("{source} shows no use of it (it is {:#} late at most)", seen.delay));
            }
            Opinion::Unknown(why) => unknown.push(format!("{source}: {why}")),
        }
    }
    if !users.is_empty() {
        return Judgement::shut(format!("the old key is in use: {}", named(&users)), users);
    }
    if !trusted.is_empty() {
        let reason = format!("the old key has been idle for {quiet:#}: {}", trusted.join("; "));
        return Judgement::open(reason);
    }
    let why = if unknown.is_empty() { "nothing was asked yet".to_owned() } else { unknown.join("; ") };
    match when_unknown {
        WhenUnknown::Hold => {
            Judgement::shut(format!("whether the old key is idle is unknown: {why}"), Vec::new())
        }
        WhenUnknown::Time => Judgement::open(format!(
            "whether the old key is idle is unknown ({why}); the policy lets the time alone decide"
        )),
    }
}
