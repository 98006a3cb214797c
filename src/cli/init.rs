//! `rekeyd init`: drafts a first policy from the workspace's service accounts and keys. It only reads the workspace.
//!
//! Exit codes: 0; 1 if the workspace cannot be listed or the file cannot be written; 2 if an argument is missing.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use jiff::SignedDuration;
use serde_json::json;
use zeroize::Zeroizing;

use crate::adapters::clock::SystemClock;
use crate::app::{assembly, with_causes};
use crate::cli::daemon::Output;
use crate::cli::exit::CommandError;
use crate::cli::journal::tell;
use crate::cli::policy;
use crate::cli::progress::Progress;
use crate::config;
use crate::config::Config;
use crate::config_file::environment::ProcessEnvironment;
use crate::config_file::secret_source::SecretSource;
use crate::domain::failure::{Failure, Kind};
use crate::domain::ids::WorkspaceName;
use crate::domain::key::Inventory;
use crate::domain::last_use::LastUse;
use crate::domain::secret::SecretValue;
use crate::domain::time::earlier;
use crate::draft::{self, Draft, StoreChoice, Uses, Workspace, prefixed_stores, store_forms};
use crate::ports::clock::Clock;
use crate::ports::issuer::{AdminKey, Issuer as _};
use crate::ports::usage::UsageSource as _;

/// The systemd credential of the packaged unit, and the file it is loaded from.
const UNIT_CREDENTIAL: &str = "elevenlabs-admin-key";
const UNIT_FILE: &str = "/etc/rekeyd/credentials/elevenlabs-admin-key";
/// How far back a key's use is looked for.
const USE_ASKED_ABOUT: SignedDuration = SignedDuration::from_hours(7 * 24);
const JSON_VERSION: u32 = 1;
const KEY_BYTES_MAX: u64 = 64 * 1024;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// API base URL of the workspace
    #[arg(long, value_name = "URL", default_value = "https://api.elevenlabs.io")]
    base_url: String,
    /// File that holds the admin key; `-` reads the standard input
    #[arg(long, value_name = "FILE", default_value = UNIT_FILE)]
    admin_key_file: PathBuf,
    /// systemd credential that holds the admin key, instead of a file
    #[arg(long, value_name = "NAME", conflicts_with = "admin_key_file")]
    admin_key_credential: Option<String>,
    /// PEM file with the only certificate authorities to trust
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    #[arg(long = "store", value_name = "STORE", value_parser = StoreChoice::parse, help = format!(
        "Where to publish keys: {}; repeatable. Prompted for on a terminal", store_forms("")
    ))]
    stores: Vec<StoreChoice>,
    #[arg(long, value_name = "TEXT", default_value = "elevenlabs/", help = format!(
        "Prefix of secret names in {}", prefixed_stores()
    ))]
    prefix: String,
    /// File to write, never overwritten; defaults to $REKEYD_POLICY, then /etc/rekeyd/policy.toml
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Print the policy instead of writing it
    #[arg(long)]
    dry_run: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match initiated(arguments) {
        Ok(text) => tell(&text, ExitCode::SUCCESS),
        Err(failed) => failed.report(arguments.output == Output::Json),
    }
}

fn initiated(arguments: &Arguments) -> Result<String, CommandError> {
    let policy = policy::chosen(arguments.policy.as_deref());
    if !arguments.dry_run && policy.exists() {
        let path = policy.display();
        return Err(CommandError::other(format!(
            "{path} already exists and is not overwritten; move it away, or use `--dry-run`"
        )));
    }
    let stores = stores(arguments).map_err(CommandError::usage)?;
    let failed = |error: anyhow::Error| CommandError::other(format!("{error:#}"));
    let draft = drafted(arguments, &stores).map_err(failed)?;
    if !arguments.dry_run {
        write(&policy, &draft.text).map_err(failed)?;
    }
    let next = next(arguments, &stores, &policy);
    Ok(match (arguments.output, arguments.dry_run) {
        (Output::Json, is_dry) => {
            let result = json!({
                "schema_version": JSON_VERSION, "policy": policy.display().to_string(), "written": !is_dry,
                "credentials": draft.included, "skipped": draft.skipped, "text": draft.text,
            });
            format!("{result:#}\n")
        }
        (Output::Text, true) => draft.text,
        (Output::Text, false) => format!(
            "wrote {} (credentials: {}, skipped: {})\n\nNext:\n{next}",
            policy.display(),
            draft.included,
            draft.skipped
        ),
    })
}

/// The stores of the arguments, else those of the prompt.
fn stores(arguments: &Arguments) -> Result<Vec<StoreChoice>, String> {
    if !arguments.stores.is_empty() {
        return Ok(arguments.stores.clone());
    }
    let advice = format!("missing store: pass {}", store_forms("--store "));
    if !io::stdin().is_terminal() || arguments.admin_key_file == Path::new("-") {
        return Err(advice);
    }
    for _ in 0..3 {
        let written = write!(io::stderr(), "Store to publish keys to ({}): ", store_forms(""));
        let mut line = String::new();
        let read = written.and_then(|()| io::stdin().lock().read_line(&mut line));
        match (read, StoreChoice::parse(line.trim())) {
            (Ok(1..), Ok(store)) => return Ok(vec![store]),
            (Ok(1..), Err(why)) => drop(writeln!(io::stderr(), "{why}")),
            (Ok(0) | Err(_), _) => break,
        }
    }
    Err(advice)
}

