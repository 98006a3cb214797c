//! Defaults, as a policy would write them, for the schema and the checks.

pub(crate) const LISTEN: &str = "127.0.0.1:9809";
pub(crate) const SOCKET: &str = "/run/rekeyd/rekeyd.sock";
pub(crate) const JOURNAL: &str = "/var/lib/rekeyd/journal.db";
/// Well under the 90 seconds after which systemd kills.
pub(crate) const DRAIN: &str = "30s";
/// Longer than any observed lag of a listing behind a creation.
pub(crate) const SETTLE: &str = "2m";
/// More than the skew of any machine with a working NTP client.
pub(crate) const CLOCK_SKEW_MAX: &str = "2m";
pub(crate) const ACTIVATION_DEADLINE: &str = "10m";
/// An activation was seen to come and go for four seconds.
pub(crate) const ACCEPTANCES_COUNT: u32 = 3;
pub(crate) const ACCEPTANCES_OVER: &str = "5s";
pub(crate) const SWEEP_EVERY: &str = "1h";
/// One listing per workspace and minute, to react quickly to leaked keys.
pub(crate) const INSPECT_EVERY: &str = "1m";
/// More simultaneous leaks are more likely a false alarm.
pub(crate) const EMERGENCIES_AT_ONCE: i64 = 3;
/// Long enough to suppress flapping alerts.
pub(crate) const NOTIFY_AFTER: &str = "30s";
pub(crate) const NOTIFY_AT_LEAST: &str = "ticket";
pub(crate) const NOTIFY_SOURCE: &str = "rekeyd";
pub(crate) const NOTIFY_RUNBOOK: &str = "docs/runbook.md";
pub(crate) const NOTIFY_TIME_LIMIT: &str = "10s";
pub(crate) const PAGERDUTY_ENDPOINT: &str = "https://events.pagerduty.com/v2/enqueue";
/// No effective limit for a small fleet.
pub(crate) const OVERLAPS_AT_ONCE: u32 = 1000;
/// A mistake in a new policy should meet one key, not all of them.
pub(crate) const FIRST_ROTATIONS_AT_ONCE: u32 = 1;
pub(crate) const MODE: &str = "rotate";
pub(crate) const BREAKER_FAILURES: u32 = 5;
pub(crate) const BREAKER_WITHIN: &str = "1h";
pub(crate) const BAKE: &str = "0s";
pub(crate) const COMMAND_TIME_LIMIT: &str = "30s";
pub(crate) const WHEN_UNKNOWN: &str = "hold";
pub(crate) const IF_KEY_VANISHES: &str = "alert";
/// A few at a time: other clients share the workspace's API.
pub(crate) const IN_FLIGHT: u32 = 3;
pub(crate) const REQUESTS_PER_SECOND: u32 = 5;
pub(crate) const ROTATIONS_AT_ONCE: u32 = 4;
/// Enough for a small fleet, and too few for a runaway loop to do harm.
pub(crate) const MINTS_PER_HOUR: u32 = 20;
pub(crate) const REQUEST_TIMEOUT: &str = "30s";
/// Fleets of thousands set this to false.
pub(crate) const PER_CREDENTIAL: bool = true;
pub(crate) const JITTER: &str = "0s";
pub(crate) const WINDOW: &str = "always";
/// Twice the one-hour cache of AWS' caching clients.
pub(crate) const AT_LEAST: &str = "2h";
pub(crate) const AT_MOST: &str = "7d";
pub(crate) const THEN: &str = "hold";
/// A whole day, so that nightly jobs have run once.
pub(crate) const QUARANTINE: &str = "24h";
