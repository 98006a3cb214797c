//! The definition of every metric. [docs/metrics.md] is generated from it.
//!
//! Label values come from enums or are names from the policy. Durations are in seconds, instants are gauges.
//!
//! [docs/metrics.md]: ../../docs/metrics.md

mod credential;
mod definition;
mod journal;

pub(super) use credential::*;
pub use definition::{Definition, Kind};
use definition::{counter, gauge, histogram};
pub(super) use journal::{
    JOURNAL_LAST_WRITE, JOURNAL_READABLE, JOURNAL_SIZE, JOURNAL_WRITABLE, JOURNAL_WRITE_FAILURES,
    JOURNAL_WRITES,
};

const WORKSPACE: &[&str] = &["workspace"];

pub(super) const BUILD_INFO: Definition =
    gauge("rekeyd_build_info", &["version", "revision"], "Version and revision of rekeyd; always 1.");
pub(super) const CREDENTIALS: Definition = gauge("rekeyd_credentials", &["health"], "Credentials by health.");
// Metrics of the fleet, always exported.
pub(super) const NEED_ATTENTION: Definition =
    gauge("rekeyd_credentials_needing_attention", WORKSPACE, "Credentials that need an operator.");
pub(super) const OLDEST_KEY: Definition = gauge(
    "rekeyd_oldest_key_created_timestamp_seconds",
    WORKSPACE,
    "Creation time of the oldest key in service.",
);
pub(super) const NEXT_EXPIRY: Definition = gauge(
    "rekeyd_first_key_expires_timestamp_seconds",
    WORKSPACE,
    "Earliest expiry of a key on record or of a published new key; absent if no key expires.",
);
pub(super) const NEXT_DUE: Definition = gauge(
    "rekeyd_first_rotation_due_timestamp_seconds",
    WORKSPACE,
    "Earliest due time of a credential without a rotation in progress.",
);
pub(super) const IN_PHASE: Definition =
    gauge("rekeyd_rotations_in_phase", &["workspace", "phase"], "Rotations in progress by phase.");
pub(super) const OLDEST_PHASE_ENTERED: Definition = gauge(
    "rekeyd_oldest_phase_entered_timestamp_seconds",
    &["workspace", "phase"],
    "Earliest time at which a rotation in the phase entered it.",
);
pub(super) const ALL_PARKED: Definition =
    gauge("rekeyd_rotations_parked", &["reason"], "Parked rotations by reason.");
pub(super) const ALL_BLOCKED: Definition = gauge(
    "rekeyd_rotations_blocked",
    &["reason"],
    "Rotations that are due or in progress and cannot continue, by reason.",
);
pub(super) const ALL_FINDINGS: Definition =
    gauge("rekeyd_findings", &["kind"], "Credentials with a finding, by kind.");
pub(super) const LAGGING_CONSUMERS: Definition = gauge(
    "rekeyd_lagging_consumers",
    WORKSPACE,
    "Consumers, probes and sources of evidence that gates are waiting on.",
);
pub(super) const REACHABLE: Definition = gauge(
    "rekeyd_workspace_reachable",
    WORKSPACE,
    "Whether the last listing of the workspace succeeded (1) or failed (0); absent before the first.",
);
pub(super) const LAST_SUCCESS: Definition = gauge(
    "rekeyd_workspace_last_success_timestamp_seconds",
    WORKSPACE,
    "Time of the last successful listing of the workspace.",
);
pub(super) const SILENT_UNTIL: Definition = gauge(
    "rekeyd_workspace_silent_until_timestamp_seconds",
    WORKSPACE,
    "Until when the provider wants no calls but those that enable keys or replace leaked ones; absent if it did not say so.",
);
pub(super) const FAILING: Definition = gauge(
    "rekeyd_workspace_failing",
    &["workspace", "kind"],
    "The last listing of the workspace failed; always 1.",
);
pub(super) const CLOCK_SKEW: Definition = gauge(
    "rekeyd_workspace_clock_skew_seconds",
    WORKSPACE,
    "Clock of the provider minus the clock of this machine.",
);
pub(super) const FOREIGN_KEYS: Definition = gauge(
    "rekeyd_workspace_foreign_keys",
    WORKSPACE,
    "Keys of the policy's service accounts that rekeyd neither created nor uses.",
);
pub(super) const SKEW_MAX: Definition = gauge(
    "rekeyd_clock_skew_max_seconds",
    &[],
    "Clock skew from which nothing is revoked: `clock_skew_max` of the policy.",
);
pub(super) const BUDGET: Definition =
    gauge("rekeyd_mint_budget", WORKSPACE, "Limit of created keys per hour: `mints_per_hour`.");
