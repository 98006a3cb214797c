//! `rekeyd forecast`: what a policy will do, as a calendar. Nothing is called.
//!
//! Exit codes: 0; 1 if the policy cannot be kept; 3 if it has errors.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::io::Write as _;
use std::process::ExitCode;

use clap::ValueEnum;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::cli::exit::Failed;
use crate::cli::journal::{as_json, tell};
use crate::cli::policy::PolicyArgument;
use crate::cli::progress::Progress;
use crate::config::Config;
use crate::config_file::duration;
use crate::domain::forecast::{Broken, Forecast, Foreseen, Start, UnderWay, forecast};
use crate::domain::ids::CredentialName;
use crate::domain::sanitize::one_line;
use crate::domain::time::later;
use crate::domain::time::span;
use crate::ports::journal::CredentialState;

const JSON_VERSION: u32 = 1;

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    policy: PolicyArgument,
    /// How far to look, such as 90d or 12h
    #[arg(long = "for", value_name = "DURATION", default_value = "90d", value_parser = span_of)]
    ahead: SignedDuration,
    /// A table for people, JSON for programs, or a calendar in iCalendar form
    #[arg(long, value_enum, default_value_t = Form::Table)]
    output: Form,
    /// The time to tell from, instead of the clock's
    #[arg(long, hide = true)]
    now: Option<Timestamp>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    Table,
    Json,
    Ics,
}

fn span_of(text: &str) -> Result<SignedDuration, String> {
    duration::parse(text).map_err(|error| error.to_string())
}

#[expect(clippy::disallowed_methods, reason = "a command that only looks has no clock to be tested with")]
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let now = arguments.now.unwrap_or_else(Timestamp::now);
    let config = match arguments.policy.load() {
        Ok(config) => config,
        Err(failed) => return failed.report(arguments.output == Form::Json),
    };
    let progress = Progress::doing("looking ahead");
    let (starts, assumed) = starts(&config, now);
    let until = later(now, arguments.ahead);
    let foreseen = forecast(&config.policy, &config.version_quotas(), starts, now, until);
    drop(progress);
    let kept = foreseen.broken.is_empty();
    let text = match arguments.output {
        Form::Table => Ok(table(&foreseen, assumed, now)),
        Form::Ics => Ok(calendar(&foreseen, now)),
        Form::Json => json(&foreseen, assumed, now, until),
    };
    if let (Form::Ics, Some(cut)) = (arguments.output, cut(&foreseen)) {
        warn(&cut);
    }
    match text {
        Ok(text) => tell(&text, if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
        Err(failed) => failed.report(arguments.output == Form::Json),
    }
}

/// A calendar has no place for what is not in it.
fn warn(cut: &str) {
    drop(writeln!(io::stderr(), "rekeyd: {cut}"));
}

#[derive(Serialize)]
struct Told<'a> {
    schema_version: u32,
    at: Timestamp,
    until: Timestamp,
    assumed: bool,
    kept: bool,
    rotations: &'a [Foreseen],
    more: usize,
    whole_until: Option<Timestamp>,
    broken: &'a [Broken],
}

fn json(foreseen: &Forecast, assumed: bool, at: Timestamp, until: Timestamp) -> Result<String, Failed> {
    let Forecast { rotations, more, whole_until, broken } = foreseen;
    let kept = broken.is_empty();
    as_json(&Told {
        schema_version: JSON_VERSION,
        at,
        until,
        assumed,
        kept,
        rotations,
        more: *more,
        whole_until: *whole_until,
        broken,
    })
}

/// What is left out, for a person; `None` if nothing is.
fn cut(foreseen: &Forecast) -> Option<String> {
    let count = match foreseen.more {
        0 => None,
        more => Some(format!("… and {more} more")),
    };
    let reach = foreseen.whole_until.map(|at| format!("not every rotation after {at:.0} was looked at"));
    let parts: Vec<String> = count.into_iter().chain(reach).collect();
    (!parts.is_empty()).then(|| format!("{}; ask for less with --for", parts.join("; ")))
}

