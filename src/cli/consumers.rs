//! `rekeyd consumers`: who uses which credential with which key, and when it was last heard of, straight from the
//! journal.
//!
//! Exit codes: 0; 1 if the journal cannot be used.

use std::process::ExitCode;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use jiff::Timestamp;

use crate::cli::exit::CommandError;
use crate::cli::journal::{Looking, Output, Sources, as_json, tell};
use crate::domain::record::Record;
use crate::domain::report::consumers::{ConsumersReport, UseReport, uses};
use crate::domain::time::{age, distance};
use crate::ports::journal::ReadError;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Only this consumer
    name: Option<String>,
    #[command(flatten)]
    looking: Looking,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let Arguments { name, looking } = arguments;
    let now = looking.now();
    let read = |sources: Sources| read(&sources, now).map_err(CommandError::journal);
    let mut report = match looking.open().and_then(read) {
        Ok(report) => report,
        Err(failed) => return looking.fail(&failed),
    };
    if let Some(name) = name {
        report.consumers.retain(|consumer| consumer.consumer.as_str() == name);
        if report.consumers.is_empty() {
            return looking.fail(&CommandError::unknown(format!("the journal knows no consumer `{name}`")));
        }
    }
    let text = match looking.output {
        Output::Json => match as_json(&report) {
            Ok(json) => json,
            Err(failed) => return looking.fail(&failed),
        },
        Output::Table => table(&report),
    };
    tell(&text, ExitCode::SUCCESS)
}

/// A credential whose rows are damaged is left out: `rekeyd status` tells of it.
fn read(sources: &Sources, now: Timestamp) -> Result<ConsumersReport, ReadError> {
    let Sources { journal, policy, socket: _ } = sources;
    let mut unrecorded = policy.credentials.clone();
    let mut all: Vec<UseReport> = Vec::new();
    for (name, known) in journal.load()? {
        let policy = unrecorded.remove(&name);
        let Ok(known) = known else { continue };
        let acks = journal.acks(&name)?;
        all.extend(uses(&known.record, known.rotation.as_ref(), policy.as_ref(), &acks));
    }
    for (name, policy) in unrecorded {
        let acks = journal.acks(&name)?;
        all.extend(uses(&Record::new(name), None, Some(&policy), &acks));
    }
    Ok(ConsumersReport::new(all, now))
}

fn table(report: &ConsumersReport) -> String {
    if report.consumers.is_empty() {
        return "no consumer has acknowledged anything yet\n".to_owned();
    }
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["CONSUMER", "CREDENTIAL", "STATUS", "KEY", "FINGERPRINT", "SINCE", "LAST SEEN"]);
    let dash = || "-".to_owned();
    for used in report.consumers.iter().flat_map(|consumer| &consumer.uses) {
        table.add_row([
            used.consumer.to_string(),
            used.credential.to_string(),
            used.status.map_or_else(dash, |status| status.label().to_owned()),
            used.key.label().to_owned(),
            used.fingerprint.as_ref().map_or_else(dash, ToString::to_string),
            used.since.map_or_else(dash, |since| age(since, report.at)),
            used.last_seen.map_or_else(|| "never".to_owned(), |seen| distance(seen, report.at)),
        ]);
    }
    table.lines().map(|line| format!("{}\n", line.trim())).collect()
}
