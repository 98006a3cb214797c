//! Checks of an AWS store: the caller's identity, and every secret of the policy, by read-only calls.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use tokio::task::JoinSet;

use crate::adapters::aws_secrets_manager::access_policy::domain_of;
use crate::adapters::aws_secrets_manager::examine::{self, CallerIdentity, SecretDetails};
use crate::adapters::aws_secrets_manager::failure::is_plain;
use crate::adapters::aws_secrets_manager::{AwsSecretsManager, Patience, Settings};
use crate::adapters::endpoint::reach::reach;
use crate::config_file::environment::{Environment, ProcessEnvironment};
use crate::domain::examination::{Check, CheckResult, StoreCheck};
use crate::domain::failure::{Failure, Kind};
use crate::domain::plan::Destination;
use crate::ports::secret_store::SecretStore as _;
use crate::ports::store_kind::{Examination, about_destination};

const IDENTITY: StoreCheck = StoreCheck {
    kind: "aws_secrets_manager",
    step: 0,
    label: "aws_identity",
    checks: "the caller's AWS identity",
};
const SECRET: StoreCheck = StoreCheck {
    step: 1,
    label: "aws_secret",
    checks: "that each secret exists, is not scheduled for deletion, is no replica, and is neither rotated by AWS nor managed by another service",
    ..IDENTITY
};
const CONTENT: StoreCheck = StoreCheck {
    step: 2,
    label: "aws_content",
    checks: "that each secret is readable, KMS key included, and that a key can be merged into it",
    ..IDENTITY
};
const WRITE: StoreCheck = StoreCheck {
    step: 3,
    label: "aws_write",
    checks: "with `--write-probe`: that each secret is writable, and its staging labels can be moved",
    ..IDENTITY
};
pub(super) const CHECKS: [StoreCheck; 4] = [IDENTITY, SECRET, CONTENT, WRITE];

/// AWS keeps 100 versions, not counting those of the last day.
const VERSIONS_MANY: usize = 90;
const LIMITS: Patience = Patience {
    connect: Duration::from_secs(3),
    attempt: Duration::from_secs(5),
    operation: Duration::from_secs(8),
    attempts_max: 2,
    first_pause: Duration::from_millis(200),
};
/// Secrets that are checked concurrently.
const AT_ONCE: usize = 8;

pub(super) async fn examine(settings: &Settings, examination: &Examination) -> Vec<CheckResult> {
    let about = &examination.about;
    let settings = Settings { patience: LIMITS, ..settings.clone() };
    let store = match AwsSecretsManager::connect(&settings).await {
        Ok(store) => Arc::new(store),
        Err(failure) => {
            let fix = "set `region` on the store, or AWS_REGION in /etc/rekeyd/environment";
            return vec![CheckResult::error(Check::Store(IDENTITY), about, failure.to_string(), fix)];
        }
    };
    let mut findings = Vec::new();
    if let Some(url) = endpoint(&settings) {
        let (found, goes_on) = reach(about, &url, None, examination.now, examination.time_limit).await;
        findings.extend(found);
        if !goes_on {
            return findings;
        }
    }
    let (finding, goes_on) = identity(about, &settings).await;
    findings.push(finding);
    if !goes_on {
        return findings;
    }
    let mut waiting = examination.destinations.iter();
    let mut examined = JoinSet::new();
    loop {
        while examined.len() < AT_ONCE
            && let Some((to, users)) = waiting.next()
        {
            let about = about_destination(to, users);
            examined.spawn(secret(Arc::clone(&store), to.clone(), about, examination.write_probe));
        }
        match examined.join_next().await {
            Some(found) => findings.extend(found.unwrap_or_default()),
            None => return findings,
        }
    }
}

/// The endpoint of the calls.
fn endpoint(settings: &Settings) -> Option<Url> {
    let from_environment = |name: &str| ProcessEnvironment.read(name).filter(|text| !text.is_empty());
    if let Some(url) = &settings.endpoint_url {
        return Url::parse(url).ok();
    }
    // As the SDK does, which the daemon calls by.
    let is_ignored = from_environment("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").is_some_and(|it| it == "true");
    let configured =
        ["AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL"].into_iter().find_map(from_environment);
    if let Some(url) = configured.filter(|_| !is_ignored) {
        return Url::parse(&url).ok();
    }
    let region = settings.region.clone().or_else(|| from_environment("AWS_REGION"));
    let region = region.or_else(|| from_environment("AWS_DEFAULT_REGION"))?;
    Url::parse(&format!("https://secretsmanager.{region}.{}/", domain_of(&region))).ok()
}

