//! `rekeyd plan` says which calls would be made, and those are the calls that are then made.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rekeyd::adapters::clock::SystemClock;
use rekeyd::ports::clock::Clock as _;
use rekeyd::sandbox::api_version::ApiVersion;
use rekeyd::sandbox::route::{Route, Target};
use rekeyd::sandbox::server::{Options, Sandbox};
use rekeyd::sandbox::settings::{Granted, Settings};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::secrets_manager::StrictFake;

const LONGEST: Duration = Duration::from_secs(40);

struct Harness {
    sandbox: Sandbox,
    aws: StrictFake,
    folder: TempDir,
    daemon: Option<Child>,
    /// How many of the sandbox's requests were looked at.
    seen: usize,
}

impl Drop for Harness {
    fn drop(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            drop(daemon.kill().and_then(|()| daemon.wait()));
        }
    }
}

impl Harness {
    async fn build() -> Self {
        let options = Options { seed: Some(11), ..Options::new(Arc::new(SystemClock)) };
        let sandbox = Sandbox::start(options).await.unwrap();
        let now = SystemClock.now();
        let account = sandbox.workspace().create_account("tts", now);
        let settings = Settings::new("by hand", Granted::Only(vec!["text_to_speech".to_owned()]));
        drop(sandbox.workspace().create_key(&account, settings, now).unwrap());
        let (aws, folder) = (StrictFake::start().await, tempfile::tempdir().unwrap());
        let harness = Self { sandbox, aws, folder, daemon: None, seen: 0 };
        fs::write(harness.path("admin"), harness.sandbox.admin_key()).unwrap();
        fs::write(harness.policy(), harness.text()).unwrap();
        harness
    }

    fn text(&self) -> String {
        let shown = self.folder.path().display();
        format!(
            r#"
            [daemon]
            listen = "127.0.0.1:0"
            socket = "{shown}/socket"
            journal.sqlite.path = "{shown}/journal.db"
            acceptances = {{ count = 2, over = "0s" }}
            # An inspection in the middle would read what a plan does not tell.
            inspect_every = "1h"
            [workspaces.prod]
            first_rotations_at_once = 1000
            base_url = "{}"
            admin_key = {{ file = "{shown}/admin" }}
            requests_per_second = 100
            [stores.aws.aws_secrets_manager]
            region = "eu-west-1"
            endpoint_url = "{}"
            [stores.local.directory]
            path = "{shown}/secrets"
            [credentials.tts]
            service_account = "tts"
            every = "30d"
            overlap = {{ at_least = "500ms", at_most = "1h" }}
            quarantine = "500ms"
            wait_for.confirm = false
            publish_to = [
              {{ store = "aws", secret = "prod/tts", create = true }},
              {{ store = "local", secret = "tts", create = true }},
            ]
            "#,
            self.sandbox.base_url(),
            self.aws.url
        )
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn policy(&self) -> PathBuf {
        self.path("policy.toml")
    }

    fn start(&mut self) {
        let log = fs::File::create(self.path("log")).unwrap();
        let mut command = rekeyd(&["run"], &self.policy());
        let command = command.stdout(Stdio::null()).stderr(log);
        let keys = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];
        self.daemon = Some(command.envs(keys).spawn().unwrap());
    }

    /// What a command says, beside the daemon.
    fn say(&self, words: &[&str]) -> Output {
        rekeyd(words, &self.policy()).output().unwrap()
    }

    fn json(&self, words: &[&str]) -> Value {
        let words: Vec<&str> = words.iter().copied().chain(["--output", "json"]).collect();
        let said = self.say(&words);
        serde_json::from_slice(&said.stdout)
            .unwrap_or_else(|_| panic!("{words:?}: {}", String::from_utf8_lossy(&said.stderr)))
    }

