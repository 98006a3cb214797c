//! `rekeyd status`: the status of every credential, read from the journal.
//!
//! Exit codes: 0; 1 if the journal cannot be used; 4 with `--exit-code` if a credential needs attention.

use std::process::ExitCode;
use std::time::Duration;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use jiff::Timestamp;

use crate::cli::daemon;
use crate::cli::exit::{CommandError, Exit};
use crate::cli::journal::{Looking, Output, Sources, as_json, tell};
use crate::cli::status::view::View;
use crate::cli::why;
use crate::domain::emergency::EmergencyOutcome;
use crate::domain::notification::ChannelFailure;
use crate::domain::record::Record;
use crate::domain::report::consumers::uses;
use crate::domain::report::holds::HoldReport;
use crate::domain::report::why::WhyReport;
use crate::domain::report::{CredentialHealth, CredentialReport, RotationReport, StatusReport};
use crate::domain::sanitize::one_line;
use crate::domain::time::{age, distance};
use crate::ports::journal::ReadError;

mod empty;
mod gather;
mod view;
mod watch;

pub(super) use crate::cli::status::gather::read;

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    view: View,
    /// Explain one credential's state: gates, evidence, lagging consumers and rollback
    #[arg(long, requires = "names")]
    why: bool,
    /// Show it again every two seconds, or as often as given, until interrupted
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2", value_parser = clap::value_parser!(u64).range(1..=3600))]
    watch: Option<u64>,
    #[command(flatten)]
    looking: Looking,
    /// Exit with 4 if a credential needs an operator
    #[arg(long)]
    exit_code: bool,
}

/// What is shown, and whether an operator is needed.
type Shown = (String, bool);

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    if let Some(seconds) = arguments.watch {
        return watch::run(Duration::from_secs(seconds), arguments.looking.output, || shown(arguments));
    }
    match shown(arguments) {
        Ok((text, attention)) => tell(
            &text,
            if arguments.exit_code && attention { Exit::NeedsAttention.into() } else { ExitCode::SUCCESS },
        ),
        Err(failed) => arguments.looking.fail(&failed),
    }
}

fn shown(arguments: &Arguments) -> Result<Shown, CommandError> {
    let Arguments { view, why, looking, .. } = arguments;
    let now = looking.now();
    let sources = looking.open()?;
    if *why {
        let one = "`--why` explains one credential: name it, without a pattern or a filter";
        return explain(view.only().ok_or_else(|| CommandError::usage(one))?, &sources, looking, now);
    }
    let conditions = daemon::conditions(&sources);
    let report = read(&sources, &conditions, now).map_err(CommandError::journal)?;
    let report = report.with_conditions(conditions);
    let report = match view.only() {
        Some(name) => only(&report, name).ok_or_else(|| unknown(name, &report)),
        None => view.of(report),
    };
    let report = report.map_err(CommandError::unknown)?;
    let text = match (looking.output, view.only()) {
        (Output::Json, _) => as_json(&report)?,
        (Output::Table, None) => overview(&report, looking.colours()),
        (Output::Table, Some(_)) => report.credentials.iter().map(|report| details(report, now)).collect(),
    };
    Ok((text, report.attention))
}

/// The report of one credential with all its evidence.
fn explain(name: &str, sources: &Sources, looking: &Looking, now: Timestamp) -> Result<Shown, CommandError> {
    let conditions = daemon::conditions(sources);
    let report = read(sources, &conditions, now).map_err(CommandError::journal)?;
    let found = report.credentials.iter().find(|it| it.credential.as_str() == name);
    let found = found.ok_or_else(|| CommandError::unknown(unknown(name, &report)))?.clone();
    let causes = causes(sources, found, now).map_err(CommandError::journal)?;
    let report = WhyReport { conditions, ..causes };
    let text = match looking.output {
        Output::Json => as_json(&report)?,
        Output::Table => why::explain(&report),
    };
    Ok((text, report.credential.attention))
}

fn causes(sources: &Sources, report: CredentialReport, now: Timestamp) -> Result<WhyReport, ReadError> {
    let Sources { journal, policy, socket: _ } = sources;
    let known = journal.load()?.into_iter().find(|(name, _)| *name == report.credential);
    let known = known.and_then(|(_, known)| known.ok());
    let (record, rotation) = match known {
        Some(known) => (known.record, known.rotation),
        None => (Record::new(report.credential.clone()), None),
    };
    let acks = journal.acks(&report.credential)?;
    let policy = policy.credentials.get(&report.credential);
    let uses = uses(&record, rotation.as_ref(), policy, &acks);
    let observed = match &rotation {
        Some(rotation) => journal.observed(&report.credential, rotation.plan.rotation)?,
        None => None,
    };
    Ok(WhyReport::new(report, observed.as_ref(), uses, now))
}