async fn identity(about: &str, settings: &Settings) -> (CheckResult, bool) {
    let check = Check::Store(IDENTITY);
    let region = settings.region.as_deref().unwrap_or("from the environment");
    match examine::identity(settings).await {
        Ok(CallerIdentity { arn, account }) => (
            CheckResult::ok(check, about, format!("identity `{arn}`, account {account}, region {region}")),
            true,
        ),
        Err(failure) => match failure.kind {
            Kind::Unauthenticated => {
                let fix = "provide AWS credentials: a role of the instance, pod or task, or AWS_PROFILE and \
                           AWS_CONFIG_FILE in /etc/rekeyd/environment; then `aws sts get-caller-identity`";
                (CheckResult::error(check, about, format!("{failure}{}", other_environment()), fix), false)
            }
            Kind::ClockSkew => {
                let fix = "synchronize the clock: `timedatectl set-ntp true`";
                (CheckResult::error(check, about, failure.to_string(), fix), false)
            }
            Kind::Throttled
            | Kind::Unreachable
            | Kind::TimedOut
            | Kind::ServerError
            | Kind::Garbled
            | Kind::Forbidden
            | Kind::NotFound
            | Kind::Invalid
            | Kind::LimitReached
            | Kind::Conflict
            | Kind::NotActiveYet
            | Kind::LocalDisk => {
                let fix =
                    "no action is needed if the secrets below are ok: only the identity's name is unknown";
                (CheckResult::unknown(check, about, failure.to_string(), fix), true)
            }
        },
    }
}

/// The operator's shell may not have what the unit has.
fn other_environment() -> &'static str {
    let has = |name: &&str| ProcessEnvironment.read(name).is_some_and(|text| !text.is_empty());
    let names = [
        "AWS_PROFILE",
        "AWS_CONFIG_FILE",
        "AWS_ACCESS_KEY_ID",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_ROLE_ARN",
    ];
    if names.iter().any(has) {
        return "";
    }
    "; this shell has no AWS variables: the daemon's, from /etc/rekeyd/environment, may differ"
}

async fn secret(
    store: Arc<AwsSecretsManager>,
    to: Destination,
    about: String,
    write_probe: bool,
) -> Vec<CheckResult> {
    let (details, mut findings) = match store.details(&to).await {
        Ok(details) => (details, Vec::new()),
        Err(failure) => {
            // Reading the value may still be allowed, and a rotation starts with that.
            let fix = allow(&to, "secretsmanager:DescribeSecret");
            (
                None,
                vec![CheckResult::error(
                    Check::Store(SECRET),
                    &about,
                    failure.to_string(),
                    fix_for(&failure, fix),
                )],
            )
        }
    };
    if let Some(details) = &details {
        let problems = problems(&about, &to, details);
        let stop = problems.iter().any(|finding| finding.fix.is_some())
            && (details.is_deleted || details.replica_of.is_some());
        findings.extend(problems);
        if stop {
            return findings;
        }
    }
    match store.preflight(&to).await {
        Ok(served) => {
            let what = match (&served.version, &served.fingerprint) {
                (None, _) if details.is_none() => {
                    "does not exist yet: no consumer reads it; the first rotation creates it"
                }
                (None, _) => "has no value yet: no consumer reads it; the first rotation writes it",
                (Some(_), None) => "readable; the JSON field is empty, and the first rotation writes it",
                (Some(_), Some(_)) => "readable, and holds a key",
            };
            findings.push(CheckResult::ok(Check::Store(CONTENT), &about, what));
        }
        Err(failure) => {
            let fix = fix_for(&failure, allow(&to, "secretsmanager:GetSecretValue"));
            findings.push(CheckResult::error(Check::Store(CONTENT), &about, failure.to_string(), fix));
            return findings;
        }
    }
    let kms_key = details.as_ref().and_then(|details| details.kms_key.clone());
    findings.push(write(&store, &about, &to, write_probe && details.is_some(), kms_key).await);
    findings
}