    fn until(&self, what: &str, holds: impl Fn(&Value) -> bool) {
        let begun = Instant::now();
        loop {
            let told = self.json(&["status", "tts"]);
            let Some(report) = told.pointer("/credentials/0") else { continue };
            if holds(report) {
                return;
            }
            let log = fs::read_to_string(self.path("log")).unwrap_or_default();
            assert!(begun.elapsed() < LONGEST, "not in time: {what}\n{report:#}\n{log}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What was called since the last look: the provider's routes without its listings, whose number depends on who
    /// shares them, and AWS's operations.
    fn called(&mut self) -> (Vec<Route>, Vec<String>) {
        let asked: Vec<Route> = self.sandbox.workspace().asked()[self.seen..].to_vec();
        self.seen += asked.len();
        (asked.into_iter().filter(|route| *route != Route::ListAccounts).collect(), self.aws.calls())
    }
}

fn rekeyd(words: &[&str], policy: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rekeyd"));
    command.args(words).arg("--policy").arg(policy);
    command
}

/// The same of a plan.
fn planned(plan: &Value) -> (Vec<Route>, Vec<String>) {
    let steps = plan.pointer("/credentials/0/prediction/steps").unwrap().as_array().unwrap();
    let (mut provider, mut aws) = (Vec::new(), Vec::new());
    for call in steps.iter().flat_map(|step| step["calls"].as_array().unwrap()) {
        for _ in 0..call["times"].as_u64().unwrap().max(1) {
            match call["to"].as_str().unwrap() {
                "provider" => {
                    let (method, path) = (call["method"].as_str().unwrap(), call["path"].as_str().unwrap());
                    let found = Target::find(ApiVersion::November2026, method, path);
                    provider.push(found.unwrap_or_else(|_| panic!("no such route: {method} {path}")).route);
                }
                "store" if call["destination"]["store"] == "aws" => {
                    aws.push(call["operation"].as_str().unwrap().to_owned());
                }
                "store" => {}
                other => panic!("{other}"),
            }
        }
    }
    provider.retain(|route| *route != Route::ListAccounts);
    (provider, aws)
}

fn is_done(report: &Value) -> bool {
    report["rotation"].is_null() && report["last"]["outcome"] == "done"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_plan_says_is_what_is_then_called() {
    let mut harness = Harness::build().await;
    // Before there is a journal.
    let plan = harness.json(&["plan", "tts"]);
    assert_eq!((&plan["without_journal"], &plan["pending"]), (&true.into(), &true.into()), "{plan:#}");
    assert_eq!(plan["credentials"][0]["prediction"]["end"]["phase"], "done", "{plan:#}");
    assert_eq!(harness.called(), (vec![], vec![]), "a plan calls nothing");
    harness.start();
    harness.until("the first rotation is done", is_done);
    assert_eq!(harness.called(), planned(&plan), "of a first rotation");

    // At rest, beside the daemon: the next one is far away.
    let plan = harness.json(&["plan", "tts"]);
    assert_eq!((&plan["without_journal"], &plan["pending"]), (&false.into(), &false.into()), "{plan:#}");
    assert_eq!(plan["credentials"][0]["prediction"]["reason"], "schedule", "{plan:#}");
    let whole = planned(&plan);
    // Held in its midst: the rest, and what holds it.
    assert!(harness.say(&["pause", "tts", "--only", "revoking"]).status.success());
    assert!(harness.say(&["rotate", "tts"]).status.success());
    harness.until("it is held in the overlap", |report| {
        report["rotation"]["phase"] == "overlap" && report["health"] == "waiting"
    });
    let begun = harness.called();
    let plan = harness.json(&["plan", "tts"]);
    let credential = &plan["credentials"][0];
    assert_eq!(credential["status"]["held"][0]["what"], "revoking", "{plan:#}");
    assert_eq!(credential["pending"], true);
    let rest = planned(&plan);
    let chained = (
        begun.0.into_iter().chain(rest.0.clone()).collect::<Vec<_>>(),
        begun.1.into_iter().chain(rest.1.clone()).collect::<Vec<_>>(),
    );
    assert_eq!(chained, whole, "what was called until then and what is to come make one rotation");
    assert!(harness.say(&["resume", "tts"]).status.success());
    harness.until("the second rotation is done", is_done);
    assert_eq!(harness.called(), rest, "of the rest of a rotation");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_for_people_names_every_call_and_fits_the_terminal() {
    let harness = Harness::build().await;
    let said = harness.say(&["plan", "tts", "--exit-code"]);
    let text = String::from_utf8(said.stdout).unwrap();
    assert_eq!(said.status.code(), Some(4), "something is to be done: {text}");
    for call in
        ["prod: POST", "PutSecretValue", "CreateSecret", "promote local:tts", "prod: GET /v1/user (2 times)"]
    {
        let is_there = text.contains(call);
        assert_eq!(is_there, call != "PutSecretValue", "{call}\n{text}");
    }
    assert!(text.contains("after the quarantine of"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80 || line.contains("/v1/")), "{text}");
    let all = String::from_utf8(harness.say(&["plan"]).stdout).unwrap();
    assert!(all.contains("adoption") && all.contains("done in"), "{all}");
    let said = harness.say(&["plan", "nobody", "--output", "json"]);
    let told: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!((said.status.code(), &told["error"]["code"]), (Some(1), &"not_found".into()), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_does_not_exist_is_planned_and_created_and_another_by_a_command() {
    let mut harness = Harness::build().await;
    let creating = "service_account = \"new\"\ncreate_account = { groups = [\"g1\"] }\npermissions = [\"text_to_speech\"]";
    fs::write(harness.policy(), harness.text().replace("service_account = \"tts\"", creating)).unwrap();
    let checked =
        Command::new(env!("CARGO_BIN_EXE_rekeyd")).arg("check").arg(harness.policy()).output().unwrap();
    let checked = String::from_utf8(checked.stdout).unwrap();
    assert!(
        checked.contains("`new` in prod, created if missing, with sharing groups: `g1` (viewer)"),
        "{checked}"
    );
    let plan = harness.json(&["plan", "tts"]);
    let assumes = plan["credentials"][0]["prediction"]["assumes"].to_string();
    assert!(assumes.contains("the service account is not there yet"), "{assumes}");
    harness.start();
    harness.until("the first rotation is done", is_done);
    let called = harness.called();
    assert!(called.0.contains(&Route::CreateAccount), "{called:?}");
    assert_eq!(called, planned(&plan));
    let status = String::from_utf8(harness.say(&["status", "tts"]).stdout).unwrap();
    assert!(status.contains("sharing groups  `g1` (viewer)"), "{status}");

    let create =
        ["account", "create", "batch", "--workspace", "prod", "--group", "g1", "--group", "g2:admin"];
    let made = harness.say(&create);
    let text = String::from_utf8(made.stdout).unwrap();
    assert!(made.status.success() && text.contains("created the service account `batch` as"), "{text}");
    let again = harness.json(&create);
    assert!(again["message"].as_str().unwrap().contains("is there already"), "{again}");
    let truth = harness.sandbox.truth();
    assert_eq!(truth.account("batch").unwrap().groups.to_string(), "`g1` (viewer), `g2` (admin)");
    assert_eq!(truth.accounts.len(), 3);
    let of_the_policy = harness.say(&["account", "create", "new", "--workspace", "prod"]);
    let why = String::from_utf8(of_the_policy.stderr).unwrap();
    assert!(
        of_the_policy.status.code() == Some(1) && why.contains("the policy has rekeyd create `new`"),
        "{why}"
    );
    let nowhere = harness.say(&["account", "create", "x", "--workspace", "nowhere"]);
    assert_eq!(nowhere.status.code(), Some(1));
    let role = harness.say(&["account", "create", "x", "--workspace", "prod", "--group", "g1:owner"]);
    assert_eq!(role.status.code(), Some(2));
}
