//! Every metric of the program, in one place, and the two text forms in which they are told.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::telemetry::observation::Observation;
use crate::telemetry::samples::{self, Samples};

pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The source that it was built from, where the build says so.
pub const REVISION: &str = match option_env!("REKEYD_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Gauge,
    /// Its sample's name ends in `_total`.
    Counter,
}

/// A metric as it is promised.
#[derive(Debug, Clone, Copy)]
pub struct Definition {
    /// Without `_total`, for a counter.
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Definition {
    Definition { name, kind: Kind::Gauge, labels, help }
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Definition {
    Definition { name, kind: Kind::Counter, labels, help }
}

const WHICH: &[&str] = &["credential", "workspace"];
const WORKSPACE: &[&str] = &["workspace"];

pub(super) const BUILD_INFO: Definition =
    gauge("rekeyd_build_info", &["version", "revision"], "Which rekeyd runs; always 1.");
pub(super) const CREDENTIALS: Definition =
    gauge("rekeyd_credentials", &["condition"], "Credentials by how they fare.");
pub(super) const KEY_CREATED: Definition =
    gauge("rekeyd_key_created_timestamp_seconds", WHICH, "When the credential's key was created.");
pub(super) const KEY_EXPIRES: Definition =
    gauge("rekeyd_key_expires_timestamp_seconds", WHICH, "When the credential's key expires, if it does.");
pub(super) const ROTATION_DUE: Definition = gauge(
    "rekeyd_rotation_due_timestamp_seconds",
    WHICH,
    "When the credential is due by its schedule; not told while a rotation is under way.",
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
pub(super) const GATE_OPEN: Definition = gauge(
    "rekeyd_gate_open",
    &["credential", "workspace", "gate"],
    "Whether the gate is open (1) or shut (0); told while old and new key overlap.",
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
pub(super) const LAST_BEAT: Definition =
    gauge("rekeyd_engine_last_beat_timestamp_seconds", &[], "When the engine's loop last went round.");
pub(super) const VISITS: Definition =
    gauge("rekeyd_engine_visits", &[], "Credentials that are being worked on at this moment.");
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
pub(super) const RELOAD_SUCCESS: Definition = gauge(
    "rekeyd_policy_reload_success",
    &[],
    "Whether the newest policy is in force (1) or was refused (0).",
);
pub(super) const CERTIFICATE_SUCCESS: Definition = gauge(
    "rekeyd_certificate_reload_success",
    &[],
    "Whether the listener's newest certificate is in force (1), or cannot be used (0); 1 without TLS.",
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
pub(super) const DRAINING: Definition = gauge("rekeyd_draining", &[], "Whether the daemon is stopping (1).");

/// Every metric there is, in the order in which they are told.
pub const ALL: &[Definition] = &[
    BUILD_INFO,
    CREDENTIALS,
    ATTENTION,
    HOLD,
    KEY_CREATED,
    KEY_EXPIRES,
    ROTATION_DUE,
    ROTATION_PHASE,
    PHASE_ENTERED,
    TROUBLE,
    PARKED,
    OBSTACLE,
    FINDING,
    LEAK_ANSWERED,
    GATE_OPEN,
    LAST_ROTATION,
    REACHABLE,
    FAILING,
    LAST_ANSWER,
    CLOCK_SKEW,
    FOREIGN_KEYS,
    LAST_BEAT,
    VISITS,
    DAMAGED,
    ORPHANS,
    RELOAD_SUCCESS,
    CERTIFICATE_SUCCESS,
    RELOAD_TIME,
    POLICY_INFO,
    JOURNAL_READABLE,
    DRAINING,
];

/// The forms in which metrics are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposition {
    OpenMetrics,
    /// Prometheus' own older form, 0.0.4.
    Prometheus,
}

impl Exposition {
    /// The form for these values of `Accept`: OpenMetrics where it is asked for by name.
    #[must_use]
    pub fn accepted<'a>(values: impl Iterator<Item = &'a str>) -> Self {
        let mut types = values.flat_map(|value| value.split(','));
        let is_open = |wanted: &str| {
            let mut parts = wanted.split(';').map(str::trim);
            let named =
                parts.next().is_some_and(|it| it.eq_ignore_ascii_case("application/openmetrics-text"));
            named && !parts.any(|part| matches!(part, "q=0" | "q=0.0"))
        };
        if types.any(is_open) { Self::OpenMetrics } else { Self::Prometheus }
    }

    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// The metrics of an observation as text.
///
/// # Errors
/// Never in practice: memory is written to.
pub fn render(observation: &Observation, exposition: Exposition) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Told(samples::of(observation))));
    let mut told = String::new();
    text::encode(&mut told, &registry)?;
    Ok(match exposition {
        Exposition::OpenMetrics => told,
        Exposition::Prometheus => downgrade(&told),
    })
}

/// The text in Prometheus' older form: a counter is declared by the name of its sample, and there is no end mark.
fn downgrade(told: &str) -> String {
    let mut text = String::with_capacity(told.len());
    for line in told.lines().filter(|line| *line != "# EOF") {
        let mut words = line.splitn(4, ' ');
        let declared = match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some(what @ ("HELP" | "TYPE")), Some(name), Some(rest)) => {
                ALL.iter().find(|it| it.name == name && it.kind == Kind::Counter).map(|_| (what, name, rest))
            }
            _ => None,
        };
        match declared {
            Some((what, name, rest)) => text.push_str(&format!("# {what} {name}_total {rest}\n")),
            None => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text
}

#[derive(Debug)]
struct Told(Samples);

impl Collector for Told {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for definition in ALL {
            let Definition { name, kind, labels, help } = definition;
            let metric_type = match kind {
                Kind::Gauge => MetricType::Gauge,
                Kind::Counter => MetricType::Counter,
            };
            let mut metric = encoder.encode_descriptor(name, help, None, metric_type)?;
            for sample in self.0.of(name) {
                let values = sample.labels.iter().map(String::as_str);
                let pairs: Vec<(&str, &str)> = labels.iter().copied().zip(values).collect();
                if pairs.is_empty() {
                    put(&mut metric, *kind, sample.value)?;
                } else {
                    put(&mut metric.encode_family(&pairs)?, *kind, sample.value)?;
                }
            }
        }
        Ok(())
    }
}

fn put(metric: &mut MetricEncoder<'_>, kind: Kind, value: f64) -> fmt::Result {
    match kind {
        Kind::Gauge => metric.encode_gauge(&value),
        Kind::Counter => metric.encode_counter::<NoLabelSet, f64, f64>(&value, None),
    }
}
