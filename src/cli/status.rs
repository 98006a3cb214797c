//! `rekeyd status`: the status of every credential, read from the journal.
//!
//! Exit codes: 0; 1 if the journal cannot be used; 4 with `--exit-code` if a credential needs attention.

use std::collections::BTreeMap;
use std::process::ExitCode;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use jiff::Timestamp;

use crate::cli::daemon;
use crate::cli::exit::{CommandError, Exit};
use crate::cli::journal::{Looking, Output, Sources, as_json, tell};
use crate::cli::why;
use crate::domain::gate::Evidence;
use crate::domain::hold::Holds;
use crate::domain::ids::CredentialName;
use crate::domain::notification::ChannelFailure;
use crate::domain::policy::Credential;
use crate::domain::record::Record;
use crate::domain::report::consumers::uses;
use crate::domain::report::failing;
use crate::domain::report::holds::{Around, HoldReport};
use crate::domain::report::stale_consumers;
use crate::domain::report::why::WhyReport;
use crate::domain::report::{CredentialHealth, CredentialReport, Facts, StatusReport};
use crate::domain::rotation::Rotation;
use crate::domain::sanitize::one_line;
use crate::domain::time::{age, distance};
use crate::ports::journal::{JournalReader, ReadError};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Credential to show in detail
    name: Option<String>,
    /// Explain the credential's state: gates, evidence, lagging consumers and rollback
    #[arg(long, requires = "name")]
    why: bool,
    #[command(flatten)]
    looking: Looking,
    /// Exit with 4 if a credential needs an operator
    #[arg(long)]
    exit_code: bool,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let Arguments { name, why, looking, exit_code } = arguments;
    if let (Some(name), true) = (name, why) {
        return explain(name, looking, *exit_code);
    }
    let now = looking.now();
    let read = |sources: Sources| {
        let report = read(&sources, now).map_err(CommandError::journal)?;
        Ok(report.with_conditions(daemon::conditions(sources.socket)))
    };
    let report = match looking.open().and_then(read) {
        Ok(report) => report,
        Err(failed) => return looking.fail(&failed),
    };
    let report = match name {
        None => report,
        Some(name) => match only(&report, name) {
            Some(report) => report,
            None => return looking.fail(&CommandError::unknown(unknown(name, &report))),
        },
    };
    let text = match (looking.output, name) {
        (Output::Json, _) => match as_json(&report) {
            Ok(json) => json,
            Err(failed) => return looking.fail(&failed),
        },
        (Output::Table, None) => overview(&report, looking.colours()),
        (Output::Table, Some(_)) => report.credentials.iter().map(|report| details(report, now)).collect(),
    };
    let attention = *exit_code && report.attention;
    tell(&text, if attention { Exit::NeedsAttention.into() } else { ExitCode::SUCCESS })
}

pub(super) fn read(sources: &Sources, now: Timestamp) -> Result<StatusReport, ReadError> {
    let Sources { journal, policy, socket: _ } = sources;
    let mut unrecorded = policy.credentials.clone();
    let mut reports = Vec::new();
    let mut records = BTreeMap::new();
    let holds = Holds::new(journal.holds()?);
    for (name, known) in journal.load()? {
        let policy = unrecorded.remove(&name);
        let read = known.map_err(|error| error.to_string()).and_then(|known| {
            let rotation = known.rotation.as_ref();
            let policy = policy.as_ref();
            let evidence =
                evidence(journal.as_ref(), &name, rotation, policy).map_err(|error| error.to_string())?;
            let facts = Facts { record: &known.record, rotation, evidence: &evidence, policy };
            let report = CredentialReport::new(facts, now);
            records.insert(name.clone(), known.record);
            Ok(report)
        });
        reports.push(read.unwrap_or_else(|damage| CredentialReport::damaged(&name, damage)));
    }
    reports.extend(unrecorded.into_iter().map(|(name, policy)| {
        let record = Record::new(name);
        CredentialReport::new(
            Facts { record: &record, rotation: None, evidence: &Evidence::default(), policy: Some(&policy) },
            now,
        )
    }));
    let around = Around { holds: &holds, policy, records: &records };
    Ok(StatusReport::new(reports, now).with_holds(&around).with_failing_channels(journal.failing_channels()?))
}

/// The report of one credential with all its evidence.
fn explain(name: &str, looking: &Looking, exit_code: bool) -> ExitCode {
    let now = looking.now();
    let read = |sources: Sources| {
        let report = read(&sources, now).map_err(CommandError::journal)?;
        let found = report.credentials.iter().find(|it| it.credential.as_str() == name);
        let found = found.ok_or_else(|| CommandError::unknown(unknown(name, &report)))?.clone();
        let causes = causes(&sources, found, now).map_err(CommandError::journal)?;
        Ok(WhyReport { conditions: daemon::conditions(sources.socket), ..causes })
    };
    let report = match looking.open().and_then(read) {
        Ok(report) => report,
        Err(failed) => return looking.fail(&failed),
    };
    let text = match looking.output {
        Output::Json => match as_json(&report) {
            Ok(json) => json,
            Err(failed) => return looking.fail(&failed),
        },
        Output::Table => why::explain(&report),
    };
    let attention = exit_code && report.credential.attention;
    tell(&text, if attention { Exit::NeedsAttention.into() } else { ExitCode::SUCCESS })
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

/// The evidence for the gates of a rotation, and for stale consumers.
fn evidence(
    journal: &dyn JournalReader,
    name: &CredentialName,
    rotation: Option<&Rotation>,
    policy: Option<&Credential>,
) -> Result<Evidence, ReadError> {
    let mut evidence = Evidence::default();
    if failing::applies(rotation, policy) || stale_consumers::applies(policy) {
        evidence.acks = journal.acks(name)?;
    }
    if let Some(rotation) = rotation {
        evidence.observed = journal.observed(name, rotation.plan.rotation)?.unwrap_or_default();
    }
    Ok(evidence)
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
    if report.credentials.is_empty() {
        return format!("no credentials in the journal yet\n{held}");
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
        let due = report.next_due.map(|due| distance(due, now));
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
        put(
            "emergency",
            rotation.urgency.as_ref().map(|it| format!("{} since {}", it.why, moment(it.since))),
        );
        put("new key", rotation.new_key_id.as_ref().map(ToString::to_string));
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
        let version = place.version.as_ref().map(|version| format!(" as {version}")).unwrap_or_default();
        put("destination", Some(format!("{}: {}{version}", place.destination, place.state.label())));
    }
    if let Some(last) = &report.last {
        let why = last.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        put("last rotation", Some(format!("{} {}{why}", last.outcome.label(), moment(last.at))));
    }
    if let Some(answered) = &report.last_emergency {
        let seconds = answered.at.duration_since(answered.since).as_secs();
        let at = moment(answered.at);
        put(
            "last emergency",
            Some(format!(
                "{}; resolved in {seconds} s, {at}: new key current, old key revoked",
                answered.why
            )),
        );
    }
    let mut text = String::new();
    for (label, line) in lines {
        text += &format!("{label:<15} {}\n", one_line(&line));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

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
