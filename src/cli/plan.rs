//! `rekeyd plan`: the next rotation of each credential, with its exact calls. Nothing is called.
//!
//! Exit codes: 0; 1 if the journal cannot be used; 3 if the policy has errors; 4 with `--exit-code` if something is to
//! be done now.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::exit::{CommandError, Exit};
use crate::cli::journal::{Output, Sources, as_json, tell};
use crate::cli::policy::PolicyArgument;
use crate::cli::progress::Progress;
use crate::cli::status;
use crate::config::Config;
use crate::config::components::JournalConfig;
use crate::domain::gate::Evidence;
use crate::domain::ids::CredentialName;
use crate::domain::record::Record;
use crate::domain::report::{CredentialReport, Facts, StatusReport};
use crate::ports::journal::{CredentialState, JournalReader, OpenError, ReadError};
use crate::rehearsal::dry_run::{self, End, Given, Past, Prediction};

mod text;

const JSON_VERSION: u32 = 1;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Only this credential, with every call
    name: Option<String>,
    #[command(flatten)]
    policy: PolicyArgument,
    /// Journal to read, instead of the policy's
    #[arg(long, value_name = "PATH")]
    journal: Option<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Exit with 4 if something is to be done now
    #[arg(long)]
    exit_code: bool,
    /// The time to tell by, instead of the clock's
    #[arg(long, hide = true)]
    now: Option<Timestamp>,
}

#[derive(Serialize)]
struct PlanReport {
    schema_version: u32,
    at: Timestamp,
    /// There is no journal yet: the plan is from the policy alone.
    without_journal: bool,
    /// Whether something is to be done now.
    pending: bool,
    credentials: Vec<Planned>,
}

#[derive(Serialize)]
struct Planned {
    credential: CredentialName,
    /// Due now, or under way.
    pending: bool,
    /// The same as in `rekeyd status`: what holds it now.
    status: CredentialReport,
    /// `null` if it cannot be planned; then `why_not` is the reason.
    prediction: Option<Prediction>,
    why_not: Option<String>,
}

#[expect(clippy::disallowed_methods, reason = "a command that only looks has no clock to be tested with")]
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let now = arguments.now.unwrap_or_else(Timestamp::now);
    let planned = look(arguments, now).and_then(|report| {
        let text = match (arguments.output, &arguments.name) {
            (Output::Json, _) => as_json(&report)?,
            (Output::Table, None) => text::overview(&report),
            (Output::Table, Some(_)) => report.credentials.iter().map(|it| text::details(it, now)).collect(),
        };
        Ok((text, report.pending))
    });
    match planned {
        Ok((text, pending)) => {
            let pending = pending && arguments.exit_code;
            tell(&text, if pending { Exit::NeedsAttention.into() } else { ExitCode::SUCCESS })
        }
        Err(failed) => failed.report(arguments.output == Output::Json),
    }
}

fn look(arguments: &Arguments, now: Timestamp) -> Result<PlanReport, CommandError> {
    let config = arguments.policy.load()?;
    let named = arguments.journal.as_deref().map(JournalConfig::at);
    let journal = open(named.as_ref().unwrap_or(&config.daemon.journal))?;
    let without_journal = journal.is_none();
    let (mut reports, pasts) = match journal {
        Some(journal) => recorded(journal, &config, now)?,
        None => (unrecorded(&config, now), BTreeMap::new()),
    };
    let in_policy = |report: &CredentialReport| {
        config.policy.credentials.contains_key(&report.credential)
            || report.rotation.is_some()
            || !report.left_destinations.is_empty()
    };
    reports.credentials.retain(in_policy);
    if let Some(name) = &arguments.name {
        let known: Vec<String> = reports.credentials.iter().map(|it| it.credential.to_string()).collect();
        reports.credentials.retain(|report| report.credential.as_str() == name);
        if reports.credentials.is_empty() {
            let why = format!("there is no credential `{name}`; there is {}", known.join(", "));
            return Err(CommandError::unknown(why));
        }
    }
    let credentials = foresee(&config, reports, &pasts, now)?;
    let pending = credentials.iter().any(|it| it.pending);
    Ok(PlanReport { schema_version: JSON_VERSION, at: now, without_journal, pending, credentials })
}

