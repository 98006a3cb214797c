//! Waiting, and judging whether it has been enough.

use jiff::{SignedDuration, Timestamp};

use crate::domain::event::Event;
use crate::domain::failure::Failure;
use crate::domain::gate::{self, Gate, Verdict};
use crate::domain::hold::HoldKind;
use crate::domain::key::Inventory;
use crate::domain::phase::{Alarm, AlarmKind, Phase};
use crate::domain::plan::AfterDeadline;
use crate::domain::rotation::{ParkReason, RollbackCause, Rotation};
use crate::domain::time::later;
use crate::engine::effects::undo::nowhere_to_return;
use crate::engine::effects::{Acted, Outcome, park};
use crate::engine::reconciler::Reconciler;

const PROBE_AGAIN: SignedDuration = SignedDuration::from_secs(2);
const RED_ROUNDS: u32 = 2;
/// Of the instances that turned red: enough to know where to look.
const NAMED_MAX: usize = 5;

/// What is seen of the consumers since the old key is disabled.
pub(super) enum Watch {
    Quiet,
    /// A probe was red once.
    Doubtful {
        again_at: Timestamp,
    },
    Alarm(Alarm),
}

impl Reconciler {
    /// Notes when our clock and the provider's agree for the first time in a phase that has to last: a duration that
    /// began on a wrong clock would end early when the clock comes right.
    async fn agree_on_the_time(&self) -> Acted {
        self.context.check_clock(self.listed().await?.as_ref())?;
        Ok(Outcome::Happened(Event::ClockAgreed))
    }

    pub(super) async fn await_gates(&mut self) -> Acted {
        if self.rotating()?.overlap_began.is_none() && !self.plan()?.emergency {
            return self.agree_on_the_time().await;
        }
        if self.plan()?.emergency {
            // Nothing is waited for, so that no clock can be wrong about it.
            return Ok(Outcome::Happened(Event::Released { verdicts: Vec::new(), forced: false }));
        }
        if let Some(event) = self.tend_expiry().await? {
            return Ok(Outcome::Happened(event));
        }
        let verdicts = self.judge().await?;
        let rotation = self.rotating()?;
        let terms = &rotation.plan.terms;
        let now = self.context.now();
        let deadline = later(rotation.overlap_since(), terms.at_most);
        let open = verdicts.iter().all(|verdict| verdict.open);
        if !open && now < deadline {
            let opens_at = later(rotation.overlap_since(), terms.at_least);
            let next = if opens_at > now { opens_at.min(deadline) } else { deadline };
            return Ok(Outcome::Wait(self.soon(next.min(later(now, self.gathers_every()?)))));
        }
        // Whoever says that it fails is not overruled by a deadline.
        let overruled = terms.then == AfterDeadline::Revoke && gate::is_anyone_failing(&verdicts);
        let then = if overruled { AfterDeadline::Hold } else { terms.then };
        // What is decided now was judged by our clock alone.
        self.context.check_clock(self.listed().await?.as_ref())?;
        let rotation = self.rotating()?;
        match (open, then) {
            (false, AfterDeadline::Hold) => self.hold().await,
            (false, AfterDeadline::RollBack) if rotation.can_roll_back() => {
                Ok(Outcome::Happened(Event::RollbackBegun { cause: RollbackCause::Deadline }))
            }
            (false, AfterDeadline::RollBack) => park(
                ParkReason::CannotRollBack,
                "the overlap lasted its longest and a destination has nothing to go back to; change `then` or `at_most` in the policy, reload, and `retry`",
            ),
            (true, _) | (false, AfterDeadline::Revoke) => match self.frozen_until() {
                Some(until) => Ok(Outcome::Wait(self.soon(until))),
                None => Ok(Outcome::Happened(Event::Released { verdicts, forced: !open })),
            },
        }
    }

    /// Consumers of a destination that was overwritten would be waited for in vain.
    async fn hold(&self) -> Acted {
        match self.overwritten().await? {
            Some(parked) => Ok(Outcome::Happened(parked)),
            None => Ok(Outcome::Wait(self.soon(later(self.context.now(), self.gathers_every()?)))),
        }
    }

    pub(super) async fn judge(&mut self) -> Result<Vec<Verdict>, Failure> {
        let evidence = self.gather().await?;
        let rotation = self.rotating()?;
        let new = &self.successor()?.fingerprint;
        let since = rotation.overlap_since();
        Ok(gate::judge(&rotation.plan.terms, new, &evidence, since, self.context.now()))
    }

    /// When to look again whether everybody uses the old key again; `None` if they do.
    pub(super) async fn waits_for_the_return(&mut self) -> Result<Option<Timestamp>, Failure> {
        let evidence = self.gather().await?;
        let rotation = self.rotating()?;
        let verdicts = gate::judge_return(rotation, &evidence, self.context.now());
        let opens_at = later(rotation.since, rotation.plan.terms.at_least);
        let now = self.context.now();
        let next = if opens_at > now { opens_at } else { later(now, self.gathers_every()?) };
        Ok(verdicts.iter().any(|verdict| !verdict.open).then_some(next))
    }

