//! `rekeyd doctor`: checks the policy's live dependencies, and prints the minimal access policy of a store for it.
//!
//! Exit codes: 0; 1 if a finding is an error; 3 if the policy has errors.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::cli::access_flags::{AccessFlags, AccessWanted};
use crate::cli::exit::CommandError;
use crate::cli::journal::tell;
use crate::cli::paragraphs::Paragraphs;
use crate::cli::policy::{self, PolicyArgument};
use crate::cli::progress::Progress;
use crate::config::Config;
use crate::config_file::diagnostic::Diagnostics;
use crate::doctor;
use crate::doctor::access_policy;
use crate::domain::examination::{Report, Severity};
use crate::domain::sanitize::one_line;
use crate::stores::KINDS;

const JSON_VERSION: u32 = 1;
/// How long blocked name look-ups and file systems may delay the exit.
const SHUTDOWN_LIMIT: Duration = Duration::from_millis(200);

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    policy: PolicyArgument,
    /// Output format
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[arg(long, help = write_probe())]
    write_probe: bool,
    #[command(flatten)]
    access: AccessFlags,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

fn write_probe() -> String {
    let done: Vec<&str> = KINDS.iter().map(|kind| kind.write_probe).collect();
    format!("Also test write access without changing anything: {}", done.join(", and "))
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let path = arguments.policy.path();
    let as_json = arguments.output == Output::Json;
    let config = match Config::load_file(&path) {
        Ok(config) => config,
        Err(problems) => return invalid(arguments, &path, &problems),
    };
    if let Some(AccessWanted { kind, form, scope }) = &arguments.access.wanted {
        return match access_policy::document(&config, kind, form, scope) {
            Some(document) => tell(&format!("{document}\n"), ExitCode::SUCCESS),
            None => CommandError::other(format!(
                "the policy publishes nothing to {}, so no permissions are needed",
                form.service
            ))
            .report(as_json),
        };
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return CommandError::other(format!("cannot start the asynchronous runtime: {error}"))
                .report(as_json);
        }
    };
    let progress = Progress::doing("checks done");
    let examined = doctor::examine(&path, config, arguments.write_probe, |done, all| progress.at(done, all));
    let report = runtime.block_on(examined);
    drop(progress);
    runtime.shutdown_timeout(SHUTDOWN_LIMIT);
    let text = match arguments.output {
        Output::Json => format!("{:#}\n", in_json(&path, &report)),
        Output::Text => as_text(&report),
    };
    tell(&text, if report.severity() == Severity::Error { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn invalid(arguments: &Arguments, path: &Path, problems: &Diagnostics) -> ExitCode {
    let failed = policy::unusable(path, problems);
    if arguments.output == Output::Text || arguments.access.wanted.is_some() {
        return failed.report(arguments.output == Output::Json);
    }
    let mut document = json!({
        "schema_version": JSON_VERSION, "policy": path.display().to_string(),
        "severity": Severity::Error, "problems": problems.problems, "counts": {}, "findings": [],
    });
    failed.amend(&mut document);
    tell(&format!("{document:#}\n"), failed.exit.into())
}

fn in_json(path: &Path, report: &Report) -> Value {
    json!({
        "schema_version": JSON_VERSION,
        "policy": path.display().to_string(),
        "severity": report.severity(),
        "problems": [],
        "counts": report.counts(),
        "findings": report.findings(),
    })
}

fn as_text(report: &Report) -> String {
    let mut text = Paragraphs::default();
    for severity in Severity::ALL {
        let mut findings = report.findings().iter().filter(|finding| finding.severity == severity).peekable();
        if findings.peek().is_none() {
            continue;
        }
        text.heading(heading(severity));
        for finding in findings {
            text.row(
                finding.check.label(),
                &format!("{}: {}", one_line(&finding.subject), one_line(&finding.message)),
            );
            if let Some(fix) = &finding.fix {
                text.row("", &format!("fix: {}", one_line(fix)));
            }
        }
    }
    let counts = Severity::ALL.map(|severity| {
        format!(
            "{}: {}",
            severity.label(),
            report.counts().get(severity.label()).copied().unwrap_or_default()
        )
    });
    text.line(0, "");
    text.line(0, &counts.join(", "));
    text.finish().trim_start_matches('\n').to_owned()
}

fn heading(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "ERRORS: rotations stop until these are fixed",
        Severity::Warning => "WARNINGS: rotations work, but will run into these",
        Severity::Unknown => "UNKNOWN: could not be checked from here",
        Severity::Ok => "OK",
    }
}
