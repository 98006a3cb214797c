//! `rekeyd audit`: who did what, straight from the journal; `verify` whether all of it is there as it was written, and
//! `export` for keeping it elsewhere.

use std::collections::VecDeque;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::Subcommand;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cli::audit_compare;
use crate::cli::exit::{CommandError, Exit};
use crate::cli::journal::{Looking, Output, tell};
use crate::cli::progress::Progress;
use crate::domain::audit::{ChainedAct, Head, canonical};
use crate::domain::ids::CredentialName;
use crate::domain::sanitize::one_line;
use crate::ports::journal::{AuditReader, Verification};

/// Records that are read at a time.
const PAGE: usize = 1000;
/// Said in the record of an event for programs only.
const FOR_PROGRAMS: [&str; 2] = ["entry", "entry_sha256"];

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    looking: Looking,
    #[command(flatten)]
    which: Which,
    /// How many records, counted from the newest
    #[arg(long, default_value_t = 30, value_name = "N")]
    limit: usize,
}

#[derive(Subcommand)]
enum Command {
    /// Verify the hash chain, and compare each record with its event; exit code 4 on a mismatch
    Verify(Verify),
    /// Find key changes in the workspaces' audit logs that rekeyd did not make; exit code 4 if there are any
    Compare(audit_compare::Arguments),
    /// Print the records as JSON lines, oldest first, and the head on standard error
    Export(Export),
}

#[derive(clap::Args)]
struct Which {
    /// Only records about this credential
    #[arg(long, value_name = "NAME", value_parser = named)]
    credential: Option<CredentialName>,
    /// Only records from then on, such as 2026-01-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
}

#[derive(clap::Args)]
struct Verify {
    #[command(flatten)]
    looking: Looking,
    /// Earlier head (SEQUENCE:HASH) that the log must contain
    #[arg(long, value_name = "SEQUENCE:HASH", value_parser = expected)]
    expect: Option<Head>,
}

#[derive(clap::Args)]
struct Export {
    #[command(flatten)]
    looking: Looking,
    #[command(flatten)]
    which: Which,
}

fn named(text: &str) -> Result<CredentialName, String> {
    CredentialName::new(text).map_err(|error| error.to_string())
}

fn expected(text: &str) -> Result<Head, String> {
    let wanted = "a head is a number, a colon and 64 hex digits, as `audit verify` prints it";
    Head::read(text).ok_or_else(|| wanted.to_owned())
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match &arguments.command {
        None => list(arguments).unwrap_or_else(|failed| arguments.looking.fail(&failed)),
        Some(Command::Verify(verify)) => {
            verified(verify).unwrap_or_else(|failed| verify.looking.fail(&failed))
        }
        Some(Command::Compare(compare)) => {
            audit_compare::run(compare).unwrap_or_else(|failed| failed.report(compare.is_for_programs()))
        }
        Some(Command::Export(export)) => {
            exported(export).unwrap_or_else(|failed| export.looking.fail(&failed))
        }
    }
}

impl Which {
    fn includes(&self, record: &ChainedAct) -> bool {
        self.since.is_none_or(|since| record.act.at >= since)
            && self.credential.as_ref().is_none_or(|name| record.act.credential.as_ref() == Some(name))
    }
}

/// Hands every record of interest to `take`, the oldest first, and returns the head that was reached.
fn each(
    journal: &dyn AuditReader,
    which: &Which,
    mut take: impl FnMut(&ChainedAct) -> io::Result<()>,
) -> Result<Head, CommandError> {
    let mut head = Head::genesis();
    loop {
        let page = journal.audit(head.sequence, PAGE).map_err(CommandError::journal)?;
        let Some(last) = page.last() else { return Ok(head) };
        for record in page.iter().filter(|record| which.includes(record)) {
            take(record).map_err(|error| unwritten(&error))?;
        }
        head = last.head();
    }
}

