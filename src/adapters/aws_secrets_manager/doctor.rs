//! Examines one store in AWS: the daemon's identity there, and every secret of the policy. Its calls change nothing.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use tokio::task::JoinSet;

use crate::adapters::aws_secrets_manager::examine::{self, CallerIdentity, SecretDetails};
use crate::adapters::aws_secrets_manager::permissions::domain_of;
use crate::adapters::aws_secrets_manager::{AwsSecretsManager, Patience, Settings};
use crate::adapters::endpoint::reach::reach;
use crate::config_file::environment::{Environment, ProcessEnvironment};
use crate::domain::examination::{Check, Finding, StoreCheck};
use crate::domain::failure::{Failure, Kind};
use crate::domain::plan::Destination;
use crate::ports::secret_store::SecretStore as _;
use crate::ports::store_kind::{Examination, about_destination};

const IDENTITY: StoreCheck = StoreCheck {
    kind: "aws_secrets_manager",
    step: 0,
    label: "aws_identity",
    examines: "the identity of the daemon at AWS",
};
const SECRET: StoreCheck = StoreCheck {
    step: 1,
    label: "aws_secret",
    examines: "each secret: it exists, is not marked for deletion, is no replica, and nobody else rotates or manages it",
    ..IDENTITY
};
const CONTENT: StoreCheck = StoreCheck {
    step: 2,
    label: "aws_content",
    examines: "whether each secret can be read and decrypted, and whether a key can be merged into it",
    ..IDENTITY
};
const WRITE: StoreCheck = StoreCheck {
    step: 3,
    label: "aws_write",
    examines: "with `--write-probe`: whether each secret may be written and its staging labels moved",
    ..IDENTITY
};
pub(super) const CHECKS: [StoreCheck; 4] = [IDENTITY, SECRET, CONTENT, WRITE];

/// AWS keeps 100 versions, besides those of the last day.
const VERSIONS_MANY: usize = 90;
const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(3),
    attempt: Duration::from_secs(5),
    operation: Duration::from_secs(8),
    attempts_max: 2,
    first_pause: Duration::from_millis(200),
};
/// Secrets that are examined at the same time.
const AT_ONCE: usize = 8;

