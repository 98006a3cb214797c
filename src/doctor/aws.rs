//! One store in AWS: who we are there, and every secret of the policy, by calls that change nothing.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use tokio::task::JoinSet;

use crate::adapters::aws_secrets_manager::examine::{self, Facts, Identity};
use crate::adapters::aws_secrets_manager::{AwsSecretsManager, Patience, Settings};
use crate::app::assembly;
use crate::config::components::{AwsConfig, StoreConfig};
use crate::config::environment::{Environment, ProcessEnvironment};
use crate::doctor::Case;
use crate::doctor::finding::{Check, Finding};
use crate::doctor::reach::reach;
use crate::domain::failure::{Failure, Kind};
use crate::domain::ids::{CredentialName, StoreName};
use crate::domain::plan::Destination;
use crate::ports::secret_store::SecretStore as _;

/// AWS keeps 100 versions without counting those of the last day.
const VERSIONS_MANY: usize = 90;
const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(3),
    attempt: Duration::from_secs(5),
    operation: Duration::from_secs(8),
    attempts_max: 2,
    first_pause: Duration::from_millis(200),
};
/// Secrets that are looked at at the same time.
const AT_ONCE: usize = 8;

pub(super) async fn examine(case: Arc<Case>, name: StoreName) -> Vec<Finding> {
    let about = format!("store `{name}`");
    let Some(StoreConfig::AwsSecretsManager(aws)) = case.config.stores.get(&name) else { return Vec::new() };
    let settings = Settings { patience: PATIENCE, ..assembly::aws_settings(aws) };
    let store = match AwsSecretsManager::connect(&settings).await {
        Ok(store) => Arc::new(store),
        Err(failure) => {
            let fix = "write `region` into the store, or set AWS_REGION in /etc/rekeyd/environment";
            return vec![Finding::broken(Check::AwsIdentity, about, failure.to_string(), fix)];
        }
    };
    let mut findings = Vec::new();
    if let Some(url) = address(aws) {
        let (found, goes_on) = reach(&case, &about, &url, None).await;
        findings.extend(found);
        if !goes_on {
            return findings;
        }
    }
    let (finding, goes_on) = identity(&about, &settings).await;
    findings.push(finding);
    if !goes_on {
        return findings;
    }
    let mut waiting = case.destinations(&name).into_iter();
    let mut looked_at = JoinSet::new();
    loop {
        while looked_at.len() < AT_ONCE
            && let Some((to, users)) = waiting.next()
        {
            looked_at.spawn(secret(Arc::clone(&store), to, users, case.write_probe));
        }
        match looked_at.join_next().await {
            Some(found) => findings.extend(found.unwrap_or_default()),
            None => return findings,
        }
    }
}

/// Where the calls go.
fn address(aws: &AwsConfig) -> Option<Url> {
    let from_environment = |name: &str| ProcessEnvironment.read(name).filter(|text| !text.is_empty());
    if let Some(url) = &aws.endpoint_url {
        return Some(url.clone());
    }
    let region = aws.region.clone().or_else(|| from_environment("AWS_REGION"));
    let region = region.or_else(|| from_environment("AWS_DEFAULT_REGION"))?;
    let end = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    Url::parse(&format!("https://secretsmanager.{region}.{end}/")).ok()
}

async fn identity(about: &str, settings: &Settings) -> (Finding, bool) {
    let check = Check::AwsIdentity;
    let region = settings.region.as_deref().unwrap_or("of the environment");
    match examine::identity(settings).await {
        Ok(Identity { arn, account }) => {
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
                let fix =
                    "nothing, if the secrets below are fine: only the name of the identity is not known";
                (Finding::unproven(check, about, failure.to_string(), fix), true)
            }
        },
    }
}

async fn secret(
    store: Arc<AwsSecretsManager>,
    to: Destination,
    users: Vec<CredentialName>,
    write_probe: bool,
) -> Vec<Finding> {
    let users: Vec<&str> = users.iter().map(CredentialName::as_str).collect();
    let about = format!("{to} ({})", users.join(", "));
    let (facts, mut findings) = match store.facts(&to).await {
        Ok(facts) => (facts, Vec::new()),
        Err(failure) => {
            // Reading may be permitted all the same, and is what a rotation begins with.
            let fix = allow(&to, "secretsmanager:DescribeSecret");
            (
                None,
                vec![Finding::broken(Check::AwsSecret, &about, failure.to_string(), mended(&failure, fix))],
            )
        }
    };
    if let Some(facts) = &facts {
        let judged = judge(&about, &to, facts);
        let stop = judged.iter().any(|finding| finding.fix.is_some())
            && (facts.is_deleted || facts.replica_of.is_some());
        findings.extend(judged);
        if stop {
            return findings;
        }
    }
    match store.preflight(&to).await {
        Ok(standing) => {
            let what = match (&standing.version, &standing.fingerprint) {
                (None, _) if facts.is_none() => "is not there: the first rotation creates it",
                (None, _) => "has no content yet: the first rotation fills it",
                (Some(_), None) => {
                    "can be read; the key's place in it is empty, and is filled by the first rotation"
                }
                (Some(_), Some(_)) => "can be read, and serves a key",
            };
            findings.push(Finding::fine(Check::AwsContent, &about, what));
        }
        Err(failure) => {
            let fix = mended(&failure, allow(&to, "secretsmanager:GetSecretValue"));
            findings.push(Finding::broken(Check::AwsContent, &about, failure.to_string(), fix));
            return findings;
        }
    }
    findings.push(write(&store, &about, &to, write_probe && facts.is_some()).await);
    findings
}

