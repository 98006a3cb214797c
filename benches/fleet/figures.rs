//! Figures and how they are told: a table that can be kept as it is printed.

use std::io::{self, Write as _};

/// A table of figures. Each is printed at once, so that a bench that is stopped has told what it knows.
pub(crate) struct Table;

impl Table {
    #[must_use]
    pub(crate) fn begin(title: &str) -> Self {
        tell(&format!("\n## {title}\n\n| figure | measured | bound | |\n|---|---:|---:|---|"));
        Self
    }

    /// A figure with the most that it may be.
    pub(crate) fn bounded(&self, what: &str, measured: f64, bound: f64, unit: &str) {
        let verdict = if measured <= bound { "met" } else { "missed" };
        let ratio = measured / bound;
        let (measured, bound) = (number(measured), number(bound));
        tell(&format!(
            "| {what} | {measured} {unit} | {bound} {unit} | {verdict}, {ratio:.2} of the bound |"
        ));
    }

    /// A figure beside what it could be at best or is to be compared with.
    pub(crate) fn beside(&self, what: &str, measured: f64, other: f64, unit: &str, whose: &str) {
        let ratio = measured / other;
        let (measured, other) = (number(measured), number(other));
        tell(&format!("| {what} | {measured} {unit} | | {ratio:.2} of {whose}, {other} {unit} |"));
    }

    /// A figure that explains others.
    pub(crate) fn plain(&self, what: &str, measured: f64, unit: &str, note: &str) {
        tell(&format!("| {what} | {} {unit} | | {note} |", number(measured)));
    }
}

fn number(value: f64) -> String {
    let digits = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$}")
}

pub(crate) fn tell(line: &str) {
    // Without anybody to tell it to there is nothing to do.
    drop(writeln!(io::stdout(), "{line}"));
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
