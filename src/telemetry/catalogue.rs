//! Every metric of the program: its name, what it is, its labels and what it means. [docs/metrics.md] is made of this.
//!
//! A label's values come from our own enums, or are names of the policy. Durations are in seconds, instants are gauges.
//!
//! [docs/metrics.md]: ../../docs/metrics.md

mod definition;

pub use definition::{Definition, Kind};
use definition::{counter, gauge, histogram};

const WHICH: &[&str] = &["credential", "workspace"];
const WORKSPACE: &[&str] = &["workspace"];

pub(super) const BUILD_INFO: Definition =
    gauge("rekeyd_build_info", &["version", "revision"], "Which rekeyd runs; always 1.");
pub(super) const CREDENTIALS: Definition =
    gauge("rekeyd_credentials", &["condition"], "Credentials by how they fare.");
// Of the fleet as a whole, told whether credentials are told one by one or not.
pub(super) const NEED_ATTENTION: Definition =
    gauge("rekeyd_credentials_needing_attention", WORKSPACE, "Credentials that need a person.");
pub(super) const OLDEST_KEY: Definition = gauge(
    "rekeyd_oldest_key_created_timestamp_seconds",
    WORKSPACE,
    "When the oldest of the workspace's keys in service was created.",
);
pub(super) const FIRST_EXPIRY: Definition = gauge(
    "rekeyd_first_key_expires_timestamp_seconds",
    WORKSPACE,
    "When the first of the workspace's keys in service expires, if any does.",
);
pub(super) const FIRST_DUE: Definition = gauge(
    "rekeyd_first_rotation_due_timestamp_seconds",
    WORKSPACE,
    "When the first of the workspace's credentials without a rotation under way is, or was, due.",
);
pub(super) const IN_PHASE: Definition =
    gauge("rekeyd_rotations_in_phase", &["workspace", "phase"], "Rotations that are under way, by phase.");
pub(super) const LONGEST_IN_PHASE: Definition = gauge(
    "rekeyd_longest_in_phase_entered_timestamp_seconds",
    &["workspace", "phase"],
    "When the rotation that has been in its phase for the longest entered it.",
);
pub(super) const ALL_PARKED: Definition =
    gauge("rekeyd_rotations_parked", &["reason"], "Rotations that need an operator, by reason.");
pub(super) const ALL_BLOCKED: Definition = gauge(
    "rekeyd_rotations_blocked",
    &["reason"],
    "Rotations that are wanted and kept from beginning, or from going on, by reason.",
);
pub(super) const ALL_FINDINGS: Definition =
    gauge("rekeyd_findings", &["kind"], "Credentials with something wrong outside, by kind.");
pub(super) const ALL_STRAGGLERS: Definition =
    gauge("rekeyd_stragglers", WORKSPACE, "Consumers, probes and sources of evidence that hold a gate shut.");
// Of one credential. With `per_credential = false` only the worst of those that are not well are told.
pub(super) const KEY_CREATED: Definition =
    gauge("rekeyd_key_created_timestamp_seconds", WHICH, "When the credential's key was created.");
pub(super) const KEY_EXPIRES: Definition =
    gauge("rekeyd_key_expires_timestamp_seconds", WHICH, "When the credential's key expires, if it does.");
