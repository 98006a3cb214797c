//! A fleet on this machine: workspaces, each a sandbox of its own, and a daemon that keeps their keys fresh.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::http::Client;
use crate::process::{Process, Says};

const REKEYD: &str = env!("CARGO_BIN_EXE_rekeyd");
const READY: Duration = Duration::from_secs(30);
/// For all rotations of a measurement together.
const ROTATIONS: Duration = Duration::from_secs(120);
/// Fewer than the socket's connections.
const OPERATORS: usize = 8;

/// A workspace with service accounts that have one key each, for consumers that read and speak.
pub(crate) struct Workspace {
    _process: Process,
    address: SocketAddr,
    admin_key_file: String,
    pub(crate) admin_key: String,
    /// By name.
    pub(crate) accounts: BTreeMap<String, String>,
}

impl Workspace {
    /// Starts a sandbox. The accounts' names begin with `name`.
    pub(crate) fn open(name: &str, accounts: usize) -> Result<Self> {
        let mut command = Command::new(REKEYD);
        command.args(["sandbox", "--listen", "127.0.0.1:0"]);
        for number in 0..accounts {
            command.args(["--account", &format!("{name}-{number:03}")]);
        }
        let process = Process::start("the sandbox", Says::Out, &mut command)?;
        let ready: Value = process.until(READY, |_, line| serde_json::from_str(line).ok())?;
        let text =
            |field: &str| Ok::<_, anyhow::Error>(ready[field].as_str().context("a ready line")?.to_owned());
        let address = text("url")?.trim_start_matches("http://").parse()?;
        let admin_key_file = text("admin_key_file")?;
        let admin_key = fs::read_to_string(&admin_key_file)?.trim().to_owned();
        let accounts: BTreeMap<String, String> = serde_json::from_value(ready["accounts"].clone())?;
        let workspace = Self { _process: process, address, admin_key_file, admin_key, accounts };
        let mut control = workspace.client(None)?;
        for (name, id) in &workspace.accounts {
            let permissions = ["text_to_speech", "speech_to_text", "voices_read", "models_read"];
            let key = json!({"name": name, "permissions": permissions, "character_limit": 500_000});
            control.call("POST", &format!("/sandbox/accounts/{id}/keys"), Some(&key))?;
        }
        Ok(workspace)
    }

    pub(crate) fn client(&self, key: Option<&str>) -> Result<Client> {
        Client::tcp(self.address, key)
    }

    /// The calls that arrived so far, by route.
    pub(crate) fn calls(&self) -> Result<Calls> {
        let truth = self.client(None)?.call("GET", "/sandbox/truth", None)?;
        Ok(Calls(serde_json::from_value(truth["requests"].clone())?))
    }

    /// Makes every call of the API take so much longer.
    pub(crate) fn delay(&self, by: Duration) -> Result<()> {
        let lasts = format!("{}ms", by.as_millis());
        let faults = json!([{"what": {"delay": {"lasts": lasts, "moment": "before"}}}]);
        self.client(None)?.call("PUT", "/sandbox/faults", Some(&faults)).map(drop)
    }
}

/// Calls of the API, by route.
pub(crate) struct Calls(BTreeMap<String, u64>);

impl Calls {
    pub(crate) fn since(&self, before: &Self) -> Self {
        let earlier = |route: &str| before.0.get(route).copied().unwrap_or(0);
        Self(self.0.iter().map(|(route, count)| (route.clone(), count - earlier(route))).collect())
    }

    pub(crate) fn of(&self, route: &str) -> u64 {
        self.0.get(route).copied().unwrap_or(0)
    }

    pub(crate) fn listings(&self) -> u64 {
        self.of("list_accounts") + self.of("list_keys")
    }

    pub(crate) fn others(&self) -> u64 {
        self.0.values().sum::<u64>() - self.listings()
    }
}

/// Where a fleet publishes to.
#[derive(Clone, Copy)]
pub(crate) enum Store<'a> {
    /// A directory in this one.
    Directory {
        path: &'a Path,
    },
    Aws {
        url: &'a str,
    },
}

/// A policy in a directory of its own, with the journal and the secrets beside it.
pub(crate) struct Fleet {
    directory: PathBuf,
    pub(crate) credentials: Vec<String>,
}