    /// Until when a freeze of the policy, or a hold, forbids to revoke anything.
    pub(super) fn frozen_until(&self) -> Option<Timestamp> {
        if self.held(HoldKind::Revoking, false).is_some() {
            return Some(Timestamp::MAX);
        }
        let urgent = self.rotation.as_ref().is_some_and(Rotation::is_urgent);
        self.policy().filter(|_| !urgent)?.schedule.freeze(self.context.now()).map(|freeze| freeze.until)
    }

    /// A quarantine is passed when it has lasted, and nobody has enabled the old key meanwhile.
    pub(super) async fn await_quarantine(&mut self) -> Acted {
        if self.plan()?.emergency {
            return Ok(Outcome::Happened(Event::QuarantinePassed));
        }
        match self.watch().await? {
            Watch::Quiet => {}
            Watch::Doubtful { again_at } => return Ok(Outcome::Wait(again_at)),
            Watch::Alarm(alarm) => return Ok(Outcome::Happened(Event::Alarmed { alarm })),
        }
        if !self.rotating()?.clock_agreed {
            return self.agree_on_the_time().await;
        }
        if let Some(event) = self.tend_expiry().await? {
            return Ok(Outcome::Happened(event));
        }
        let rotation = self.rotating()?;
        let passes_at = later(rotation.since, rotation.plan.terms.quarantine);
        let now = self.context.now();
        if now < passes_at {
            return Ok(Outcome::Wait(self.soon(passes_at.min(later(now, self.watches_every()?)))));
        }
        let inventory = self.listed().await?;
        self.context.check_clock(&inventory)?;
        match self.enabled_again(&inventory)? {
            Some(outcome) => Ok(outcome),
            None => Ok(Outcome::Happened(Event::QuarantinePassed)),
        }
    }

    /// Whether anybody has come to harm since the old key is disabled: a consumer says so, or a probe that reported
    /// the new key has stopped doing so. One red round can be a packet that was lost; but nothing goes on before the
    /// next one.
    pub(super) async fn watch(&self) -> Result<Watch, Failure> {
        // A consumer's newest word counts, whichever phase it was said in.
        let rotation = self.rotating()?;
        let since = rotation.overlap_began.unwrap_or(rotation.since);
        let failures = gate::failures(&self.acks().await?, since, Some(&self.successor()?.fingerprint));
        if let Some(first) = failures.first() {
            let detail = format!("{} {}", first.who, first.why);
            return Ok(Watch::Alarm(Alarm { kind: AlarmKind::ConsumerFailing, detail }));
        }
        let findings = self.probe_again().await?;
        let Some(reddest) = findings.iter().max_by_key(|finding| finding.red_rounds) else {
            return Ok(Watch::Quiet);
        };
        if reddest.red_rounds < RED_ROUNDS {
            let again_at = later(self.context.now(), PROBE_AGAIN);
            return Ok(if reddest.red_rounds == 0 { Watch::Quiet } else { Watch::Doubtful { again_at } });
        }
        let why: Vec<String> =
            reddest.stragglers().iter().map(|it| format!("{} {}", it.who, it.why)).take(NAMED_MAX).collect();
        Ok(Watch::Alarm(Alarm { kind: AlarmKind::ProbeRed, detail: why.join(", ") }))
    }

    /// How often a quarantine with probes is looked at; consumers that fail are heard at once.
    fn watches_every(&self) -> Result<SignedDuration, Failure> {
        let gates = &self.plan()?.terms.gates;
        let probes = gates.iter().any(|gate| matches!(gate, Gate::Probes(_)));
        Ok(if probes { PROBE_AGAIN } else { self.context.timing.look_again })
    }

    /// What follows if the old key, once disabled, is listed as enabled.
    pub(super) fn enabled_again(&self, inventory: &Inventory) -> Result<Option<Outcome>, Failure> {
        let Some(old) = self.old_key(inventory)?.filter(|old| old.enabled) else { return Ok(None) };
        // A listing may be older than our own call that disabled it.
        let settled_at = later(self.rotating()?.since, self.context.timing.settle);
        if self.context.now() < settled_at {
            return Ok(Some(Outcome::Wait(self.soon(settled_at))));
        }
        let detail = format!(
            "somebody enabled the old key `{}` again; find out who still needs it, then roll back if the quarantine has not passed yet, or disable it and `retry`",
            old.id
        );
        park(ParkReason::OldKeyReenabled, detail).map(Some)
    }

    /// Consumers that had switched are waited for on the way back as they were on the way there. A new key that is in
    /// wrong hands goes at once.
    pub(super) async fn await_return(&mut self) -> Acted {
        let rotation = self.rotating()?;
        if matches!(rotation.phase, Phase::Returning { cause: RollbackCause::Leak, .. }) {
            return Ok(Outcome::Happened(Event::ReturnPassed));
        }
        if !rotation.clock_agreed {
            return self.agree_on_the_time().await;
        }
        // Nobody can return to a key that does not work. A listing may be older than our own call that enabled it.
        let settled = self.context.now() >= later(rotation.since, self.context.timing.settle);
        let inventory = self.listed().await?;
        if settled && !self.may_return(&inventory)? {
            return nowhere_to_return();
        }
        if let Some(until) = self.waits_for_the_return().await? {
            return Ok(Outcome::Wait(self.soon(until)));
        }
        self.context.check_clock(self.listed().await?.as_ref())?;
        Ok(Outcome::Happened(Event::ReturnPassed))
    }
}
