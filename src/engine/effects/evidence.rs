//! Gathers the evidence that the gates are judged by: acknowledgements, usage, probes and commands.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;

use crate::domain::ack::Ack;
use crate::domain::failure::{Failure, Kind};
use crate::domain::gate::probe::{CommandGate, CommandRun, Instance, Marks, Probe, ProbeRound};
use crate::domain::gate::{Evidence, Gate, Observations};
use crate::domain::key::Key;
use crate::domain::successor::PlacementState;
use crate::domain::usage::{CreditCounters, Ours, Reading, Source, SourceEvidence};
use crate::engine::effects::NewKeyEffects;
use crate::ports::journal;
use crate::ports::prober::ProbeResponse;

/// Added to the quiet time and the source's delay, so that the windows of two requests overlap.
const WINDOW_MARGIN: SignedDuration = SignedDuration::from_hours(1);
const EVERY_MIN: SignedDuration = SignedDuration::from_secs(1);
const EVERY_MAX: SignedDuration = SignedDuration::from_mins(1);
/// Two rounds of a probe that are nearer are one: what disturbed the first would disturb the second.
const ROUNDS_APART: SignedDuration = SignedDuration::from_secs(1);

impl NewKeyEffects<'_> {
    /// How often evidence is gathered: often compared with the time that it decides about, and less often the longer the
    /// rotation has waited.
    pub(super) fn gathers_every(&self) -> SignedDuration {
        let rotation = self.rotation;
        let terms = &rotation.plan.terms;
        let watches = terms.gates.iter().any(|gate| gate.consumers().is_none());
        let waited = self.context.now().duration_since(rotation.overlap_since());
        let every = (terms.at_least.max(waited) / 20).clamp(EVERY_MIN, EVERY_MAX);
        if watches { every } else { self.context.timing.look_again }
    }

    pub(super) async fn acks(&self) -> Result<Vec<Ack>, Failure> {
        self.context.journal.acks(&self.plan().credential).await.map_err(unreadable)
    }

    /// Everything that the gates of this rotation need, written to the journal. Evidence that was gathered a moment ago
    /// is not gathered again.
    pub(super) async fn gather(&mut self) -> Result<Evidence, Failure> {
        let acks = self.acks().await?;
        let (credential, id) = (self.plan().credential.clone(), self.plan().rotation);
        let observed = self.context.journal.observed(&credential, id).await.map_err(unreadable)?;
        let way_back = self.rotation.phase.is_rollback();
        let observed = observed.filter(|observed| observed.way_back == way_back);
        let observed = observed.unwrap_or_else(|| Observations { way_back, ..Observations::default() });
        let gates = self.plan().terms.gates.clone();
        let now = self.context.now();
        let age = observed.gathered_at.map(|at| now.duration_since(at));
        let fresh = age.is_some_and(|age| !age.is_negative() && age < EVERY_MIN / 2);
        if fresh || gates.iter().all(|gate| gate.consumers().is_some()) {
            return Ok(Evidence { acks, observed });
        }
        let mut next = Observations { gathered_at: Some(now), ..observed };
        if gates.iter().any(Gate::needs_usage) {
            next = self.watch_usage(next, &gates, now).await?;
        }
        for gate in &gates {
            match gate {
                Gate::Probes(probes) => next.probes = self.probe(probes, &next.probes).await,
                Gate::Command(gate) => next.command = Some(self.run_command(gate).await),
                Gate::Acks(_) | Gate::Idle(_) | Gate::NewKeyUsed => {}
            }
        }
        self.context.journal.observe(&credential, id, &next, now).await.map_err(unreadable)?;
        Ok(Evidence { acks, observed: next })
    }

    /// The provider's evidence of both keys' use since it was last gathered.
    async fn watch_usage(
        &mut self,
        mut observed: Observations,
        gates: &[Gate],
        now: Timestamp,
    ) -> Result<Observations, Failure> {
        let quiet = quiet(gates);
        let inventory = self.listed().await?;
        let (old, new) = (self.old_key(&inventory).cloned(), inventory.key(&self.successor.key).cloned());
        // During a rollback the new key is the one that has to be idle.
        let (going, staying) = if observed.way_back { (new, old) } else { (old, new) };
        observed.gone = going.is_none();
        let (Some(going), Some(staying)) = (going, staying) else { return Ok(observed) };
        if !observed.way_back {
            observed = self.send_canary(observed, quiet, now).await?;
        }
        let delay = observed.usage.iter().map(|seen| seen.delay).max().unwrap_or_default();
        // The quiet time ends where use of the new key is seen, which may be a quiet time ago.
        let window = (quiet.saturating_add(quiet)).saturating_add(delay).saturating_add(WINDOW_MARGIN);
        let since = now.saturating_sub(window).unwrap_or(Timestamp::MIN);
        let keys = [going, staying];
        let workspace_client = self.workspace_client()?;
        let mut readings = match &workspace_client.usage {
            Some(usage) => usage.usage(&keys, since).await,
            None => Vec::new(),
        };
        let [going, staying] = keys;
        readings.push(count(&mut observed, &going, &staying, now));
        let tried_until = self.rotation.overlap_since();
        for reading in readings {
            let before = observed.usage.iter().position(|seen| seen.source == reading.source);
            let seen = match before {
                Some(index) => observed.usage.remove(index),
                None => SourceEvidence::nothing(reading.source),
            };
            let ours = Ours { canaries: &observed.canaries, tried_until };
            observed.usage.push(seen.learn(&reading, &going.id, &staying.id, ours));
        }
        observed.usage.sort_by_key(|seen| seen.source);
        Ok(observed)
    }

    /// One billed call with the new key, if the policy allows it and no use of it has been seen lately. The call is in the
    /// journal before it is made: its use in the evidence is never taken for a consumer's.
    async fn send_canary(
        &mut self,
        mut observed: Observations,
        quiet: SignedDuration,
        now: Timestamp,
    ) -> Result<Observations, Failure> {
        // Only the old key's idle time needs it: our own call is no consumer's use of the new key.
        let canary = self.plan().terms.canary.clone().filter(|_| !quiet.is_zero());
        let Some(voice) = canary else { return Ok(observed) };
        let lately = now.saturating_sub(quiet / 2).unwrap_or(Timestamp::MIN);
        let seen = observed.usage.iter().any(|seen| {
            seen.source != Source::CreditCounter && seen.newest.is_some_and(|newest| newest > lately)
        });
        let sent = observed.canaries.iter().any(|at| *at > lately);
        let Some(usage) = self.workspace_client()?.usage.clone().filter(|_| !seen && !sent) else {
            return Ok(observed);
        };
        let Some(value) = self.value().await? else { return Ok(observed) };
        observed.canaries.push(now);
        let (credential, id) = (self.plan().credential.clone(), self.plan().rotation);
        self.context.journal.observe(&credential, id, &observed, now).await.map_err(unreadable)?;
        if let Err(failure) = usage.canary(&value, &voice).await {
            tracing::warn!(%credential, %failure, "the canary call with the new key failed; evidence may stay unknown");
        }
        Ok(observed)
    }

    /// One round of each probe, all at the same time. The texts are only compared here, and go no further.
    async fn probe(&self, probes: &[Probe], before: &[ProbeRound]) -> Vec<ProbeRound> {
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
    pub(super) async fn probe_again(&self) -> Result<Vec<ProbeRound>, Failure> {
        let plan = self.plan();
        let probes = plan.terms.gates.iter().filter_map(|gate| match gate {
            Gate::Probes(probes) => Some(probes.as_slice()),
            Gate::Acks(_) | Gate::Idle(_) | Gate::NewKeyUsed | Gate::Command(_) => None,
        });
        let probes: Vec<Probe> = probes.flatten().cloned().collect();
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

    async fn run_command(&self, gate: &CommandGate) -> CommandRun {
        let plan = self.plan();
        let way_back = self.rotation.phase.is_rollback();
        let mut about = BTreeMap::from([
            ("REKEYD_CREDENTIAL".to_owned(), plan.credential.to_string()),
            ("REKEYD_WORKSPACE".to_owned(), plan.workspace.to_string()),
            ("REKEYD_ROTATION".to_owned(), plan.rotation.to_string()),
            ("REKEYD_DIRECTION".to_owned(), if way_back { "back" } else { "forward" }.to_owned()),
            ("REKEYD_NEW_FINGERPRINT".to_owned(), self.successor.fingerprint.to_string()),
            ("REKEYD_NEW_KEY_ID".to_owned(), self.successor.key.to_string()),
        ]);
        if let Some(old) = &plan.old {
            about.insert("REKEYD_OLD_KEY_ID".to_owned(), old.to_string());
        }
        let outcome = self.context.prober.run(gate, &about).await;
        let how = outcome.as_ref().err().cloned().unwrap_or_else(|| "exit code 0".to_owned());
        CommandRun { at: self.context.now(), agreed: outcome.is_ok(), how }
    }
}

/// The longest quiet time that any gate asks for.
fn quiet(gates: &[Gate]) -> SignedDuration {
    let quiet = gates.iter().filter_map(|gate| match gate {
        Gate::Idle(idle) => Some(idle.quiet),
        Gate::Acks(_) | Gate::NewKeyUsed | Gate::Probes(_) | Gate::Command(_) => None,
    });
    quiet.max().unwrap_or_default()
}

fn count(observed: &mut Observations, old: &Key, new: &Key, now: Timestamp) -> Reading {
    let counted = CreditCounters { at: now, old: old.character_count, new: new.character_count };
    let reading = counted.moved(observed.counted.as_ref(), &old.id, &new.id);
    observed.counted = Some(counted);
    reading
}

#[expect(clippy::needless_pass_by_value, reason = "used with `map_err`")]
pub(super) fn unreadable(error: journal::Error) -> Failure {
    Failure::rejected(Kind::LocalDisk, error.to_string())
}
