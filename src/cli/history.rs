//! `rekeyd history NAME`: what happened to a credential, straight from the journal.

use std::process::ExitCode;

use jiff::Timestamp;

use crate::cli::exit::CommandError;
use crate::cli::journal::{Looking, Output, Sources, as_json, tell};
use crate::domain::ids::CredentialName;
use crate::domain::report::history::{HistoryReport, RotationTimeline};
use crate::domain::sanitize::one_line;
use crate::domain::time::{age, span};
use crate::ports::journal::{JournalReader, ReadError};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The credential
    name: String,
    #[command(flatten)]
    looking: Looking,
    /// How many rotations, counted from the newest
    #[arg(long, default_value_t = 10, value_name = "N")]
    limit: usize,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let Arguments { name, looking, limit } = arguments;
    let name = match CredentialName::new(name.clone()) {
        Ok(name) => name,
        Err(error) => {
            return looking
                .fail(&CommandError::unknown(format!("`{name}` is not a valid credential name: {error}")));
        }
    };
    let Sources { journal, policy, socket: _ } = match looking.open() {
        Ok(sources) => sources,
        Err(failed) => return looking.fail(&failed),
    };
    let report = match read(journal.as_ref(), &name, *limit) {
        Ok(report) => report,
        Err(error) => return looking.fail(&CommandError::journal(error)),
    };
    if report.rotations.is_empty() && *limit > 0 && !policy.credentials.contains_key(&name) {
        let advice = "see which credentials there are: rekeyd status";
        let why = format!("the journal knows no rotation of `{name}`; {advice}");
        return looking.fail(&CommandError::unknown(why));
    }
    let text = match looking.output {
        Output::Json => match as_json(&report) {
            Ok(json) => json,
            Err(failed) => return looking.fail(&failed),
        },
        Output::Table if report.rotations.is_empty() => format!("there was no rotation of `{name}` yet\n"),
        Output::Table => {
            let stories: Vec<String> = report.rotations.iter().map(|it| story(it, looking.now())).collect();
            stories.join("\n")
        }
    };
    tell(&text, ExitCode::SUCCESS)
}

fn read(
    journal: &dyn JournalReader,
    name: &CredentialName,
    limit: usize,
) -> Result<HistoryReport, ReadError> {
    let chapters = journal.history(name, limit)?.into_iter().map(|chapter| {
        let events: Vec<_> = chapter.entries.into_iter().map(|entry| (entry.at, entry.event)).collect();
        RotationTimeline::new(chapter.rotation, &events)
    });
    Ok(HistoryReport::new(name.clone(), chapters.collect()))
}

fn story(story: &RotationTimeline, now: Timestamp) -> String {
    let reason = story.reason.map_or("unknown reason", |reason| reason.label());
    let phase = story.phase.map_or("damaged", |phase| phase.label());
    let lasted = match (story.begun_at, story.ended_at) {
        (Some(begun), Some(ended)) => format!(" in {}", span(ended.duration_since(begun))),
        (Some(begun), None) => format!(", under way for {}", age(begun, now)),
        (None, _) => String::new(),
    };
    let mut text = format!("{} ({reason}): {phase}{lasted}\n", story.rotation);
    if let Some(seconds) = story.resolved_in_seconds {
        text += &format!(
            "  answered in {seconds} s, from the first sign to the new key current and the old one dead\n"
        );
    }
    for line in &story.lines {
        text += &format!("  {:.0}  {:<17} {}\n", line.at, line.event, one_line(&line.text));
    }
    if let Some(damage) = &story.damage {
        text += &format!("  damaged: {damage}\n");
    }
    text
}