fn drafted(arguments: &Arguments, stores: &[StoreChoice]) -> anyhow::Result<Draft> {
    let (admin_key, source) = admin_key(arguments)?;
    let ca_file = arguments.ca_file.as_ref().map(std::path::absolute).transpose()?;
    let ca_file = ca_file.as_ref().map(|path| path.to_string_lossy());
    let (at, unknown) = (SystemClock.now(), Uses::new());
    let workspace = Workspace {
        base_url: &arguments.base_url,
        admin_key: &source,
        ca_file: ca_file.as_deref(),
        stores,
        prefix: &arguments.prefix,
        at,
        uses: &unknown,
    };
    // An empty draft validates the arguments before any call is made.
    let config = checked(&draft::draft(&workspace, &Inventory::default()).text)?;
    let (inventory, uses) = {
        let _progress = Progress::doing("listing the workspace, and the use of its keys");
        listed(&config, admin_key)?
    };
    let draft = draft::draft(&Workspace { uses: &uses, ..workspace }, &inventory);
    checked(&draft.text)
        .context("the drafted policy is invalid; this is a bug in rekeyd, please report it")?;
    Ok(draft)
}

fn checked(text: &str) -> anyhow::Result<Config> {
    config::load(text, "the drafted policy", &ProcessEnvironment).map_err(|problems| anyhow!("{problems}"))
}

/// The admin key, and the policy's reference to it.
fn admin_key(arguments: &Arguments) -> anyhow::Result<(SecretValue, SecretSource)> {
    if let Some(name) = &arguments.admin_key_credential {
        let source = SecretSource::SystemdCredential(name.clone());
        let value = source.read(&ProcessEnvironment).map_err(|error| anyhow!("{}", with_causes(&error)))?;
        return Ok((value, source));
    }
    let of_the_unit = SecretSource::SystemdCredential(UNIT_CREDENTIAL.to_owned());
    if arguments.admin_key_file == Path::new("-") {
        let mut text = Zeroizing::new(String::new());
        let read = io::stdin().take(KEY_BYTES_MAX).read_to_string(&mut text);
        read.context("cannot read the admin key from the standard input")?;
        let value = SecretValue::new(text.trim().to_owned());
        return Ok((value.context("the standard input is not a valid admin key")?, of_the_unit));
    }
    let source = SecretSource::File(std::path::absolute(&arguments.admin_key_file)?);
    let value = source.read(&ProcessEnvironment).map_err(|error| {
        anyhow!(
            "{}; write the key there with `install -m 0400 /dev/stdin FILE`, or pass --admin-key-file",
            with_causes(&error)
        )
    })?;
    // The daemon's user cannot read this file: systemd passes it as a credential.
    let is_units = arguments.admin_key_file == Path::new(UNIT_FILE);
    Ok((value, if is_units { of_the_unit } else { source }))
}

/// The workspace's keys, and what is known of their use; that it cannot be known is no error.
fn listed(config: &Config, admin_key: SecretValue) -> anyhow::Result<(Inventory, Uses)> {
    let name = WorkspaceName::new(draft::WORKSPACE)?;
    let Some(workspace) = config.workspaces.get(&name) else { bail!("the drafted workspace is missing") };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let issuer = assembly::issuer(&name, workspace, AdminKey::new(admin_key), &clock);
    let issuer = issuer.map_err(|error| anyhow!("{}", with_causes(&error)))?;
    runtime.block_on(async {
        let listed = issuer.inventory().await;
        let inventory = listed.map_err(|failure| anyhow!("{failure}; {}", advice(&failure)))?;
        let now = clock.now();
        let keys = draft::asked_about(&inventory, now);
        let readings = if keys.is_empty() {
            Vec::new()
        } else {
            let (named, unnamed) = keys.split_at(1);
            issuer.usage(named, unnamed, earlier(now, USE_ASKED_ABOUT)).await
        };
        let learnt = keys.iter().map(|key| (key.id.clone(), LastUse::learn(None, key, &readings, now)));
        Ok((inventory, learnt.collect()))
    })
}

fn advice(failure: &Failure) -> &'static str {
    match failure.kind {
        Kind::Unauthenticated => "create a new admin key in the workspace and use it",
        Kind::Forbidden => {
            "give the admin key the permission to manage service accounts (`service_account_write`; `workspace_write` in 2025)"
        }
        Kind::Throttled | Kind::ServerError | Kind::TimedOut => "try again in a minute",
        Kind::Unreachable
        | Kind::Garbled
        | Kind::NotFound
        | Kind::Invalid
        | Kind::LimitReached
        | Kind::Conflict
        | Kind::NotActiveYet
        | Kind::LocalDisk
        | Kind::ClockSkew => "check that --base-url is the API's URL and reachable from this machine",
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(path);
    let written = file.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// The next steps, one per line.
fn next(arguments: &Arguments, stores: &[StoreChoice], policy: &Path) -> String {
    let shown = policy.display();
    let mut text = format!("  review it, and complete the skipped credentials\n  rekeyd check {shown}\n");
    if arguments.admin_key_file == Path::new("-") {
        text += &format!("  install -D -m 0400 /dev/stdin {UNIT_FILE}    # the admin key, then Ctrl-D\n");
    }
    let forms = stores.iter().filter_map(|store| store.kind.access_policy.as_ref());
    let steps: BTreeSet<String> = forms
        .map(|form| {
            let (flag, service) = (form.flag, form.service);
            format!("  rekeyd doctor --{flag} --policy {shown}    # what {service} must allow\n")
        })
        .collect();
    text.extend(steps);
    text += &format!(
        "  CREDENTIALS_DIRECTORY=/etc/rekeyd/credentials rekeyd doctor --policy {shown}\n  \
         systemctl enable --now rekeyd\n"
    );
    text
}