/// What the journal knows of each credential. Without a journal every key is assumed to have become current now, which
/// is said.
fn starts(config: &Config, now: Timestamp) -> (BTreeMap<CredentialName, Start>, bool) {
    let known = config.daemon.journal.open_read_only().ok().and_then(|journal| journal.load().ok());
    let names = config.policy.credentials.keys();
    let Some(known) = known else {
        return (names.map(|name| (name.clone(), Start::assumed(name.clone(), now))).collect(), true);
    };
    let known = known.into_iter().filter_map(|(name, known)| Some((name, known.ok()?)));
    let starts = known.map(|(name, CredentialState { record, rotation })| {
        let under_way = rotation.filter(|it| record.open.is_some() && !it.is_over()).map(|it| UnderWay {
            since: it.overlap_began.unwrap_or(now),
            ends: it.deletes_the_old_key_at(now).unwrap_or(now),
        });
        (name, Start { record, under_way })
    });
    (starts.collect(), false)
}

fn table(foreseen: &Forecast, assumed: bool, now: Timestamp) -> String {
    let mut text = String::new();
    if assumed {
        text += "there is no journal yet: every key is assumed to have become current now\n\n";
    }
    if foreseen.rotations.is_empty() {
        text += "nothing is due in that time\n";
    } else {
        rows(&mut text, &foreseen.rotations);
    }
    if let Some(cut) = cut(foreseen) {
        text += &format!("{cut}\n");
    }
    for broken in &foreseen.broken {
        let at = broken.at.duration_since(now);
        let when = if at.is_negative() { "now".to_owned() } else { format!("in {}", span(at)) };
        text += &format!("\nCANNOT BE KEPT: {} {when}: {}\n", broken.credential, one_line(&broken.why));
    }
    text
}

/// Line by line: a table that is built before it is told takes a hundred times the memory.
fn rows(text: &mut String, rotations: &[Foreseen]) {
    let names =
        rotations.iter().map(|it| it.credential.as_str().len()).max().unwrap_or(0).max("CREDENTIAL".len());
    let whys = rotations.iter().map(|it| it.reason.label().len()).max().unwrap_or(0).max("WHY".len());
    let ages = rotations.iter().map(|it| span(it.age).len()).max().unwrap_or(0).max("KEY'S AGE".len());
    let mut row = |cells: [&str; 7]| {
        let [begins, name, why, age, disables, deletes, held_by] = cells;
        let line = format!(
            "{begins:16}  {name:names$}  {why:whys$}  {age:ages$}  {disables:16}  {deletes:16}  {held_by}"
        );
        text.push_str(line.trim_end());
        text.push('\n');
    };
    row(["BEGINS", "CREDENTIAL", "WHY", "KEY'S AGE", "OLD KEY DISABLED", "DELETED", "HELD BY"]);
    for it in rotations {
        let held_by = it.held_by.as_ref().map(|why| one_line(why)).unwrap_or_default();
        row([
            &minute(it.begins),
            it.credential.as_str(),
            it.reason.label(),
            &span(it.age),
            &minute(it.disables),
            &minute(it.deletes),
            &held_by,
        ]);
    }
}

/// To the minute, in UTC.
fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M").to_string()
}

/// RFC 5545: an event for each rotation, from its beginning to the deletion of the old key.
fn calendar(foreseen: &Forecast, now: Timestamp) -> String {
    let stamp = |at: Timestamp| at.strftime("%Y%m%dT%H%M%SZ").to_string();
    let mut text = String::from("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//rekeyd//forecast//EN\r\n");
    for it in &foreseen.rotations {
        let Foreseen { credential, reason, begins, disables, deletes, .. } = it;
        // Writing to a text cannot fail.
        let written = write!(
            text,
            "BEGIN:VEVENT\r\nUID:{credential}-{}@rekeyd\r\nDTSTAMP:{}\r\nDTSTART:{}\r\nDTEND:{}\r\n\
             SUMMARY:rotate {credential} ({})\r\nDESCRIPTION:old key disabled from {} on\r\nEND:VEVENT\r\n",
            begins.as_second(),
            stamp(now),
            stamp(*begins),
            stamp(*deletes),
            reason.label(),
            stamp(*disables),
        );
        debug_assert!(written.is_ok());
    }
    text + "END:VCALENDAR\r\n"
}
