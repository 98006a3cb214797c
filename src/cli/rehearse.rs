//! `rekeyd rehearse`: the whole policy, played over many days in an imagined world by the engine itself. Nothing is called.
//!
//! Exit codes: 0; 1 if the policy cannot be kept; 3 if it has errors.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::cli::exit::CommandError;
use crate::cli::journal::{Output, as_json, tell};
use crate::cli::paragraphs::Paragraphs;
use crate::cli::policy::PolicyArgument;
use crate::cli::progress::Progress;
use crate::config::Config;
use crate::config_file::duration;
use crate::domain::ids::ConsumerName;
use crate::domain::time::later;
use crate::domain::time::{distance, span};
use crate::rehearsal::dry_run::Given;
use crate::rehearsal::simulation::report::SimulationReport;
use crate::rehearsal::simulation::{self, Conditions};

const JSON_VERSION: u32 = 1;

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    policy: PolicyArgument,
    /// Period to simulate, such as 90d or 12h
    #[arg(long = "for", value_name = "DURATION", default_value = "90d", value_parser = span_of)]
    ahead: SignedDuration,
    /// How long consumers take to switch to a new key and acknowledge it
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = span_of)]
    acks_after: SignedDuration,
    /// A consumer that never switches; repeatable
    #[arg(long = "never", value_name = "CONSUMER")]
    never: Vec<String>,
    /// Crash the process during a call at this interval
    #[arg(long, value_name = "DURATION", value_parser = span_of)]
    crash_every: Option<SignedDuration>,
    /// Print every event of each rotation
    #[arg(long)]
    timeline: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Start time, instead of now
    #[arg(long, hide = true)]
    now: Option<Timestamp>,
}

#[derive(Serialize)]
struct Report {
    schema_version: u32,
    at: Timestamp,
    until: Timestamp,
    /// Whether the policy can be kept.
    kept: bool,
    #[serde(flatten)]
    played: SimulationReport,
}

fn span_of(text: &str) -> Result<SignedDuration, String> {
    duration::parse(text).map_err(|error| error.to_string())
}

#[expect(clippy::disallowed_methods, reason = "the clock that is played with begins now")]
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let now = arguments.now.unwrap_or_else(Timestamp::now);
    let told = play(arguments, now).and_then(|report| {
        let text = match arguments.output {
            Output::Json => as_json(&report)?,
            Output::Table => text(&report, arguments.timeline),
        };
        Ok((text, report.kept))
    });
    match told {
        Ok((text, kept)) => tell(&text, if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
        Err(failed) => failed.report(arguments.output == Output::Json),
    }
}

fn play(arguments: &Arguments, now: Timestamp) -> Result<Report, CommandError> {
    let config = arguments.policy.load()?;
    let conditions = Conditions {
        acks_after: arguments.acks_after,
        never: never(arguments, &config)?,
        crash_every: arguments.crash_every,
        play_out: false,
        ..Conditions::fair()
    };
    let until = later(now, arguments.ahead);
    let days = |at: Timestamp| usize::try_from(at.duration_since(now).as_hours() / 24).unwrap_or(0);
    let progress = Progress::of("days played", days(until));
    let (nothing, seen) = (BTreeMap::new(), |at| progress.done(days(at)));
    let played = simulation::play(&Given::of(&config), &nothing, &conditions, now, until, seen);
    let played = played.map_err(CommandError::other)?;
    Ok(Report { schema_version: JSON_VERSION, at: now, until, kept: played.violations.is_empty(), played })
}

fn never(arguments: &Arguments, config: &Config) -> Result<BTreeSet<ConsumerName>, CommandError> {
    let known = |name: &String| {
        let found = config.consumers.keys().find(|known| known.as_str() == name);
        found.cloned().ok_or_else(|| CommandError::unknown(format!("the policy has no consumer `{name}`")))
    };
    arguments.never.iter().map(known).collect()
}

fn text(report: &Report, timeline: bool) -> String {
    let SimulationReport { rotations, violations, calls, crashes, complete_until } = &report.played;
    let mut text = String::new();
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["BEGINS", "CREDENTIAL", "WHY", "TOOK", "PHASE"]);
    for rotation in rotations {
        table.add_row([
            minute(rotation.begun_at),
            rotation.credential.to_string(),
            rotation.reason.label().to_owned(),
            rotation.ended_at.map_or_else(|| "-".to_owned(), |at| span(at.duration_since(rotation.begun_at))),
            rotation.phase.label().to_owned(),
        ]);
    }
    if rotations.is_empty() {
        text += "nothing was rotated in that time\n";
    } else {
        table.lines().for_each(|line| text += &format!("{}\n", line.trim()));
    }
    if let Some(at) = complete_until {
        text += &format!("… stopped at {at:.0}; use a shorter --for\n");
    }
    let mut rest = Paragraphs::default();
    for rotation in rotations.iter().filter(|_| timeline) {
        rest.heading(&format!("{} {}", rotation.credential, rotation.rotation));
        for line in &rotation.timeline {
            rest.line(2, &format!("{:.0} {}", line.at, line.event));
        }
    }
    rest.heading("Calls");
    for (whom, count) in calls {
        rest.row(whom, &count.to_string());
    }
    if *crashes > 0 {
        rest.line(2, &format!("the process crashed {crashes} times in the middle of a call"));
    }
    rest.heading(&match (report.kept, complete_until) {
        (false, _) => "CANNOT BE KEPT".to_owned(),
        (true, None) => "The policy can be kept.".to_owned(),
        (true, Some(at)) => {
            format!(
                "The policy can be kept until {at:.0}; the simulation stopped there. Use a shorter --for."
            )
        }
    });
    for violation in violations {
        let when = distance(violation.at, report.at);
        rest.line(2, &format!("{} {when}: {}", violation.credential, violation.why));
    }
    text + &rest.finish()
}

/// To the minute, in UTC.
pub(super) fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M").to_string()
}
