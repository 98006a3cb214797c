//! This machine and the policy's file: who runs, whether the clock is kept right, and whether the policy can be kept.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::sync::Arc;

use jiff::SignedDuration;
use tokio::process::Command;

use crate::config::Config;
use crate::config_file::secret_source::SecretSource;
use crate::doctor::{Case, QUESTION_LIMIT};
use crate::domain::examination::{Check, Finding};
use crate::domain::forecast::{self, Bounds, Start};
use crate::domain::ids::CredentialName;

const AHEAD: SignedDuration = SignedDuration::from_hours(90 * 24);
const WRITABLE_BY_OTHERS: u32 = 0o022;
const NAMED_MAX: usize = 5;

pub(super) async fn examine(case: Arc<Case>) -> Vec<Finding> {
    let mut findings = vec![user(&case.config), clock().await];
    findings.extend(policy_file(&case));
    findings.extend(promises(&case));
    findings
}

fn user(config: &Config) -> Finding {
    let user = rustix::process::geteuid();
    if !user.is_root() {
        return Finding::fine(Check::User, "this command", format!("runs as user {}", user.as_raw()));
    }
    Finding::unproven(
        Check::User,
        "this command",
        "runs as root, who may do everything: what it says of permissions on this machine is said of root",
        format!("run it with the rights of the unit: `{}`", as_the_unit(config)),
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

async fn clock() -> Finding {
    let about = "the clock of this machine";
    let mut asked = Command::new("timedatectl");
    asked.args(["show", "--property=NTPSynchronized", "--value"]);
    asked.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let told = match tokio::time::timeout(QUESTION_LIMIT, asked.output()).await {
        Ok(Ok(output)) => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Ok(Err(_)) | Err(_) => String::new(),
    };
    match told.as_str() {
        "yes" => Finding::fine(Check::Clock, about, "is synchronised"),
        "no" => Finding::doubtful(
            Check::Clock,
            about,
            "is not synchronised: rotations are held as soon as it is off",
            "`timedatectl set-ntp true`, or start another NTP client",
        ),
        _ => Finding::unproven(
            Check::Clock,
            about,
            "`timedatectl` does not tell whether it is synchronised, as in a container",
            "look on the host: `timedatectl`; what counts is `provider_clock`",
        ),
    }
}

fn policy_file(case: &Case) -> Vec<Finding> {
    let about = case.path.display().to_string();
    let Ok(file) = case.path.metadata() else { return Vec::new() };
    let mode = file.permissions().mode() & 0o777;
    let mut findings = Vec::new();
    if mode & WRITABLE_BY_OTHERS != 0 {
        findings.push(Finding::doubtful(
            Check::PolicyFile,
            &about,
            format!("others than its owner may change it (mode {mode:04o}): who can, decides where keys go"),
            format!("`chmod go-w {about}`"),
        ));
    }
    for lint in &case.config.lints().problems {
        let place = lint.line.map_or_else(|| about.clone(), |line| format!("{about}:{line}"));
        findings.push(Finding::doubtful(
            Check::PolicyFile,
            place,
            format!("`{}`: {}", lint.key, lint.rule),
            if lint.help.is_empty() { "see docs/policy.md".to_owned() } else { lint.help.clone() },
        ));
    }
    if findings.is_empty() {
        let credentials = case.config.policy.credentials.len();
        findings.push(Finding::fine(Check::PolicyFile, about, format!("valid; credentials: {credentials}")));
    }
    findings
}

/// Whether calendars, expiries and quotas let the policy be kept.
fn promises(case: &Case) -> Vec<Finding> {
    let about = "the next 90 days";
    let start = |name: &CredentialName| {
        let known = case.records.get(name).filter(|record| record.current.is_some());
        let known = known.map(|record| Start { record: record.clone(), under_way: None });
        (name.clone(), known.unwrap_or_else(|| Start::assumed(name.clone(), case.now)))
    };
    let starts: BTreeMap<_, _> = case.config.policy.credentials.keys().map(start).collect();
    let until = case.now.saturating_add(AHEAD).unwrap_or(case.now);
    // Only how many there are is told.
    let bounds = Bounds { told: 0, ..Bounds::default() };
    let quotas = case.config.version_quotas();
    let foreseen = forecast::within(bounds, &case.config.policy, &quotas, starts, case.now, until);
    let mut seen = Vec::new();
    for broken in &foreseen.broken {
        if !seen.contains(&&broken.credential) && seen.len() < NAMED_MAX {
            seen.push(&broken.credential);
        }
    }
    if seen.is_empty() {
        let count = foreseen.rotations.len().saturating_add(foreseen.more);
        return vec![Finding::fine(
            Check::Promises,
            about,
            format!("the policy can be kept; rotations: {count}"),
        )];
    }
    let first = |name: &CredentialName| foreseen.broken.iter().find(|broken| broken.credential == *name);
    let findings = seen.into_iter().filter_map(first).map(|broken| {
        Finding::doubtful(
            Check::Promises,
            format!("credential `{}`", broken.credential),
            format!("at {}: {}", broken.at, broken.why),
            format!("see them all: `rekeyd forecast --policy {}`", case.path.display()),
        )
    });
    findings.collect()
}
