//! Gathers the provider's evidence of how both keys are used.

use jiff::{SignedDuration, Timestamp};

use crate::domain::failure::Failure;
use crate::domain::gate::{EvidenceNeed, Gate, Observations};
use crate::domain::key::Key;
use crate::domain::usage::{CreditCounters, Ours, Reading, Source, SourceEvidence};
use crate::engine::effects::NewKeyEffects;
use crate::engine::effects::evidence::unreadable;
use crate::engine::shared_usage::UsageQuestion;

/// Added to the quiet time and the source's delay, so that the windows of two requests overlap.
const WINDOW_MARGIN: SignedDuration = SignedDuration::from_hours(1);

impl NewKeyEffects<'_> {
    /// The provider's evidence of both keys' use since it was last gathered.
    pub(super) async fn watch_usage(
        &mut self,
        mut observed: Observations,
        quiet: SignedDuration,
        now: Timestamp,
    ) -> Result<Observations, Failure> {
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
        let keys = [going, staying];
        let question = UsageQuestion {
            credential: &self.plan().credential,
            keys: &keys,
            window,
            older_by: (self.gathers_every() / 2).unsigned_abs(),
        };
        let clock = self.context.clock.as_ref();
        let mut readings = self.workspace_client()?.usage_of(clock, &question).await;
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
        let sent = observed.canaries.iter().any(|at| *at > lately && *at <= now);
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
}

/// The longest quiet time that any gate asks for; `None` if none needs the provider's evidence.
pub(super) fn quiet(gates: &[Gate]) -> Option<SignedDuration> {
    let quiet = gates.iter().filter_map(|gate| {
        let EvidenceNeed::Usage { quiet } = gate.needs() else { return None };
        Some(quiet)
    });
    quiet.max()
}

fn count(observed: &mut Observations, old: &Key, new: &Key, now: Timestamp) -> Reading {
    let counted = CreditCounters { at: now, old: old.character_count, new: new.character_count };
    let reading = counted.moved(observed.counted.as_ref(), &old.id, &new.id);
    observed.counted = Some(counted);
    reading
}