pub(super) const ROTATION_DUE: Definition = gauge(
    "rekeyd_rotation_due_timestamp_seconds",
    WHICH,
    "When the credential is due by its schedule; while a rotation is under way, when that was.",
);
pub(super) const ROTATION_PHASE: Definition = gauge(
    "rekeyd_rotation_phase",
    &["credential", "workspace", "phase"],
    "The phase of the rotation that is under way; always 1.",
);
pub(super) const PHASE_ENTERED: Definition = gauge(
    "rekeyd_rotation_phase_entered_timestamp_seconds",
    WHICH,
    "When the rotation that is under way entered its phase.",
);
pub(super) const TROUBLE: Definition = gauge(
    "rekeyd_rotation_trouble",
    &["credential", "workspace", "effect", "kind"],
    "How often in a row the next step of the rotation has failed; not told while it has not.",
);
pub(super) const PARKED: Definition = gauge(
    "rekeyd_rotation_parked",
    &["credential", "workspace", "reason"],
    "The rotation needs an operator; always 1.",
);
pub(super) const OBSTACLE: Definition = gauge(
    "rekeyd_rotation_obstacle",
    &["credential", "workspace", "kind"],
    "No rotation can begin; always 1.",
);
pub(super) const FINDING: Definition = gauge(
    "rekeyd_finding",
    &["credential", "workspace", "kind"],
    "Something is wrong outside, as of the last inspection: a leak, or what people changed; always 1.",
);
pub(super) const LEAK_ANSWERED: Definition = gauge(
    "rekeyd_leak_answered_seconds",
    WHICH,
    "How long the last emergency took, from its first sign to the new key current and the old one dead.",
);
pub(super) const LEAK_ANSWERED_AT: Definition =
    gauge("rekeyd_leak_answered_timestamp_seconds", WHICH, "When the last emergency was over.");
pub(super) const SILENT_SINCE: Definition = gauge(
    "rekeyd_consumer_silent_since_timestamp_seconds",
    &["credential", "workspace", "consumer"],
    "When a consumer that is waited for said anything last; told when that is longer ago than its word counts (`acks_valid_for`).",
);
pub(super) const GATE_OPEN: Definition = gauge(
    "rekeyd_gate_open",
    &["credential", "workspace", "gate"],
    "Whether the gate is open (1) or shut (0); told while old and new key overlap.",
);
pub(super) const BLOCKED: Definition = gauge(
    "rekeyd_rotation_blocked",
    &["credential", "workspace", "reason"],
    "A rotation is wanted and kept from beginning, or from going on; always 1.",
);
pub(super) const DEADLINE: Definition = gauge(
    "rekeyd_rotation_deadline_timestamp_seconds",
    WHICH,
    "When the overlap has lasted as long as the policy wants at most; told while old and new key overlap.",
);
pub(super) const STRAGGLER: Definition = gauge(
    "rekeyd_gate_straggler",
    &["credential", "workspace", "gate", "who"],
    "Who holds the gate shut: a consumer or probe of the policy, or a source of evidence; always 1.",
);
pub(super) const EVIDENCE_DELAY: Definition = gauge(
    "rekeyd_evidence_delay_seconds",
    &["credential", "workspace", "source"],
    "How long the provider's evidence took to show use, at the longest, as measured in this overlap.",
);
pub(super) const EVIDENCE_BLIND: Definition = gauge(
    "rekeyd_evidence_blind",
    &["credential", "workspace", "source"],
    "Whether the source of evidence gave no answer when it was last asked (1); told while old and new key overlap.",
);
pub(super) const ATTENTION: Definition =
    gauge("rekeyd_attention_needed", WHICH, "Whether the credential needs a person.");
pub(super) const LAST_ROTATION: Definition = gauge(
    "rekeyd_last_rotation_timestamp_seconds",
    &["credential", "workspace", "outcome"],
    "When the credential's last rotation ended, and how.",
);
pub(super) const REACHABLE: Definition = gauge(
    "rekeyd_workspace_reachable",
    WORKSPACE,
    "Whether the last listing of the workspace succeeded (1) or failed (0); not told before the first.",
);
pub(super) const LAST_ANSWER: Definition = gauge(
    "rekeyd_workspace_last_answer_timestamp_seconds",
    WORKSPACE,
    "When the workspace was last listed successfully.",
);
pub(super) const FAILING: Definition = gauge(
    "rekeyd_workspace_failing",
    &["workspace", "kind"],
    "The last listing of the workspace failed; always 1.",
);
pub(super) const CLOCK_SKEW: Definition = gauge(
    "rekeyd_workspace_clock_skew_seconds",
    WORKSPACE,
    "How far the provider's clock is ahead of this machine's.",
);
pub(super) const FOREIGN_KEYS: Definition = gauge(
    "rekeyd_workspace_foreign_keys",
    WORKSPACE,
    "Keys of the policy's service accounts that rekeyd neither made nor uses.",
);
pub(super) const SKEW_MAX: Definition = gauge(
    "rekeyd_clock_skew_max_seconds",
    &[],
    "From which difference between the clocks on nothing is revoked: the policy's `clock_skew_max`.",
);
pub(super) const BUDGET: Definition =
    gauge("rekeyd_mint_budget", WORKSPACE, "How many keys may be created per hour: `mints_per_hour`.");
