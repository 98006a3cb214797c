//! Waits for the gates, the quarantine and the return of consumers, and judges whether each has ended.

use jiff::{SignedDuration, Timestamp};

use crate::domain::effect::Effect;
use crate::domain::event::Event;
use crate::domain::failure::Failure;
use crate::domain::gate::{self, Verdict};
use crate::domain::hold::HoldKind;
use crate::domain::key::Inventory;
use crate::domain::phase::{Alarm, AlarmKind, Phase};
use crate::domain::plan::AfterDeadline;
use crate::domain::rotation::{ParkReason, RollbackCause};
use crate::domain::time::later;
use crate::engine::effects::evidence::probes::probes_of;
use crate::engine::effects::undo::nowhere_to_return;
use crate::engine::effects::{EffectOutcome, EffectResult, Effects, NewKeyEffects, park};

const PROBE_AGAIN: SignedDuration = SignedDuration::from_secs(2);
const RED_ROUNDS: u32 = 2;
/// Of the instances that turned red: enough to know where to look.
const NAMED_MAX: usize = 5;

/// The consumers' state since the old key is disabled.
enum ConsumerHealth {
    Healthy,
    /// A probe was red once.
    ProbeFailedOnce {
        again_at: Timestamp,
    },
    Alarm(Alarm),
}

impl Effects<'_> {
    /// While an effect waits after a failure: what a consumer that fails without the old key demands, which does not wait
    /// with it. A call that disables may have had its effect although it failed.
    pub(in crate::engine) async fn demand_meanwhile(&mut self, effect: Effect) -> Option<Event> {
        if self.plan().emergency {
            return None;
        }
        let demanded = if effect == Effect::DisableOld {
            self.new_key().ok()?.withheld_from_the_failing().await
        } else if matches!(effect, Effect::AwaitQuarantine | Effect::DeleteOld) {
            self.new_key().ok()?.consumer_health().await.map(|health| match health {
                ConsumerHealth::Alarm(alarm) => Some(Event::Alarmed { alarm }),
                ConsumerHealth::Healthy | ConsumerHealth::ProbeFailedOnce { .. } => None,
            })
        } else {
            return None;
        };
        demanded.unwrap_or_else(|failure| {
            let name = self.record.credential.as_str();
            if self.shared.is_news(self.context, name, "consumers", failure.kind.label()) {
                tracing::warn!(credential = name, %failure, "whether a consumer fails could not be looked at, or answered");
            }
            None
        })
    }

    /// When it is to be looked at again while `effect` waits.
    pub(in crate::engine) fn looks_again(&mut self, effect: Effect) -> Timestamp {
        let now = self.context.now();
        let may_fail = matches!(effect, Effect::DisableOld | Effect::AwaitQuarantine | Effect::DeleteOld);
        match self.new_key() {
            Ok(new_key) if may_fail && !new_key.plan().emergency => later(now, new_key.probes_every()),
            Ok(_) | Err(_) => Timestamp::MAX,
        }
    }
}