pub(super) const BUDGET_REMAINING: Definition = gauge(
    "rekeyd_mint_budget_remaining",
    WORKSPACE,
    "Keys that can still be created now, without the reserve for emergencies.",
);
pub(super) const PROVIDER_REQUESTS: Definition = counter(
    "rekeyd_provider_requests",
    &["workspace", "route", "outcome"],
    "Requests to the provider by outcome: `ok` or the kind of failure.",
);
pub(super) const PROVIDER_TIME: Definition = histogram(
    "rekeyd_provider_request_duration_seconds",
    &["workspace", "route"],
    "Histogram of request durations, including the wait for the rate limit.",
);
pub(super) const PROVIDER_THROTTLED: Definition =
    counter("rekeyd_provider_throttled", WORKSPACE, "Requests that the provider rate-limited.");
pub(super) const STORE_REQUESTS: Definition = counter(
    "rekeyd_store_requests",
    &["store", "operation", "outcome"],
    "Operations on a store by outcome: `ok` or the kind of failure.",
);
pub(super) const STORE_TIME: Definition = histogram(
    "rekeyd_store_request_duration_seconds",
    &["store", "operation"],
    "Histogram of operation durations.",
);
pub(super) const STORE_FAILING: Definition = gauge(
    "rekeyd_store_failing",
    &["store", "kind"],
    "Most destinations of the store fail because of the store or the connection; always 1.",
);
pub(super) const DESTINATION_FAILING: Definition = gauge(
    "rekeyd_destination_failing",
    &["store", "secret", "kind"],
    "The last operation on the secret failed because of the store or the connection; always 1.",
);
pub(super) const NOT_PERMITTED: Definition = gauge(
    "rekeyd_workspace_not_permitted",
    &["workspace", "route"],
    "The admin key lacked a permission for the call when it was last made; always 1.",
);
pub(super) const ENDED: Definition = counter(
    "rekeyd_rotations_ended",
    &["workspace", "outcome", "reason"],
    "Ended rotations by outcome and reason.",
);
pub(super) const PHASE_TIME: Definition =
    histogram("rekeyd_rotation_phase_duration_seconds", &["phase"], "Histogram of phase durations.");
pub(super) const START: Definition = gauge(
    "rekeyd_start_timestamp_seconds",
    &[],
    "Start time of the daemon; counters and histograms start then.",
);
pub(super) const LAST_TICK: Definition = gauge(
    "rekeyd_scheduler_last_tick_timestamp_seconds",
    &[],
    "Last tick of the scheduler, about every five seconds.",
);
pub(super) const LAST_HEARTBEAT: Definition =
    gauge("rekeyd_engine_last_heartbeat_timestamp_seconds", &[], "Last iteration of the engine loop.");
pub(super) const ACTIVE_RECONCILES: Definition =
    gauge("rekeyd_engine_active_reconciles", &[], "Credentials that are being reconciled.");
pub(super) const DAMAGED: Definition = gauge(
    "rekeyd_engine_damaged_credentials",
    &[],
    "Credentials with damaged rows in the journal, which are not managed.",
);
pub(super) const ORPHANS: Definition =
    counter("rekeyd_orphans_deleted", &[], "Orphaned keys of rekeyd that sweeps of this process deleted.");
pub(super) const CHANGED_BY_OTHERS: Definition = gauge(
    "rekeyd_keys_changed_by_others",
    &["workspace"],
    "Changes of rekeyd's keys by others, found within the last day in the workspace's own audit log.",
);
pub(super) const LOG_COMPARED: Definition = gauge(
    "rekeyd_workspace_log_last_compared_timestamp_seconds",
    &["workspace"],
    "Time of the last comparison with the workspace's own audit log; absent where it cannot be read.",
);
pub(super) const HOLD: Definition =
    gauge("rekeyd_hold", &["scope", "kind", "by"], "A hold by an operator or the circuit breaker; always 1.");
pub(super) const CERTIFICATE_SUCCESS: Definition = gauge(
    "rekeyd_certificate_reload_success",
    &[],
    "Whether the newest TLS certificate of the listener was loaded (1) or not (0); 1 without TLS.",
);
pub(super) const CERTIFICATE_NOT_BEFORE: Definition = gauge(
    "rekeyd_certificate_not_before_timestamp_seconds",
    &[],
    "Beginning of the validity of the listener's TLS certificate in force; absent without TLS.",
);
pub(super) const CERTIFICATE_NOT_AFTER: Definition = gauge(
    "rekeyd_certificate_not_after_timestamp_seconds",
    &[],
    "Expiry of the listener's TLS certificate in force, or of an earlier one in its chain; absent without TLS.",
);
pub(super) const RELOAD_SUCCESS: Definition = gauge(
    "rekeyd_policy_reload_success",
    &[],
    "Whether the newest policy is in force (1) or was rejected (0).",
);
pub(super) const RELOAD_TIME: Definition = gauge(
    "rekeyd_policy_reload_last_success_timestamp_seconds",
    &[],
    "Time at which the policy in force was loaded.",
);
pub(super) const POLICY_INFO: Definition =
    gauge("rekeyd_policy_info", &["hash"], "SHA-256 of the policy in force; always 1.");
