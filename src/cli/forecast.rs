//! `rekeyd forecast`: what a policy will do, as a calendar. Nothing is called.
//!
//! Exit codes: 0; 1 if the policy cannot be kept; 3 if it has errors.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::adapters::sqlite::SqliteJournal;
use crate::cli::exit::Failed;
use crate::cli::journal::tell;
use crate::cli::moments::span;
use crate::config::Config;
use crate::config::components::JournalConfig;
use crate::config::duration;
use crate::domain::forecast::{Forecast, Foreseen, Start, forecast};
use crate::domain::ids::CredentialName;
use crate::domain::outside::one_line;

const JSON_VERSION: u32 = 1;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The policy
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
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
    let config = match Config::load_file(&arguments.policy) {
        Ok(config) => config,
        Err(problems) => return Failed::policy(problems).tell(arguments.output == Form::Json),
    };
    let (starts, assumed) = starts(&config, now);
    let until = now.saturating_add(arguments.ahead).unwrap_or(Timestamp::MAX);
    let foreseen = forecast(&config.policy, &starts, now, until);
    let text = match arguments.output {
        Form::Table => table(&foreseen, assumed, now),
        Form::Ics => calendar(&foreseen, now),
        Form::Json => {
            let told = json!({
                "schema_version": JSON_VERSION, "at": now, "until": until, "assumed": assumed,
                "kept": foreseen.broken.is_empty(), "rotations": foreseen.rotations, "broken": foreseen.broken,
            });
            format!("{told:#}\n")
        }
    };
    tell(&text, if foreseen.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the journal knows of each credential. Without a journal every key is assumed to have become current now, which
/// is said.
fn starts(config: &Config, now: Timestamp) -> (BTreeMap<CredentialName, Start>, bool) {
    let JournalConfig::Sqlite { path } = &config.daemon.journal;
    let known = SqliteJournal::open_read_only(path).ok().and_then(|journal| journal.load().ok());
    let names = config.policy.credentials.keys();
    let Some(known) = known else {
        return (
            names.map(|name| (name.clone(), Start { since: Some(now), ..Start::default() })).collect(),
            true,
        );
    };
    let known = known.into_iter().filter_map(|(name, known)| Some((name, known.ok()?.record)));
    let starts = known.map(|(name, record)| {
        let current = record.current.as_ref();
        let start = Start {
            since: current.map(|current| current.since),
            expires_at: current.and_then(|current| current.expires_at),
            due: record.due.map(|due| due.at),
        };
        (name, start)
    });
    (starts.collect(), false)
}

fn table(foreseen: &Forecast, assumed: bool, now: Timestamp) -> String {
    let mut text = String::new();
    if assumed {
        text += "there is no journal yet: every key is assumed to have become current now\n\n";
    }
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["BEGINS", "CREDENTIAL", "WHY", "KEY'S AGE", "OLD KEY DISABLED", "DELETED", "HELD BY"]);
    for it in &foreseen.rotations {
        let late = it.held_by.as_ref().map(|why| one_line(why)).unwrap_or_default();
        table.add_row([
            minute(it.begins),
            it.credential.to_string(),
            it.reason.label().to_owned(),
            span(it.age),
            minute(it.disables),
            minute(it.deletes),
            late,
        ]);
    }
    if foreseen.rotations.is_empty() {
        text += "nothing is due in that time\n";
    } else {
        for line in table.lines() {
            text += line.trim();
            text.push('\n');
        }
    }
    for broken in &foreseen.broken {
        let at = broken.at.duration_since(now);
        let when = if at.is_negative() { "now".to_owned() } else { format!("in {}", span(at)) };
        text += &format!("\nCANNOT BE KEPT: {} {when}: {}\n", broken.credential, one_line(&broken.why));
    }
    text
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
