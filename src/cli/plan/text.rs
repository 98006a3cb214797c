//! A plan as text: one line for each credential, or every call of one.

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use jiff::Timestamp;

use crate::cli::paragraphs::Paragraphs;
use crate::cli::plan::{PlanReport, Planned};
use crate::domain::report::left::LeftReport;
use crate::domain::sanitize::one_line;
use crate::domain::time::distance;
use crate::rehearsal::call_log::Call;
use crate::rehearsal::dry_run::steps::{Called, Step};
use crate::rehearsal::dry_run::{End, Prediction};

pub(super) fn overview(report: &PlanReport) -> String {
    let mut text = String::new();
    if report.without_journal {
        text += "there is no journal yet: planned from the policy alone\n\n";
    }
    if report.credentials.is_empty() {
        return text + "the policy has no credential\n";
    }
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["CREDENTIAL", "BEGINS", "WHY", "CALLS", "ENDS"]);
    for planned in &report.credentials {
        let Some(prediction) = &planned.prediction else {
            let row = [planned.credential.as_str(), "-", "-", "-", "cannot be planned"];
            table.add_row(row);
            continue;
        };
        let begins = match (&planned.status.rotation, prediction.begins) {
            (Some(rotation), _) => format!("under way: {}", rotation.phase.label()),
            (None, Some(begins)) => distance(begins, report.at),
            (None, None) => "-".to_owned(),
        };
        table.add_row([
            planned.credential.to_string(),
            begins,
            prediction.reason.map_or("-", |reason| reason.label()).to_owned(),
            calls(prediction).to_string(),
            end(prediction, report.at),
        ]);
    }
    for line in table.lines() {
        text += line.trim();
        text.push('\n');
    }
    for planned in &report.credentials {
        let held = held(planned);
        let why_not = planned.why_not.iter().map(|why| format!("cannot be planned: {why}"));
        let all: Vec<String> = why_not.chain(held).collect();
        if !all.is_empty() {
            text += &format!("\n{}:\n", planned.credential);
            let mut lines = Paragraphs::default();
            all.iter().for_each(|line| lines.line(2, line));
            text += &lines.finish();
        }
    }
    text + "\nto see every call of one credential: rekeyd plan NAME\n"
}

/// Everything about one credential.
pub(super) fn details(planned: &Planned, now: Timestamp) -> String {
    let mut text = Paragraphs::default();
    text.line(0, &format!("{}: {}", planned.credential, planned.status.summary));
    for held in held(planned) {
        text.line(2, &held);
    }
    for place in planned.status.empty_destinations() {
        text.line(2, &format!("{place} is empty: nobody reads it yet"));
    }
    let Some(prediction) = &planned.prediction else {
        text.line(2, &format!("cannot be planned: {}", planned.why_not.as_deref().unwrap_or_default()));
        return text.finish();
    };
    if let (Some(begins), None) = (prediction.begins, &planned.status.rotation) {
        let why = prediction.reason.map_or("", |reason| reason.label());
        text.line(2, &format!("begins {begins:.0} ({}), because of {why}", distance(begins, now)));
    }
    let mut told = None;
    for step in &prediction.steps {
        if told != Some(step.at) {
            text.heading(&format!("{:.0} ({})", step.at, distance(step.at, now)));
            told = Some(step.at);
        }
        tell(&mut text, step);
    }
    text.heading("End");
    text.line(2, &end(prediction, now));
    if !prediction.steps.is_empty() {
        text.heading("Assumed");
        prediction.assumes.iter().for_each(|assumed| text.line(2, &format!("- {assumed}")));
    }
    text.finish()
}

fn tell(text: &mut Paragraphs, step: &Step) {
    text.line(2, step.doing);
    if !step.waits_for.is_empty() {
        text.line(4, &format!("after {}", step.waits_for.join(", and ")));
    }
    for Called { call, times } in &step.calls {
        let often = match times {
            0 => " (repeated until then)".to_owned(),
            1 => String::new(),
            times => format!(" ({times} times)"),
        };
        text.line(6, &format!("{}{often}", told(call)));
    }
}

fn told(call: &Call) -> String {
    match call {
        Call::Provider { workspace, method, path } => format!("{workspace}: {method} {path}"),
        Call::Store { destination, operation } => format!("{operation} {destination}"),
        Call::Consumer { what } => what.clone(),
    }
}

fn held(planned: &Planned) -> Vec<String> {
    let status = &planned.status;
    let holds = status.held.iter().map(|hold| {
        format!(
            "held: {}, {}, by {}; {} lifts that",
            hold.what.label(),
            hold.place(),
            hold.by,
            hold.next_command
        )
    });
    let turn =
        status.waits_for.iter().map(|why| format!("waits for a rotation slot or a predecessor: {why}"));
    let obstacle = status.obstacle.iter().map(|it| format!("blocked: {}", it.detail));
    let window =
        planned.prediction.iter().filter_map(|it| it.held_by.as_ref()).map(|why| format!("held by: {why}"));
    let left = status.left_destinations.iter().map(LeftReport::summary);
    holds.chain(turn).chain(obstacle).chain(window).chain(left).map(|line| one_line(&line)).collect()
}

fn calls(prediction: &Prediction) -> u32 {
    prediction.steps.iter().flat_map(|step| &step.calls).map(|called| called.times.max(1)).sum()
}

fn end(prediction: &Prediction, now: Timestamp) -> String {
    let when = prediction.ends_at.map(|at| distance(at, now)).unwrap_or_default();
    match &prediction.end {
        End::NothingDue => "nothing is due".to_owned(),
        End::Ended { phase } => format!("{} {when}", phase.label()),
        End::Parked { reason, detail } => format!("parked ({}) {when}: {}", reason.label(), one_line(detail)),
        End::Blocked { detail } => format!("blocked: {}", one_line(detail)),
        End::Unfinished => "not over within 400 days".to_owned(),
    }
}