pub(super) const NOTIFICATIONS_DELIVERED: Definition =
    counter("rekeyd_notifications_delivered", &["channel"], "Delivered notifications.");
pub(super) const NOTIFICATIONS_DROPPED: Definition = counter(
    "rekeyd_notifications_dropped",
    &["channel"],
    "Notifications that were dropped because the channel rejected them or did not accept them in time.",
);
pub(super) const CHANNEL_FAILING: Definition = gauge(
    "rekeyd_notification_channel_failing",
    &["channel"],
    "Whether the last delivery to the channel failed (1).",
);
pub(super) const SPANS_SENT: Definition =
    counter("rekeyd_spans_sent", &[], "Spans that the collector accepted; present if traces are exported.");
pub(super) const SPANS_DROPPED: Definition =
    counter("rekeyd_spans_dropped", &["reason"], "Spans that were dropped, by reason.");
pub(super) const LOG_LINES_DROPPED: Definition = counter(
    "rekeyd_log_lines_dropped",
    &[],
    "Log lines that were dropped because the standard error or systemd's journal did not take them.",
);
pub(super) const DRAINING: Definition = gauge("rekeyd_draining", &[], "Whether the daemon is stopping (1).");

/// Every metric, in the order of the output.
pub const ALL: &[Definition] = &[
    BUILD_INFO,
    START,
    CREDENTIALS,
    NEED_ATTENTION,
    OLDEST_KEY,
    NEXT_EXPIRY,
    NEXT_DUE,
    IN_PHASE,
    OLDEST_PHASE_ENTERED,
    ALL_PARKED,
    ALL_BLOCKED,
    ALL_FINDINGS,
    LAGGING_CONSUMERS,
    HOLD,
    ENDED,
    PHASE_TIME,
    ATTENTION,
    KEY_CREATED,
    KEY_EXPIRES,
    OLD_KEY_EXPIRY_MOVED,
    NEW_KEY_CREATED,
    NEW_KEY_EXPIRES,
    ROTATION_DUE,
    ROTATION_PHASE,
    PHASE_ENTERED,
    DEADLINE,
    CONSECUTIVE_FAILURES,
    PARKED,
    BLOCKED,
    BLOCKED_UNTIL,
    OBSTACLE,
    FINDING,
    EMERGENCY_DURATION,
    EMERGENCY_COMPLETED,
    SILENT_SINCE,
    GATE_SATISFIED,
    GATE_WAITING_ON,
    EVIDENCE_DELAY,
    EVIDENCE_UNAVAILABLE,
    EVIDENCE_BLIND_SINCE,
    REMOVED,
    UNROTATED,
    SAFETY_CALL,
    LAST_ROTATION,
    REACHABLE,
    FAILING,
    NOT_PERMITTED,
    LAST_SUCCESS,
    SILENT_UNTIL,
    CLOCK_SKEW,
    SKEW_MAX,
    FOREIGN_KEYS,
    BUDGET,
    BUDGET_REMAINING,
    PROVIDER_REQUESTS,
    PROVIDER_TIME,
    PROVIDER_THROTTLED,
    STORE_REQUESTS,
    STORE_TIME,
    STORE_FAILING,
    DESTINATION_FAILING,
    LAST_HEARTBEAT,
    LAST_TICK,
    ACTIVE_RECONCILES,
    DAMAGED,
    ORPHANS,
    CHANGED_BY_OTHERS,
    LOG_COMPARED,
    RELOAD_SUCCESS,
    CERTIFICATE_SUCCESS,
    CERTIFICATE_NOT_BEFORE,
    CERTIFICATE_NOT_AFTER,
    RELOAD_TIME,
    POLICY_INFO,
    JOURNAL_READABLE,
    JOURNAL_WRITABLE,
    JOURNAL_LAST_WRITE,
    JOURNAL_WRITES,
    JOURNAL_WRITE_FAILURES,
    JOURNAL_SIZE,
    NOTIFICATIONS_DELIVERED,
    NOTIFICATIONS_DROPPED,
    CHANNEL_FAILING,
    SPANS_SENT,
    SPANS_DROPPED,
    LOG_LINES_DROPPED,
    DRAINING,
];
