//! For each alert, series in which its condition begins at a known time.

/// The length of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    Hours,
    Days,
}

impl Scale {
    pub(super) fn step(self) -> i64 {
        match self {
            Self::Hours => 15,
            Self::Days => 300,
        }
    }

    /// When the condition begins.
    pub(super) fn onset(self) -> i64 {
        match self {
            Self::Hours => 3600,
            Self::Days => 10 * 86_400,
        }
    }

    pub(super) fn end(self) -> i64 {
        match self {
            Self::Hours => 3600 + 4800,
            Self::Days => 26 * 86_400,
        }
    }

    /// The samples up to the onset.
    pub(super) fn before(self, value: &str) -> String {
        self.samples(value, 0, self.onset() / self.step())
    }

    /// The samples from the onset on.
    pub(super) fn after(self, value: &str) -> String {
        self.samples(value, self.onset(), (self.end() - self.onset()) / self.step() + 1)
    }

    fn samples(self, value: &str, from: i64, count: i64) -> String {
        let more = count - 1;
        match value {
            CLOCK => format!("{from}+{}x{more}", self.step()),
            ONSET => format!("{}x{more}", self.onset()),
            RISING => format!("{}+1x{more}", from / self.step()),
            STOPPED => format!("{}x{more}", self.onset() / self.step()),
            ABSENT => format!("_x{count}"),
            _ if value.contains('x') => value.to_owned(),
            _ => format!("{value}x{more}"),
        }
    }
}

/// The time itself.
const CLOCK: &str = "clock";
/// The time of the onset.
const ONSET: &str = "onset";
/// A counter that rises with every sample, and one that has stopped to do so.
const RISING: &str = "rising";
const STOPPED: &str = "stopped";
const ABSENT: &str = "absent";

