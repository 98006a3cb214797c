//! Something to look at: the real program over a sandbox, with a journal that has a past.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rekeyd::adapters::clock::SystemClock;
use rekeyd::adapters::sqlite::SqliteJournal;
use rekeyd::demo::daemon::{Daemon, Launcher};
use rekeyd::domain::ids::CredentialName;
use rekeyd::ports::clock::Clock as _;
use rekeyd::ports::journal::JournalReader;
use rekeyd::sandbox::server::{Options, Sandbox};
use rekeyd::sandbox::settings::{Granted, Settings};
use tempfile::TempDir;
use tokio::sync::watch;

use super::past::Past;

const TOKEN: &str = "token-of-voice-api";

pub(super) struct Sight {
    pub(super) url: String,
    pub(super) daemon: Option<Daemon>,
    sandbox: Sandbox,
    folder: TempDir,
    /// What the policy has beside.
    extra: String,
}

impl Sight {
    /// With one credential of the policy, `speech-gateway`, whose rotation waits for `batch-render`, and with what
    /// `remember` puts into the journal.
    pub(super) async fn open(remember: impl AsyncFnOnce(&mut Past)) -> Self {
        Self::with("", remember).await
    }

    /// And with `extra` in the policy.
    pub(super) async fn with(extra: &str, remember: impl AsyncFnOnce(&mut Past)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::start(Options::new(Arc::new(SystemClock))).await.unwrap();
        {
            let mut workspace = sandbox.workspace();
            let account = workspace.create_account("speech-gateway", SystemClock.now());
            let permissions = Granted::Only(vec!["text_to_speech".to_owned()]);
            workspace
                .create_key(&account, Settings::new("made by hand", permissions), SystemClock.now())
                .unwrap();
        }
        let journal = Arc::new(SqliteJournal::open(&folder.path().join("journal.db")).unwrap());
        remember(&mut Past { journal, now: SystemClock.now(), rotations: 0 }).await;
        let mut sight = Self { url: String::new(), daemon: None, sandbox, folder, extra: extra.to_owned() };
        sight.start().await;
        sight
    }

    /// Without a past, and with its only rotation in the overlap.
    pub(super) async fn in_overlap() -> Self {
        let sight = Self::open(async |_| {}).await;
        sight.until("/credentials/speech-gateway", "both keys work, waiting on: ").await;
        sight
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// After the first start with the port that it got then.
    fn write_policy(&self) {
        let port = self.url.rsplit_once(':').map_or("0", |(_, port)| port);
        fs::write(self.path("admin-key"), self.sandbox.admin_key()).unwrap();
        fs::write(self.path("token"), TOKEN).unwrap();
        fs::write(self.path("other-token"), "token-of-batch-render").unwrap();
        let (root, url) = (self.folder.path().display(), self.sandbox.base_url());
        let text = format!(
            r#"[daemon]
listen = "127.0.0.1:{port}"
socket = "{root}/rekeyd.sock"
journal.sqlite.path = "{root}/journal.db"
drain = "2s"
acceptances.over = "0s"

[workspaces.prod]
first_rotations_at_once = 1000
base_url = "{url}"
admin_key = {{ file = "{root}/admin-key" }}
mints_per_hour = 20
overlaps_at_once = 5

[stores.local.directory]
path = "{root}/secrets"

[defaults]
wait_for.confirm = false
every = "30d"
time_zone = "UTC"
overlap = {{ at_least = "1m", at_most = "7d" }}
quarantine = "1d"

[consumers.voice-api]
token = {{ file = "{root}/token" }}
[consumers.batch-render]
token = {{ file = "{root}/other-token" }}

[credentials.speech-gateway]
workspace = "prod"
service_account = "speech-gateway"
publish_to = [{{ store = "local", secret = "speech-gateway" }}]
wait_for = {{ acks = ["voice-api", "batch-render"] }}
{}
"#,
            self.extra.replace("ROOT", &root.to_string())
        );
        fs::write(self.path("policy.toml"), text).unwrap();
    }

    pub(super) async fn start(&mut self) {
        self.write_policy();
        let (address, known) = watch::channel(None);
        let launcher = Launcher {
            program: PathBuf::from(env!("CARGO_BIN_EXE_rekeyd")),
            policy: self.path("policy.toml"),
            log: self.path("log"),
            filter: None,
            address,
        };
        self.daemon = Some(launcher.start().await.unwrap());
        self.url = format!("http://{}", known.borrow().unwrap());
    }

    pub(super) async fn kill(&mut self) {
        self.daemon.take().unwrap().kill().await.unwrap();
    }

    pub(super) async fn get(&self, path: &str) -> String {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.get(format!("{}{path}", self.url)).send().await.unwrap().text().await.unwrap()
    }

    pub(super) async fn until(&self, path: &str, wanted: &str) -> String {
        let begun = Instant::now();
        loop {
            let text = self.get(path).await;
            if text.contains(wanted) {
                return text;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "`{wanted}` never came:\n{text}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// `voice-api` says that it uses what the destination serves.
    pub(super) async fn acknowledge(&self) {
        let name = CredentialName::new("speech-gateway").unwrap();
        let journal = SqliteJournal::open_read_only(&self.path("journal.db")).unwrap();
        let known = journal.load().unwrap().into_iter().find(|(other, _)| *other == name).unwrap().1.unwrap();
        let print = known.rotation.unwrap().successor().unwrap().fingerprint.clone();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("{}/v1/credentials/speech-gateway/acks", self.url);
        let body = serde_json::json!({ "fingerprint": print }).to_string();
        let told = client.post(url).bearer_auth(TOKEN).body(body).send().await.unwrap();
        assert!(told.status().is_success(), "{}", told.text().await.unwrap());
    }

    /// Runs an operator's command.
    pub(super) async fn command(&self, arguments: &[&str]) {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_rekeyd"));
        command.args(arguments).arg("--socket").arg(self.path("rekeyd.sock"));
        let output = command.output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// So many credentials of the policy, in a workspace that does not answer, so that nothing is found out about their keys.
pub(super) fn crowd(count: i64) -> String {
    let workspace =
        "[workspaces.quiet]\nbase_url = \"http://127.0.0.1:9\"\nadmin_key = { file = \"ROOT/admin-key\" }\n";
    let freeze = "[[freeze]]\nname = \"end of year\"\nfrom = 2026-12-20\nuntil = 2027-01-03\n";
    let one = |number: i64| {
        format!(
            "[credentials.service-{number:04}]\nworkspace = \"quiet\"\nservice_account = \"voice of service {number}\"\n\
             window = {{ opens = \"0 3 * * Mon\", lasts = \"4h\" }}\n\
             publish_to = [{{ store = \"local\", secret = \"service-{number:04}\" }}]\n"
        )
    };
    let all: String = (0..count).map(one).collect();
    format!("{workspace}{freeze}{all}")
}
