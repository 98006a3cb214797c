//! Everything that exists before the daemon starts: a workspace with three service accounts, a directory, the secrets that
//! the policy refers to, and the policy itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tempfile::TempDir;

use crate::adapters::clock::SystemClock;
use crate::demo::consumer::Consumer;
use crate::domain::ids::CredentialName;
use crate::domain::secret::Fingerprint;
use crate::ports::clock::Clock as _;
use crate::sandbox::random::Random;
use crate::sandbox::rules::Rules;
use crate::sandbox::server::{Options, Sandbox};
use crate::sandbox::settings::{Granted, Settings};

/// How long a consumer uses a value before it reads its file again.
const CACHE: Duration = Duration::from_secs(1);
const PERMISSIONS: [&str; 3] = ["text_to_speech", "voices_read", "user_read"];

/// How fast things happen: durations as a policy writes them.
#[derive(Debug, Clone)]
pub struct Pace {
    pub every: String,
    pub at_least: String,
    pub quarantine: String,
}

impl Pace {
    #[must_use]
    pub fn new(every: &str, at_least: &str, quarantine: &str) -> Self {
        Self { every: every.to_owned(), at_least: at_least.to_owned(), quarantine: quarantine.to_owned() }
    }

    /// The same terms, but nothing becomes due any more.
    #[must_use]
    pub fn at_rest(&self) -> Self {
        Self { every: "365d".to_owned(), ..self.clone() }
    }
}

/// A credential of the policy, as it is at the beginning.
struct Part {
    credential: CredentialName,
    /// The key that its consumers hold before rekeyd publishes anything.
    held: Option<Held>,
    /// More keys of the same service account, which are nobody's business.
    strangers: usize,
    /// Its consumers, and whether the policy waits for them.
    consumers: &'static [&'static str],
    acks: bool,
}

struct Held {
    id: String,
    value: String,
}

/// The whole of it. Dropping it stops the sandbox and removes the directory.
pub struct Fixture {
    pub sandbox: Sandbox,
    folder: TempDir,
    parts: Vec<Part>,
    tokens: BTreeMap<&'static str, String>,
}