/// A series with its value before the onset, and from then on.
type Series = (&'static str, &'static str, &'static str);

pub(super) struct Onset {
    pub(super) alert: &'static str,
    pub(super) scale: Scale,
    pub(super) series: &'static [Series],
}

const fn hours(alert: &'static str, series: &'static [Series]) -> Onset {
    Onset { alert, scale: Scale::Hours, series }
}

const fn days(alert: &'static str, series: &'static [Series]) -> Onset {
    Onset { alert, scale: Scale::Days, series }
}

const LIST: &str = "rekeyd_provider_request_duration_seconds_count{workspace=\"prod\",route=\"list\"}";

/// Of the keys, whose life begins thirty days before the onset.
const KEY_CREATED: Series =
    ("rekeyd_key_created_timestamp_seconds{credential=\"tts\",workspace=\"prod\"}", "-1728000", "-1728000");

#[rustfmt::skip]
pub(super) const ONSETS: &[Onset] = &[
    hours("RekeydAbsent", &[("up", "1", "0")]),
    hours("RekeydEngineStalled", &[("rekeyd_engine_last_heartbeat_timestamp_seconds", CLOCK, ONSET)]),
    hours("RekeydRestarting", &[("rekeyd_start_timestamp_seconds", "0x125 1x56 2x56", "3")]),
    hours("RekeydSchedulerNotTicking", &[("rekeyd_scheduler_last_tick_timestamp_seconds", CLOCK, ONSET)]),
    hours("RekeydPolicyReloadFailed", &[("rekeyd_policy_reload_success", "1", "0")]),
    hours("RekeydJournalUnusable", &[("rekeyd_journal_writable", "1", "0")]),
    hours("RekeydCredentialDamaged", &[("rekeyd_engine_damaged_credentials", "0", "1")]),
    hours("RekeydClockSkewed", &[
        ("rekeyd_clock_skew_max_seconds", "120", "120"),
        ("rekeyd_workspace_clock_skew_seconds{workspace=\"prod\"}", "0", "-300"),
    ]),
    hours("RekeydKeyExpired", &[("rekeyd_key_expires_timestamp_seconds{credential=\"tts\",workspace=\"prod\"}", ONSET, ONSET)]),
    days("RekeydKeyExpiresSoon", &[
        KEY_CREATED,
        ("rekeyd_key_expires_timestamp_seconds{credential=\"tts\",workspace=\"prod\"}", ONSET, ONSET),
    ]),
    hours("RekeydKeyExpiresUnrotated", &[("rekeyd_key_expires_unrotated{credential=\"tts\",workspace=\"prod\",reason=\"paused\"}", ABSENT, "1")]),
    days("RekeydNewKeyExpiresSoon", &[
        ("rekeyd_new_key_created_timestamp_seconds{credential=\"tts\",workspace=\"prod\"}", "-1728000", "-1728000"),
        ("rekeyd_new_key_expires_timestamp_seconds{credential=\"tts\",workspace=\"prod\"}", ONSET, ONSET),
    ]),
    days("RekeydKeyPastMaximumAge", &[
        KEY_CREATED,
        ("rekeyd_rotation_due_timestamp_seconds{credential=\"tts\",workspace=\"prod\"}", ONSET, ONSET),
    ]),
    days("RekeydKeyOverdue", &[
        KEY_CREATED,
        ("rekeyd_rotation_due_timestamp_seconds{credential=\"tts\",workspace=\"prod\"}", ONSET, ONSET),
    ]),
    hours("RekeydKeyLeaked", &[("rekeyd_finding{credential=\"tts\",workspace=\"prod\",kind=\"exposed_publicly\"}", ABSENT, "1")]),
    hours("RekeydEmergencyCompleted", &[("rekeyd_last_emergency_completed_timestamp_seconds{credential=\"tts\",workspace=\"prod\"}", ABSENT, ONSET)]),
    hours("RekeydEmergencyHeld", &[("rekeyd_finding{credential=\"tts\",workspace=\"prod\",kind=\"emergency_held\"}", ABSENT, "1")]),
    hours("RekeydKeyUnusable", &[("rekeyd_finding{credential=\"tts\",workspace=\"prod\",kind=\"key_vanished\"}", ABSENT, "1")]),
    hours("RekeydOutOfBandChange", &[("rekeyd_finding{credential=\"tts\",workspace=\"prod\",kind=\"destination_changed\"}", ABSENT, "1")]),
    hours("RekeydForeignKeys", &[("rekeyd_workspace_foreign_keys{workspace=\"prod\"}", "0", "2")]),
    hours("RekeydKeyChangedByOthers", &[("rekeyd_keys_changed_by_others{workspace=\"prod\"}", "0", "1")]),
    hours("RekeydOrphanDeleted", &[("rekeyd_orphans_deleted_total", "0", "1")]),
    hours("RekeydRotationParkedConsumersAffected", &[("rekeyd_rotation_parked{credential=\"tts\",workspace=\"prod\",reason=\"consumer_failing\"}", ABSENT, "1")]),
    hours("RekeydRotationParked", &[("rekeyd_rotation_parked{credential=\"tts\",workspace=\"prod\",reason=\"mint_refused\"}", ABSENT, "1")]),
    hours("RekeydSafetyCallWaiting", &[("rekeyd_safety_call_waiting_since_timestamp_seconds{credential=\"tts\",workspace=\"prod\",effect=\"enable_old\"}", ABSENT, ONSET)]),
    hours("RekeydRollbackStuck", &[
        ("rekeyd_rotation_phase{credential=\"tts\",workspace=\"prod\",phase=\"rolling_back\"}", ABSENT, "1"),
        ("rekeyd_rotation_phase_entered_timestamp_seconds{credential=\"tts\",workspace=\"prod\"}", ABSENT, ONSET),
    ]),
    hours("RekeydRotationStuck", &[
        ("rekeyd_rotation_phase{credential=\"tts\",workspace=\"prod\",phase=\"staging\"}", ABSENT, "1"),
        ("rekeyd_rotation_phase_entered_timestamp_seconds{credential=\"tts\",workspace=\"prod\"}", ABSENT, ONSET),
    ]),
    hours("RekeydRotationFailing", &[("rekeyd_rotation_consecutive_failures{credential=\"tts\",workspace=\"prod\",effect=\"stage\",kind=\"throttled\"}", ABSENT, "1")]),
    hours("RekeydRotationsFailing", &[
        ("rekeyd_rotation_consecutive_failures{credential=\"asr\",workspace=\"prod\",effect=\"stage\",kind=\"throttled\"}", ABSENT, "1"),
        ("rekeyd_rotation_consecutive_failures{credential=\"dub\",workspace=\"prod\",effect=\"stage\",kind=\"throttled\"}", ABSENT, "1"),
        ("rekeyd_rotation_consecutive_failures{credential=\"tts\",workspace=\"prod\",effect=\"stage\",kind=\"throttled\"}", ABSENT, "1"),
    ]),
    hours("RekeydRotationBlocked", &[("rekeyd_rotation_obstacle{credential=\"tts\",workspace=\"prod\",kind=\"adoption_unclear\"}", ABSENT, "1")]),
    hours("RekeydRotationRemovedFromPolicy", &[("rekeyd_rotation_removed_from_policy{credential=\"tts\",workspace=\"prod\"}", ABSENT, "1")]),
    hours("RekeydRotationFailed", &[("rekeyd_last_rotation_timestamp_seconds{credential=\"tts\",workspace=\"prod\",outcome=\"aborted\"}", ABSENT, ONSET)]),
    hours("RekeydConsumerFailing", &[("rekeyd_gate_waiting_on{credential=\"tts\",workspace=\"prod\",gate=\"failing\",name=\"api\"}", ABSENT, "1")]),
    hours("RekeydConsumerSilent", &[("rekeyd_consumer_silent_since_timestamp_seconds{credential=\"tts\",workspace=\"prod\",consumer=\"api\"}", ABSENT, "0")]),
    hours("RekeydConsumerLagging", &[
        ("rekeyd_gate_waiting_on{credential=\"tts\",workspace=\"prod\",gate=\"acks\",name=\"api\"}", "1", "1"),
        ("rekeyd_rotation_deadline_timestamp_seconds{credential=\"tts\",workspace=\"prod\"}", ONSET, ONSET),
    ]),
    hours("RekeydOverlapTooLong", &[("rekeyd_rotation_deadline_timestamp_seconds{credential=\"tts\",workspace=\"prod\"}", ONSET, ONSET)]),
    hours("RekeydConfirmationAwaited", &[("rekeyd_gate_satisfied{credential=\"tts\",workspace=\"prod\",gate=\"confirm\"}", ABSENT, "0")]),
    hours("RekeydEvidenceUnavailable", &[
        ("rekeyd_evidence_unavailable{credential=\"tts\",workspace=\"prod\",source=\"usage_by_key\"}", "0", "1"),
        ("rekeyd_gate_satisfied{credential=\"tts\",workspace=\"prod\",gate=\"idle\"}", "0", "0"),
    ]),
    hours("RekeydBreakerTripped", &[("rekeyd_hold{scope=\"workspace prod\",kind=\"revoking\",by=\"breaker\"}", ABSENT, "1")]),
    hours("RekeydMintingBreakerTripped", &[("rekeyd_hold{scope=\"workspace prod\",kind=\"minting\",by=\"breaker\"}", ABSENT, "1")]),
    days("RekeydPausedTooLong", &[("rekeyd_hold{scope=\"fleet\",kind=\"everything\",by=\"operator\"}", ABSENT, "1")]),
    hours("RekeydAdminKeyRejected", &[("rekeyd_workspace_failing{workspace=\"prod\",kind=\"unauthenticated\"}", ABSENT, "1")]),
    hours("RekeydAdminKeyLacksPermission", &[("rekeyd_workspace_not_permitted{workspace=\"prod\",route=\"create\"}", ABSENT, "1")]),
    hours("RekeydEmergenciesAtRisk", &[
        (LIST, RISING, RISING),
        ("rekeyd_provider_request_duration_seconds_bucket{workspace=\"prod\",route=\"list\",le=\"10.0\"}", RISING, STOPPED),
        ("rekeyd_provider_request_duration_seconds_bucket{workspace=\"prod\",route=\"list\",le=\"30.0\"}", RISING, RISING),
        ("rekeyd_provider_request_duration_seconds_bucket{workspace=\"prod\",route=\"list\",le=\"+Inf\"}", RISING, RISING),
    ]),
    hours("RekeydProviderSlow", &[
        (LIST, RISING, RISING),
        ("rekeyd_provider_request_duration_seconds_bucket{workspace=\"prod\",route=\"list\",le=\"5.0\"}", RISING, STOPPED),
        ("rekeyd_provider_request_duration_seconds_bucket{workspace=\"prod\",route=\"list\",le=\"10.0\"}", RISING, RISING),
        ("rekeyd_provider_request_duration_seconds_bucket{workspace=\"prod\",route=\"list\",le=\"+Inf\"}", RISING, RISING),
    ]),
    hours("RekeydWorkspaceUnreachable", &[("rekeyd_workspace_reachable{workspace=\"prod\"}", "1", "0")]),
    hours("RekeydStoreFailing", &[("rekeyd_store_failing{store=\"aws\",kind=\"throttled\"}", ABSENT, "1")]),
    hours("RekeydDestinationFailing", &[("rekeyd_destination_failing{store=\"aws\",secret=\"prod/tts\",kind=\"forbidden\"}", ABSENT, "1")]),
    hours("RekeydMintBudgetExhausted", &[("rekeyd_mint_budget_remaining{workspace=\"prod\"}", "3", "0")]),
    hours("RekeydThrottled", &[("rekeyd_provider_throttled_total{workspace=\"prod\"}", STOPPED, RISING)]),
    hours("RekeydCertificateReloadFailed", &[("rekeyd_certificate_reload_success", "1", "0")]),
    days("RekeydCertificateExpiring", &[
        ("rekeyd_certificate_not_before_timestamp_seconds", "-6912000", "-6912000"),
        ("rekeyd_certificate_not_after_timestamp_seconds", ONSET, ONSET),
    ]),
    days("RekeydCertificateExpiresSoon", &[
        ("rekeyd_certificate_not_before_timestamp_seconds", "-6912000", "-6912000"),
        ("rekeyd_certificate_not_after_timestamp_seconds", ONSET, ONSET),
    ]),
    hours("RekeydNotificationsFailing", &[("rekeyd_notification_channel_failing{channel=\"chat\"}", "0", "1")]),
    hours("RekeydLogLinesDropped", &[("rekeyd_log_lines_dropped_total", STOPPED, RISING)]),
];
