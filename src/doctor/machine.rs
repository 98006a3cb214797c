//! Checks of this machine and the policy file: the user, the clock, and whether the schedule can be kept.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::sync::Arc;

use jiff::SignedDuration;
use tokio::process::Command;

use crate::config::Config;
use crate::config::traces::{TracesConfig, Unusable};
use crate::config_file::environment::ProcessEnvironment;
use crate::config_file::secret_source::SecretSource;
use crate::doctor::{CALL_LIMIT, Subject};
use crate::domain::examination::{Check, CheckResult};
use crate::domain::ids::CredentialName;
use crate::domain::record::Record;
use crate::domain::time::later;
use crate::ports::journal::CredentialState;
use crate::rehearsal::dry_run::{Given, Past};
use crate::rehearsal::simulation::report::SimulationReport;
use crate::rehearsal::simulation::{self, Conditions};

const AHEAD: SignedDuration = SignedDuration::from_hours(90 * 24);
const WRITABLE_BY_OTHERS: u32 = 0o022;
const NAMED_MAX: usize = 5;

pub(super) async fn examine(subject: Arc<Subject>) -> Vec<CheckResult> {
    let mut findings = vec![user(&subject.config), clock().await];
    findings.extend(traces());
    findings.extend(policy_file(&subject));
    findings.extend(schedule(subject).await);
    findings
}

fn user(config: &Config) -> CheckResult {
    let user = rustix::process::geteuid();
    if !user.is_root() {
        return CheckResult::ok(Check::User, "this command", format!("running as user {}", user.as_raw()));
    }
    CheckResult::unknown(
        Check::User,
        "this command",
        "running as root, so file permissions are not tested for rekeyd's user",
        format!("run it with the unit's user and credentials: `{}`", as_the_unit(config)),
    )
}

/// The command that runs the doctor with the user and the credentials of the unit.
pub(super) fn as_the_unit(config: &Config) -> String {
    let mut command = "systemd-run --pipe --wait --collect -p DynamicUser=yes -p User=rekeyd \
                       -p StateDirectory=rekeyd -p EnvironmentFile=-/etc/rekeyd/environment"
        .to_owned();
    let admin_keys = config.workspaces.values().filter_map(|it| it.admin_key.otherwise.as_ref());
    let tokens = config.consumers.values().filter_map(|consumer| consumer.token.as_ref());
    for source in admin_keys.chain(tokens).chain(config.leaks.token.as_ref()) {
        if let SecretSource::SystemdCredential(name) = source {
            command += &format!(" -p LoadCredential={name}:/etc/rekeyd/credentials/{name}");
        }
    }
    command + " rekeyd doctor"
}

async fn clock() -> CheckResult {
    let about = "the clock of this machine";
    let mut command = Command::new("timedatectl");
    command.args(["show", "--property=NTPSynchronized", "--value"]);
    command.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let status = match tokio::time::timeout(CALL_LIMIT, command.output()).await {
        Ok(Ok(output)) => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Ok(Err(_)) | Err(_) => String::new(),
    };
    match status.as_str() {
        "yes" => CheckResult::ok(Check::Clock, about, "synchronized"),
        "no" => CheckResult::warning(
            Check::Clock,
            about,
            "not synchronized; rotations stop once the skew exceeds `daemon.clock_skew_max`",
            "`timedatectl set-ntp true`, or start another NTP client",
        ),
        _ => CheckResult::unknown(
            Check::Clock,
            about,
            "`timedatectl` does not report synchronization (as in a container)",
            "run `timedatectl` on the host; see also `provider_clock`",
        ),
    }
}

/// Nothing where the environment says nothing of traces.
fn traces() -> Option<CheckResult> {
    let about = "the environment";
    match TracesConfig::read(&ProcessEnvironment) {
        Ok(None) => None,
        Ok(Some(_)) => Some(CheckResult::ok(Check::Traces, about, "traces are configured")),
        Err(Unusable { variable, why, help }) => {
            let message = format!("`{variable}`: {why}; the daemon would run without traces");
            Some(CheckResult::warning(Check::Traces, about, message, help))
        }
    }
}

fn policy_file(subject: &Subject) -> Vec<CheckResult> {
    let about = subject.path.display().to_string();
    let Ok(file) = subject.path.metadata() else { return Vec::new() };
    let mode = file.permissions().mode() & 0o777;
    let mut findings = Vec::new();
    if mode & WRITABLE_BY_OTHERS != 0 {
        findings.push(CheckResult::warning(
            Check::PolicyFile,
            &about,
            format!("writable by other users (mode {mode:04o}), who could redirect keys"),
            format!("`chmod go-w {about}`"),
        ));
    }
    for warning in &subject.config.warnings().problems {
        let place = warning.line.map_or_else(|| about.clone(), |line| format!("{about}:{line}"));
        findings.push(CheckResult::warning(
            Check::PolicyFile,
            place,
            format!("`{}`: {}", warning.key, warning.rule),
            if warning.help.is_empty() { "see docs/policy.md".to_owned() } else { warning.help.clone() },
        ));
    }
    if findings.is_empty() {
        let credentials = subject.config.policy.credentials.len();
        findings.push(CheckResult::ok(
            Check::PolicyFile,
            about,
            format!("valid; credentials: {credentials}"),
        ));
    }
    findings
}

/// Whether windows, freezes, expiries and quotas allow the schedule.
async fn schedule(subject: Arc<Subject>) -> Vec<CheckResult> {
    let about = "the next 90 days";
    // The simulation has a runtime of its own.
    let played = tokio::task::spawn_blocking(move || play(&subject).map(|report| (subject, report))).await;
    let (subject, report) = match played {
        Ok(Ok(played)) => played,
        Ok(Err(why)) => return vec![cannot_be_played(about, &why)],
        Err(error) => return vec![cannot_be_played(about, &error.to_string())],
    };
    let mut seen = Vec::new();
    for violation in &report.violations {
        if !seen.contains(&&violation.credential) && seen.len() < NAMED_MAX {
            seen.push(&violation.credential);
        }
    }
    if seen.is_empty() {
        return vec![CheckResult::ok(
            Check::Schedule,
            about,
            format!("the schedule can be kept; rotations: {}", report.rotations.len()),
        )];
    }
    let first = |name: &CredentialName| report.violations.iter().find(|it| it.credential == *name);
    let findings = seen.into_iter().filter_map(first).map(|it| {
        CheckResult::warning(
            Check::Schedule,
            format!("credential `{}`", it.credential),
            format!("at {:.0}: {}", it.at, it.why),
            format!("list all of them: `rekeyd forecast --policy {}`", subject.path.display()),
        )
    });
    findings.collect()
}

fn play(subject: &Subject) -> Result<SimulationReport, String> {
    let past = |(name, record): (&CredentialName, &Record)| {
        let record = Record { open: None, ..record.clone() };
        let known = Some(CredentialState { record, rotation: None });
        (name.clone(), Past { known, entries: Vec::new() })
    };
    let pasts = subject.records.iter().map(past).collect();
    let until = later(subject.now, AHEAD);
    let conditions = Conditions { play_out: false, ..Conditions::fair() };
    simulation::play(&Given::of(&subject.config), &pasts, &conditions, subject.now, until, |_| {})
}

fn cannot_be_played(about: &str, why: &str) -> CheckResult {
    CheckResult::unknown(
        Check::Schedule,
        about,
        format!("cannot be simulated: {why}"),
        "run `rekeyd forecast`",
    )
}
