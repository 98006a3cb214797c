//! A sandbox with a service account that administers it, a policy that says so, and the real program to run on both.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rekeyd::adapters::clock::SystemClock;
use rekeyd::adapters::sqlite::SqliteJournal;
use rekeyd::demo::daemon::Launcher;
use rekeyd::domain::ids::CredentialName;
use rekeyd::domain::phase::PhaseName;
use rekeyd::domain::secret::Fingerprint;
use rekeyd::ports::clock::Clock as _;
use rekeyd::ports::journal::{CredentialState, JournalReader};
use rekeyd::sandbox::key::State;
use rekeyd::sandbox::route::Route;
use rekeyd::sandbox::server::{Options, Sandbox};
use rekeyd::sandbox::settings::{Granted, Settings};
use tempfile::TempDir;
use tokio::sync::watch;

pub(super) const MAY_ADMINISTER: &[&str] = &["service_account_write", "user_read"];

const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Harness {
    pub(super) sandbox: Sandbox,
    pub(super) launcher: Launcher,
    /// The value of the account's key that was made by hand.
    pub(super) begun_with: String,
    folder: TempDir,
}

impl Harness {
    pub(super) async fn build(permissions: &[&str]) -> Self {
        let options = Options { seed: Some(3), ..Options::new(Arc::new(SystemClock)) };
        let sandbox = Sandbox::start(options).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let make = |account: &str, permissions: &[&str]| {
            let now = SystemClock.now();
            let id = sandbox.workspace().create_account(account, now);
            let granted = Granted::Only(permissions.iter().map(|it| (*it).to_owned()).collect());
            let made = sandbox.workspace().create_key(&id, Settings::new("made by hand", granted), now);
            made.unwrap().value
        };
        let begun_with = make("rekeyd-admin", permissions);
        make("tts", &["text_to_speech"]);
        let launcher = Launcher {
            program: PathBuf::from(env!("CARGO_BIN_EXE_rekeyd")),
            policy: folder.path().join("policy.toml"),
            log: folder.path().join("log"),
            filter: None,
            address: watch::channel(None).0,
        };
        let harness = Self { sandbox, launcher, begun_with, folder };
        harness.begin_with(&harness.begun_with);
        harness.agree(true);
        harness
    }

    pub(super) fn bootstrap(&self) -> PathBuf {
        self.folder.path().join("admin-key")
    }

