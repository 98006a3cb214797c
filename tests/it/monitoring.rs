//! What `monitoring/` has for others to load: it speaks of metrics that there are, and says what a person needs.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod daemon;
mod dashboard;
mod delays;
mod onsets;
mod rules;
mod scale;

use std::collections::BTreeSet;

use rekeyd::telemetry::metrics::{ALL, Definition, Kind};

/// What Prometheus adds to every sample of ours.
const ADDED: [&str; 3] = ["job", "instance", "le"];

/// The metric that a series in an expression is of.
fn definition(series: &str) -> Option<&'static Definition> {
    ALL.iter().find(|it| match it.kind {
        Kind::Gauge => it.name == series,
        Kind::Counter => series.strip_suffix("_total") == Some(it.name),
        Kind::Histogram => {
            ["_bucket", "_sum", "_count"].iter().any(|part| series.strip_suffix(part) == Some(it.name))
        }
    })
}

/// What an expression says that is not so: series and labels that there are not.
fn wrong(expression: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    for (at, _) in expression.match_indices("rekeyd_") {
        let rest = &expression[at..];
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (series, rest) = rest.split_at(end);
        let Some(metric) = definition(series) else {
            wrong.push(format!("there is no `{series}`"));
            continue;
        };
        let matchers = rest.strip_prefix('{').and_then(|rest| rest.split('}').next()).unwrap_or_default();
        // Values hold no `=` and no comma that is followed by a word and a `=`.
        for label in matchers.split(',').filter_map(|matcher| matcher.split(['=', '!']).next()) {
            let label = label.trim();
            let is_label = !label.is_empty() && label.chars().all(is_word);
            if is_label && !metric.labels.contains(&label) && !ADDED.contains(&label) {
                wrong.push(format!("`{series}` has no label `{label}`"));
            }
        }
    }
    wrong
}

/// The labels that the metrics of an expression have between them.
fn labels(expression: &str) -> BTreeSet<&'static str> {
    let of = ALL.iter().filter(|it| expression.contains(it.name));
    of.flat_map(|it| it.labels.iter().copied()).chain(ADDED).collect()
}

#[test]
fn what_is_not_so_is_noticed() {
    assert_eq!(wrong("rekeyd_finding{kind=~\"a|b\"} == 1 and rekeyd_hold{by!=\"x\",job=\"y\"}"), [""; 0]);
    assert_eq!(wrong("rekeyd_findng > 0"), ["there is no `rekeyd_findng`"]);
    assert_eq!(wrong("rekeyd_orphans_deleted > 0"), ["there is no `rekeyd_orphans_deleted`"]);
    assert_eq!(wrong("rekeyd_hold{whom=\"x\"}"), ["`rekeyd_hold` has no label `whom`"]);
}
