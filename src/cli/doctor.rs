//! `rekeyd doctor`: everything that the policy needs, looked at for real; and the least that AWS must allow for it.
//!
//! Exit codes: 0; 1 if something stops rotations; 3 if the policy has errors.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::cli::exit::Failed;
use crate::cli::journal::tell;
use crate::cli::paragraphs::Paragraphs;
use crate::cli::policy::{self, OfPolicy};
use crate::cli::progress::Progress;
use crate::config::Config;
use crate::config_file::diagnostic::Diagnostics;
use crate::doctor;
use crate::doctor::iam;
use crate::domain::examination::{Report, Severity};
use crate::domain::sanitize::one_line;
use crate::ports::permissions::PermissionScope;

const JSON_VERSION: u32 = 1;
/// Name look-ups and file systems that hang are left behind.
const LEFT_BEHIND_AFTER: Duration = Duration::from_millis(200);

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    policy: OfPolicy,
    /// What people read, or JSON for programs
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// Also make calls that write, such that nothing changes: in AWS the current version once more, in a directory a
    /// file that is removed again
    #[arg(long, conflicts_with = "iam")]
    write_probe: bool,
    /// Print the IAM policy document that allows what this policy needs in AWS, and nothing more; look at nothing
    #[arg(long)]
    iam: bool,
    /// For --iam: the number of the AWS account; by default any
    #[arg(long, value_name = "NUMBER", requires = "iam", value_parser = account)]
    account: Option<String>,
    /// For --iam: the region of stores that name none; by default any
    #[arg(long, value_name = "REGION", requires = "iam")]
    region: Option<String>,
    /// For --iam: the ARN of a KMS key of your own that secrets are encrypted with; may be given several times
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
    if is_one { Ok(text.to_owned()) } else { Err("an account's number has twelve digits".to_owned()) }
}

fn kms_key(text: &str) -> Result<String, String> {
    let is_one = text.starts_with("arn:") && text.contains(":kms:") && text.contains(":key/");
    if is_one {
        Ok(text.to_owned())
    } else {
        Err("write the key's ARN, `arn:aws:kms:…:key/…`: an alias does not do".to_owned())
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
        let given = PermissionScope {
            account: arguments.account.clone(),
            region: arguments.region.clone(),
            kms_keys: arguments.kms_keys.clone(),
        };
        return match iam::document(&config, &given) {
            Some(document) => tell(&format!("{document:#}\n"), ExitCode::SUCCESS),
            None => {
                Failed::other("the policy publishes nothing to AWS: nothing has to be allowed").tell(as_json)
            }
        };
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return Failed::other(format!("cannot start the asynchronous runtime: {error}")).tell(as_json);
        }
    };
    let progress = Progress::doing("examined");
    let examined = doctor::examine(&path, config, arguments.write_probe, |done, all| progress.at(done, all));
    let report = runtime.block_on(examined);
    drop(progress);
    runtime.shutdown_timeout(LEFT_BEHIND_AFTER);
    let text = match arguments.output {
        Output::Json => format!("{:#}\n", in_json(&path, &report)),
        Output::Text => as_text(&report),
    };
    tell(&text, if report.verdict() == Severity::Broken { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn invalid(arguments: &Arguments, path: &Path, problems: &Diagnostics) -> ExitCode {
    let failed = policy::unusable(path, problems);
    if arguments.output == Output::Text || arguments.iam {
        return failed.tell(arguments.output == Output::Json);
    }
    let mut told = json!({
        "schema_version": JSON_VERSION, "policy": path.display().to_string(),
        "verdict": Severity::Broken, "problems": problems.problems, "counts": {}, "findings": [],
    });
    failed.amend(&mut told);
    tell(&format!("{told:#}\n"), failed.exit.into())
}

fn in_json(path: &Path, report: &Report) -> Value {
    json!({
        "schema_version": JSON_VERSION,
        "policy": path.display().to_string(),
        "verdict": report.verdict(),
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
                &format!("{}: {}", one_line(&finding.about), one_line(&finding.what)),
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
        Severity::Broken => "BROKEN: rotations stop, or never begin, until it is mended",
        Severity::Doubtful => "DOUBTFUL: rotations go on, and it will hurt later",
        Severity::Unproven => "UNPROVEN: it cannot be told from here",
        Severity::Fine => "FINE",
    }
}
