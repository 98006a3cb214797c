//! A workspace with one service account that has one key, a folder with a policy for it, and the program to examine it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use rekeyd::adapters::clock::SystemClock;
use rekeyd::ports::clock::Clock as _;
use rekeyd::sandbox::rules::Rules;
use rekeyd::sandbox::server::{Options, Sandbox};
use rekeyd::sandbox::settings::{Granted, Settings};
use serde_json::Value;
use tempfile::TempDir;

pub(super) struct Harness {
    pub(super) sandbox: Sandbox,
    folder: TempDir,
    /// The account `tts`.
    pub(super) account: String,
    /// Its key.
    pub(super) key: String,
}

/// A key that may do what these permissions say.
pub(super) fn restricted(permissions: &[&str]) -> Settings {
    let permissions = permissions.iter().map(|&name| name.to_owned()).collect();
    Settings::new("made by hand", Granted::Only(permissions))
}

impl Harness {
    pub(super) async fn build(rules: Rules) -> Self {
        let clock = Arc::new(SystemClock);
        let sandbox = Sandbox::start(Options { rules, ..Options::new(clock) }).await.unwrap();
        let now = SystemClock.now();
        let account = sandbox.workspace().create_account("tts", now);
        let key = sandbox.workspace().create_key(&account, restricted(&["text_to_speech"]), now).unwrap().id;
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let harness = Self { sandbox, folder, account, key };
        harness.administer_with(&harness.sandbox.admin_key());
        let state = harness.path("state");
        fs::create_dir(&state).unwrap();
        fs::set_permissions(state, fs::Permissions::from_mode(0o700)).unwrap();
        harness
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn secret(&self, name: &str, value: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, value).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    pub(super) fn administer_with(&self, value: &str) {
        self.secret("admin", value);
    }

    /// The policy of a harness that is in order.
    pub(super) fn policy(&self) -> String {
        let folder = self.folder.path().display();
        format!(
            "[daemon]\nlisten = \"127.0.0.1:0\"\nsocket = \"{folder}/rekeyd.sock\"\n\
             journal.sqlite.path = \"{folder}/state/journal.db\"\n\
             [workspaces.prod]\nbase_url = \"{}\"\nadmin_key = {{ file = \"{folder}/admin\" }}\n\
             [stores.local.directory]\npath = \"{folder}/secrets\"\n\
             [credentials.tts]\nservice_account = \"tts\"\nevery = \"30d\"\n\
             publish_to = [{{ store = \"local\", secret = \"tts\" }}]\n",
            self.sandbox.base_url()
        )
    }

    pub(super) fn write(&self, policy: &str) -> PathBuf {
        let path = self.path("policy.toml");
        fs::write(&path, policy).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        path
    }

    /// A call of a program that says who it is.
    pub(super) async fn speak(&self, value: &str, source: &str) {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("{}/v1/text-to-speech/rachel", self.sandbox.base_url());
        let request = http.post(url).header("xi-api-key", value).header("x-request-source", source);
        let answer = request.json(&serde_json::json!({"text": "hello"})).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }

    pub(super) fn doctor(&self, policy: &str) -> Told {
        self.doctor_with(policy, |_| {})
    }

    pub(super) fn doctor_with(&self, policy: &str, change: impl FnOnce(&mut Command)) -> Told {
        let mut command = command(Path::new(env!("CARGO_BIN_EXE_rekeyd")));
        command.args(["doctor", "--output", "json", "--policy"]).arg(self.write(policy));
        change(&mut command);
        let told = Told::from(&command.output().unwrap());
        for value in self.sandbox.workspace().values() {
            assert!(!told.text.contains(value), "a key's value is told");
        }
        told
    }
}

/// The program, with an AWS identity that no AWS knows and without anything of the environment that would decide.
pub(super) fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    for name in
        ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "CREDENTIALS_DIRECTORY", "AWS_PROFILE"]
    {
        command.env_remove(name);
    }
    command
        .env("AWS_ACCESS_KEY_ID", "testing")
        .env("AWS_SECRET_ACCESS_KEY", "planted-aws-secret")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

/// What the doctor said.
pub(super) struct Told {
    pub(super) code: Option<i32>,
    pub(super) text: String,
    pub(super) json: Value,
}

impl Told {
    pub(super) fn from(output: &Output) -> Self {
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        let beside = String::from_utf8_lossy(&output.stderr);
        assert!(!text.contains("planted") && !beside.contains("planted"), "{text}{beside}");
        let json = serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}{beside}"));
        Self { code: output.status.code(), text, json }
    }

    /// The findings of a check, as `severity: about: what [fix]`.
    pub(super) fn of(&self, check: &str) -> Vec<String> {
        let findings = self.json["findings"].as_array().unwrap();
        let text = |finding: &Value, field: &str| finding[field].as_str().unwrap_or_default().to_owned();
        let of_check = findings.iter().filter(|finding| finding["check"] == check);
        of_check
            .map(|it| {
                let [severity, about, what, fix] =
                    ["severity", "subject", "message", "fix"].map(|field| text(it, field));
                format!("{severity}: {about}: {what} [{fix}]")
            })
            .collect()
    }

    /// One finding of the check has this severity and these words.
    #[track_caller]
    pub(super) fn says(&self, check: &str, severity: &str, words: &[&str]) {
        let found = self.of(check);
        let fits =
            |line: &&String| line.starts_with(severity) && words.iter().all(|word| line.contains(word));
        assert!(found.iter().any(|line| fits(&line)), "{check} {severity} {words:?}\n{}", self.text);
        let expected = if self.json["severity"] == "error" { 1 } else { 0 };
        assert_eq!(self.code, Some(expected), "{}", self.text);
    }
}
