//! What a gate says of the evidence: whether it is satisfied, why, and who is waited for.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::gate::GateName;

/// The result of a gate with its reason: journalled when the old key is released, and shown until then. Journals of earlier
/// versions have the former field names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    pub gate: GateName,
    #[serde(alias = "open")]
    pub satisfied: bool,
    /// One line: what the gate is waiting on, or the evidence that satisfied it.
    #[serde(alias = "grounds")]
    pub reason: String,
    #[serde(alias = "stragglers", default, skip_serializing_if = "Vec::is_empty")]
    pub waiting_on: Vec<LaggingConsumer>,
}

/// Somebody, or something, that still uses the old key, or has not been seen to use the new one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LaggingConsumer {
    /// A consumer, a probe, or a source of evidence.
    pub who: String,
    pub why: String,
    /// When it was last seen to do so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// How much of the old key it was seen to use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
    /// What the provider says about that use, by its own column names, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub about: Vec<BTreeMap<String, String>>,
}

impl LaggingConsumer {
    /// Who it is over time: of a probe, the probe and not its instances, which change.
    #[must_use]
    pub fn party(&self) -> &str {
        self.who.split(" at ").next().unwrap_or_default()
    }
}

/// A verdict whose gate is still to be named.
pub(super) struct Judgement {
    satisfied: bool,
    reason: String,
    waiting_on: Vec<LaggingConsumer>,
}

impl Judgement {
    pub(super) fn open(reason: String) -> Self {
        Self { satisfied: true, reason, waiting_on: Vec::new() }
    }

    pub(super) fn shut(reason: String, waiting_on: Vec<LaggingConsumer>) -> Self {
        Self { satisfied: false, reason, waiting_on }
    }

    pub(super) fn of(self, gate: GateName) -> Verdict {
        let Self { satisfied, reason, waiting_on } = self;
        Verdict { gate, satisfied, reason, waiting_on }
    }
}

/// Each of them with the reason, in a line.
pub(super) fn named(waiting_on: &[LaggingConsumer]) -> String {
    let each: Vec<String> = waiting_on.iter().map(|it| format!("{} ({})", it.who, it.why)).collect();
    each.join(", ")
}
