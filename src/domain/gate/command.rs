//! Waits until a program of the operator's agrees.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::domain::gate::kind::{EvidenceNeed, Facts, GateKind, SWITCHED_AT_ONCE};
use crate::domain::gate::verdict::Judgement;
use crate::domain::gate::{GateName, STALE_AFTER};

/// A program that decides whether the old key may be revoked: exit code 0 is yes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandGate {
    /// The program, by absolute path, and its arguments.
    pub command: Vec<String>,
    pub time_limit: SignedDuration,
}

/// One run of the command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandRun {
    pub at: Timestamp,
    pub agreed: bool,
    /// Its result, in a line.
    pub how: String,
}

impl GateKind for CommandGate {
    fn name(&self) -> GateName {
        GateName::Command
    }

    fn describe(&self) -> String {
        format!("{} agrees", self.command.first().map_or("the command", String::as_str))
    }

    fn assumption(&self) -> &'static str {
        SWITCHED_AT_ONCE
    }

    fn needs(&self) -> EvidenceNeed<'_> {
        EvidenceNeed::Command(self)
    }

    fn judge(&self, facts: &Facts<'_>) -> Judgement {
        match &facts.evidence.observed.command {
            Some(ran) if facts.now.duration_since(ran.at).abs() > STALE_AFTER => {
                Judgement::shut(format!("the command was last asked at {}", ran.at), Vec::new())
            }
            Some(ran) if ran.agreed => Judgement::open(format!("the command agreed: {}", ran.how)),
            Some(ran) => Judgement::shut(format!("the command does not agree: {}", ran.how), Vec::new()),
            None => Judgement::shut("the command has not been asked yet".to_owned(), Vec::new()),
        }
    }
}
