//! Metrics of a credential. With `per_credential = false`, only for the most severe credentials.

use crate::telemetry::catalogue::definition::{Definition, gauge};

const CREDENTIAL: &[&str] = &["credential", "workspace"];

pub(in crate::telemetry) const KEY_CREATED: Definition =
    gauge("rekeyd_key_created_timestamp_seconds", CREDENTIAL, "Creation time of the key on record.");
pub(in crate::telemetry) const KEY_EXPIRES: Definition = gauge(
    "rekeyd_key_expires_timestamp_seconds",
    CREDENTIAL,
    "Expiry of the key on record, during a rotation the old key; absent if that key does not expire.",
);
pub(in crate::telemetry) const OLD_KEY_EXPIRY_MOVED: Definition = gauge(
    "rekeyd_old_key_expiry_moved_by_timestamp_seconds",
    CREDENTIAL,
    "By when rekeyd moves on the expiry that it gave the old key; present while consumers may need that key.",
);
pub(in crate::telemetry) const NEW_KEY_CREATED: Definition = gauge(
    "rekeyd_new_key_created_timestamp_seconds",
    CREDENTIAL,
    "Creation time of the new key of the rotation in progress, from its publication on.",
);
pub(in crate::telemetry) const NEW_KEY_EXPIRES: Definition = gauge(
    "rekeyd_new_key_expires_timestamp_seconds",
    CREDENTIAL,
    "Expiry of the new key of the rotation in progress, from its publication on; absent if that key does not expire.",
);
pub(in crate::telemetry) const KEY_LAST_USED: Definition = gauge(
    "rekeyd_key_last_used_timestamp_seconds",
    CREDENTIAL,
    "Newest use that the provider showed of a key that is only observed or not rotated yet; absent if no use was seen.",
);
pub(in crate::telemetry) const ROTATION_DUE: Definition = gauge(
    "rekeyd_rotation_due_timestamp_seconds",
    CREDENTIAL,
    "Due time of the next rotation, or of the rotation in progress.",
);
pub(in crate::telemetry) const ROTATION_PHASE: Definition = gauge(
    "rekeyd_rotation_phase",
    &["credential", "workspace", "phase"],
    "Phase of the rotation in progress; always 1.",
);
pub(in crate::telemetry) const PHASE_ENTERED: Definition = gauge(
    "rekeyd_rotation_phase_entered_timestamp_seconds",
    CREDENTIAL,
    "Time at which the rotation in progress entered its phase.",
);
pub(in crate::telemetry) const CONSECUTIVE_FAILURES: Definition = gauge(
    "rekeyd_rotation_consecutive_failures",
    &["credential", "workspace", "effect", "kind"],
    "Consecutive failures of the next step of the rotation; absent if there are none.",
);
pub(in crate::telemetry) const PARKED: Definition = gauge(
    "rekeyd_rotation_parked",
    &["credential", "workspace", "reason"],
    "The rotation is parked and needs an operator; always 1.",
);
pub(in crate::telemetry) const OBSTACLE: Definition = gauge(
    "rekeyd_rotation_obstacle",
    &["credential", "workspace", "kind"],
    "No rotation can start; always 1.",
);
pub(in crate::telemetry) const FINDING: Definition = gauge(
    "rekeyd_finding",
    &["credential", "workspace", "kind"],
    "Finding of the last inspection: a leak or an out-of-band change; always 1.",
);
pub(in crate::telemetry) const EMERGENCY_DURATION: Definition = gauge(
    "rekeyd_last_emergency_duration_seconds",
    CREDENTIAL,
    "Duration of the last emergency, from its first sign until the new key was current and the old key disabled.",
);
pub(in crate::telemetry) const EMERGENCY_COMPLETED: Definition = gauge(
    "rekeyd_last_emergency_completed_timestamp_seconds",
    CREDENTIAL,
    "Time at which the last emergency was completed.",
);
pub(in crate::telemetry) const SILENT_SINCE: Definition = gauge(
    "rekeyd_consumer_silent_since_timestamp_seconds",
    &["credential", "workspace", "consumer"],
    "Last report of a required consumer; absent unless it is older than `acks_valid_for`.",
);
pub(in crate::telemetry) const GATE_SATISFIED: Definition = gauge(
    "rekeyd_gate_satisfied",
    &["credential", "workspace", "gate"],
    "Whether the gate is satisfied (1) or waiting (0); present during the overlap.",
);
pub(in crate::telemetry) const BLOCKED: Definition = gauge(
    "rekeyd_rotation_blocked",
    &["credential", "workspace", "reason"],
    "The rotation is due or in progress and cannot continue; always 1.",
);
pub(in crate::telemetry) const BLOCKED_UNTIL: Definition = gauge(
    "rekeyd_rotation_blocked_until_timestamp_seconds",
    &["credential", "workspace", "reason"],
    "Time at which what blocks the rotation ends; absent if an operator has to lift it.",
);
pub(in crate::telemetry) const DEADLINE: Definition = gauge(
    "rekeyd_rotation_deadline_timestamp_seconds",
    CREDENTIAL,
    "Deadline of the overlap by `at_most`; present during the overlap.",
);
pub(in crate::telemetry) const GATE_WAITING_ON: Definition = gauge(
    "rekeyd_gate_waiting_on",
    &["credential", "workspace", "gate", "name"],
    "A consumer, probe or source of evidence that the gate is waiting on; always 1.",
);
pub(in crate::telemetry) const EVIDENCE_DELAY: Definition = gauge(
    "rekeyd_evidence_delay_seconds",
    &["credential", "workspace", "source"],
    "Longest measured delay until the evidence showed use of a key in this overlap.",
);
pub(in crate::telemetry) const EVIDENCE_UNAVAILABLE: Definition = gauge(
    "rekeyd_evidence_unavailable",
    &["credential", "workspace", "source"],
    "Whether the last query of the source failed (1); present during the overlap.",
);
pub(in crate::telemetry) const ATTENTION: Definition =
    gauge("rekeyd_attention_needed", CREDENTIAL, "Whether the credential needs an operator (1).");
pub(in crate::telemetry) const LAST_ROTATION: Definition = gauge(
    "rekeyd_last_rotation_timestamp_seconds",
    &["credential", "workspace", "outcome"],
    "End time of the last rotation, by outcome.",
);
pub(in crate::telemetry) const REMOVED: Definition = gauge(
    "rekeyd_rotation_removed_from_policy",
    CREDENTIAL,
    "A rotation is in progress, and its credential is no longer in the policy; always 1.",
);
pub(in crate::telemetry) const UNROTATED: Definition = gauge(
    "rekeyd_key_expires_unrotated",
    &["credential", "workspace", "reason"],
    "The key on record expires within days, and until something is changed no rotation can start before; always 1.",
);
pub(in crate::telemetry) const SAFETY_CALL: Definition = gauge(
    "rekeyd_safety_call_waiting_since_timestamp_seconds",
    &["credential", "workspace", "effect"],
    "Since when a call waits that enables a key again, or replaces a leaked one; absent if none does.",
);
pub(in crate::telemetry) const EVIDENCE_BLIND_SINCE: Definition = gauge(
    "rekeyd_evidence_blind_since_timestamp_seconds",
    &["credential", "workspace", "source"],
    "Last answer of a source whose last query failed, or the first query if it never answered.",
);