fn only(report: &StatusReport, name: &str) -> Option<StatusReport> {
    let found = report.credentials.iter().find(|it| it.credential.as_str() == name)?;
    let holds = found.held.clone();
    let only = StatusReport { holds, ..StatusReport::new(vec![found.clone()], report.at) };
    Some(only.with_conditions(report.conditions.clone()))
}

fn unknown(name: &str, report: &StatusReport) -> String {
    let known: Vec<&str> = report.credentials.iter().map(|it| it.credential.as_str()).collect();
    match known.as_slice() {
        [] => format!("no credential `{name}` in the journal, which has none yet"),
        names => format!("no credential `{name}` in the journal; known credentials: {}", names.join(", ")),
    }
}

/// A table of all credentials, followed by details of those that wait or need an operator.
fn overview(report: &StatusReport, colours: bool) -> String {
    let now = report.at;
    let mut held = String::new();
    for hold in &report.holds {
        held += &format!("\n{}\n  next: {}\n", one_line(&holding(hold, now)), hold.next_command);
    }
    for failing in &report.failing_channels {
        let ChannelFailure { channel, since, why } = failing;
        let why = one_line(why);
        held += &format!(
            "\nnotification channel {channel} has been failing for {}: {why}\n  \
             next: rekeyd notify test {channel}\n",
            age(*since, now)
        );
    }
    for condition in &report.conditions {
        let message = one_line(&condition.message);
        held += &format!("\n{}: {message}\n  next: {}\n", condition.kind.label(), condition.next_command);
    }
    held += &empty::told(report);
    if report.credentials.is_empty() {
        return format!("no credentials to show\n{held}");
    }
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["HEALTH", "CREDENTIAL", "PHASE", "KEY", "AGE", "NEXT"]);
    for report in &report.credentials {
        table.add_row([
            report.health.label().to_owned(),
            report.credential.to_string(),
            report
                .rotation
                .as_ref()
                .map_or_else(dash, |it| format!("{} {}", it.phase.label(), age(it.phase_since, now))),
            key(report),
            report.key_since.map_or_else(dash, |since| age(since, now)),
            next(report, now).unwrap_or_else(dash),
        ]);
    }
    let mut text = String::new();
    for (number, line) in table.lines().enumerate() {
        let condition = number.checked_sub(1).and_then(|row| report.credentials.get(row)).map(|it| it.health);
        let line = line.trim();
        match condition.filter(|_| colours) {
            Some(condition) => {
                let rest = line.strip_prefix(condition.label()).unwrap_or(line);
                let painted = format!("\u{1b}[{}m{}\u{1b}[0m{rest}\n", colour(condition), condition.label());
                text.push_str(&painted);
            }
            None => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text += &held;
    let details =
        report.credentials.iter().filter(|it| it.attention || it.health >= CredentialHealth::Waiting);
    for report in details {
        text += &format!("\n{}: {}\n", report.credential, one_line(&report.summary));
        if let Some(command) = &report.next_command {
            text += &format!("  next: {command}\n");
        }
    }
    text
}

fn holding(hold: &HoldReport, now: Timestamp) -> String {
    let why = if hold.why.is_empty() { String::new() } else { format!(": {}", hold.why) };
    format!(
        "held: {}, {}, by {} since {}{why}",
        hold.what.label(),
        hold.place(),
        hold.by,
        age(hold.since, now)
    )
}

fn dash() -> String {
    "-".to_owned()
}

fn key(report: &CredentialReport) -> String {
    let fingerprint = report.fingerprint.as_ref().map(ToString::to_string);
    fingerprint.or_else(|| report.key_id.as_ref().map(ToString::to_string)).unwrap_or_else(dash)
}

/// The time of the next planned step.
fn next(report: &CredentialReport, now: Timestamp) -> Option<String> {
    let Some(rotation) = &report.rotation else {
        let due = report.next_due.map(|due| if due > now { distance(due, now) } else { "due".to_owned() });
        return if report.requested { Some("requested".to_owned()) } else { due };
    };
    let waits = rotation.waits_until.filter(|until| *until > now);
    match (waits, rotation.deadline) {
        (Some(until), _) => Some(distance(until, now)),
        (None, Some(deadline)) => Some(format!("deadline {}", distance(deadline, now))),
        (None, None) => None,
    }
}

fn colour(health: CredentialHealth) -> &'static str {
    match health {
        CredentialHealth::Fine => "32",
        CredentialHealth::Rotating => "34",
        CredentialHealth::Waiting => "36",
        CredentialHealth::Retrying | CredentialHealth::OutOfSync => "33",
        CredentialHealth::Parked
        | CredentialHealth::Blocked
        | CredentialHealth::Damaged
        | CredentialHealth::Failing => "1;31",
    }
}

