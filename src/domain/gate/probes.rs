//! Waits until the consumers' own endpoints report the new key.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::gate::kind::{EvidenceNeed, Facts, GateKind, SWITCHED_AT_ONCE};
use crate::domain::gate::verdict::{Judgement, LaggingConsumer, named};
use crate::domain::gate::{GateName, STALE_AFTER};

/// Every one of these endpoints has to report the new key.
pub type Probes = Vec<Probe>;

/// An endpoint of a consumer that tells which key it serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    pub name: String,
    pub url: String,
    pub reads: Reads,
    /// Whether every address behind the name in the URL is asked, and has to say the same.
    pub every_address: bool,
}

/// Where in the answer the fingerprint, or the version, stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reads {
    /// At this JSON pointer of the body.
    JsonPointer(String),
    /// In this header.
    Header(String),
    /// The body is nothing else.
    Body,
}

/// One round of one probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeRound {
    pub probe: String,
    pub at: Timestamp,
    /// One for each address that was asked; none if the name has none.
    pub instances: Vec<Instance>,
    /// How many rounds in a row were not all green since one was, this one included; 0 as long as none ever was.
    #[serde(default)]
    pub red_rounds: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    pub address: String,
    pub says: InstanceReport,
}

/// What an instance reports. Never what it said in so many words: that could be the key itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceReport {
    TheNewKey,
    TheOldKey,
    SomethingElse,
    Nothing(String),
}

/// By what a probe's answer is recognised: a key goes by its fingerprint, and by the versions that destinations have.
#[derive(Debug, Clone, Default)]
pub struct Marks {
    pub new: BTreeSet<String>,
    pub old: BTreeSet<String>,
}

impl Marks {
    #[must_use]
    pub fn says(&self, answer: Result<&str, String>) -> InstanceReport {
        match answer {
            Err(why) => InstanceReport::Nothing(why),
            Ok(text) if self.new.contains(text.trim()) => InstanceReport::TheNewKey,
            Ok(text) if self.old.contains(text.trim()) => InstanceReport::TheOldKey,
            Ok(_) => InstanceReport::SomethingElse,
        }
    }
}

impl ProbeRound {
    /// The finding after `before`, the same probe's one: rounds since it turned red are counted.
    #[must_use]
    pub fn following(self, before: Option<&Self>) -> Self {
        let before = before.filter(|before| before.probe == self.probe);
        let was_green = |before: &&Self| before.is_green() || before.red_rounds > 0;
        let red_rounds = match before.filter(was_green) {
            Some(before) if !self.is_green() => before.red_rounds.saturating_add(1),
            Some(_) | None => 0,
        };
        Self { red_rounds, ..self }
    }

    #[must_use]
    pub fn is_green(&self) -> bool {
        !self.instances.is_empty() && self.instances.iter().all(|it| it.says == InstanceReport::TheNewKey)
    }

    /// Each instance that does not report the new key.
    #[must_use]
    pub fn waiting_on(&self) -> Vec<LaggingConsumer> {
        let straggler = |who: String, why: String| LaggingConsumer {
            who,
            why,
            last: Some(self.at),
            ..LaggingConsumer::default()
        };
        if self.instances.is_empty() {
            return vec![straggler(self.probe.clone(), "no instance was found".to_owned())];
        }
        let red = self.instances.iter().filter(|it| it.says != InstanceReport::TheNewKey);
        red.map(|it| {
            let why = match &it.says {
                InstanceReport::TheNewKey => "reports the new key".to_owned(),
                InstanceReport::TheOldKey => "still reports the old key".to_owned(),
                InstanceReport::SomethingElse => "reports neither the new nor the old key".to_owned(),
                InstanceReport::Nothing(why) => why.clone(),
            };
            straggler(format!("{} at {}", self.probe, it.address), why)
        })
        .collect()
    }
}

impl GateKind for Probes {
    fn name(&self) -> GateName {
        GateName::Probes
    }

    fn describe(&self) -> String {
        let names: Vec<&str> = self.iter().map(|probe| probe.name.as_str()).collect();
        format!("reported by {}", names.join(", "))
    }

    fn assumption(&self) -> &'static str {
        SWITCHED_AT_ONCE
    }

    fn needs(&self) -> EvidenceNeed<'_> {
        EvidenceNeed::Probes(self)
    }

    fn judge(&self, facts: &Facts<'_>) -> Judgement {
        let mut waiting_on = Vec::new();
        let mut instances = 0;
        for probe in self {
            let fresh = |finding: &&ProbeRound| {
                finding.probe == probe.name && facts.now.duration_since(finding.at).abs() <= STALE_AFTER
            };
            match facts.evidence.observed.probes.iter().find(fresh) {
                Some(finding) => {
                    instances += finding.instances.len();
                    waiting_on.extend(finding.waiting_on());
                }
                None => waiting_on.push(LaggingConsumer {
                    who: probe.name.clone(),
                    why: "has not been asked lately".to_owned(),
                    ..LaggingConsumer::default()
                }),
            }
        }
        if waiting_on.is_empty() {
            let reason = format!("{instances} instances of {} probes report the new key", self.len());
            return Judgement::open(reason);
        }
        Judgement::shut(format!("waiting for {}", named(&waiting_on)), waiting_on)
    }
}
