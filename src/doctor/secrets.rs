//! The secrets that the policy refers to: whether they can be read, by whom else, and whether tokens differ.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;

use crate::app::with_causes;
use crate::config_file::environment::ProcessEnvironment;
use crate::config_file::secret_source::{SecretSource, Unreadable};
use crate::doctor::{Case, aside, machine};
use crate::domain::examination::{Check, Finding};
use crate::domain::secret::{SecretValue, TOKEN_CHARACTERS_MIN};

pub(super) async fn examine(case: Arc<Case>) -> Vec<Finding> {
    aside(move || look(&case)).await
}

fn look(case: &Case) -> Vec<Finding> {
    let config = &case.config;
    let mut findings = Vec::new();
    for (name, workspace) in &config.workspaces {
        let Some(source) = &workspace.admin_key.otherwise else { continue };
        let about = format!("the admin key of workspace `{name}`");
        // One that is published takes its place.
        let may_be_missing = workspace.admin_key.published.is_some();
        findings.extend(one(case, &about, source, may_be_missing).0);
    }
    let mut tokens: BTreeMap<String, SecretValue> = BTreeMap::new();
    for (name, consumer) in &config.consumers {
        let Some(source) = &consumer.token else { continue };
        let (found, value) = one(case, &format!("the token of consumer `{name}`"), source, false);
        findings.extend(found);
        tokens.extend(value.map(|value| (format!("consumer `{name}`"), value)));
    }
    if let Some(source) = &config.leaks.token {
        let (found, value) = one(case, "the token of `[leaks]`", source, false);
        findings.extend(found);
        tokens.extend(value.map(|value| ("`[leaks]`".to_owned(), value)));
    }
    if let Some(source) = &config.readers.token {
        let (found, value) = one(case, "the token of `[readers]`", source, false);
        findings.extend(found);
        tokens.extend(value.map(|value| ("`[readers]`".to_owned(), value)));
    }
    findings.extend(alike(&tokens));
    findings.extend(short(&tokens));
    findings
}

/// What is to be said of one secret, and the secret.
fn one(
    case: &Case,
    about: &str,
    source: &SecretSource,
    may_be_missing: bool,
) -> (Vec<Finding>, Option<SecretValue>) {
    let value = match source.read(&ProcessEnvironment) {
        Ok(value) => value,
        Err(unreadable) => {
            let (what, fix) = (with_causes(&unreadable), mending(case, &unreadable));
            let finding = if may_be_missing {
                Finding::doubtful(Check::Secret, about, what, fix)
            } else {
                Finding::broken(Check::Secret, about, what, fix)
            };
            return (vec![finding], None);
        }
    };
    let finding = match (source, source.exposure()) {
        (SecretSource::File(path), Some(mode)) => Finding::doubtful(
            Check::Secret,
            about,
            format!("others than its owner may use `{}` (mode {mode:04o})", path.display()),
            format!("`chmod 0400 {}`", path.display()),
        ),
        (_, _) => Finding::fine(Check::Secret, about, format!("{source} can be read")),
    };
    (vec![finding], Some(value))
}

fn mending(case: &Case, unreadable: &Unreadable) -> String {
    match unreadable {
        Unreadable::NoCredentials { .. } => format!(
            "only the unit has it: `CREDENTIALS_DIRECTORY=/etc/rekeyd/credentials rekeyd doctor` as root, or with the unit's \
             own rights `{}`",
            machine::as_the_unit(&case.config)
        ),
        Unreadable::Unset { place } => {
            format!(
                "set {place}, for the unit in /etc/rekeyd/environment; a file or a systemd credential is better"
            )
        }
        Unreadable::Io { place: SecretSource::File(path), source }
            if source.kind() == ErrorKind::NotFound =>
        {
            format!("write it: `install -m 0400 /dev/stdin {}`, paste it, then Ctrl-D", path.display())
        }
        Unreadable::Io { place: SecretSource::File(path), .. } => {
            format!("let the user of rekeyd read it, and nobody else: `ls -l {}`", path.display())
        }
        Unreadable::Io { place, .. } => {
            format!("see LoadCredential= of the unit: {place} is not there, or not readable")
        }
        Unreadable::NotText { .. } | Unreadable::Unfit { .. } => {
            "it must be one line of printable ASCII without spaces: write it anew".to_owned()
        }
    }
}

fn short(tokens: &BTreeMap<String, SecretValue>) -> impl Iterator<Item = Finding> + '_ {
    tokens.iter().filter(|(_, token)| token.is_short_for_a_token()).map(|(of, _)| {
        Finding::doubtful(
            Check::Tokens,
            of,
            format!("has a token of fewer than {TOKEN_CHARACTERS_MIN} characters, which could be guessed"),
            "make another: `openssl rand -hex 32`",
        )
    })
}

fn alike(tokens: &BTreeMap<String, SecretValue>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (one, value) in tokens {
        for (other, _) in tokens.iter().filter(|(other, same)| *other > one && same.matches(value)) {
            findings.push(Finding::broken(
                Check::Tokens,
                one,
                format!("has the same token as {other}: neither can be told from the other"),
                "make one of its own: `openssl rand -hex 32`",
            ));
        }
    }
    if findings.is_empty() && tokens.len() > 1 {
        findings.push(Finding::fine(Check::Tokens, "tokens", format!("all {} differ", tokens.len())));
    }
    findings
}