/// The findings for a secret that can be described. Pure.
fn problems(about: &str, to: &Destination, details: &SecretDetails) -> Vec<CheckResult> {
    let check = Check::Store(SECRET);
    let id = &to.secret;
    let mut findings = Vec::new();
    if details.is_deleted {
        let fix = format!(
            "`aws secretsmanager restore-secret --secret-id {id}`, or use another secret in the policy"
        );
        findings.push(CheckResult::error(check, about, "scheduled for deletion", fix));
    }
    if let Some(primary) = &details.replica_of {
        let what = format!("a read-only replica; its primary is in {primary}");
        findings.push(CheckResult::error(
            check,
            about,
            what,
            format!("set `region = \"{primary}\"` on the store"),
        ));
    }
    if details.is_rotated {
        let what = "AWS rotation is enabled: AWS and rekeyd would overwrite each other's versions";
        let fix = format!("`aws secretsmanager cancel-rotate-secret --secret-id {id}`");
        findings.push(CheckResult::error(check, about, what, fix));
    }
    if let Some(owner) = &details.owner {
        let what = format!("managed by `{owner}`, which may reject other writers");
        findings.push(CheckResult::error(check, about, what, "use a secret of your own in the policy"));
    }
    if !details.replicas_failed.is_empty() {
        let what = format!("replication is failing in: {}", details.replicas_failed.join(", "));
        let fix = format!(
            "consumers there keep the old key; check `aws secretsmanager describe-secret --secret-id {id}`"
        );
        findings.push(CheckResult::warning(check, about, what, fix));
    }
    if details.labelled > VERSIONS_MANY {
        let what = format!("{} versions have staging labels; AWS keeps about 100", details.labelled);
        let fix = "remove labels from unused versions: `aws secretsmanager update-secret-version-stage`";
        findings.push(CheckResult::warning(check, about, what, fix));
    }
    if findings.is_empty() {
        let key =
            if details.kms_key.is_some() { "a customer-managed KMS key" } else { "the AWS-managed KMS key" };
        findings.push(CheckResult::ok(check, about, format!("exists, encrypted with {key}")));
    }
    findings
}

async fn write(
    store: &AwsSecretsManager,
    about: &str,
    to: &Destination,
    probe: bool,
    kms_key: Option<String>,
) -> CheckResult {
    let check = Check::Store(WRITE);
    if !probe {
        let kms = kms_key.filter(|key| is_plain(key));
        let kms = kms
            .map_or_else(String::new, |key| format!(", and so is `kms:GenerateDataKey` on its key `{key}`"));
        let what = format!("write access is UNPROVEN{kms}");
        let fix = "test it without changes: `rekeyd doctor --write-probe`; required permissions: `rekeyd doctor --iam`";
        return CheckResult::unknown(check, about, what, fix);
    }
    if let Err(failure) = store.try_relabel(to).await {
        let fix = fix_for(&failure, allow(to, "secretsmanager:UpdateSecretVersionStage"));
        return CheckResult::error(check, about, failure.to_string(), fix);
    }
    match store.try_write(to).await {
        Ok(true) => CheckResult::ok(check, about, "writable, and its labels can be moved"),
        Ok(false) => {
            let what = "its labels can be moved; there is no version to test writing with";
            CheckResult::unknown(check, about, what, "required permissions: `rekeyd doctor --iam`")
        }
        Err(failure) => {
            let fix = fix_for(&failure, allow(to, "secretsmanager:PutSecretValue"));
            CheckResult::error(check, about, failure.to_string(), fix)
        }
    }
}

fn allow(to: &Destination, action: &str) -> String {
    format!(
        "allow `{action}` on `{}` for this identity; `rekeyd doctor --iam` prints the whole policy",
        to.secret
    )
}

/// The fix for a failure; `permission` is the fix for a denial.
fn fix_for(failure: &Failure, permission: String) -> String {
    match failure.kind {
        Kind::Forbidden if failure.message.contains("KMS") => {
            "allow `kms:Decrypt` and `kms:GenerateDataKey` on the secret's KMS key for this identity, also in the key policy, \
             and check that the key is enabled: `rekeyd doctor --iam --kms-key ARN`"
                .to_owned()
        }
        Kind::Forbidden => permission,
        Kind::NotFound => "create the secret, set `create = true`, or correct its name or the region".to_owned(),
        Kind::Unauthenticated => "renew the AWS credentials: `aws sts get-caller-identity`".to_owned(),
        Kind::ClockSkew => "synchronize the clock: `timedatectl set-ntp true`".to_owned(),
        Kind::Throttled | Kind::ServerError => "try again in a minute".to_owned(),
        Kind::Unreachable | Kind::TimedOut => {
            "check the region, `endpoint_url` and the firewall".to_owned()
        }
        Kind::Garbled
        | Kind::Invalid
        | Kind::LimitReached
        | Kind::Conflict
        | Kind::NotActiveYet
        | Kind::LocalDisk => "fix the reported error, or use another secret in the policy".to_owned(),
    }
}
