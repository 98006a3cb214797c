//! `rekeyd doctor`: checks the policy's live dependencies, and prints the minimal IAM policy for it.
//!
//! Exit codes: 0; 1 if a finding is an error; 3 if the policy has errors.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::cli::exit::CommandError;
use crate::cli::journal::tell;
use crate::cli::paragraphs::Paragraphs;
use crate::cli::policy::{self, PolicyArgument};
use crate::cli::progress::Progress;
use crate::config::Config;
use crate::config_file::diagnostic::Diagnostics;
use crate::doctor;
use crate::doctor::iam;
use crate::domain::examination::{Report, Severity};
use crate::domain::sanitize::one_line;
use crate::ports::permissions::PermissionScope;

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
    /// Also test write access without changing anything: rewrite the current version in AWS, and create and remove a
    /// file in directories
    #[arg(long, conflicts_with = "iam")]
    write_probe: bool,
    /// Print the minimal IAM policy document for this policy, and make no calls
    #[arg(long)]
    iam: bool,
    /// With --iam: AWS account ID; defaults to any account
    #[arg(long, value_name = "NUMBER", requires = "iam", value_parser = account)]
    account: Option<String>,
    /// With --iam: region of the stores that name none; defaults to any region
    #[arg(long, value_name = "REGION", requires = "iam")]
    region: Option<String>,
    /// With --iam: ARN of a customer-managed KMS key that encrypts the secrets; repeatable
    #[arg(long = "kms-key", value_name = "ARN", requires = "iam", value_parser = kms_key)]
    kms_keys: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

fn account(text: &str) -> Result<String, String> {
    let is_one = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_one { Ok(text.to_owned()) } else { Err("an account ID has twelve digits".to_owned()) }
}

fn kms_key(text: &str) -> Result<String, String> {
    let is_one = text.starts_with("arn:") && text.contains(":kms:") && text.contains(":key/");
    if is_one {
        Ok(text.to_owned())
    } else {
        Err("pass the key's ARN, `arn:aws:kms:…:key/…`; an alias is not enough".to_owned())
    }
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let path = arguments.policy.path();
    let as_json = arguments.output == Output::Json;
    let config = match Config::load_file(&path) {
        Ok(config) => config,
        Err(problems) => return invalid(arguments, &path, &problems),
    };
    if arguments.iam {
        let scope = PermissionScope {
            account: arguments.account.clone(),
            region: arguments.region.clone(),
            kms_keys: arguments.kms_keys.clone(),
        };
        return match iam::document(&config, &scope) {
            Some(document) => tell(&format!("{document:#}\n"), ExitCode::SUCCESS),
            None => CommandError::other("the policy publishes nothing to AWS, so no permissions are needed")
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
    if arguments.output == Output::Text || arguments.iam {
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
