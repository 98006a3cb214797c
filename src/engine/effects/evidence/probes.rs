//! Asks the consumers' endpoints which key they report.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::SignedDuration;
use tokio::task::JoinSet;

use crate::domain::failure::Failure;
use crate::domain::gate::probes::{Instance, Marks, Probe, ProbeRound};
use crate::domain::gate::{EvidenceNeed, Gate, Observations};
use crate::domain::successor::PlacementState;
use crate::engine::effects::NewKeyEffects;
use crate::engine::effects::evidence::unreadable;
use crate::ports::prober::ProbeResponse;

/// Two rounds of a probe that are nearer are one: what disturbed the first would disturb the second.
const ROUNDS_APART: SignedDuration = SignedDuration::from_secs(1);

/// The probes of every gate.
pub(in crate::engine::effects) fn probes_of(gates: &[Gate]) -> impl Iterator<Item = &Probe> {
    let probes = gates.iter().filter_map(|gate| {
        let EvidenceNeed::Probes(probes) = gate.needs() else { return None };
        Some(probes)
    });
    probes.flatten()
}

impl NewKeyEffects<'_> {
    /// One round of each probe, all at the same time. The texts are only compared here, and go no further.
    pub(super) async fn probe(&self, probes: &[Probe], before: &[ProbeRound]) -> Vec<ProbeRound> {
        let marks = self.marks();
        let mut rounds = JoinSet::new();
        for (index, probe) in probes.iter().cloned().enumerate() {
            let prober = Arc::clone(&self.context.prober);
            rounds.spawn(async move { (index, prober.probe(&probe).await) });
        }
        let mut answered = BTreeMap::new();
        while let Some(round) = rounds.join_next().await {
            // A probe that panicked has found no instance, which is red.
            answered.extend(round.ok());
        }
        let at = self.context.now();
        let finding = |(index, probe): (usize, &Probe)| {
            let answers = answered.remove(&index).unwrap_or_default();
            let instance = |answer: &ProbeResponse| Instance {
                address: answer.address.clone(),
                says: marks.says(answer.text.as_deref().map_err(Clone::clone)),
            };
            let instances = answers.iter().map(instance).collect();
            let finding = ProbeRound { probe: probe.name.clone(), at, instances, red_rounds: 0 };
            finding.following(before.iter().find(|before| before.probe == probe.name))
        };
        probes.iter().enumerate().map(finding).collect()
    }

    /// One more round of the plan's probes, written to the journal. Probes that ran a moment ago are not run again: two
    /// rounds in a row have time between them.
    pub(in crate::engine::effects) async fn probe_again(&self) -> Result<Vec<ProbeRound>, Failure> {
        let plan = self.plan();
        let probes: Vec<Probe> = probes_of(&plan.terms.gates).cloned().collect();
        if probes.is_empty() {
            return Ok(Vec::new());
        }
        let observed = self.context.journal.observed(&plan.credential, plan.rotation).await;
        let observed = observed.map_err(unreadable)?.unwrap_or_default();
        let now = self.context.now();
        let is_fresh = |probe: &Probe| {
            let ages = observed.probes.iter().filter(|it| it.probe == probe.name);
            ages.map(|it| now.duration_since(it.at)).any(|age| !age.is_negative() && age < ROUNDS_APART)
        };
        if probes.iter().all(is_fresh) {
            return Ok(observed.probes);
        }
        let findings = self.probe(&probes, &observed.probes).await;
        let observed = Observations { probes: findings.clone(), ..observed };
        let at = self.context.now();
        let written = self.context.journal.observe(&plan.credential, plan.rotation, &observed, at).await;
        written.map_err(unreadable)?;
        Ok(findings)
    }

    /// The marks of either key in a probe's answer: fingerprints, and the versions that destinations have.
    fn marks(&self) -> Marks {
        let successor = self.successor;
        let mut marks = Marks::default();
        marks.new.insert(successor.fingerprint.to_string());
        for placement in &successor.placements {
            if let PlacementState::Staged { version, .. } | PlacementState::Current { version, .. } =
                &placement.progress
            {
                marks.new.insert(version.to_string());
            }
            marks.old.extend(placement.before.version.as_ref().map(ToString::to_string));
            marks.old.extend(placement.before.fingerprint.as_ref().map(ToString::to_string));
        }
        if self.rotation.phase.is_rollback() {
            std::mem::swap(&mut marks.old, &mut marks.new);
        }
        marks
    }
}
