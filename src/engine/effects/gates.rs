//! Waiting, and judging whether it has been enough.

use jiff::Timestamp;

use crate::domain::event::Event;
use crate::domain::failure::{Failure, Kind};
use crate::domain::gate::{self, Evidence, Verdict};
use crate::domain::key::Inventory;
use crate::domain::plan::AfterDeadline;
use crate::domain::rotation::{ParkReason, RollbackCause};
use crate::engine::effects::{Acted, Outcome, after, park};
use crate::engine::visit::Visit;

impl Visit {
    /// Notes when our clock and the provider's agree for the first time in a phase that has to last: a duration that
    /// began on a wrong clock would end early when the clock comes right.
    async fn agree_on_the_time(&self) -> Acted {
        self.setup.check_clock(self.listed().await?.as_ref())?;
        Ok(Outcome::Happened(Event::ClockAgreed))
    }

    pub(super) async fn await_gates(&mut self) -> Acted {
        if self.rotating()?.overlap_began.is_none() {
            return self.agree_on_the_time().await;
        }
        let verdicts = self.judge().await?;
        let rotation = self.rotating()?;
        let terms = &rotation.plan.terms;
        let now = self.setup.now();
        let deadline = after(rotation.overlap_since(), terms.at_most);
        let open = verdicts.iter().all(|verdict| verdict.open);
        if !open && now < deadline {
            let opens_at = after(rotation.overlap_since(), terms.at_least);
            let next = if opens_at > now { opens_at.min(deadline) } else { deadline };
            return Ok(Outcome::Wait(self.soon(next)));
        }
        let then = terms.then;
        // What is decided now was judged by our clock alone.
        self.setup.check_clock(self.listed().await?.as_ref())?;
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
            None => Ok(Outcome::Wait(self.soon(Timestamp::MAX))),
        }
    }

    pub(super) async fn judge(&self) -> Result<Vec<Verdict>, Failure> {
        let rotation = self.rotating()?;
        let acks = self.setup.journal.acks(&rotation.plan.credential).await;
        let acks = acks.map_err(|error| Failure::rejected(Kind::LocalDisk, error.to_string()))?;
        let new = &self.successor()?.fingerprint;
        let since = rotation.overlap_since();
        Ok(gate::judge(&rotation.plan.terms, new, &Evidence { acks }, since, self.setup.now()))
    }

    /// Until when a freeze of the policy forbids to revoke anything.
    pub(super) fn frozen_until(&self) -> Option<Timestamp> {
        self.policy()?.schedule.freeze(self.setup.now()).map(|freeze| freeze.until)
    }

    /// A quarantine is passed when it has lasted, and nobody has enabled the old key meanwhile.
    pub(super) async fn await_quarantine(&mut self) -> Acted {
        let rotation = self.rotating()?;
        if !rotation.clock_agreed {
            return self.agree_on_the_time().await;
        }
        let passes_at = after(rotation.since, rotation.plan.terms.quarantine);
        if self.setup.now() < passes_at {
            return Ok(Outcome::Wait(self.soon(passes_at)));
        }
        let inventory = self.listed().await?;
        self.setup.check_clock(&inventory)?;
        match self.enabled_again(&inventory)? {
            Some(outcome) => Ok(outcome),
            None => Ok(Outcome::Happened(Event::QuarantinePassed)),
        }
    }

    /// What follows if the old key, once disabled, is listed as enabled.
    pub(super) fn enabled_again(&self, inventory: &Inventory) -> Result<Option<Outcome>, Failure> {
        let Some(old) = self.old_key(inventory)?.filter(|old| old.enabled) else { return Ok(None) };
        // A listing may be older than our own call that disabled it.
        let settled_at = after(self.rotating()?.since, self.setup.timing.settle);
        if self.setup.now() < settled_at {
            return Ok(Some(Outcome::Wait(self.soon(settled_at))));
        }
        let detail = format!(
            "somebody enabled the old key `{}` again; find out who still needs it, then roll back if the quarantine has not passed yet, or disable it and `retry`",
            old.id
        );
        park(ParkReason::OldKeyReenabled, detail).map(Some)
    }

    /// Consumers that had switched need as long for the way back as they were given for the way there.
    pub(super) async fn await_return(&self) -> Acted {
        let rotation = self.rotating()?;
        if !rotation.clock_agreed {
            return self.agree_on_the_time().await;
        }
        let passes_at = after(rotation.since, rotation.plan.terms.at_least);
        if self.setup.now() < passes_at {
            return Ok(Outcome::Wait(self.soon(passes_at)));
        }
        self.setup.check_clock(self.listed().await?.as_ref())?;
        Ok(Outcome::Happened(Event::ReturnPassed))
    }
}
