//! What the loop does by time alone. It goes by the clock's uptime, which nobody can set: the ticker may wake it earlier, and
//! is not needed for anything.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::ids::CredentialName;
use crate::domain::time::later;
use crate::engine::controller::Controller;
use crate::engine::handle::Looks;
use crate::ports::clock::Clock;

/// A scan that the ticker asks for comes first: the loop's own is this share of its period later.
const LATER_BY: u32 = 10;

/// The steps of the wall clock that were followed, and when the loop did what.
pub(super) struct Timer {
    steps: u64,
    now: Timestamp,
    uptime: Duration,
    pub(super) looks: Looks,
}

impl Timer {
    pub(super) fn start(clock: &dyn Clock) -> Self {
        let uptime = clock.uptime();
        let looks = Looks { ran: uptime, swept: uptime, inspected: uptime };
        Self { steps: clock.steps(), now: clock.now(), uptime, looks }
    }
}

impl Controller {
    /// A wall clock that was set makes every computed wait wrong: each credential is looked at again.
    pub(super) fn follow_the_clock(&mut self) {
        let clock = &self.context.clock;
        let (steps, now, uptime) = (clock.steps(), clock.now(), clock.uptime());
        let passed = SignedDuration::try_from(uptime.saturating_sub(self.timer.uptime)).unwrap_or_default();
        let by = now.duration_since(later(self.timer.now, passed));
        if steps != self.timer.steps {
            tracing::warn!(
                by = format!("{by:#}"),
                "this machine's clock was set: every credential is looked at again; check its time synchronisation"
            );
            let names: Vec<CredentialName> = self.entries.keys().cloned().collect();
            for name in names {
                self.requeue_now(&name);
            }
        }
        self.timer = Timer { steps, now, uptime, ..self.timer };
    }

    /// Scans that nobody has asked for in time.
    pub(super) fn look_by_itself(&mut self) {
        let uptime = self.context.uptime();
        let (sweep, inspection) = self.next_scans();
        if uptime >= sweep {
            self.sweep();
        }
        if uptime >= inspection {
            self.inspect();
        }
        self.timer.looks.ran = uptime;
    }

    /// When the loop sweeps and inspects by itself, unless it is asked to before.
    fn next_scans(&self) -> (Duration, Duration) {
        let (Looks { swept, inspected, ran: _ }, periods) = (self.timer.looks, self.context.timing.periods);
        let next = |at: Duration, period: SignedDuration| {
            let period = period.unsigned_abs();
            at.saturating_add(period).saturating_add(period / LATER_BY)
        };
        (next(swept, periods.sweep), next(inspected, periods.inspect))
    }

    /// Until there is something to do, but never longer than the loop's period.
    pub(super) fn rest(&self) -> SignedDuration {
        let timing = &self.context.timing;
        let (sweep, inspection) = self.next_scans();
        let next = self.work_queue.next().map_or(sweep, |due| due.min(sweep)).min(inspection);
        let rest = SignedDuration::try_from(next.saturating_sub(self.context.uptime()));
        rest.unwrap_or(SignedDuration::MAX).min(timing.look_again).min(timing.periods.wake)
    }

    pub(super) fn requeue_after(&mut self, name: &CredentialName, wait: SignedDuration) {
        let wait = Duration::try_from(wait).unwrap_or_default();
        self.work_queue.set(name, Some(self.context.uptime().saturating_add(wait)));
    }
}