pub(super) const BUDGET_LEFT: Definition =
    gauge("rekeyd_mint_budget_left", WORKSPACE, "How many of them may still be created now.");
pub(super) const PROVIDER_REQUESTS: Definition = counter(
    "rekeyd_provider_requests",
    &["workspace", "route", "outcome"],
    "Requests to the provider by what was asked and what came of it: `ok` or a kind of failure.",
);
pub(super) const PROVIDER_TIME: Definition = histogram(
    "rekeyd_provider_request_duration_seconds",
    &["workspace", "route"],
    "How long requests to the provider took, with their wait for admission.",
);
pub(super) const PROVIDER_THROTTLED: Definition = counter(
    "rekeyd_provider_throttled",
    WORKSPACE,
    "Requests that the provider answered by asking to slow down.",
);
pub(super) const STORE_REQUESTS: Definition = counter(
    "rekeyd_store_requests",
    &["store", "operation", "outcome"],
    "Operations on a secrets store by what was done and what came of it: `ok` or a kind of failure.",
);
pub(super) const STORE_TIME: Definition = histogram(
    "rekeyd_store_request_duration_seconds",
    &["store", "operation"],
    "How long operations on a secrets store took.",
);
pub(super) const STORE_FAILING: Definition = gauge(
    "rekeyd_store_failing",
    &["store", "kind"],
    "The last operation on the store failed by a fault of the store or the way to it; always 1.",
);
pub(super) const ENDED: Definition = counter(
    "rekeyd_rotations_ended",
    &["workspace", "outcome", "reason"],
    "Rotations that ended, by how and by why they had begun.",
);
pub(super) const PHASE_TIME: Definition = histogram(
    "rekeyd_rotation_phase_duration_seconds",
    &["phase"],
    "How long rotations were in a phase that they left.",
);
pub(super) const STARTED: Definition =
    gauge("rekeyd_start_timestamp_seconds", &[], "When the daemon started: from then on it counts.");
pub(super) const LAST_TICK: Definition = gauge(
    "rekeyd_scheduler_last_tick_timestamp_seconds",
    &[],
    "When the scheduler last woke the engine: about every five seconds.",
);
pub(super) const LAST_BEAT: Definition =
    gauge("rekeyd_engine_last_beat_timestamp_seconds", &[], "When the engine's loop last went round.");
pub(super) const RECONCILING: Definition =
    gauge("rekeyd_engine_reconciling", &[], "Credentials that are being worked on at this moment.");
pub(super) const DAMAGED: Definition = gauge(
    "rekeyd_engine_damaged_credentials",
    &[],
    "Credentials that are left alone because their rows in the journal are damaged.",
);
pub(super) const ORPHANS: Definition = counter(
    "rekeyd_orphans_deleted",
    &[],
    "Keys made by rekeyd that no rotation owned any more, found by the sweeps of this process and deleted.",
);
pub(super) const HOLD: Definition = gauge(
    "rekeyd_hold",
    &["scope", "what", "by"],
    "Something must not be done until an operator says so, by an operator's word or the breaker's; always 1.",
);
pub(super) const CERTIFICATE_SUCCESS: Definition = gauge(
    "rekeyd_certificate_reload_success",
    &[],
    "Whether the listener's newest certificate is in force (1), or cannot be used (0); 1 without TLS.",
);
pub(super) const RELOAD_SUCCESS: Definition = gauge(
    "rekeyd_policy_reload_success",
    &[],
    "Whether the newest policy is in force (1) or was refused (0).",
);
pub(super) const RELOAD_TIME: Definition =
    gauge("rekeyd_policy_reload_last_success_timestamp_seconds", &[], "When the policy in force was loaded.");
pub(super) const POLICY_INFO: Definition =
    gauge("rekeyd_policy_info", &["hash"], "The SHA-256 of the policy in force; always 1.");