fn unwritten(error: &io::Error) -> CommandError {
    CommandError::other(format!("write to the standard output: {error}"))
}

fn list(arguments: &Arguments) -> Result<ExitCode, CommandError> {
    let Arguments { command: _, looking, which, limit } = arguments;
    let journal = looking.open()?.journal;
    let mut newest: VecDeque<ChainedAct> = VecDeque::new();
    let head = each(journal.as_ref(), which, |record| {
        newest.push_back(record.clone());
        if newest.len() > *limit {
            newest.pop_front();
        }
        Ok(())
    })?;
    let text = match looking.output {
        Output::Json => {
            let records: Vec<Value> = newest.iter().map(ChainedAct::to_json).collect();
            format!("{}\n", json!({ "records": records, "head": head.to_string() }))
        }
        Output::Table if newest.is_empty() => "there is no such record\n".to_owned(),
        Output::Table => newest.iter().map(line).collect(),
    };
    Ok(tell(&text, ExitCode::SUCCESS))
}

/// One record for a person.
fn line(record: &ChainedAct) -> String {
    let act = &record.act;
    let about = match (&act.credential, &act.workspace) {
        (Some(credential), _) => credential.as_str(),
        (None, Some(workspace)) => workspace.as_str(),
        (None, None) => "-",
    };
    let details = act.details.iter().filter(|(name, _)| !FOR_PROGRAMS.contains(&name.as_str()));
    let details: Vec<String> = details
        .map(|(name, value)| match value.as_str() {
            Some(text) => format!("{name}={text}"),
            None => format!("{name}={}", canonical(value)),
        })
        .collect();
    let (at, actor, what) = (act.at, act.actor.to_string(), &act.what);
    let told = format!(
        "{:>6}  {at:.0}  {actor:<12}  {what:<18}  {about:<16}  {}",
        record.sequence,
        details.join("  ")
    );
    format!("{}\n", one_line(told.trim_end()))
}

fn exported(export: &Export) -> Result<ExitCode, CommandError> {
    let journal = export.looking.open()?.journal;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut gone = false;
    let head = each(journal.as_ref(), &export.which, |record| {
        // Whoever stops reading early has read what was wanted.
        match writeln!(out, "{}", canonical(&record.to_json())) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                gone = true;
                Ok(())
            }
            outcome => outcome,
        }
    })?;
    if !gone {
        out.flush().map_err(|error| unwritten(&error))?;
    }
    // Who cannot be told has the records all the same.
    drop(writeln!(io::stderr(), "audit head: {head}"));
    Ok(ExitCode::SUCCESS)
}

fn verified(verify: &Verify) -> Result<ExitCode, CommandError> {
    let journal = verify.looking.open()?.journal;
    let progress = Progress::doing("verifying the audit log");
    let answer = journal.verify_audit(verify.expect.as_ref());
    drop(progress);
    let Verification { head, events, fault } = answer.map_err(CommandError::journal)?;
    let code = if fault.is_some() { Exit::NeedsAttention.into() } else { ExitCode::SUCCESS };
    let text = match (verify.looking.output, fault) {
        (Output::Json, fault) => {
            let fault = fault.map(
                |it| json!({ "sequence": it.sequence, "kind": it.kind.label(), "message": it.to_string() }),
            );
            let told = json!({
                "whole": fault.is_none(),
                "records": head.sequence,
                "events": events,
                "head": head.to_string(),
                "fault": fault,
            });
            format!("{told}\n")
        }
        (Output::Table, None) => format!(
            "the audit log is whole: {} records, {events} of them of events of the journal\nhead: {head}\n",
            head.sequence
        ),
        (Output::Table, Some(fault)) => format!(
            "the audit log is not whole\n{fault}\nwhat is before it fits: {} records, head: {head}\n\
             next: keep a copy of the journal as it is now, find out who could write it, and hold it against the \
             last export or backup; docs/audit.md says how\n",
            head.sequence
        ),
    };
    Ok(tell(&text, code))
}
