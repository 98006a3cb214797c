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
    /// A service account to begin with; may be given several times
    #[arg(long = "account", value_name = "NAME")]
    accounts: Vec<String>,
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
        let id = sandbox.workspace().create_account(name, SystemClock.now());
        accounts.insert(name.clone(), Value::String(id));
    }
    if let Some(name) = &arguments.admin_account {
        accounts.insert(name.clone(), Value::String(admin_account(&sandbox, name, arguments.api_version)?));
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

/// Its key's value is told to nobody: what administers with it is made in its place.
fn admin_account(sandbox: &Sandbox, name: &str, api_version: ApiVersion) -> anyhow::Result<String> {
    let now = SystemClock.now();
    let mut workspace = sandbox.workspace();
    let id = workspace.create_account(name, now);
    let permissions = [api_version.management_permission(), "user_read"].map(str::to_owned);
    let settings = Settings::new("made by hand", Granted::Only(permissions.to_vec()));
    let made = workspace.create_key(&id, settings, now);
    made.map_err(|refusal| anyhow::anyhow!("the sandbox refuses a key that administers: {refusal:?}"))?;
    Ok(id)
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