pub(super) const JOURNAL_READABLE: Definition = gauge(
    "rekeyd_journal_readable",
    &[],
    "Whether the journal could be read for this scrape (1); what is derived from it is missing otherwise.",
);
pub(super) const JOURNAL_WRITABLE: Definition = gauge(
    "rekeyd_journal_writable",
    &[],
    "Whether the last write to the journal succeeded (1); while it cannot be written nothing else happens.",
);
pub(super) const JOURNAL_WRITES: Definition = histogram(
    "rekeyd_journal_write_duration_seconds",
    &[],
    "How long it took until an event was durable in the journal.",
);
pub(super) const JOURNAL_UNWRITTEN: Definition =
    counter("rekeyd_journal_write_failures", &[], "Attempts to write the journal that failed.");
pub(super) const JOURNAL_SIZE: Definition =
    gauge("rekeyd_journal_size_bytes", &[], "The size of the journal's file and its write-ahead log.");
pub(super) const NOTICES_DELIVERED: Definition = counter(
    "rekeyd_notices_delivered",
    &["channel"],
    "Notices that a channel has taken in the life of this process.",
);
pub(super) const NOTICES_LOST: Definition = counter(
    "rekeyd_notices_lost",
    &["channel"],
    "Notices that were given up, because the channel refused them or did not take them for too long.",
);
pub(super) const CHANNEL_FAILING: Definition = gauge(
    "rekeyd_notices_channel_failing",
    &["channel"],
    "Whether the last delivery by the channel failed (1): people may not have been told.",
);
pub(super) const SPANS_SENT: Definition =
    counter("rekeyd_spans_sent", &[], "Spans that a collector has taken; told only where traces are sent.");
pub(super) const SPANS_DROPPED: Definition = counter(
    "rekeyd_spans_dropped",
    &["why"],
    "Spans that nobody will see: no room in the queue, refused, given up, or not to be read from the journal.",
);
pub(super) const DRAINING: Definition = gauge("rekeyd_draining", &[], "Whether the daemon is stopping (1).");

/// Every metric there is, in the order in which they are told.
pub const ALL: &[Definition] = &[
    BUILD_INFO,
    STARTED,
    CREDENTIALS,
    NEED_ATTENTION,
    OLDEST_KEY,
    FIRST_EXPIRY,
    FIRST_DUE,
    IN_PHASE,
    LONGEST_IN_PHASE,
    ALL_PARKED,
    ALL_BLOCKED,
    ALL_FINDINGS,
    ALL_STRAGGLERS,
    HOLD,
    ENDED,
    PHASE_TIME,
    ATTENTION,
    KEY_CREATED,
    KEY_EXPIRES,
    ROTATION_DUE,
    ROTATION_PHASE,
    PHASE_ENTERED,
    DEADLINE,
    TROUBLE,
    PARKED,
    BLOCKED,
    OBSTACLE,
    FINDING,
    LEAK_ANSWERED,
    LEAK_ANSWERED_AT,
    SILENT_SINCE,
    GATE_OPEN,
    STRAGGLER,
    EVIDENCE_DELAY,
    EVIDENCE_BLIND,
    LAST_ROTATION,
    REACHABLE,
    FAILING,
    LAST_ANSWER,
    CLOCK_SKEW,
    SKEW_MAX,
    FOREIGN_KEYS,
    BUDGET,
    BUDGET_LEFT,
    PROVIDER_REQUESTS,
    PROVIDER_TIME,
    PROVIDER_THROTTLED,
    STORE_REQUESTS,
    STORE_TIME,
    STORE_FAILING,
    LAST_BEAT,
    LAST_TICK,
    RECONCILING,
    DAMAGED,
    ORPHANS,
    RELOAD_SUCCESS,
    CERTIFICATE_SUCCESS,
    RELOAD_TIME,
    POLICY_INFO,
    JOURNAL_READABLE,
    JOURNAL_WRITABLE,
    JOURNAL_WRITES,
    JOURNAL_UNWRITTEN,
    JOURNAL_SIZE,
    NOTICES_DELIVERED,
    NOTICES_LOST,
    CHANNEL_FAILING,
    SPANS_SENT,
    SPANS_DROPPED,
    DRAINING,
];
