//! A workspace with service accounts that each have a key made by hand, folders for daemons, and the program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rekeyd::adapters::clock::SystemClock;
use rekeyd::ports::clock::Clock as _;
use rekeyd::sandbox::server::{Options, Sandbox};
use rekeyd::sandbox::settings::{Granted, Settings};
use serde_json::Value;
use tempfile::TempDir;

pub(super) const LONGEST: Duration = Duration::from_secs(30);

/// A daemon's folder: its policy, journal and log.
pub(super) struct Place {
    pub(super) folder: TempDir,
    child: Option<Child>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(super) async fn sandbox(accounts: &[&str]) -> Sandbox {
    let sandbox = Sandbox::start(Options::new(Arc::new(SystemClock))).await.unwrap();
    for account in accounts {
        let id = sandbox.workspace().create_account(account, SystemClock.now());
        let by_hand = Settings::new("made by hand", Granted::Only(vec!["text_to_speech".to_owned()]));
        drop(sandbox.workspace().create_key(&id, by_hand, SystemClock.now()).unwrap());
    }
    sandbox
}

impl Place {
    pub(super) fn new(sandbox: &Sandbox) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap(), child: None };
        fs::write(place.path("admin"), sandbox.admin_key()).unwrap();
        place
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a policy: the daemon and the workspace, and `rest`.
    pub(super) fn write(&self, sandbox: &Sandbox, rest: &str) {
        let shown = self.folder.path().display();
        let policy = format!(
            "[daemon]\nlisten = \"127.0.0.1:0\"\nsocket = \"{shown}/socket\"\njournal.sqlite.path = \"{shown}/journal.db\"\n\
             inspect_every = \"1s\"\nsweep_every = \"1s\"\nsettle = \"1s\"\n\
             [workspaces.prod]\nfirst_rotations_at_once = 1000\nmints_per_hour = 1000\nrequests_per_second = 100\nbase_url = \"{}\"\n\
             admin_key = {{ file = \"{shown}/admin\" }}\n\
             [defaults]\nevery = \"30d\"\njitter = \"0s\"\noverlap = {{ at_least = \"200ms\", at_most = \"1h\" }}\nquarantine = \"200ms\"\nwait_for.confirm = false\n\
             {rest}",
            sandbox.base_url()
        );
        fs::write(self.path("policy.toml"), policy).unwrap();
    }

    pub(super) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rekeyd"));
        command.args(words).env("REKEYD_POLICY", self.path("policy.toml")).stdin(Stdio::null());
        for name in ["REKEYD_SOCKET", "RUNTIME_DIRECTORY", "STATE_DIRECTORY", "AWS_PROFILE", "AWS_REGION"] {
            command.env_remove(name);
        }
        command
            .env("AWS_ACCESS_KEY_ID", "testing")
            .env("AWS_SECRET_ACCESS_KEY", "testing")
            .env("AWS_DEFAULT_REGION", "eu-west-1")
            .env("AWS_EC2_METADATA_DISABLED", "true");
        command
    }

    pub(super) fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    pub(super) fn start(&mut self) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path("log")).unwrap();
        let child = self.command(&["run"]).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        self.child = Some(child);
        self.until("it is ready", || UnixReady::is(&self.path("socket")));
    }

    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill().and_then(|()| child.wait()));
        }
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    #[track_caller]
    pub(super) fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < LONGEST, "not in time: {what}\n{}\n{}", self.status(), self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn status(&self) -> String {
        String::from_utf8_lossy(&self.run(&["status"]).stdout).into_owned()
    }

    /// What the daemon reports of a credential.
    pub(super) fn report(&self, credential: &str) -> Value {
        let told = self.run(&["status", credential, "--output", "json"]);
        let told: Value = serde_json::from_slice(&told.stdout).unwrap_or_default();
        told.pointer("/credentials/0").cloned().unwrap_or_default()
    }

    #[track_caller]
    pub(super) fn reload(&self) {
        let reloaded = self.run(&["reload"]);
        assert!(reloaded.status.success(), "{}", error(&reloaded));
    }
}

pub(super) fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A daemon is ready when its socket takes connections.
struct UnixReady;

impl UnixReady {
    fn is(socket: &Path) -> bool {
        std::os::unix::net::UnixStream::connect(socket).is_ok()
    }
}

/// A directory store.
pub(super) fn directory(name: &str, path: &Path) -> String {
    format!("[stores.{name}.directory]\npath = \"{}\"\n", path.display())
}

/// A credential with one destination.
pub(super) fn credential(name: &str, account: &str, store: &str, secret: &str) -> String {
    format!(
        "[credentials.{name}]\nservice_account = \"{account}\"\npublish_to = [{{ store = \"{store}\", secret = \"{secret}\", create = true }}]\n"
    )
}