    pub(super) fn begin_with(&self, value: &str) {
        fs::write(self.bootstrap(), value).unwrap();
        fs::set_permissions(self.bootstrap(), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// What the program says that is asked whether the old admin key may go.
    pub(super) fn agree(&self, agrees: bool) {
        let answer = self.folder.path().join("answer");
        if agrees { fs::write(answer, "yes").unwrap() } else { fs::remove_file(answer).unwrap() }
    }

    pub(super) fn write_policy(&self, every: &str) {
        let root = self.folder.path().display();
        let url = self.sandbox.base_url();
        let bootstrap = self.bootstrap();
        let text = format!(
            r#"[daemon]
listen = "127.0.0.1:0"
socket = "{root}/rekeyd.sock"
journal.sqlite.path = "{root}/journal.db"
settle = "2s"
acceptances.over = "0s"
drain = "5s"

[workspaces.sandbox]
first_rotations_at_once = 1000
base_url = "{url}"
admin_key = {{ published = "rekeyd-admin", file = "{}" }}
requests_per_second = 500
mints_per_hour = 10000

[stores.local.directory]
path = "{root}/secrets"

[defaults]
wait_for.confirm = false
every = "{every}"
overlap = {{ at_least = "1s", at_most = "1h" }}
quarantine = "1s"

[credentials.rekeyd-admin]
service_account = "rekeyd-admin"
publish_to = [{{ store = "local", secret = "admin" }}]
wait_for = {{ command = ["/bin/ls", "{root}/answer"] }}

[credentials.tts]
service_account = "tts"
publish_to = [{{ store = "local", secret = "tts" }}]
"#,
            bootstrap.display()
        );
        fs::write(&self.launcher.policy, text).unwrap();
    }

    /// The key that the next start would work with.
    pub(super) fn in_store(&self) -> Option<String> {
        let text = fs::read_to_string(self.folder.path().join("secrets/admin")).ok()?;
        Some(text.trim().to_owned())
    }

    pub(super) fn accepts(&self, value: &str) -> bool {
        self.sandbox.workspace().accepts(value, SystemClock.now())
    }

    pub(super) fn works(&self, when: &str) {
        let value = self.in_store().unwrap_or_else(|| self.begun_with.clone());
        assert!(
            self.accepts(&value),
            "{when}: {} is refused\n{}",
            Fingerprint::of(value.as_bytes()),
            self.tail()
        );
    }

    fn print(value: &str) -> Fingerprint {
        Fingerprint::of(value.as_bytes())
    }

    pub(super) fn state_of(&self, value: &str) -> State {
        let print = Self::print(value);
        self.sandbox.truth().keys().find(|key| key.fingerprint == print).unwrap().state
    }

    /// The provider, or a person, takes the key out of service.
    pub(super) fn disable(&self, value: &str) {
        let print = Self::print(value);
        let id = self.sandbox.truth().keys().find(|key| key.fingerprint == print).unwrap().key_id.clone();
        self.sandbox.workspace().disable_key(&id, None, SystemClock.now()).unwrap();
    }

    /// Calls that were accepted of this key.
    pub(super) fn calls_of(&self, value: &str) -> u64 {
        let print = Self::print(value);
        let truth = self.sandbox.truth();
        let key = truth.keys().find(|key| key.fingerprint == print).unwrap();
        key.calls.values().map(|calls| calls.accepted).sum()
    }

    pub(super) fn administers(&self, value: &str) -> bool {
        let print = Self::print(value);
        let truth = self.sandbox.truth();
        let key = truth.keys().find(|key| key.fingerprint == print).unwrap();
        // One listing proves it in the verification, and one before it is taken up.
        key.calls.get(&Route::ListAccounts).is_some_and(|calls| calls.accepted > 2)
    }

    pub(super) fn alive(&self, account: &str) -> usize {
        let truth = self.sandbox.truth();
        let account = truth.accounts.iter().find(|it| it.name == account).unwrap();
        account.keys.iter().filter(|key| key.state == State::Enabled).count()
    }

    fn known(&self, name: &str) -> Option<CredentialState> {
        let journal = SqliteJournal::open_read_only(&self.folder.path().join("journal.db")).ok()?;
        let name = CredentialName::new(name).unwrap();
        journal.load().ok()?.into_iter().find(|(it, _)| *it == name)?.1.ok()
    }

    pub(super) fn phase(&self) -> Option<PhaseName> {
        Some(self.known("rekeyd-admin")?.rotation?.phase.name())
    }

    pub(super) fn ended_because(&self) -> Option<String> {
        self.known("rekeyd-admin")?.record.last?.why
    }

    pub(super) fn is_at_rest(&self) -> bool {
        let rests =
            |name| self.known(name).is_some_and(|it| it.record.open.is_none() && it.record.last.is_some());
        rests("rekeyd-admin") && rests("tts")
    }

    /// Lifts what holds the workspace, if anything does.
    pub(super) fn resume(&self) {
        let output = self.say(&["resume", "--workspace", "sandbox"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() || said.contains("nothing is held"), "{said}");
    }

    fn say(&self, words: &[&str]) -> Output {
        let socket = self.folder.path().join("rekeyd.sock");
        Command::new(&self.launcher.program).args(words).arg("--socket").arg(socket).output().unwrap()
    }

    pub(super) fn order(&self, words: &[&str]) {
        let output = self.say(words);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    pub(super) async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let begun = Instant::now();
        while !holds() {
            assert!(begun.elapsed() < PATIENCE, "not in time: {what}\n{}", self.tail());
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }

    fn tail(&self) -> String {
        let said = fs::read_to_string(&self.launcher.log).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// Neither the log nor the journal holds a key.
    pub(super) fn nothing_leaked(&self) {
        let files = ["log", "journal.db", "journal.db-wal"].map(|file| self.folder.path().join(file));
        let told: Vec<u8> = files.iter().flat_map(|file| fs::read(file).unwrap_or_default()).collect();
        for value in [Some(self.begun_with.clone()), self.in_store()].into_iter().flatten() {
            assert!(!told.windows(value.len()).any(|bytes| bytes == value.as_bytes()), "a key was told");
        }
    }
}
