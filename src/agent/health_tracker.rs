//! Whether the application is well, judged from single looks at it. Pure: instants come in.

use std::time::Duration;

use tokio::time::Instant;

use crate::domain::ack::Health;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AppHealth {
    /// Something changed: it has until then to be well.
    Settling {
        until: Instant,
    },
    Well {
        misses: u32,
    },
    Failing,
}

pub(super) struct HealthTracker {
    condition: AppHealth,
    deadline: Duration,
    misses_max: u32,
}

impl HealthTracker {
    pub(super) fn new(now: Instant, deadline: Duration, misses_max: u32) -> Self {
        Self { condition: AppHealth::Settling { until: now + deadline }, deadline, misses_max }
    }

    /// The application has to do with something new.
    pub(super) fn changed(&mut self, now: Instant) {
        self.condition = AppHealth::Settling { until: now + self.deadline };
    }

    /// A look at it.
    pub(super) fn looked(&mut self, is_well: bool, now: Instant) {
        self.condition = match self.condition {
            AppHealth::Settling { .. } | AppHealth::Failing if is_well => AppHealth::Well { misses: 0 },
            AppHealth::Well { .. } if is_well => AppHealth::Well { misses: 0 },
            AppHealth::Settling { until } if now < until => AppHealth::Settling { until },
            AppHealth::Well { misses } if misses + 1 < self.misses_max => {
                AppHealth::Well { misses: misses + 1 }
            }
            AppHealth::Settling { .. } | AppHealth::Well { .. } | AppHealth::Failing => AppHealth::Failing,
        };
    }

    /// It ended while it was to get well, or is beyond hope for another reason.
    pub(super) fn gave_up(&mut self) {
        self.condition = AppHealth::Failing;
    }

    /// `None` until that is known.
    pub(super) fn verdict(&self) -> Option<Health> {
        match self.condition {
            AppHealth::Settling { .. } => None,
            AppHealth::Well { .. } => Some(Health::Using),
            AppHealth::Failing => Some(Health::Failing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_until_the_deadline_to_get_well_and_some_misses_when_it_was() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut judge = HealthTracker::new(begun, Duration::from_secs(10), 3);
        for (is_well, second, expected) in [
            (false, 1, None),
            (false, 9, None),
            (true, 9, Some(Health::Using)),
            (false, 11, Some(Health::Using)),
            (false, 12, Some(Health::Using)),
            (true, 13, Some(Health::Using)),
            (false, 14, Some(Health::Using)),
            (false, 15, Some(Health::Using)),
            (false, 16, Some(Health::Failing)),
            (false, 17, Some(Health::Failing)),
            (true, 18, Some(Health::Using)),
        ] {
            judge.looked(is_well, at(second));
            assert_eq!(judge.verdict(), expected, "{second}");
        }
        judge.changed(at(20));
        assert_eq!(judge.verdict(), None);
        judge.looked(false, at(30));
        assert_eq!(judge.verdict(), Some(Health::Failing));
    }
}