/// `None` if there is no account whose groups could be listed.
fn sharing_groups(report: &CredentialReport) -> Option<String> {
    let not_listed = || {
        let text =
            "not recorded: no inspection has run yet, or this API version does not list sharing groups";
        (report.account.is_some() && report.key_id.is_some()).then(|| text.to_owned())
    };
    report.sharing_groups.as_ref().map(ToString::to_string).or_else(not_listed)
}

/// The new key's ID, and when it expires.
fn new_key(rotation: &RotationReport, now: Timestamp) -> Option<String> {
    let expires = |at: Timestamp| format!(", expires {at:.0} ({})", distance(at, now));
    let key = rotation.new_key_id.as_ref()?;
    Some(format!("{key}{}", rotation.new_key_expires_at.map(expires).unwrap_or_default()))
}

fn last_emergency(answered: &EmergencyOutcome, at: &str) -> String {
    let seconds = answered.at.duration_since(answered.since).as_secs();
    format!("{}; resolved in {seconds} s, {at}: new key current, old key revoked", answered.why)
}

/// The report of one credential, one line per field.
fn details(report: &CredentialReport, now: Timestamp) -> String {
    let mut lines: Vec<(&str, String)> = vec![
        ("credential", report.credential.to_string()),
        ("health", report.health.label().to_owned()),
        ("summary", report.summary.clone()),
    ];
    let moment = |at: Timestamp| format!("{at:.0} ({})", distance(at, now));
    let mut put = |label, text: Option<String>| lines.extend(text.map(|text| (label, text)));
    put("next", report.next_command.clone());
    put("workspace", report.workspace.as_ref().map(ToString::to_string));
    put("account", report.account.as_ref().map(ToString::to_string));
    put("sharing groups", sharing_groups(report));
    put("key", report.key_id.as_ref().map(ToString::to_string));
    put("fingerprint", report.fingerprint.as_ref().map(ToString::to_string));
    put("key since", report.key_since.map(moment));
    put("key expires", report.key_expires_at.map(moment));
    put("last used", report.last_use.as_ref().map(|used| used.told(moment)));
    put("due", report.next_due.map(moment));
    for hold in &report.held {
        put("held", holding(hold, now).strip_prefix("held: ").map(str::to_owned));
    }
    put("waiting for", report.waits_for.clone());
    if let Some(rotation) = &report.rotation {
        put(
            "rotation",
            Some(format!("{} ({}, key {})", rotation.id, rotation.reason.label(), rotation.attempt)),
        );
        put("started", Some(moment(rotation.begun_at)));
        put("phase", Some(format!("{} since {}", rotation.phase.label(), moment(rotation.phase_since))));
        put("was in", rotation.parked_in.map(|phase| phase.label().to_owned()));
        let urgent = rotation.urgency.as_ref();
        put("emergency", urgent.map(|it| format!("{} since {}", it.why, moment(it.since))));
        put("new key", new_key(rotation, now));
        put("new fingerprint", rotation.new_fingerprint.as_ref().map(ToString::to_string));
        put("waits until", rotation.waits_until.map(moment));
        put("deadline", rotation.deadline.map(moment));
        for gate in &rotation.gates {
            let state = if gate.satisfied { "satisfied" } else { "waiting" };
            put("gate", Some(format!("{} {state}: {}", gate.gate.label(), gate.reason)));
        }
        put("failing since", rotation.last_failure.as_ref().map(|failure| moment(failure.since)));
    }
    for finding in &report.findings {
        let since = moment(finding.since);
        put("finding", Some(format!("{} since {since}: {}", finding.kind.label(), finding.detail)));
    }
    for place in &report.destinations {
        put("destination", Some(place.described()));
    }
    for left in &report.left_destinations {
        put("left", Some(format!("since {}: {}", moment(left.since), left.summary())));
    }
    if let Some(last) = &report.last {
        let why = last.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        put("last rotation", Some(format!("{} {}{why}", last.outcome.label(), moment(last.at))));
    }
    put("last emergency", report.last_emergency.as_ref().map(|it| last_emergency(it, &moment(it.at))));
    let mut text = String::new();
    for (label, line) in lines {
        text += &format!("{label:<15} {}\n", one_line(&line));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::CredentialName;

    #[test]
    fn colours_are_escape_codes_around_the_health_alone() {
        let name = CredentialName::new("tts").unwrap();
        let report = CredentialReport::damaged(&name, "a row".to_owned());
        let report = StatusReport::new(vec![report], Timestamp::UNIX_EPOCH);
        let plain = overview(&report, false);
        let painted = overview(&report, true);
        assert!(!plain.contains('\u{1b}'));
        assert!(painted.contains("\u{1b}[1;31mdamaged\u{1b}[0m"), "{painted:?}");
        assert_eq!(painted.replace("\u{1b}[1;31m", "").replace("\u{1b}[0m", ""), plain);
    }
}
