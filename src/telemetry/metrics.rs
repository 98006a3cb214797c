//! The text formats of metrics: OpenMetrics and Prometheus.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::telemetry::observation::Observation;
use crate::telemetry::samples::{self, Samples, Value};

pub use crate::telemetry::catalogue::{ALL, Definition, Kind};

pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The source revision, if the build sets it.
pub const REVISION: &str = match option_env!("REKEYD_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

/// A text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposition {
    OpenMetrics,
    /// Prometheus text 0.0.4.
    Prometheus,
}

impl Exposition {
    /// The format for these `Accept` headers: OpenMetrics if it is named.
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
/// Never in practice: the output is in memory.
pub fn render(observation: &Observation, exposition: Exposition) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(SampleCollector(samples::of(observation))));
    let mut encoded = String::new();
    text::encode(&mut encoded, &registry)?;
    Ok(match exposition {
        Exposition::OpenMetrics => encoded,
        Exposition::Prometheus => downgrade(&encoded),
    })
}

/// Converts OpenMetrics to Prometheus text: a counter is declared with its suffix `_total`, and there is no end mark.
fn downgrade(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    for line in open_metrics.lines().filter(|line| *line != "# EOF") {
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
struct SampleCollector(Samples);

impl Collector for SampleCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for definition in ALL {
            let Definition { name, kind, labels, help } = definition;
            let metric_type = match kind {
                Kind::Gauge => MetricType::Gauge,
                Kind::Counter => MetricType::Counter,
                Kind::Histogram => MetricType::Histogram,
            };
            let mut metric = encoder.encode_descriptor(name, help, None, metric_type)?;
            for sample in self.0.of(name) {
                let values = sample.labels.iter().map(String::as_str);
                let pairs: Vec<(&str, &str)> = labels.iter().copied().zip(values).collect();
                if pairs.is_empty() {
                    put(&mut metric, *kind, &sample.value)?;
                } else {
                    put(&mut metric.encode_family(&pairs)?, *kind, &sample.value)?;
                }
            }
        }
        Ok(())
    }
}

fn put(metric: &mut MetricEncoder<'_>, kind: Kind, value: &Value) -> fmt::Result {
    match (kind, value) {
        (Kind::Counter, Value::Number(number)) => metric.encode_counter::<NoLabelSet, f64, f64>(number, None),
        (Kind::Gauge | Kind::Histogram, Value::Number(number)) => metric.encode_gauge(number),
        (Kind::Gauge | Kind::Counter | Kind::Histogram, Value::Histogram(histogram)) => {
            let buckets: Vec<(f64, u64)> = histogram.buckets().collect();
            metric.encode_histogram::<NoLabelSet>(histogram.sum(), histogram.count(), &buckets, None)
        }
    }
}
