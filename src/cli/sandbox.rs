//! `rekeyd sandbox`: an ElevenLabs workspace on this machine.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use serde_json::{Map, Value, json};
use tokio::signal::unix::{SignalKind, signal};

use crate::adapters::clock::SystemClock;
use crate::cli::exit::{Exit, because};
use crate::ports::clock::Clock as _;
use crate::sandbox::api_version::ApiVersion;
use crate::sandbox::random::Random;
use crate::sandbox::rules::Rules;
use crate::sandbox::server::{Options, Sandbox};
use crate::sandbox::settings::{Granted, Settings};

/// What the key of an account may do.
const KEY_PERMISSIONS: [&str; 2] = ["text_to_speech", "user_read"];

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Which shape of the API to have
    #[arg(long, value_enum, default_value = "november2026")]
    api_version: ApiVersion,
    /// Where the admin key is, or is written to (mode 0600) if the file is not there; by default a temporary file
    #[arg(long, value_name = "FILE")]
    admin_key_file: Option<PathBuf>,
    /// Make ids, values and the chances of faults repeatable
    #[arg(long)]
    seed: Option<u64>,
    /// A service account to begin with, which has one key; may be given several times
    #[arg(long = "account", value_name = "NAME")]
    accounts: Vec<String>,
    /// A service account to begin with that has no key; may be given several times
    #[arg(long = "empty-account", value_name = "NAME")]
    empty_accounts: Vec<String>,
    /// Directory to write the key of each `--account` to, in a file of the account's name (mode 0600)
    #[arg(long, value_name = "DIRECTORY")]
    key_directory: Option<PathBuf>,
    /// A service account to begin with that has one key, which may administer the workspace: for rehearsing an admin
    /// key that is itself kept fresh
    #[arg(long, value_name = "NAME")]
    admin_account: Option<String>,
}

/// Serves until SIGTERM or SIGINT.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let ended = runtime
        .context("cannot start the asynchronous runtime")
        .and_then(|tokio| tokio.block_on(serve(arguments)));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => because(Exit::CommandError, &format!("{error:#}")),
    }
}

async fn serve(arguments: &Arguments) -> anyhow::Result<()> {
    // Before the ready line, so that whoever reads it can already stop us.
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let key_file = KeyFile::open(arguments)?;
    let options = Options {
        listen: arguments.listen,
        clock: Arc::new(SystemClock),
        seed: arguments.seed,
        admin_key: Some(key_file.value.clone()),
        rules: Rules { api_version: arguments.api_version, ..Rules::default() },
    };
    let sandbox = Sandbox::start(options)
        .await
        .with_context(|| format!("cannot listen on {}: choose another --listen", arguments.listen))?;
    let mut accounts = Map::new();
    for name in &arguments.accounts {
        let (id, value) = account_with_key(&sandbox, name, &KEY_PERMISSIONS)?;
        if let Some(directory) = &arguments.key_directory {
            write_key(directory, name, &value)?;
        }
        accounts.insert(name.clone(), Value::String(id));
    }
    for name in &arguments.empty_accounts {
        let id = sandbox.workspace().create_account(name, SystemClock.now());
        accounts.insert(name.clone(), Value::String(id));
    }
    if let Some(name) = &arguments.admin_account {
        let permissions = [arguments.api_version.management_permission(), "user_read"];
        // Its key's value is told to nobody: what administers with it is made in its place.
        let (id, _) = account_with_key(&sandbox, name, &permissions)?;
        accounts.insert(name.clone(), Value::String(id));
    }
    let ready = json!({"url": sandbox.base_url(), "admin_key_file": key_file.path, "accounts": accounts});
    writeln!(io::stdout(), "{ready}").context("cannot say on standard output that the sandbox is ready")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    sandbox.shutdown().await;
    Ok(())
}

/// An account with one key; its id, and the key's value.
fn account_with_key(sandbox: &Sandbox, name: &str, permissions: &[&str]) -> anyhow::Result<(String, String)> {
    let now = SystemClock.now();
    let mut workspace = sandbox.workspace();
    let id = workspace.create_account(name, now);
    let permissions = permissions.iter().map(|&name| name.to_owned()).collect();
    let made = workspace.create_key(&id, Settings::new("made by hand", Granted::Only(permissions)), now);
    let made =
        made.map_err(|refusal| anyhow::anyhow!("the sandbox refuses a key of `{name}`: {refusal:?}"))?;
    Ok((id, made.value))
}

fn write_key(directory: &Path, name: &str, value: &str) -> anyhow::Result<()> {
    let path = directory.join(name);
    anyhow::ensure!(path.parent() == Some(directory), "`{name}` is not the name of a file");
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
    let written = file.and_then(|mut file| writeln!(file, "{value}"));
    written.with_context(|| format!("cannot write the key of `{name}` to {}", path.display()))
}

/// The admin key and where it is written. A temporary file goes away with this.
struct KeyFile {
    path: PathBuf,
    value: String,
    _temporary: Option<tempfile::TempPath>,
}

impl KeyFile {
    fn open(arguments: &Arguments) -> anyhow::Result<Self> {
        let made_up = || arguments.seed.map_or_else(Random::from_system, admin_random).key_value();
        let Some(path) = &arguments.admin_key_file else {
            let mut file = tempfile::Builder::new()
                .prefix("rekeyd-sandbox-admin-key-")
                .tempfile()
                .context("cannot make a temporary file for the admin key: name one with --admin-key-file")?;
            let value = made_up();
            writeln!(file, "{value}").context("cannot write the admin key to a temporary file")?;
            let temporary = file.into_temp_path();
            return Ok(Self { path: temporary.to_path_buf(), value, _temporary: Some(temporary) });
        };
        let value = read_or_write(path, made_up)
            .with_context(|| format!("cannot use {} as the admin key's file", path.display()))?;
        Ok(Self { path: path.clone(), value, _temporary: None })
    }
}

/// Another sequence than the workspace draws from, which begins with the same seed.
fn admin_random(seed: u64) -> Random {
    Random::seeded(!seed)
}

fn read_or_write(path: &Path, made_up: impl FnOnce() -> String) -> anyhow::Result<String> {
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match written {
        Ok(mut file) => {
            let value = made_up();
            writeln!(file, "{value}")?;
            Ok(value)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let value = fs::read_to_string(path)?.trim().to_owned();
            let is_usable = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic());
            anyhow::ensure!(is_usable, "it must hold one line of printable ASCII without spaces");
            Ok(value)
        }
        Err(error) => Err(error.into()),
    }
}