/// What is wrong with a secret that can be described. Pure.
fn judge(about: &str, to: &Destination, facts: &Facts) -> Vec<Finding> {
    let check = Check::AwsSecret;
    let id = &to.secret;
    let mut findings = Vec::new();
    if facts.is_deleted {
        let fix = format!(
            "`aws secretsmanager restore-secret --secret-id {id}`, or name another one in the policy"
        );
        findings.push(Finding::broken(check, about, "is marked for deletion", fix));
    }
    if let Some(primary) = &facts.replica_of {
        let what = format!("is a replica, which nobody can write: its original is in {primary}");
        findings.push(Finding::broken(
            check,
            about,
            what,
            format!("give the store `region = \"{primary}\"`"),
        ));
    }
    if facts.is_rotated {
        let what = "AWS rotates it as well: the two would overwrite each other's versions";
        let fix = format!("`aws secretsmanager cancel-rotate-secret --secret-id {id}`");
        findings.push(Finding::broken(check, about, what, fix));
    }
    if let Some(owner) = &facts.owner {
        let what = format!("is managed by `{owner}`, which may not let others write it");
        findings.push(Finding::broken(check, about, what, "name a secret of your own in the policy"));
    }
    if !facts.replicas_failed.is_empty() {
        let what = format!("its copies are not in step in: {}", facts.replicas_failed.join(", "));
        let fix = format!(
            "consumers there keep the old key: `aws secretsmanager describe-secret --secret-id {id}`"
        );
        findings.push(Finding::doubtful(check, about, what, fix));
    }
    if facts.labelled > VERSIONS_MANY {
        let what = format!("{} of its versions have labels; AWS keeps about 100", facts.labelled);
        let fix =
            "take labels off versions that nobody needs: `aws secretsmanager update-secret-version-stage`";
        findings.push(Finding::doubtful(check, about, what, fix));
    }
    if findings.is_empty() {
        let key = if facts.kms_key.is_some() { "a KMS key of your own" } else { "AWS's own KMS key" };
        findings.push(Finding::fine(check, about, format!("is there, encrypted with {key}")));
    }
    findings
}

async fn write(store: &AwsSecretsManager, about: &str, to: &Destination, probe: bool) -> Finding {
    let check = Check::AwsWrite;
    if !probe {
        let what = "whether it may be written shows only when it is";
        let fix = "try it without changing anything: `rekeyd doctor --write-probe`; what is needed: `rekeyd doctor --iam`";
        return Finding::unproven(check, about, what, fix);
    }
    if let Err(failure) = store.try_relabel(to).await {
        let fix = mended(&failure, allow(to, "secretsmanager:UpdateSecretVersionStage"));
        return Finding::broken(check, about, failure.to_string(), fix);
    }
    match store.try_write(to).await {
        Ok(true) => Finding::fine(check, about, "may be written, and its labels may be moved"),
        Ok(false) => {
            let what = "its labels may be moved; there is no version to try with whether it may be written";
            Finding::unproven(check, about, what, "what is needed: `rekeyd doctor --iam`")
        }
        Err(failure) => {
            let fix = mended(&failure, allow(to, "secretsmanager:PutSecretValue"));
            Finding::broken(check, about, failure.to_string(), fix)
        }
    }
}

fn allow(to: &Destination, action: &str) -> String {
    format!(
        "allow `{action}` on `{}` to the identity: `rekeyd doctor --iam` prints the whole policy",
        to.secret
    )
}

/// What mends a failure that may be a denial, which `permission` would mend.
fn mended(failure: &Failure, permission: String) -> String {
    match failure.kind {
        Kind::Forbidden if failure.message.contains("KMS") => {
            "allow `kms:Decrypt` and `kms:GenerateDataKey` on the secret's KMS key to the identity, in the key's own policy \
             too, and see that the key is enabled: `rekeyd doctor --iam --kms-key ARN`"
                .to_owned()
        }
        Kind::Forbidden => permission,
        Kind::NotFound => "create the secret, write `create = true`, or mend its name and the region".to_owned(),
        Kind::Unauthenticated => "renew the AWS credentials: `aws sts get-caller-identity`".to_owned(),
        Kind::ClockSkew => "set the clock: `timedatectl set-ntp true`".to_owned(),
        Kind::Throttled | Kind::ServerError => "try again in a minute".to_owned(),
        Kind::Unreachable | Kind::TimedOut => {
            "see that region and `endpoint_url` are right, and that a firewall lets this machine through".to_owned()
        }
        Kind::Garbled
        | Kind::Invalid
        | Kind::LimitReached
        | Kind::Conflict
        | Kind::NotActiveYet
        | Kind::LocalDisk => "mend what it says, or name another secret in the policy".to_owned(),
    }
}
