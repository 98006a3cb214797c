//! Checks of the secrets that the policy refers to: readable, not exposed to other users, and tokens that differ.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;

use crate::app::with_causes;
use crate::config_file::environment::ProcessEnvironment;
use crate::config_file::secret_source::{SecretSource, Unreadable};
use crate::doctor::{Subject, blocking, machine};
use crate::domain::examination::{Check, CheckResult};
use crate::domain::secret::{SecretValue, TOKEN_CHARACTERS_MIN};

pub(super) async fn examine(subject: Arc<Subject>) -> Vec<CheckResult> {
    blocking(move || look(&subject)).await
}

fn look(subject: &Subject) -> Vec<CheckResult> {
    let config = &subject.config;
    let mut findings = Vec::new();
    for (name, workspace) in &config.workspaces {
        let Some(source) = &workspace.admin_key.otherwise else { continue };
        let about = format!("the admin key of workspace `{name}`");
        // A published admin key is used instead.
        let may_be_missing = workspace.admin_key.published.is_some();
        findings.extend(one(subject, &about, source, may_be_missing).0);
    }
    let mut tokens: BTreeMap<String, SecretValue> = BTreeMap::new();
    for (name, consumer) in &config.consumers {
        let Some(source) = &consumer.token else { continue };
        let (found, value) = one(subject, &format!("the token of consumer `{name}`"), source, false);
        findings.extend(found);
        tokens.extend(value.map(|value| (format!("consumer `{name}`"), value)));
    }
    if let Some(source) = &config.leaks.token {
        let (found, value) = one(subject, "the token of `[leaks]`", source, false);
        findings.extend(found);
        tokens.extend(value.map(|value| ("`[leaks]`".to_owned(), value)));
    }
    if let Some(source) = &config.readers.token {
        let (found, value) = one(subject, "the token of `[readers]`", source, false);
        findings.extend(found);
        tokens.extend(value.map(|value| ("`[readers]`".to_owned(), value)));
    }
    findings.extend(alike(&tokens));
    findings.extend(short(&tokens));
    findings
}

/// The findings for one secret, and its value.
fn one(
    subject: &Subject,
    about: &str,
    source: &SecretSource,
    may_be_missing: bool,
) -> (Vec<CheckResult>, Option<SecretValue>) {
    let value = match source.read(&ProcessEnvironment) {
        Ok(value) => value,
        Err(unreadable) => {
            let (what, fix) = (with_causes(&unreadable), fix_for(subject, &unreadable));
            let finding = if may_be_missing {
                CheckResult::warning(Check::Secret, about, what, fix)
            } else {
                CheckResult::error(Check::Secret, about, what, fix)
            };
            return (vec![finding], None);
        }
    };
    let finding = match (source, source.exposure()) {
        (SecretSource::File(path), Some(mode)) => CheckResult::warning(
            Check::Secret,
            about,
            format!("`{}` is accessible to other users (mode {mode:04o})", path.display()),
            format!("`chmod 0400 {}`", path.display()),
        ),
        (_, _) => CheckResult::ok(Check::Secret, about, format!("{source} is readable")),
    };
    (vec![finding], Some(value))
}

fn fix_for(subject: &Subject, unreadable: &Unreadable) -> String {
    match unreadable {
        Unreadable::NoCredentials { .. } => format!(
            "only the unit has it: run `CREDENTIALS_DIRECTORY=/etc/rekeyd/credentials rekeyd doctor` as root, or as the unit \
             does: `{}`",
            machine::as_the_unit(&subject.config)
        ),
        Unreadable::Unset { place } => {
            format!(
                "set {place}, for the unit in /etc/rekeyd/environment; prefer a file or a systemd credential"
            )
        }
        Unreadable::Io { place: SecretSource::File(path), source }
            if source.kind() == ErrorKind::NotFound =>
        {
            format!(
                "create it: `install -m 0400 /dev/stdin {}`, paste the value, then Ctrl-D",
                path.display()
            )
        }
        Unreadable::Io { place: SecretSource::File(path), .. } => {
            format!("make it readable for rekeyd's user only: `ls -l {}`", path.display())
        }
        Unreadable::Io { place, .. } => {
            format!("check LoadCredential= of the unit: {place} is missing or not readable")
        }
        Unreadable::NotText { .. } | Unreadable::Unfit { .. } => {
            "write it again as one line of printable ASCII without spaces".to_owned()
        }
    }
}

fn short(tokens: &BTreeMap<String, SecretValue>) -> impl Iterator<Item = CheckResult> + '_ {
    tokens.iter().filter(|(_, token)| token.is_short_for_a_token()).map(|(of, _)| {
        CheckResult::warning(
            Check::Tokens,
            of,
            format!("the token is shorter than {TOKEN_CHARACTERS_MIN} characters and could be guessed"),
            "create another one: `openssl rand -hex 32`",
        )
    })
}

fn alike(tokens: &BTreeMap<String, SecretValue>) -> Vec<CheckResult> {
    let mut findings = Vec::new();
    for (one, value) in tokens {
        for (other, _) in tokens.iter().filter(|(other, same)| *other > one && same.matches(value)) {
            findings.push(CheckResult::error(
                Check::Tokens,
                one,
                format!("has the same token as {other}, so the two cannot be distinguished"),
                "create a separate token: `openssl rand -hex 32`",
            ));
        }
    }
    if findings.is_empty() && tokens.len() > 1 {
        findings.push(CheckResult::ok(Check::Tokens, "tokens", format!("all {} differ", tokens.len())));
    }
    findings
}