impl NewKeyEffects<'_> {
    /// Whether an instant is still to come, by more than clocks may differ: what lasts since then begins once more.
    fn is_implausible(&self, written: Timestamp) -> bool {
        self.lasting_since(written).duration_since(self.context.now()) > self.context.timing.clock_skew_max
    }

    /// Notes when our clock and the provider's agree for the first time in a phase that has to last: a duration that
    /// began on a wrong clock would end early when the clock comes right.
    async fn agree_on_the_time(&self) -> EffectResult {
        self.check_clock(self.listed().await?.as_ref())?;
        Ok(EffectOutcome::Happened(Event::ClockAgreed))
    }

    pub(super) async fn await_gates(&mut self) -> EffectResult {
        if self.rotation.overlap_began.is_none_or(|began| self.is_implausible(began))
            && !self.plan().emergency
        {
            return self.agree_on_the_time().await;
        }
        if self.plan().emergency {
            // Nothing is waited for, so that no clock can be wrong about it.
            return Ok(EffectOutcome::Happened(Event::Released { verdicts: Vec::new(), forced: false }));
        }
        if let Some(event) = self.tend_expiry().await? {
            return Ok(EffectOutcome::Happened(event));
        }
        let verdicts = self.judge().await?;
        let rotation = self.rotation;
        let terms = &rotation.plan.terms;
        let now = self.context.now();
        let lasting_since = self.lasting_since(rotation.overlap_since());
        let deadline = later(lasting_since, terms.at_most);
        let opens_at = later(lasting_since, terms.at_least);
        let open = verdicts.iter().all(|verdict| verdict.satisfied) && now >= opens_at;
        if !open && now < deadline {
            let next = if opens_at > now { opens_at.min(deadline) } else { deadline };
            return Ok(EffectOutcome::Wait(self.soon(next.min(later(now, self.gathers_every())))));
        }
        let overruled = terms.then == AfterDeadline::Revoke && gate::overrule_a_deadline(&verdicts);
        let then = if overruled { AfterDeadline::Hold } else { terms.then };
        // The gates were judged by our clock alone.
        self.check_clock(self.listed().await?.as_ref())?;
        let rotation = self.rotation;
        match (open, then) {
            (false, AfterDeadline::Hold) => self.hold().await,
            (false, AfterDeadline::RollBack) if rotation.can_roll_back() => {
                Ok(EffectOutcome::Happened(Event::RollbackBegun { cause: RollbackCause::Deadline }))
            }
            (false, AfterDeadline::RollBack) => park(
                ParkReason::CannotRollBack,
                "the overlap lasted its longest and a destination has nothing to go back to; change `then` or `at_most` in the policy, reload, and `retry`",
            ),
            (true, _) | (false, AfterDeadline::Revoke) => match self.frozen_until() {
                Some(until) => Ok(EffectOutcome::Wait(self.soon(until))),
                None => Ok(EffectOutcome::Happened(Event::Released { verdicts, forced: !open })),
            },
        }
    }

    /// Consumers of a destination that was overwritten would be waited for in vain.
    async fn hold(&self) -> EffectResult {
        match self.overwritten().await? {
            Some(parked) => Ok(EffectOutcome::Happened(parked)),
            None => Ok(EffectOutcome::Wait(self.soon(later(self.context.now(), self.gathers_every())))),
        }
    }

    async fn withheld_from_the_failing(&mut self) -> Result<Option<Event>, Failure> {
        let since = self.rotation.overlap_since();
        if gate::failures(&self.acks().await?, since, Some(&self.successor.fingerprint)).is_empty() {
            return Ok(None);
        }
        let verdicts = self.judge().await?;
        match self.withdraw_release(verdicts).await? {
            EffectOutcome::Happened(event) => Ok(Some(event)),
            EffectOutcome::Wait(_) => Ok(None),
        }
    }

    pub(super) async fn judge(&mut self) -> Result<Vec<Verdict>, Failure> {
        let evidence = self.gather().await?;
        let rotation = self.rotation;
        Ok(gate::judge(rotation, &evidence, self.judged_since(rotation.overlap_since()), self.context.now()))
    }

    /// Since when evidence counts, and the shortest wait of the verdicts; the caller asks the timer too, which no clock that is
    /// ahead can hurry.
    fn judged_since(&self, written: Timestamp) -> Timestamp {
        written.min(self.lasting_since(written))
    }

    /// When to check again whether every consumer uses the old key again; `None` if they all do.
    pub(super) async fn waits_for_the_return(&mut self) -> Result<Option<Timestamp>, Failure> {
        let evidence = self.gather().await?;
        let rotation = self.rotation;
        let verdicts =
            gate::judge_return(rotation, &evidence, self.judged_since(rotation.since), self.context.now());
        let opens_at = later(self.lasting_since(rotation.since), rotation.plan.terms.at_least);
        let now = self.context.now();
        let next = if opens_at > now { opens_at } else { later(now, self.gathers_every()) };
        Ok(verdicts.iter().any(|verdict| !verdict.satisfied || opens_at > now).then_some(next))
    }

    /// Until when a freeze of the policy, or a hold, forbids to revoke anything.
    pub(super) fn frozen_until(&self) -> Option<Timestamp> {
        if self.held(HoldKind::Revoking).is_some() {
            return Some(Timestamp::MAX);
        }
        self.policy()
            .filter(|_| !self.rotation.is_urgent())?
            .schedule
            .freeze(self.context.now())
            .map(|freeze| freeze.until)
    }

    /// A quarantine has passed when its time is over and the old key was not enabled meanwhile.
    pub(super) async fn await_quarantine(&mut self) -> EffectResult {
        if self.plan().emergency {
            return Ok(EffectOutcome::Happened(Event::QuarantinePassed));
        }
        if let Some(outcome) = self.consumers_object().await? {
            return Ok(outcome);
        }
        if !self.rotation.clock_agreed || self.is_implausible(self.rotation.since) {
            return self.agree_on_the_time().await;
        }
        if let Some(event) = self.tend_expiry().await? {
            return Ok(EffectOutcome::Happened(event));
        }
        let rotation = self.rotation;
        let passes_at = later(self.lasting_since(rotation.since), rotation.plan.terms.quarantine);
        let now = self.context.now();
        if now < passes_at {
            return Ok(EffectOutcome::Wait(self.soon(passes_at.min(later(now, self.probes_every())))));
        }
        let inventory = self.listed().await?;
        self.check_clock(&inventory)?;
        match self.enabled_again(&inventory)? {
            Some(outcome) => Ok(outcome),
            None => Ok(EffectOutcome::Happened(Event::QuarantinePassed)),
        }
    }

    /// What a consumer that may not get on without the old key demands; `None` if they all do.
    pub(super) async fn consumers_object(&self) -> Result<Option<EffectOutcome>, Failure> {
        Ok(match self.consumer_health().await? {
            ConsumerHealth::Healthy => None,
            ConsumerHealth::ProbeFailedOnce { again_at } => Some(EffectOutcome::Wait(again_at)),
            ConsumerHealth::Alarm(alarm) => Some(EffectOutcome::Happened(Event::Alarmed { alarm })),
        })
    }

    /// Whether a consumer fails since the old key is disabled: it reports so, or a probe that showed the new key has
    /// stopped doing so. One red round can be a lost packet; but nothing goes on before the next round.
    async fn consumer_health(&self) -> Result<ConsumerHealth, Failure> {
        // A consumer's newest report counts, whichever phase it was sent in.
        let rotation = self.rotation;
        let since = rotation.overlap_began.unwrap_or(rotation.since);
        let failures = gate::failures(&self.acks().await?, since, Some(&self.successor.fingerprint));
        if let Some(first) = failures.first() {
            let detail = format!("{} {}", first.who, first.why);
            return Ok(ConsumerHealth::Alarm(Alarm { kind: AlarmKind::ConsumerFailing, detail }));
        }
        let findings = self.probe_again().await?;
        let Some(reddest) = findings.iter().max_by_key(|finding| finding.red_rounds) else {
            return Ok(ConsumerHealth::Healthy);
        };
        if reddest.red_rounds < RED_ROUNDS {
            let again_at = later(self.context.now(), PROBE_AGAIN);
            return Ok(if reddest.red_rounds == 0 {
                ConsumerHealth::Healthy
            } else {
                ConsumerHealth::ProbeFailedOnce { again_at }
            });
        }
        let why: Vec<String> =
            reddest.waiting_on().iter().map(|it| format!("{} {}", it.who, it.why)).take(NAMED_MAX).collect();
        Ok(ConsumerHealth::Alarm(Alarm { kind: AlarmKind::ProbeRed, detail: why.join(", ") }))
    }

    /// How often a quarantine with probes is checked; a consumer's failure report is handled at once.
    fn probes_every(&self) -> SignedDuration {
        let has_probes = probes_of(&self.plan().terms.gates).next().is_some();
        if has_probes { PROBE_AGAIN } else { self.context.timing.look_again }
    }

    /// The outcome if the old key, once disabled, is listed as enabled.
    pub(super) fn enabled_again(&self, inventory: &Inventory) -> Result<Option<EffectOutcome>, Failure> {
        let Some(old) = self.old_key(inventory).filter(|old| old.enabled) else { return Ok(None) };
        // A listing may be older than our own call that disabled it.
        let settled_at = later(self.since(self.rotation.since), self.context.timing.settle);
        if self.context.now() < settled_at {
            return Ok(Some(EffectOutcome::Wait(self.soon(settled_at))));
        }
        let detail = format!(
            "the old key `{}` was enabled again out of band; find the consumer that still needs it, then roll back if the quarantine has not passed yet, or disable it and `retry`",
            old.id
        );
        park(ParkReason::OldKeyReenabled, detail).map(Some)
    }

    /// A rollback waits for the consumers that had switched, as the rotation did. A leaked new key goes at once.
    pub(super) async fn await_return(&mut self) -> EffectResult {
        let rotation = self.rotation;
        if matches!(rotation.phase, Phase::Returning { cause: RollbackCause::Leak, .. }) {
            return Ok(EffectOutcome::Happened(Event::ReturnPassed));
        }
        if !rotation.clock_agreed || self.is_implausible(rotation.since) {
            return self.agree_on_the_time().await;
        }
        // No consumer can return to a key that does not work. A listing may be older than our own call that enabled it.
        let settled = self.context.now() >= later(self.since(rotation.since), self.context.timing.settle);
        let inventory = self.listed().await?;
        if settled && !self.may_return(&inventory) {
            return nowhere_to_return();
        }
        if let Some(until) = self.waits_for_the_return().await? {
            return Ok(EffectOutcome::Wait(self.soon(until)));
        }
        self.check_clock(self.listed().await?.as_ref())?;
        Ok(EffectOutcome::Happened(Event::ReturnPassed))
    }
}