pub(super) async fn examine(settings: &Settings, examination: &Examination) -> Vec<Finding> {
    let about = &examination.about;
    let settings = Settings { patience: PATIENCE, ..settings.clone() };
    let store = match AwsSecretsManager::connect(&settings).await {
        Ok(store) => Arc::new(store),
        Err(failure) => {
            let fix = "write `region` into the store, or set AWS_REGION in /etc/rekeyd/environment";
            return vec![Finding::broken(Check::Store(IDENTITY), about, failure.to_string(), fix)];
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

/// Where the calls go.
fn endpoint(settings: &Settings) -> Option<Url> {
    let from_environment = |name: &str| ProcessEnvironment.read(name).filter(|text| !text.is_empty());
    if let Some(url) = &settings.endpoint_url {
        return Url::parse(url).ok();
    }
    let region = settings.region.clone().or_else(|| from_environment("AWS_REGION"));
    let region = region.or_else(|| from_environment("AWS_DEFAULT_REGION"))?;
    Url::parse(&format!("https://secretsmanager.{region}.{}/", domain_of(&region))).ok()
}

async fn identity(about: &str, settings: &Settings) -> (Finding, bool) {
    let check = Check::Store(IDENTITY);
    let region = settings.region.as_deref().unwrap_or("of the environment");
    match examine::identity(settings).await {
        Ok(CallerIdentity { arn, account }) => {
            (Finding::fine(check, about, format!("is `{arn}` of account {account}, region {region}")), true)
        }
        Err(failure) => match failure.kind {
            Kind::Unauthenticated => {
                let fix = "give the daemon an identity: a role of the instance, the pod or the task, or AWS_PROFILE and \
                           AWS_CONFIG_FILE in /etc/rekeyd/environment; then `aws sts get-caller-identity`";
                (Finding::broken(check, about, failure.to_string(), fix), false)
            }
            Kind::ClockSkew => {
                let fix = "set the clock: `timedatectl set-ntp true`";
                (Finding::broken(check, about, failure.to_string(), fix), false)
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
                let fix = "none, if the secrets below are fine: only the name of the identity is unknown";
                (Finding::unproven(check, about, failure.to_string(), fix), true)
            }
        },
    }
}

async fn secret(
    store: Arc<AwsSecretsManager>,
    to: Destination,
    about: String,
    write_probe: bool,
) -> Vec<Finding> {
    let (details, mut findings) = match store.details(&to).await {
        Ok(details) => (details, Vec::new()),
        Err(failure) => {
            // A rotation begins with reading, which may be permitted all the same.
            let fix = allow(&to, "secretsmanager:DescribeSecret");
            (
                None,
                vec![Finding::broken(
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
                (None, _) if details.is_none() => "does not exist: the first rotation creates it",
                (None, _) => "has no content yet: the first rotation fills it",
                (Some(_), None) => {
                    "can be read; its field for the key is empty, and the first rotation fills it"
                }
                (Some(_), Some(_)) => "can be read, and serves a key",
            };
            findings.push(Finding::fine(Check::Store(CONTENT), &about, what));
        }
        Err(failure) => {
            let fix = fix_for(&failure, allow(&to, "secretsmanager:GetSecretValue"));
            findings.push(Finding::broken(Check::Store(CONTENT), &about, failure.to_string(), fix));
            return findings;
        }
    }
    findings.push(write(&store, &about, &to, write_probe && details.is_some()).await);
    findings
}

/// What is wrong with a secret, from its metadata. Pure.
fn problems(about: &str, to: &Destination, details: &SecretDetails) -> Vec<Finding> {
    let check = Check::Store(SECRET);
    let id = &to.secret;
    let mut findings = Vec::new();
    if details.is_deleted {
        let fix = format!(
            "`aws secretsmanager restore-secret --secret-id {id}`, or name another one in the policy"
        );
        findings.push(Finding::broken(check, about, "is marked for deletion", fix));
    }
    if let Some(primary) = &details.replica_of {
        let what = format!("is a replica and read-only: the primary is in {primary}");
        findings.push(Finding::broken(
            check,
            about,
            what,
            format!("give the store `region = \"{primary}\"`"),
        ));
    }
    if details.is_rotated {
        let what = "AWS rotates it as well, and the two rotations would overwrite each other's versions";
        let fix = format!("`aws secretsmanager cancel-rotate-secret --secret-id {id}`");
        findings.push(Finding::broken(check, about, what, fix));
    }
    if let Some(owner) = &details.owner {
        let what = format!("is managed by `{owner}`, which may refuse writes by others");
        findings.push(Finding::broken(check, about, what, "name a secret of your own in the policy"));
    }
    if !details.replicas_failed.is_empty() {
        let what = format!("its replicas are out of sync in: {}", details.replicas_failed.join(", "));
        let fix = format!(
            "consumers there keep the old key: `aws secretsmanager describe-secret --secret-id {id}`"
        );
        findings.push(Finding::doubtful(check, about, what, fix));
    }
    if details.labelled > VERSIONS_MANY {
        let what = format!("{} of its versions have labels; AWS keeps about 100", details.labelled);
        let fix = "remove the labels of unused versions: `aws secretsmanager update-secret-version-stage`";
        findings.push(Finding::doubtful(check, about, what, fix));
    }
    if findings.is_empty() {
        let key =
            if details.kms_key.is_some() { "a customer-managed KMS key" } else { "the AWS managed KMS key" };
        findings.push(Finding::fine(check, about, format!("exists, encrypted with {key}")));
    }
    findings
}

async fn write(store: &AwsSecretsManager, about: &str, to: &Destination, probe: bool) -> Finding {
    let check = Check::Store(WRITE);
    if !probe {
        let what = "write access is known only after a write";
        let fix = "run `rekeyd doctor --write-probe`, which changes nothing; `rekeyd doctor --iam` prints the permissions";
        return Finding::unproven(check, about, what, fix);
    }
    if let Err(failure) = store.try_relabel(to).await {
        let fix = fix_for(&failure, allow(to, "secretsmanager:UpdateSecretVersionStage"));
        return Finding::broken(check, about, failure.to_string(), fix);
    }
    match store.try_write(to).await {
        Ok(true) => Finding::fine(check, about, "may be written, and its labels may be moved"),
        Ok(false) => {
            let what = "its labels may be moved; there is no version to test write access with";
            Finding::unproven(check, about, what, "`rekeyd doctor --iam` prints the permissions")
        }
        Err(failure) => {
            let fix = fix_for(&failure, allow(to, "secretsmanager:PutSecretValue"));
            Finding::broken(check, about, failure.to_string(), fix)
        }
    }
}

fn allow(to: &Destination, action: &str) -> String {
    format!("allow the identity `{action}` on `{}`: `rekeyd doctor --iam` prints the whole policy", to.secret)
}

/// The suggested fix for a failure; `permission` is the fix if AWS denied the call.
fn fix_for(failure: &Failure, permission: String) -> String {
    match failure.kind {
        Kind::Forbidden if failure.message.contains("KMS") => {
            "allow `kms:Decrypt` and `kms:GenerateDataKey` on the secret's KMS key to the identity, in the key's own policy \
             too, and see that the key is enabled: `rekeyd doctor --iam --kms-key ARN`"
                .to_owned()
        }
        Kind::Forbidden => permission,
        Kind::NotFound => "create the secret, write `create = true`, or correct its name or the region".to_owned(),
        Kind::Unauthenticated => "renew the AWS credentials: `aws sts get-caller-identity`".to_owned(),
        Kind::ClockSkew => "set the clock: `timedatectl set-ntp true`".to_owned(),
        Kind::Throttled | Kind::ServerError => "try again in a minute".to_owned(),
        Kind::Unreachable | Kind::TimedOut => {
            "check the region, `endpoint_url` and the firewall".to_owned()
        }
        Kind::Garbled
        | Kind::Invalid
        | Kind::LimitReached
        | Kind::Conflict
        | Kind::NotActiveYet
        | Kind::LocalDisk => "fix the reported problem, or name another secret in the policy".to_owned(),
    }
}
