//! A sandbox, a policy with a channel of each kind, and the real program.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rekeyd::adapters::clock::SystemClock;
use rekeyd::demo::daemon::{Daemon, Launcher};
use rekeyd::ports::clock::Clock as _;
use rekeyd::sandbox::faults::{Fault, Refused, What};
use rekeyd::sandbox::route::Route;
use rekeyd::sandbox::server::{Options, Sandbox};
use rekeyd::sandbox::settings::{Granted, Settings};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;

use super::receiver::{Receiver, Sent};

const PATIENCE: Duration = Duration::from_secs(30);
pub(super) const ROUTING_KEY: &str = "R0UTINGKEYPLANTED000000000000000";
pub(super) const SIGNING_KEY: &str = "signing-key-planted";

pub(super) struct Harness {
    pub(super) receiver: Receiver,
    pub(super) launcher: Launcher,
    sandbox: Sandbox,
    credentials: Vec<String>,
    folder: TempDir,
}

impl Harness {
    /// So many credentials, none of which can have a new key at first.
    pub(super) async fn build(credentials: usize) -> Self {
        let options = Options { seed: Some(5), ..Options::new(Arc::new(SystemClock)) };
        let sandbox = Sandbox::start(options).await.unwrap();
        let credentials: Vec<String> = (0..credentials).map(|number| format!("tts-{number}")).collect();
        for account in &credentials {
            let now = SystemClock.now();
            let id = sandbox.workspace().create_account(account, now);
            let granted = Granted::Only(vec!["text_to_speech".to_owned()]);
            sandbox.workspace().create_key(&id, Settings::new("made by hand", granted), now).unwrap();
        }
        let refused = What::Refuse(Refused::with(422, "validation_error"));
        let times = u32::try_from(credentials.len()).unwrap();
        sandbox.set_faults(vec![Fault::on(Route::CreateKey, refused).times(times)]);
        let folder = tempfile::tempdir().unwrap();
        let launcher = Launcher {
            program: PathBuf::from(env!("CARGO_BIN_EXE_rekeyd")),
            policy: folder.path().join("policy.toml"),
            log: folder.path().join("log"),
            filter: None,
            address: watch::channel(None).0,
        };
        let harness = Self { receiver: Receiver::open().await, launcher, sandbox, credentials, folder };
        let url = |to: &str| format!("{}/{to}", harness.receiver.url);
        harness.write("admin-key", &harness.sandbox.admin_key());
        harness.write("slack-url", &url("slack"));
        harness.write("routing-key", ROUTING_KEY);
        harness.write("hook-url", &url("generic"));
        harness.write("signing-key", SIGNING_KEY);
        harness.write_policy("");
        harness
    }

    /// Somebody makes a service account in the workspace and names it as they please.
    pub(super) fn somebody_names_an_account(&self, name: &str) {
        self.sandbox.workspace().create_account(name, SystemClock.now());
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// The policy, with something behind it.
    pub(super) fn write_policy(&self, more: &str) {
        let (root, url) = (self.folder.path().display(), self.sandbox.base_url());
        let receiver = &self.receiver.url;
        let mut text = format!(
            r#"[daemon]
listen = "127.0.0.1:0"
socket = "{root}/rekeyd.sock"
journal.sqlite.path = "{root}/journal.db"
notify_after = "1s"
acceptances.over = "0s"

[workspaces.sandbox]
first_rotations_at_once = 1000
base_url = "{url}"
admin_key = {{ file = "{root}/admin-key" }}
requests_per_second = 500
mints_per_hour = 10000
breaker = {{ failures = 1000 }}

[stores.local.directory]
path = "{root}/secrets"

[defaults]
wait_for.confirm = false
every = "365d"
overlap = {{ at_least = "1s", at_most = "1h" }}
quarantine = "1s"

[notify.chat]
on = ["rotated"]
slack.url = {{ file = "{root}/slack-url" }}

[notify.pager]
source = "rekeyd-test"
time_limit = "1s"
[notify.pager.pagerduty]
routing_key = {{ file = "{root}/routing-key" }}
endpoint = "{receiver}/pagerduty"

[notify.hook]
at_least = "info"
text = "{{event}}: {{subject}}"
generic = {{ url = {{ file = "{root}/hook-url" }}, signing_key = {{ file = "{root}/signing-key" }} }}
"#
        );
        for name in &self.credentials {
            text += &format!(
                "\n[credentials.{name}]\nservice_account = \"{name}\"\npublish_to = [{{ store = \"local\", secret = \"{name}\" }}]\n"
            );
        }
        fs::write(&self.launcher.policy, text + more).unwrap();
    }

    pub(super) async fn start(&self) -> Daemon {
        self.launcher.start().await.unwrap()
    }

    pub(super) fn rekeyd(&self, words: &[&str]) -> Output {
        Command::new(&self.launcher.program).args(words).output().unwrap()
    }

    /// Gives the daemon an order that it takes.
    pub(super) fn order(&self, words: &[&str]) -> Output {
        let socket = self.folder.path().join("rekeyd.sock");
        Command::new(&self.launcher.program).args(words).arg("--socket").arg(socket).output().unwrap()
    }

    pub(super) fn policy(&self) -> &str {
        self.launcher.policy.to_str().unwrap()
    }

    pub(super) fn status(&self) -> (Value, String) {
        let read = |output: &str| {
            let told = self.rekeyd(&["status", "--policy", self.policy(), "--output", output]);
            String::from_utf8(told.stdout).unwrap()
        };
        (serde_json::from_str(&read("json")).unwrap_or_default(), read("table"))
    }

    pub(super) async fn metrics(&self) -> String {
        self.page("/metrics").await
    }

    pub(super) async fn page(&self, path: &str) -> String {
        let address = self.launcher.address.borrow().unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.get(format!("http://{address}{path}")).send().await.unwrap().text().await.unwrap()
    }

    /// What the receiver was sent, as soon as `enough` says so.
    pub(super) async fn sent(&self, to: &str, enough: impl Fn(&[Sent]) -> bool) -> Vec<Sent> {
        let begun = Instant::now();
        loop {
            let sent = self.receiver.sent(to);
            if enough(&sent) {
                return sent;
            }
            assert!(begun.elapsed() < PATIENCE, "not in time: {sent:#?}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(super) async fn until(&self, what: &str, holds: impl AsyncFn() -> bool) {
        let begun = Instant::now();
        while !holds().await {
            assert!(begun.elapsed() < PATIENCE, "not in time: {what}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(&self.launcher.log).unwrap_or_default()
    }

    /// No secret of a receiver's is in the log, the journal, or in `more`; nor is a key.
    pub(super) fn nothing_leaked(&self, more: &str) {
        let files = ["log", "journal.db", "journal.db-wal"].map(|file| self.folder.path().join(file));
        let mut told: Vec<u8> = files.iter().flat_map(|file| fs::read(file).unwrap_or_default()).collect();
        told.extend(more.as_bytes());
        let keys: Vec<String> = self.sandbox.workspace().values().map(str::to_owned).collect();
        let planted = [ROUTING_KEY, SIGNING_KEY, &self.receiver.url].map(str::to_owned);
        for secret in keys.iter().chain(&planted) {
            let found = told.windows(secret.len()).any(|bytes| bytes == secret.as_bytes());
            assert!(!found, "a secret was told: {}", &secret[..6]);
        }
    }
}
