//! The metrics of the journal.

use crate::telemetry::catalogue::definition::{Definition, counter, gauge, histogram};

pub(in crate::telemetry) const JOURNAL_READABLE: Definition = gauge(
    "rekeyd_journal_readable",
    &[],
    "Whether the journal was readable for this scrape (1); otherwise metrics derived from it are absent.",
);
pub(in crate::telemetry) const JOURNAL_WRITABLE: Definition = gauge(
    "rekeyd_journal_writable",
    &[],
    "Whether the journal takes writes (1), which a probe finds out each minute; otherwise every rotation waits.",
);
pub(in crate::telemetry) const JOURNAL_WRITES: Definition = histogram(
    "rekeyd_journal_write_duration_seconds",
    &[],
    "Histogram of durations until an event was durable.",
);
pub(in crate::telemetry) const JOURNAL_WRITE_FAILURES: Definition =
    counter("rekeyd_journal_write_failures", &[], "Failed writes to the journal.");
pub(in crate::telemetry) const JOURNAL_SIZE: Definition =
    gauge("rekeyd_journal_size_bytes", &[], "Size of the journal file and its write-ahead log.");
pub(in crate::telemetry) const JOURNAL_LAST_WRITE: Definition = gauge(
    "rekeyd_journal_last_write_timestamp_seconds",
    &[],
    "Time at which the journal last took a write; at least the probe writes each minute.",
);
