//! `rekeyd forecast`: the calendar of a policy, as the engine plays it in an imagined world. Nothing is called.
//!
//! Exit codes: 0; 1 if the policy cannot be kept; 3 if it has errors.

use std::fmt::Write as _;
use std::io;
use std::io::Write as _;
use std::process::ExitCode;

use clap::ValueEnum;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::cli::exit::CommandError;
use crate::cli::journal::{as_json, tell};
use crate::cli::plan;
use crate::cli::policy::PolicyArgument;
use crate::cli::progress::Progress;
use crate::cli::rehearse::minute;
use crate::config_file::duration;
use crate::domain::ids::CredentialName;
use crate::domain::plan::Reason;
use crate::domain::sanitize::one_line;
use crate::domain::time::later;
use crate::domain::time::span;
use crate::rehearsal::dry_run::Given;
use crate::rehearsal::simulation::report::{SimulatedRotation, SimulationReport, Violation};
use crate::rehearsal::simulation::{self, Conditions};

const JSON_VERSION: u32 = 1;

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    policy: PolicyArgument,
    /// Period to forecast, such as 90d or 12h
    #[arg(long = "for", value_name = "DURATION", default_value = "90d", value_parser = span_of)]
    ahead: SignedDuration,
    /// Output format
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
    let told = play(arguments, now).and_then(|forecast| {
        let text = match arguments.output {
            Form::Table => table(&forecast),
            Form::Ics => calendar(&forecast),
            Form::Json => as_json(&forecast)?,
        };
        Ok((text, forecast))
    });
    match told {
        Ok((text, forecast)) => {
            if let (Form::Ics, Some(cut)) = (arguments.output, cut(&forecast)) {
                warn(&cut);
            }
            tell(&text, if forecast.kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Err(failed) => failed.report(arguments.output == Form::Json),
    }
}

fn play(arguments: &Arguments, now: Timestamp) -> Result<Forecast, CommandError> {
    let config = arguments.policy.load()?;
    let known = plan::known(&config)?;
    let assumed = known.is_none();
    let pasts = known.unwrap_or_default();
    let until = later(now, arguments.ahead);
    let days = |at: Timestamp| usize::try_from(at.duration_since(now).as_hours() / 24).unwrap_or(0);
    let progress = Progress::of("days played", days(until));
    let seen = |at| progress.done(days(at));
    let report = simulation::play(&Given::of(&config), &pasts, &Conditions::fair(), now, until, seen);
    let SimulationReport { rotations, violations, complete_until, calls: _, crashes: _ } =
        report.map_err(CommandError::other)?;
    Ok(Forecast {
        schema_version: JSON_VERSION,
        at: now,
        until,
        assumed,
        kept: violations.is_empty(),
        rotations: rotations.into_iter().map(Prediction::from).collect(),
        complete_until,
        broken: violations,
    })
}

/// A calendar has no place for what is not in it.
fn warn(cut: &str) {
    drop(writeln!(io::stderr(), "rekeyd: {cut}"));
}

#[derive(Serialize)]
struct Forecast {
    schema_version: u32,
    at: Timestamp,
    until: Timestamp,
    /// There is no journal: every credential is adopted at `at`.
    assumed: bool,
    kept: bool,
    rotations: Vec<Prediction>,
    /// If there are more rotations than are played: until when they were.
    complete_until: Option<Timestamp>,
    broken: Vec<Violation>,
}

#[derive(Serialize)]
struct Prediction {
    credential: CredentialName,
    reason: Reason,
    /// When the calendar wants it.
    due: Timestamp,
    /// When window and freezes, predecessors, and the others of its workspace let it begin.
    begins: Timestamp,
    /// What it waits for from `due` to `begins`, if anything; the last, if several.
    held_by: Option<String>,
    #[serde(skip)]
    age: SignedDuration,
    /// When the old key is disabled, and when it is deleted; `null` without an old key, and if it never comes to that.
    disables: Option<Timestamp>,
    deletes: Option<Timestamp>,
}

impl From<SimulatedRotation> for Prediction {
    fn from(rotation: SimulatedRotation) -> Self {
        let (disables, deletes) = (rotation.at("old_key_disabled"), rotation.at("old_key_gone"));
        let SimulatedRotation { credential, reason, due, held_by, begun_at: begins, age, .. } = rotation;
        Self { credential, reason, due, begins, held_by, age, disables, deletes }
    }
}

/// What is left out; `None` if nothing is.
fn cut(forecast: &Forecast) -> Option<String> {
    let at = forecast.complete_until?;
    let count = forecast.rotations.len();
    Some(format!("… stopped after {count} rotations, at {at:.0}; use a shorter --for"))
}

fn table(forecast: &Forecast) -> String {
    let mut text = String::new();
    if forecast.assumed {
        text += "there is no journal yet: every credential is adopted now\n\n";
    }
    if forecast.rotations.is_empty() {
        text += "nothing is due in that time\n";
    } else {
        rows(&mut text, &forecast.rotations);
    }
    if let Some(cut) = cut(forecast) {
        text += &format!("{cut}\n");
    }
    for Violation { credential, at, why } in &forecast.broken {
        let at = at.duration_since(forecast.at);
        let when = if at.is_negative() { "now".to_owned() } else { format!("in {}", span(at)) };
        text += &format!("\nCANNOT BE KEPT: {credential} {when}: {}\n", one_line(why));
    }
    text
}

/// Line by line: a table that is built in memory first takes a hundred times the memory.
fn rows(text: &mut String, rotations: &[Prediction]) {
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
            &it.disables.map_or_else(|| "-".to_owned(), minute),
            &it.deletes.map_or_else(|| "-".to_owned(), minute),
            &held_by,
        ]);
    }
}

/// RFC 5545: an event for each rotation, from its beginning to the deletion of the old key.
fn calendar(forecast: &Forecast) -> String {
    let stamp = |at: Timestamp| at.strftime("%Y%m%dT%H%M%SZ").to_string();
    let mut text = String::from("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//rekeyd//forecast//EN\r\n");
    for it in &forecast.rotations {
        let Prediction { credential, reason, begins, disables, deletes, .. } = it;
        let end = deletes.or(*disables).unwrap_or(*begins);
        let about = disables.map_or_else(
            || "no old key is disabled".to_owned(),
            |at| format!("old key disabled from {} on", stamp(at)),
        );
        // Writing to a text cannot fail.
        let written = write!(
            text,
            "BEGIN:VEVENT\r\nUID:{credential}-{}@rekeyd\r\nDTSTAMP:{}\r\nDTSTART:{}\r\nDTEND:{}\r\n\
             SUMMARY:rotate {credential} ({})\r\nDESCRIPTION:{about}\r\nEND:VEVENT\r\n",
            begins.as_second(),
            stamp(forecast.at),
            stamp(*begins),
            stamp(end),
            reason.label(),
        );
        debug_assert!(written.is_ok());
    }
    text + "END:VCALENDAR\r\n"
}
