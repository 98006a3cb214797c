//! A newcomer follows the README, init, check, doctor, run, in a workspace where a program uses a key that was made by
//! hand. The program never fails, unless a warning named it before.
#![expect(clippy::unwrap_used, reason = "a test ends where it is wrong")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// How the program names itself to the provider.
const PROGRAM: &str = "nightly-batch";

/// Killed with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A program that calls the provider with its key in a loop, and never reads another one.
struct Program {
    calls: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Program {
    fn start(url: &str, key: String) -> Self {
        let (calls, refused) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counted, failed) = (Arc::clone(&calls), Arc::clone(&refused));
        let url = format!("{url}/v1/text-to-speech/rachel");
        #[expect(clippy::disallowed_methods, reason = "the test supervises it")]
        let task = tokio::spawn(async move {
            let http = reqwest::Client::builder().no_proxy().build().unwrap();
            loop {
                let request = http.post(&url).header("xi-api-key", &key).header("x-request-source", PROGRAM);
                let answer = request.json(&serde_json::json!({"text": "hello"})).send().await;
                let is_refused = answer.is_ok_and(|answer| !answer.status().is_success());
                failed.fetch_add(usize::from(is_refused), Ordering::SeqCst);
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        Self { calls, refused, task }
    }

    fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }

    async fn has_called(&self) {
        let before = self.calls.load(Ordering::SeqCst);
        until("the program calls", Duration::from_secs(20), || {
            self.calls.load(Ordering::SeqCst) > before + 1
        })
        .await;
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn until(what: &str, longest: Duration, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < longest, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

struct Newcomer {
    folder: TempDir,
    url: String,
    program_key: String,
    daemon: Option<Running>,
    _sandbox: Running,
}

impl Newcomer {
    fn arrive() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let [admin, state] = ["admin-key", "state"].map(|name| folder.path().join(name));
        fs::create_dir(&state).unwrap();
        fs::set_permissions(state, fs::Permissions::from_mode(0o700)).unwrap();
        let mut sandbox = Command::new(env!("CARGO_BIN_EXE_rekeyd"));
        sandbox.args(["sandbox", "--account", "tts", "--key-directory"]).arg(folder.path());
        let sandbox = sandbox.arg("--admin-key-file").arg(admin).stdout(Stdio::piped()).spawn().unwrap();
        let mut sandbox = Running(sandbox);
        let mut line = String::new();
        BufReader::new(sandbox.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let key = fs::read_to_string(folder.path().join("tts")).unwrap();
        assert!(!line.contains(key.trim()), "the key's value is told");
        Self {
            url: ready["url"].as_str().unwrap().to_owned(),
            program_key: key.trim().to_owned(),
            folder,
            daemon: None,
            _sandbox: sandbox,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn program(&self) -> Program {
        Program::start(&self.url, self.program_key.clone())
    }

    /// What a command says. None of them says a key.
    fn rekeyd(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rekeyd"));
        command.args(arguments).env("REKEYD_POLICY", self.path("policy.toml"));
        command.env("REKEYD_SOCKET", self.path("rekeyd.sock")).stdin(Stdio::null());
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert!(!said.contains(&self.program_key), "a key's value is told");
        // Sentences are wrapped.
        said.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The policy that `rekeyd init` drafts, for this folder instead of a machine's.
    fn init(&self) -> String {
        let store = format!("dir:{}", self.path("secrets").display());
        let admin = self.path("admin-key");
        let said = self.rekeyd(&[
            "init",
            "--base-url",
            &self.url,
            "--admin-key-file",
            admin.to_str().unwrap(),
            "--store",
            &store,
        ]);
        assert!(said.contains("credentials: 1, skipped: 0"), "{said}");
        let folder = self.folder.path().display();
        let drafted = fs::read_to_string(self.path("policy.toml")).unwrap();
        let daemon = format!(
            "[daemon]\nlisten = \"127.0.0.1:0\"\nsocket = \"{folder}/rekeyd.sock\"\n\
             journal.sqlite.path = \"{folder}/state/journal.db\"\nacceptances.over = \"0s\"\n"
        );
        let here = format!("{daemon}{drafted}");
        fs::write(self.path("policy.toml"), &here).unwrap();
        here
    }

    /// Rotates within seconds, with other times than are drafted and the same terms.
    fn rotate(&self, policy: &str) -> String {
        let mut hurried = policy.to_owned();
        for (drafted, fast) in [
            ("mode = \"observe\"", "mode = \"rotate\""),
            ("every = \"30d\"", "every = \"1s\""),
            ("jitter = \"4h\"", "jitter = \"0s\""),
            ("at_least = \"2h\", at_most = \"7d\"", "at_least = \"1s\", at_most = \"2s\""),
            ("quarantine = \"24h\"", "quarantine = \"1s\""),
        ] {
            assert!(hurried.contains(drafted), "{drafted}\n{hurried}");
            hurried = hurried.replacen(drafted, fast, 1);
        }
        let hurried = hurried.replace("idle = \"24h\"", "idle = \"2s\"");
        fs::write(self.path("policy.toml"), &hurried).unwrap();
        hurried
    }

    fn start(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rekeyd"));
        command.args(["run", "--policy"]).arg(self.path("policy.toml"));
        let log = fs::File::create(self.path("log")).unwrap();
        self.daemon = Some(Running(command.stderr(log).stdin(Stdio::null()).spawn().unwrap()));
    }

    async fn status_says(&self, words: &[&str]) {
        let mut said = String::new();
        let begun = Instant::now();
        while !words.iter().all(|word| said.contains(word)) {
            let log = || fs::read_to_string(self.path("log")).unwrap_or_default();
            assert!(begun.elapsed() < Duration::from_secs(40), "not told: {words:?}\n{said}\n{}", log());
            tokio::time::sleep(Duration::from_millis(100)).await;
            said = self.rekeyd(&["status"]) + &self.rekeyd(&["status", "tts", "--why"]);
        }
    }

    fn check_and_doctor(&self) -> String {
        let checked = self.rekeyd(&["check", self.path("policy.toml").to_str().unwrap()]);
        assert!(checked.contains(": valid;"), "{checked}");
        checked + &self.rekeyd(&["doctor"])
    }
}

fn secret_of(folder: &Path) -> bool {
    folder.join("secrets/tts").exists()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_it_is_drafted_it_names_the_program_and_waits_for_it_for_as_long_as_it_uses_the_key() {
    let mut newcomer = Newcomer::arrive();
    let program = newcomer.program();
    program.has_called().await;
    let drafted = newcomer.init();
    assert!(drafted.contains("wait_for = { idle = \"24h\" }") && drafted.contains(PROGRAM), "{drafted}");
    let said = newcomer.check_and_doctor();
    assert!(said.contains("is in use: last used") && said.contains(PROGRAM), "{said}");
    newcomer.start();
    newcomer
        .status_says(&["nobody reads these destinations yet: `local:tts`", "Last use of the key", PROGRAM])
        .await;
    assert!(!secret_of(newcomer.folder.path()), "an observed credential publishes nothing");
    newcomer.daemon = None;

    newcomer.rotate(&drafted);
    newcomer.check_and_doctor();
    newcomer.start();
    newcomer.status_says(&["past its deadline", "the old key is in use", PROGRAM]).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(program.refused(), 0);
    newcomer.status_says(&["the old key is in use", PROGRAM]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_whose_use_nobody_saw_in_time_waits_for_a_person_who_is_told_of_the_program() {
    let mut newcomer = Newcomer::arrive();
    let drafted = newcomer.init();
    assert!(drafted.contains("# Its use: no use seen since") && !drafted.contains("idle"), "{drafted}");
    let program = newcomer.program();
    program.has_called().await;
    newcomer.rotate(&drafted);
    let said = newcomer.check_and_doctor();
    for words in ["is in use: last used", PROGRAM, "it is kept until `rekeyd confirm tts`"] {
        assert!(said.contains(words), "{words}\n{said}");
    }
    newcomer.start();
    newcomer.status_says(&["rekeyd confirm tts", "Last use of the key", PROGRAM]).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(program.refused(), 0);
    // Confirmed all the same: the answer names who will be hurt.
    let answer = newcomer.rekeyd(&["confirm", "tts"]);
    assert!(answer.contains("the old key was last seen in use") && answer.contains(PROGRAM), "{answer}");
    assert!(answer.contains("rekeyd rollback tts"), "{answer}");
    until("the program fails", Duration::from_secs(30), || program.refused() > 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_lets_time_alone_decide_is_warned_of_the_program_before_it_fails() {
    let mut newcomer = Newcomer::arrive();
    let drafted = newcomer.init();
    let program = newcomer.program();
    program.has_called().await;
    let hurried = newcomer.rotate(&drafted);
    let careless = hurried
        .replace("service_account = \"tts\"\n", "service_account = \"tts\"\nwait_for.confirm = false\n");
    assert_ne!(careless, hurried);
    fs::write(newcomer.path("policy.toml"), careless).unwrap();
    let said = newcomer.check_and_doctor();
    for words in ["time alone disables the old key", "is in use: last used", PROGRAM, "whoever still uses it"]
    {
        assert!(said.contains(words), "{words}\n{said}");
    }
    assert_eq!(program.refused(), 0);
    newcomer.start();
    until("the program fails", Duration::from_secs(40), || program.refused() > 0).await;
}
