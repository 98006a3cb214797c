//! Whether the application is healthy, from the results of single checks. Pure: the caller passes the instants in.

use std::time::Duration;

use tokio::time::Instant;

use crate::domain::ack::Health;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AppHealth {
    /// Something changed: the application has until then to become healthy.
    Settling {
        until: Instant,
    },
    Healthy {
        misses: u32,
    },
    Failing,
}

pub(super) struct HealthTracker {
    state: AppHealth,
    deadline: Duration,
    misses_max: u32,
}

impl HealthTracker {
    pub(super) fn new(now: Instant, deadline: Duration, misses_max: u32) -> Self {
        Self { state: AppHealth::Settling { until: now + deadline }, deadline, misses_max }
    }

    /// A secret changed: the deadline starts again.
    pub(super) fn changed(&mut self, now: Instant) {
        self.state = AppHealth::Settling { until: now + self.deadline };
    }

    /// The result of one check.
    pub(super) fn record(&mut self, is_healthy: bool, now: Instant) {
        self.state = match self.state {
            AppHealth::Settling { .. } | AppHealth::Failing if is_healthy => AppHealth::Healthy { misses: 0 },
            AppHealth::Healthy { .. } if is_healthy => AppHealth::Healthy { misses: 0 },
            AppHealth::Settling { until } if now < until => AppHealth::Settling { until },
            AppHealth::Healthy { misses } if misses + 1 < self.misses_max => {
                AppHealth::Healthy { misses: misses + 1 }
            }
            AppHealth::Settling { .. } | AppHealth::Healthy { .. } | AppHealth::Failing => AppHealth::Failing,
        };
    }

    /// The application failed for good, for example because it exited before it was healthy.
    pub(super) fn fail(&mut self) {
        self.state = AppHealth::Failing;
    }

    /// `None` until that is known.
    pub(super) fn health(&self) -> Option<Health> {
        match self.state {
            AppHealth::Settling { .. } => None,
            AppHealth::Healthy { .. } => Some(Health::Using),
            AppHealth::Failing => Some(Health::Failing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_until_the_deadline_to_get_healthy_and_some_misses_when_it_was() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut tracker = HealthTracker::new(begun, Duration::from_secs(10), 3);
        for (is_healthy, second, expected) in [
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
            tracker.record(is_healthy, at(second));
            assert_eq!(tracker.health(), expected, "{second}");
        }
        tracker.changed(at(20));
        assert_eq!(tracker.health(), None);
        tracker.record(false, at(30));
        assert_eq!(tracker.health(), Some(Health::Failing));
    }
}