impl Fleet {
    /// Every limit of a workspace is as high as a policy may set it. `waits` is how long overlap and quarantine last.
    pub(crate) fn write(
        directory: &Path,
        workspaces: &[Workspace],
        waits: &str,
        store: Store<'_>,
    ) -> Result<Self> {
        fs::create_dir_all(directory)?;
        let place = directory.display();
        let mut policy = format!(
            "[daemon]\nlisten = \"127.0.0.1:0\"\nsocket = \"{place}/rekeyd.sock\"\n\
             journal.sqlite.path = \"{place}/journal.db\"\n"
        );
        match store {
            Store::Directory { path } => {
                let name = directory.file_name().context("a name")?.to_string_lossy();
                let path = path.join(format!("{name}-secrets"));
                write!(policy, "[stores.main.directory]\npath = \"{}\"\n", path.display())?;
            }
            Store::Aws { url } => write!(
                policy,
                "[stores.main.aws_secrets_manager]\nregion = \"eu-west-1\"\nendpoint_url = \"{url}\"\n"
            )?,
        }
        write!(
            policy,
            "[defaults]\nwait_for.confirm = false\nevery = \"30d\"\noverlap = {{ at_least = \"{waits}\", at_most = \"1h\" }}\n\
             quarantine = \"{waits}\"\n"
        )?;
        let mut credentials = Vec::new();
        for (number, workspace) in workspaces.iter().enumerate() {
            let Workspace { address, admin_key_file, .. } = workspace;
            write!(
                policy,
                "[workspaces.w{number}]\nfirst_rotations_at_once = 1000\nbase_url = \"http://{address}\"\n\
                 admin_key = {{ file = \"{admin_key_file}\" }}\nin_flight = 1000\n\
                 requests_per_second = 1000\nrotations_at_once = 1000\nmints_per_hour = 10000\n"
            )?;
            for name in workspace.accounts.keys() {
                let create = if matches!(store, Store::Directory { .. }) { "" } else { ", create = true" };
                write!(
                    policy,
                    "[credentials.{name}]\nworkspace = \"w{number}\"\nservice_account = \"{name}\"\n\
                     publish_to = [{{ store = \"main\", secret = \"{name}\"{create} }}]\n"
                )?;
                credentials.push(name.clone());
            }
        }
        fs::write(directory.join("policy.toml"), policy)?;
        Ok(Self { directory: directory.to_owned(), credentials })
    }

    /// Makes the policy call its workspaces with TLS, which they do not speak: enough to start, not to rotate.
    pub(crate) fn encrypt(&self) -> Result<()> {
        let path = self.directory.join("policy.toml");
        Ok(fs::write(&path, fs::read_to_string(&path)?.replace("\"http://", "\"https://"))?)
    }

    /// Starts the daemon and waits until it says that it is ready.
    pub(crate) fn run(&self) -> Result<Daemon> {
        let mut command = Command::new(REKEYD);
        command.arg("run").arg("--policy").arg(self.directory.join("policy.toml"));
        command.envs([("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "example")]);
        command.env("REKEYD_LOG", "info").env_remove("JOURNAL_STREAM").env_remove("STATE_DIRECTORY");
        let begun = Instant::now();
        let process = Process::start("the daemon", Says::Err, &mut command)?;
        let ready = process.until(READY, |at, line| line.contains("\"message\":\"ready\"").then_some(at))?;
        let socket = self.directory.join("rekeyd.sock");
        Ok(Daemon { process, socket, ready_after: ready.duration_since(begun) })
    }
}

/// A running daemon.
pub(crate) struct Daemon {
    pub(crate) process: Process,
    socket: PathBuf,
    /// From its start to the line in its log.
    pub(crate) ready_after: Duration,
}

impl Daemon {
    /// Waits until so many rotations are done.
    ///
    /// # Errors
    /// One was hindered or parked: nothing here should be.
    pub(crate) fn done(&self, rotations: usize) -> Result<()> {
        let mut left = rotations;
        let mut trouble = None;
        self.process.until(ROTATIONS, |_, line| {
            if line.contains("\"to\":\"done\"") {
                left -= 1;
            } else if line.contains("\"hindered\"") || line.contains("\"level\":\"ERROR\"") {
                trouble = Some(line.to_owned());
            }
            (left == 0 || trouble.is_some()).then_some(())
        })?;
        ensure!(trouble.is_none(), "a rotation had trouble: {}", trouble.unwrap_or_default());
        Ok(())
    }

    /// Orders rotations, and says what they cost, until the last one is done.
    pub(crate) fn rotate(&self, credentials: &[String]) -> Result<Cost> {
        let (begun, cpu) = (Instant::now(), self.process.cpu()?);
        let socket = self.socket.as_path();
        std::thread::scope(|scope| {
            let share = credentials.len().div_ceil(OPERATORS).max(1);
            let operators: Vec<_> = credentials
                .chunks(share)
                .map(|names| {
                    scope.spawn(move || {
                        let mut client = Client::unix(socket)?;
                        names.iter().try_for_each(|name| {
                            client.call("POST", &format!("/v1/credentials/{name}/rotate"), None).map(drop)
                        })
                    })
                })
                .collect();
            operators.into_iter().try_for_each(|operator| {
                operator.join().map_err(|_| anyhow::anyhow!("an operator's thread panicked"))?
            })
        })?;
        self.done(credentials.len())?;
        Ok(Cost { took: begun.elapsed(), cpu: self.process.cpu()?.saturating_sub(cpu) })
    }
}

/// What some rotations took together.
pub(crate) struct Cost {
    pub(crate) took: Duration,
    pub(crate) cpu: Duration,
}
