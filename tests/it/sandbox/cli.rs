//! `rekeyd sandbox` as a process of its own.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A running `rekeyd sandbox`, killed if a test fails.
struct Running {
    process: Child,
    ready: Value,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_rekeyd"))
            .arg("sandbox")
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { process, ready: serde_json::from_str(&line).unwrap() }
    }

    fn text(&self, field: &str) -> &str {
        self.ready[field].as_str().unwrap()
    }

    fn stop(mut self, signal: &str) -> ExitStatus {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        let begun = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "it does not stop");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn read_key(path: &str) -> String {
    std::fs::read_to_string(path).unwrap().trim_end().to_owned()
}

async fn list(url: &str, key: &str) -> (u16, Value) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let response =
        client.get(format!("{url}/v1/service-accounts")).header("xi-api-key", key).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

#[tokio::test]
async fn it_says_when_it_is_ready_serves_and_stops_cleanly_at_a_signal() {
    for signal in ["-TERM", "-INT"] {
        let running =
            Running::start(&["--account", "tts", "--account", "batch", "--api-version", "september2026"]);
        let (url, file) = (running.text("url").to_owned(), running.text("admin_key_file").to_owned());
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let (status, body) = list(&url, &read_key(&file)).await;
        assert_eq!(status, 200);
        let accounts = body["service-accounts"].as_array().unwrap();
        let names: Vec<&Value> = accounts.iter().map(|account| &account["name"]).collect();
        assert_eq!(names, ["tts", "batch"]);
        assert_eq!(running.ready["accounts"]["tts"], accounts[0]["service_account_user_id"]);
        assert_eq!(running.stop(signal).code(), Some(0), "{signal}");
        assert!(!Path::new(&file).exists(), "the temporary file is left behind");
    }
}

#[tokio::test]
async fn an_admin_key_file_is_written_once_and_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin-key");
    let path = path.to_str().unwrap();
    let mut keys = Vec::new();
    for _ in 0..2 {
        let running = Running::start(&["--admin-key-file", path]);
        assert_eq!(running.ready["admin_key_file"], path);
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        let key = read_key(path);
        assert_eq!(list(running.text("url"), &key).await.0, 200);
        assert_eq!(running.stop("-TERM").code(), Some(0));
        keys.push(key);
    }
    assert_eq!(keys[0], keys[1]);
}

#[test]
fn a_seed_repeats_accounts_and_the_admin_key() {
    let seen: Vec<(Value, String)> = (0..2)
        .map(|_| {
            let running = Running::start(&["--seed", "7", "--account", "tts"]);
            (running.ready["accounts"].clone(), read_key(running.text("admin_key_file")))
        })
        .collect();
    assert_eq!(seen[0], seen[1]);
    assert_ne!(seen[0].0, json!({}));
}

#[tokio::test]
async fn an_account_that_may_administer_has_one_key_for_that_in_every_api_version() {
    for (api_version, permission) in
        [("august2025", "workspace_write"), ("november2026", "service_account_write")]
    {
        let running = Running::start(&["--admin-account", "rekeyd-admin", "--api-version", api_version]);
        let (_, body) = list(running.text("url"), &read_key(running.text("admin_key_file"))).await;
        let account = &body["service-accounts"][0];
        assert_eq!(running.ready["accounts"]["rekeyd-admin"], account["service_account_user_id"]);
        let keys = account["api-keys"].as_array().unwrap();
        assert_eq!(keys.len(), 1, "{api_version}");
        assert!(keys[0]["permissions"].as_array().unwrap().contains(&json!(permission)), "{}", keys[0]);
    }
}

/// A daemon, killed if a test fails.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test]
async fn the_example_for_rehearsals_rotates_as_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("admin-key");
    let running =
        Running::start(&["--empty-account", "tts-backend", "--admin-key-file", key.to_str().unwrap()]);
    // Only its paths and addresses are moved, so that tests do not meet.
    let text = include_str!("../../../config/rehearsal.toml");
    let text = text.replace("/dev/shm/rekeyd-rehearsal", folder.path().to_str().unwrap());
    let text = text.replace("http://127.0.0.1:9810", running.text("url"));
    let text = text.replacen("[daemon]\n", "[daemon]\nlisten = \"127.0.0.1:0\"\n", 1);
    let policy = folder.path().join("rehearsal.toml");
    std::fs::write(&policy, text).unwrap();
    let rekeyd = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rekeyd"));
        command
            .args(words)
            .arg("--policy")
            .arg(&policy)
            .env("REKEYD_SANDBOX_ADMIN_KEY", read_key(key.to_str().unwrap()));
        command
    };
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let _daemon = Daemon(rekeyd(&["run"]).stdout(Stdio::null()).stderr(log).spawn().unwrap());
    let begun = Instant::now();
    loop {
        let told = rekeyd(&["history", "tts-backend"]).output().unwrap();
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        // The first key, and the first that takes its place.
        if told.contains("old_key_gone") {
            break;
        }
        let said = rekeyd(&["status"]).output().unwrap();
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(begun.elapsed() < Duration::from_secs(60), "{told}{said}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[test]
fn what_it_cannot_do_it_says_without_the_value() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin-key");
    std::fs::write(&path, "two words").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_rekeyd"))
        .args(["sandbox", "--admin-key-file"])
        .arg(&path)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    let why = "it must hold one line of printable ASCII without spaces";
    assert_eq!(said, format!("rekeyd: cannot use {} as the admin key's file: {why}\n", path.display()));
}