fn foresee(
    config: &Config,
    reports: StatusReport,
    pasts: &BTreeMap<CredentialName, Past>,
    now: Timestamp,
) -> Result<Vec<Planned>, CommandError> {
    let given = Given::of(config);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime
        .map_err(|error| CommandError::other(format!("cannot start the asynchronous runtime: {error}")))?;
    let progress = Progress::of("planning", reports.credentials.len());
    let nothing = Past::default();
    let mut all = Vec::new();
    for (done, status) in reports.credentials.into_iter().enumerate() {
        progress.done(done);
        let name = status.credential.clone();
        let played = match &status.damage {
            Some(damage) => Err(damage.clone()),
            None => {
                let past = pasts.get(&name).unwrap_or(&nothing);
                runtime.block_on(dry_run::foresee(&given, &name, past, now))
            }
        };
        let (prediction, why_not) = match played {
            Ok(prediction) => (Some(prediction), None),
            Err(why) => (None, Some(why)),
        };
        let is_due = |it: &Prediction| it.end != End::NothingDue && it.due.is_some_and(|due| due <= now);
        let pending = status.rotation.is_some() || prediction.as_ref().is_some_and(is_due);
        all.push(Planned { credential: name, pending, status, prediction, why_not });
    }
    Ok(all)
}

/// The journal; `None` if there is none yet.
fn open(journal: &JournalConfig) -> Result<Option<Box<dyn JournalReader>>, CommandError> {
    match journal.open_read_only() {
        Ok(journal) => Ok(Some(journal)),
        Err(OpenError::Missing { .. }) => Ok(None),
        Err(error) => Err(CommandError::journal(error)),
    }
}

type Pasts = BTreeMap<CredentialName, Past>;

/// What the daemon's journal knows; `None` if there is none yet.
///
/// # Errors
/// Why the journal cannot be used.
pub(super) fn known(config: &Config) -> Result<Option<Pasts>, CommandError> {
    open(&config.daemon.journal)?.map(|journal| pasts(journal.as_ref())).transpose()
}

fn pasts(journal: &dyn JournalReader) -> Result<Pasts, CommandError> {
    let mut pasts = BTreeMap::new();
    for (name, known) in journal.load().map_err(CommandError::journal)? {
        // What is damaged is reported by its status.
        let Ok(known) = known else { continue };
        let past = past(journal, &name, known).map_err(CommandError::journal)?;
        pasts.insert(name, past);
    }
    Ok(pasts)
}

fn recorded(
    journal: Box<dyn JournalReader>,
    config: &Config,
    now: Timestamp,
) -> Result<(StatusReport, Pasts), CommandError> {
    let pasts = pasts(journal.as_ref())?;
    let sources = Sources { journal, policy: config.policy.clone(), socket: None };
    Ok((status::read(&sources, &[], now).map_err(CommandError::journal)?, pasts))
}

fn past(
    journal: &dyn JournalReader,
    name: &CredentialName,
    known: CredentialState,
) -> Result<Past, ReadError> {
    let open = known.record.open;
    let chapters = if open.is_some() { journal.history(name, 1)? } else { Vec::new() };
    let chapter = chapters.into_iter().find(|chapter| Some(chapter.rotation) == open);
    let entries = chapter.map(|chapter| chapter.entries).unwrap_or_default();
    Ok(Past { entries, known: Some(known) })
}

fn unrecorded(config: &Config, now: Timestamp) -> StatusReport {
    let reports = config.policy.credentials.values().map(|credential| {
        let record = Record::new(credential.name.clone());
        let evidence = Evidence::default();
        CredentialReport::new(
            Facts { record: &record, rotation: None, evidence: &evidence, policy: Some(credential) },
            now,
        )
    });
    StatusReport::new(reports.collect(), now)
}
