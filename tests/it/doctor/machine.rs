//! What is found of this machine: secrets, addresses, the journal, and what is waited for beside the provider.

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rekeyd::adapters::sqlite::SqliteJournal;
use rekeyd::sandbox::faults::{Fault, Refused, What};
use rekeyd::sandbox::route::Route;
use rekeyd::sandbox::rules::Rules;

use super::harness::{Harness, command};
use crate::support::instances::{Instances, Says};
use rekeyd::domain::gate::probes::Reads;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_that_cannot_be_read_or_that_others_read_are_found() {
    let harness = Harness::build(Rules::default()).await;
    let (policy, admin) = (harness.policy(), harness.path("admin"));
    fs::set_permissions(&admin, fs::Permissions::from_mode(0o644)).unwrap();
    let told = harness.doctor(&policy);
    told.says("secret", "warning", &["(mode 0644)", &format!("[`chmod 0400 {}`]", admin.display())]);
    fs::remove_file(&admin).unwrap();
    let told = harness.doctor(&policy);
    told.says("secret", "error", &[&format!("[create it: `install -m 0400 /dev/stdin {}`", admin.display())]);
    told.says("admin_key", "error", &["cannot read the admin key", "`secret`"]);

    let by_unit =
        policy.replace(&format!("file = \"{}\"", admin.display()), "systemd_credential = \"admin\"");
    let told = harness.doctor(&by_unit);
    told.says("secret", "error", &["LoadCredential=", "[only the unit has it: run `CREDENTIALS_DIRECTORY="]);
    told.says("secret", "error", &["-p LoadCredential=admin:/etc/rekeyd/credentials/admin"]);
    harness.administer_with(&harness.sandbox.admin_key());
    let told = harness.doctor_with(&by_unit, |command| {
        command.env("CREDENTIALS_DIRECTORY", admin.parent().unwrap());
    });
    told.says("admin_key", "ok", &["accepted"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_environment_that_traces_cannot_follow_is_found_without_its_value() {
    let harness = Harness::build(Rules::default()).await;
    let told = |endpoint: Option<&str>| {
        harness.doctor_with(&harness.policy(), |command| {
            command.env_remove("OTEL_EXPORTER_OTLP_ENDPOINT");
            command.envs(endpoint.map(|it| ("OTEL_EXPORTER_OTLP_ENDPOINT", it)));
        })
    };
    let unusable = told(Some("planted-collector:4318"));
    let expected =
        ["`OTEL_EXPORTER_OTLP_ENDPOINT`: it is no `http` or `https` URL", "without traces", "[use the"];
    unusable.says("traces", "warning", &expected);
    told(Some("http://127.0.0.1:4318")).says("traces", "ok", &["configured"]);
    assert!(!told(None).text.contains("\"traces\""), "nothing is said where nothing is configured");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consumers_that_share_a_token_are_named() {
    let harness = Harness::build(Rules::default()).await;
    let token = |name: &str, value: &str| harness.secret(name, value).display().to_string();
    let tokens = |one: &str, other: &str, leaks: &str| {
        format!(
            "{}wait_for = {{ acks = [\"api\", \"batch\"] }}\n[consumers.api]\ntoken = {{ file = \"{one}\" }}\n\
             [consumers.batch]\ntoken = {{ file = \"{other}\" }}\n[leaks]\ntoken = {{ file = \"{leaks}\" }}\n",
            harness.policy()
        )
    };
    let [one, same, other] =
        [("one", "planted-token-one"), ("same", "planted-token-one"), ("other", "planted-token-two")]
            .map(|(name, value)| token(name, value));
    let third = token("third", "planted-token-three");
    harness.doctor(&tokens(&one, &other, &third)).says("tokens", "ok", &["all 3 differ"]);
    let told = harness.doctor(&tokens(&one, &same, &third));
    told.says(
        "tokens",
        "error",
        &["consumer `api`", "consumer `batch`", "[create a separate token: `openssl rand -hex 32`]"],
    );
    let told = harness.doctor(&tokens(&one, &other, &same));
    told.says("tokens", "error", &["`[leaks]`", "consumer `api`"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_could_be_guessed_is_named_whoever_carries_it() {
    let harness = Harness::build(Rules::default()).await;
    let token = |name: &str, value: &str| harness.secret(name, value).display().to_string();
    let (short, long) = (token("short", "fifteen-charact"), token("long", "sixteen-characte"));
    let policy = |leaks: &str, readers: &str| {
        format!(
            "{}\n[leaks]\ntoken = {{ file = \"{leaks}\" }}\n[readers]\ntoken = {{ file = \"{readers}\" }}\n",
            harness.policy()
        )
    };
    let advice = "[create another one: `openssl rand -hex 32`]";
    let told = harness.doctor(&policy(&short, &long));
    told.says("tokens", "warning", &["`[leaks]`", "shorter than 16 characters", advice]);
    let told = harness.doctor(&policy(&long, &short));
    told.says("tokens", "warning", &["`[readers]`", "shorter than 16 characters", advice]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_others_may_change_or_no_calendar_can_keep_is_found_of_the_policy_itself() {
    let harness = Harness::build(Rules::default()).await;
    let path = harness.write(&harness.policy());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let mut examined = command(Path::new(env!("CARGO_BIN_EXE_rekeyd")));
    let output = examined.args(["doctor", "--output", "json", "--policy"]).arg(&path).output().unwrap();
    let told = super::harness::Told::from(&output);
    told.says("policy_file", "warning", &["(mode 0666)", "[`chmod go-w "]);
    let hasty = harness.policy().replace("every = \"30d\"", "every = \"1d\"");
    let told = harness.doctor(&format!("{hasty}overlap = {{ at_least = \"20h\" }}\nquarantine = \"10h\"\n"));
    told.says("schedule", "warning", &["credential `tts`", "`rekeyd forecast --policy "]);
}

/// The daemon, ended when it is dropped.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.0.kill().and_then(|()| self.0.wait()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_somebody_else_has_is_told_from_one_that_rekeyd_has() {
    let harness = Harness::build(Rules::default()).await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    // Silent, as many programs are to HTTP.
    let policy = harness.policy().replace("127.0.0.1:0", &format!("127.0.0.1:{port}"));
    let waiter = std::thread::spawn(move || taken.accept().map(drop));
    let told = harness.doctor(&policy);
    told.says("listen", "error", &["in use by another program", &format!("`ss -ltnp 'sport = :{port}'`")]);
    waiter.join().unwrap().unwrap();

    let mut run = Command::new(env!("CARGO_BIN_EXE_rekeyd"));
    run.args(["run", "--policy"]).arg(harness.write(&policy)).stdin(Stdio::null()).stderr(Stdio::null());
    let daemon = Daemon(run.spawn().unwrap());
    let begun = Instant::now();
    while !harness.path("rekeyd.sock").exists() {
        assert!(begun.elapsed() < Duration::from_secs(20), "the daemon does not start");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let told = harness.doctor(&policy);
    told.says("listen", "ok", &["in use by rekeyd 0.1.0"]);
    told.says("socket", "ok", &["a daemon answers"]);
    told.says("journal", "ok", &["intact", &format!("held by process {}", daemon.0.id())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_journal_is_found_with_how_to_save_it() {
    let harness = Harness::build(Rules::default()).await;
    let path = harness.path("state/journal.db");
    drop(SqliteJournal::open(&path).unwrap());
    harness.doctor(&harness.policy()).says("journal", "ok", &["intact", "held by no process"]);
    let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let length = file.metadata().unwrap().len();
    for page in 2..length / 4096 {
        file.seek(SeekFrom::Start(page * 4096)).unwrap();
        file.write_all(&[0x5a; 512]).unwrap();
    }
    drop(file);
    let told = harness.doctor(&harness.policy());
    told.says("journal", "error", &["damaged", ".recover"]);
    fs::write(&path, "a letter to somebody").unwrap();
    harness.doctor(&harness.policy()).says(
        "journal",
        "error",
        &["not a journal", "[set `daemon.journal.sqlite.path` to another file"],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_that_do_not_answer_and_programs_that_are_not_there_keep_a_gate_shut() {
    let harness = Harness::build(Rules::default()).await;
    let instances = Instances::start(vec![Says::body("0123456789abcdef")]).await;
    let address = instances.addresses[0].to_string();
    let probe = instances.probe("http", &address, Reads::Body);
    let waiting = |url: &str, program: &str| {
        format!(
            "{}wait_for = {{ probes = [{{ name = \"api\", url = \"{url}\" }}], command = [\"{program}\"] }}\n",
            harness.policy()
        )
    };
    let told = harness.doctor(&waiting(&probe.url, "/bin/true"));
    told.says("probe", "ok", &["probe `api` of `tts`", "responds"]);
    told.says("command", "ok", &["`/bin/true` is executable (not run)"]);
    instances.say(0, Says::status("503 Service Unavailable"));
    let told = harness.doctor(&waiting(&probe.url, "/nowhere/may-revoke"));
    told.says("probe", "warning", &[&format!("`curl -i {}`", probe.url)]);
    told.says("command", "warning", &["is not executable", "`ls -l /nowhere/may-revoke`"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_can_be_created_in_the_kernels_own_file_systems() {
    let harness = Harness::build(Rules::default()).await;
    let secrets = harness.path("secrets").display().to_string();
    for (parent, path) in [("/proc", "/proc/nowhere"), ("/sys", "/sys/nowhere")] {
        let told = harness.doctor(&harness.policy().replace(&secrets, path));
        let words = format!("`{path}` does not exist, and cannot be created in `{parent}`");
        told.says("directory", "error", &[&words]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_running_daemon_was_last_refused_is_repeated() {
    let harness = Harness::build(Rules::default()).await;
    let refused = What::Refuse(Refused::with(503, "busy"));
    harness.sandbox.set_faults(vec![Fault::on(Route::User, refused)]);
    let policy = format!("{}wait_for.confirm = false\n", harness.policy());
    let mut daemon = command(Path::new(env!("CARGO_BIN_EXE_rekeyd")));
    daemon.args(["run", "--policy"]).arg(harness.write(&policy)).stderr(Stdio::null());
    let _daemon = Daemon(daemon.stdin(Stdio::null()).spawn().unwrap());
    let begun = Instant::now();
    loop {
        let told = harness.doctor(&policy);
        let repeated =
            told.of("journal").into_iter().find(|line| line.contains("the daemon's last attempt failed"));
        if let Some(line) = repeated {
            assert!(line.starts_with("warning: credential `tts`") && line.contains("HTTP 503"), "{line}");
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(40), "{}", told.text);
    }
}