impl Fixture {
    /// Three service accounts: one with several keys, so that the policy has to say which, one with a single key, and
    /// one with none. `seed` decides every value.
    ///
    /// # Errors
    /// A directory, a file or a port could not be had.
    pub async fn build(seed: u64, pace: &Pace) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("rekeyd-demo-")
            .tempdir()
            .context("cannot make a temporary directory")?;
        let clock = Arc::new(SystemClock);
        let options = Options { seed: Some(seed), rules: Rules::default(), ..Options::new(clock) };
        let sandbox = Sandbox::start(options).await.context("cannot start the sandbox on loopback")?;
        let mut stage = Self { sandbox, folder, parts: Vec::new(), tokens: BTreeMap::new() };
        stage.add("tts-backend", 3, &["tts-api", "tts-batch"], true)?;
        stage.add("dubbing", 1, &["dubbing-worker"], false)?;
        stage.add("voice-agent", 0, &["voice-agent"], true)?;
        let mut random = Random::seeded(!seed);
        for consumer in stage.parts.iter().flat_map(|part| part.consumers) {
            let token = format!("token-{}", random.hex(32));
            write_secret(&stage.token_file(consumer), &token)?;
            stage.tokens.insert(consumer, token);
        }
        write_secret(&stage.admin_key_file(), &stage.sandbox.admin_key())?;
        stage.write_policy(pace)?;
        Ok(stage)
    }

    fn add(
        &mut self,
        name: &str,
        keys: usize,
        consumers: &'static [&'static str],
        acks: bool,
    ) -> anyhow::Result<()> {
        let now = SystemClock.now();
        let mut workspace = self.sandbox.workspace();
        let account = workspace.create_account(name, now);
        let mut held = None;
        for number in 0..keys {
            let permissions = Granted::Only(PERMISSIONS.map(str::to_owned).to_vec());
            let settings = Settings::new(format!("made by hand {}", number + 1), permissions);
            let made = workspace.create_key(&account, settings, now);
            let made = made.map_err(|refusal| anyhow::anyhow!("the sandbox refuses a key: {refusal:?}"))?;
            held.get_or_insert(Held { id: made.id, value: made.value });
        }
        drop(workspace);
        let credential = CredentialName::new(name)?;
        self.parts.push(Part { credential, held, strangers: keys.saturating_sub(1), consumers, acks });
        Ok(())
    }

    /// Writes the policy anew; a daemon that runs takes it at SIGHUP.
    ///
    /// # Errors
    /// The file could not be written.
    pub fn write_policy(&self, pace: &Pace) -> anyhow::Result<()> {
        let text = self.policy_text(pace)?;
        fs::write(self.policy(), text).context("cannot write the policy")
    }

    fn policy_text(&self, pace: &Pace) -> anyhow::Result<String> {
        let Pace { every, at_least, quarantine } = pace;
        let root = self.root().display();
        let url = self.sandbox.base_url();
        let mut text = format!(
            r#"[daemon]
listen = "127.0.0.1:0"
socket = "{root}/rekeyd.sock"
journal.sqlite.path = "{root}/journal.db"
settle = "2s"
acceptances = {{ count = 2, over = "0s" }}
drain = "5s"
sweep_every = "15s"

[workspaces.sandbox]
first_rotations_at_once = 1000
base_url = "{url}"
admin_key = {{ file = "{root}/admin-key" }}
requests_per_second = 200
in_flight = 4
mints_per_hour = 10000
breaker = {{ failures = 10000 }}

[stores.local.directory]
path = "{root}/secrets"

[defaults]
wait_for.confirm = false
every = "{every}"
overlap = {{ at_least = "{at_least}", at_most = "1h" }}
quarantine = "{quarantine}"
"#
        );
        for part in &self.parts {
            for consumer in part.consumers {
                let file = self.token_file(consumer);
                let (file, cache) = (file.display(), CACHE.as_secs());
                write!(
                    text,
                    "\n[consumers.{consumer}]\ntoken = {{ file = \"{file}\" }}\ncache_ttl = \"{cache}s\"\n"
                )?;
            }
            let name = &part.credential;
            write!(text, "\n[credentials.{name}]\nservice_account = \"{name}\"\n")?;
            match &part.held {
                Some(held) if part.strangers > 0 => writeln!(text, "adopt = \"{}\"", held.id)?,
                Some(_) => {}
                None => writeln!(text, "permissions = {PERMISSIONS:?}")?,
            }
            writeln!(text, "publish_to = [{{ store = \"local\", secret = \"{name}\" }}]")?;
            if part.acks {
                writeln!(text, "wait_for = {{ acks = {:?} }}", part.consumers)?;
            }
        }
        Ok(text)
    }

    #[must_use]
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    #[must_use]
    pub fn policy(&self) -> PathBuf {
        self.root().join("policy.toml")
    }

    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.root().join("journal.db")
    }

    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.root().join("rekeyd.sock")
    }

    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.root().join("daemon.log")
    }

    #[must_use]
    pub fn admin_key_file(&self) -> PathBuf {
        self.root().join("admin-key")
    }

    fn token_file(&self, consumer: &str) -> PathBuf {
        self.root().join(format!("token-of-{consumer}"))
    }

    /// Where consumers find the value of a credential.
    #[must_use]
    pub fn secret(&self, credential: &CredentialName) -> PathBuf {
        self.root().join("secrets").join(credential.as_str())
    }

    pub fn credentials(&self) -> impl Iterator<Item = &CredentialName> {
        self.parts.iter().map(|part| &part.credential)
    }

    /// The programs that use the credentials.
    #[must_use]
    pub fn consumers(&self) -> Vec<Consumer> {
        let of_part = |part: &Part| {
            let (credential, held) = (part.credential.clone(), part.held.as_ref());
            let file = self.secret(&part.credential);
            let first = held.map(|held| held.value.clone());
            let acks = part.acks;
            part.consumers.iter().map(move |name| Consumer {
                name: (*name).to_owned(),
                credential: credential.clone(),
                file: file.clone(),
                first: first.clone(),
                token: self.tokens.get(name).filter(|_| acks).cloned(),
                cache: CACHE,
                first_cache: CACHE,
            })
        };
        self.parts.iter().flat_map(of_part).collect()
    }

    /// The fingerprints that are served now.
    #[must_use]
    pub fn served(&self) -> BTreeMap<CredentialName, Fingerprint> {
        let served = self.credentials().filter_map(|name| {
            let value = fs::read_to_string(self.secret(name)).ok()?;
            Some((name.clone(), Fingerprint::of(value.trim_end().as_bytes())))
        });
        served.collect()
    }

    /// The ids of the keys that consumers held at the beginning, and that rekeyd was told to replace.
    #[must_use]
    pub fn adopted(&self) -> BTreeSet<&str> {
        self.parts.iter().filter_map(|part| part.held.as_ref()).map(|held| held.id.as_str()).collect()
    }

    /// Every secret there is or was: what nobody may ever write anywhere but into the store.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        let keys: Vec<String> = self.sandbox.workspace().values().map(str::to_owned).collect();
        keys.into_iter().chain(self.tokens.values().cloned()).collect()
    }

    /// Leaves the directory where it is, and says where.
    #[must_use]
    pub fn keep(self) -> PathBuf {
        self.folder.keep()
    }
}

fn write_secret(path: &Path, value: &str) -> anyhow::Result<()> {
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let written: io::Result<()> = written.and_then(|mut file| writeln!(file, "{value}"));
    written.with_context(|| format!("cannot write {}", path.display()))
}
