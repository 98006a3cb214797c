//! `rekeyd check`: every error and warning of a policy, and a summary of what the policy does.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::cli::exit::{CommandError, Exit};
use crate::cli::journal::tell;
use crate::cli::policy;
use crate::config::Config;
use crate::config::traces::TracesConfig;
use crate::config_file::diagnostic::Diagnostics;
use crate::config_file::environment::ProcessEnvironment;
use crate::domain::gate::Gate;
use crate::domain::gate::confirm::ConfirmWhen;
use crate::domain::plan::{AfterDeadline, RevocationPolicy};
use crate::domain::policy::{Credential, Mode};
use crate::domain::schedule::brief;

const JSON_VERSION: u32 = 1;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Policy file; defaults to $REKEYD_POLICY, then /etc/rekeyd/policy.toml
    file: Option<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Output {
    Text,
    Json,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    // Not the policy's: it stays valid, and the daemon runs without traces.
    let unusable = TracesConfig::read(&ProcessEnvironment).err();
    let loaded = Config::load_file(&policy::chosen(arguments.file.as_deref()));
    let code = if loaded.is_ok() { ExitCode::SUCCESS } else { Exit::PolicyInvalid.into() };
    let (standard, beside) = match arguments.output {
        Output::Json => (format!("{:#}\n", as_json(&loaded)), String::new()),
        Output::Text => as_text(&loaded),
    };
    let beside = unusable.map(|unusable| format!("warning: {unusable}\n\n")).unwrap_or_default() + &beside;
    // A closed standard error does not change the exit code.
    drop(std::io::stderr().write_all(beside.as_bytes()));
    tell(&standard, code)
}

/// The text for the standard output and the text for the standard error.
fn as_text(loaded: &Result<Config, Diagnostics>) -> (String, String) {
    match loaded {
        Ok(config) if config.warnings().problems.is_empty() => (summary(config), String::new()),
        Ok(config) => (summary(config), format!("{}\n\n", config.warnings())),
        Err(problems) => (String::new(), format!("{problems}\n")),
    }
}

fn summary(config: &Config) -> String {
    let mut text = format!(
        "{}: valid; workspaces: {}, stores: {}, consumers: {}, credentials: {}\n",
        config.warnings().path,
        config.workspaces.len(),
        config.stores.len(),
        config.consumers.len(),
        config.policy.credentials.len()
    );
    for credential in config.policy.credentials.values() {
        let mut line = |word: &str, what: &str| {
            text.push_str(&format!("  {word:<10} {what}\n"));
        };
        line("", "");
        line("credential", credential.name.as_str());
        let create = credential.create_account.as_ref();
        let create = create.map_or_else(String::new, |groups| {
            format!(", created if missing, with sharing groups: {groups}")
        });
        line("account", &format!("`{}` in {}{create}", credential.service_account, credential.workspace));
        if credential.mode == Mode::Observe {
            line("mode", "observe: inspected and reported, never changed");
        }
        line("first key", &first_key(credential));
        line("due", &credential.schedule.describe());
        for freeze in &credential.schedule.freezes {
            line("frozen", &format!("{} to {} ({})", freeze.from, freeze.until, freeze.name));
        }
        for destination in &credential.destinations {
            let create = if destination.create { ", created if missing" } else { "" };
            line("publish to", &format!("{destination}{create}"));
        }
        line("overlap", &overlap(&credential.terms));
        match credential.terms.confirm {
            ConfirmWhen::Always => line("confirm", "by an operator, in every rotation"),
            ConfirmWhen::FirstWithoutGates if credential.terms.gates.is_empty() => {
                line(
                    "confirm",
                    "by an operator, in the first rotation of an adopted key: no gate shows who uses it",
                );
            }
            ConfirmWhen::Never if credential.terms.gates.is_empty() => {
                line("confirm", "by nobody: time alone disables the old key, also one that a program uses");
            }
            ConfirmWhen::FirstWithoutGates | ConfirmWhen::Never => {}
        }
        line("quarantine", &brief(credential.terms.quarantine));
        if let Some(lifetime) = credential.key_lifetime {
            line("lifetime", &brief(lifetime));
        }
    }
    text.lines().map(str::trim_end).fold(String::new(), |text, line| text + line + "\n")
}

fn first_key(credential: &Credential) -> String {
    match (&credential.adopt, &credential.first) {
        (Some(key), _) => format!("adopts key {key}"),
        (None, Some(first)) if credential.create_account.is_some() => {
            format!(
                "creates one with: {}; adopts the only enabled key of an account that exists",
                first.permissions
            )
        }
        (None, Some(first)) => {
            format!("adopts the only enabled key, or creates one with: {}", first.permissions)
        }
        (None, None) => "adopts the only enabled key".to_owned(),
    }
}

fn overlap(terms: &RevocationPolicy) -> String {
    let mut text = format!("at least {}", brief(terms.at_least));
    for gate in &terms.gates {
        text.push_str(&format!(" and until {}", gate.describe()));
    }
    if terms.gates.is_empty() {
        return text;
    }
    format!("{text}; after {}: {}", brief(terms.at_most), deadline(terms.then))
}

fn deadline(then: AfterDeadline) -> &'static str {
    match then {
        AfterDeadline::Hold => "hold",
        AfterDeadline::Revoke => "revoke",
        AfterDeadline::RollBack => "roll_back",
    }
}

fn as_json(loaded: &Result<Config, Diagnostics>) -> Value {
    let (problems, credentials) = match loaded {
        Ok(config) => (config.warnings(), config.policy.credentials.values().map(credential_json).collect()),
        Err(problems) => (problems, Vec::new()),
    };
    let mut document = json!({
        "schema_version": JSON_VERSION,
        "policy": problems.path,
        "valid": loaded.is_ok(),
        "hash": loaded.as_ref().ok().map(Config::hash),
        "problems": problems.problems,
        "credentials": credentials,
    });
    if loaded.is_err() {
        CommandError::policy(problems).amend(&mut document);
    }
    document
}

fn credential_json(credential: &Credential) -> Value {
    let terms = &credential.terms;
    let acks: Vec<&str> = terms.consumers().map(|name| name.as_str()).collect();
    let gates: Vec<String> = terms.gates.iter().map(Gate::describe).collect();
    let freezes = credential.schedule.freezes.iter().map(|freeze| {
        json!({ "from": freeze.from.to_string(), "until": freeze.until.to_string(), "name": freeze.name })
    });
    json!({
        "name": credential.name,
        "workspace": credential.workspace,
        "service_account": credential.service_account,
        "create_account": credential.create_account.as_ref().map(|groups| json!({ "groups": groups })),
        "adopt": credential.adopt,
        "due": credential.schedule.describe(),
        "freezes": freezes.collect::<Vec<_>>(),
        "publish_to": credential.destinations,
        "overlap": {
            "at_least_seconds": terms.at_least.as_secs(),
            "at_most_seconds": terms.at_most.as_secs(),
            "then": deadline(terms.then),
        },
        "wait_for": { "acks": acks, "gates": gates },
        "quarantine_seconds": terms.quarantine.as_secs(),
        "key_lifetime_seconds": credential.key_lifetime.map(|lifetime| lifetime.as_secs()),
    })
}
