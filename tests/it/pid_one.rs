//! rekeyd as process 1 of a PID namespace, as in a container: it reaps what is left to it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends where it is wrong")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rekeyd::demo::fixture::{Fixture, Pace};
use rustix::process::{Pid, Signal, kill_process};

const PATIENCE: Duration = Duration::from_secs(40);

/// A process, as /proc shows it.
struct Process {
    parent: u32,
    state: String,
    name: String,
}

fn processes() -> BTreeMap<u32, Process> {
    let pids = fs::read_dir("/proc").unwrap().filter_map(|it| it.unwrap().file_name().to_str()?.parse().ok());
    let process = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (name, fields) = stat.rsplit_once(") ")?;
        let mut fields = fields.split(' ');
        let state = fields.next()?.to_owned();
        let name = name.split_once(" (")?.1.to_owned();
        Some((pid, Process { parent: fields.next()?.parse().ok()?, state, name }))
    };
    pids.filter_map(process).collect()
}

/// The PID namespace: `unshare`, and process 1 below it.
struct Namespace(Child);

impl Namespace {
    fn start(arguments: &[&str], log: &Path) -> Self {
        let log = fs::File::create(log).unwrap();
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--mount-proc", "--kill-child", env!("CARGO_BIN_EXE_rekeyd")]);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command.env_remove("JOURNAL_STREAM").env_remove("NOTIFY_SOCKET");
        Self(command.spawn().unwrap())
    }

    fn below(&self, pid: u32) -> BTreeMap<u32, Process> {
        processes().into_iter().filter(|(_, it)| it.parent == pid).collect()
    }

    fn first(&self) -> Option<u32> {
        self.below(self.0.id()).keys().next().copied()
    }

    /// What process 1 has not reaped, or not yet.
    fn children(&self) -> Vec<String> {
        let below = self.first().map(|first| self.below(first)).unwrap_or_default();
        below.values().map(|it| format!("{} {}", it.name, it.state)).collect()
    }

    fn until(&mut self, what: &str, log: &Path, mut holds: impl FnMut(&Self) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            let said = || fs::read_to_string(log).unwrap_or_default();
            if let Some(status) = self.0.try_wait().unwrap() {
                panic!("it ended with {status} (these tests need root and `unshare`): {}", said());
            }
            assert!(begun.elapsed() < PATIENCE, "not in time: {what}: {:?} {}", self.children(), said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// SIGTERM to process 1, which ends in order.
    fn stop(mut self) {
        let first = i32::try_from(self.first().unwrap()).unwrap();
        kill_process(Pid::from_raw(first).unwrap(), Signal::TERM).unwrap();
        let begun = Instant::now();
        while self.0.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_gates_command_leaves_behind_is_reaped() {
    let stage = Fixture::build(61, &Pace::new("2s", "1s", "200ms")).await.unwrap();
    let (ran, script) = (stage.root().join("ran"), stage.root().join("may-revoke"));
    // Orphans of the same and of another session, some of which end before the command and some after it.
    let text = "(sh -c 'exit 0' &); (setsid sh -c 'exit 0' &); (setsid sleep 0.7 &); sleep 0.3; echo >>";
    fs::write(&script, format!("{text} '{}'\n", ran.display())).unwrap();
    let policy = fs::read_to_string(stage.policy()).unwrap();
    let command = format!("\nwait_for.command = [\"/bin/sh\", \"{}\"]\n", script.display());
    let of_dubbing = "[credentials.dubbing]";
    assert!(policy.contains(of_dubbing));
    fs::write(stage.policy(), policy.replace(of_dubbing, &format!("{of_dubbing}{command}"))).unwrap();

    let log = stage.log();
    let policy = stage.policy();
    let mut namespace = Namespace::start(&["run", "--policy", policy.to_str().unwrap()], &log);
    let runs = || fs::read_to_string(&ran).unwrap_or_default().lines().count();
    namespace.until("the command ran several times", &log, |_| runs() >= 3);
    namespace.until("only the daemon is left", &log, |it| {
        let left = it.children();
        left.len() == 1 && !left[0].ends_with(" Z")
    });
    namespace.stop();
    stage.sandbox.shutdown().await;
}

#[test]
fn what_a_reload_hook_leaves_running_is_reaped_when_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("source"), "sk_first").unwrap();
    let script =
        format!("(setsid sh -c 'sleep 1; echo >> {0}' &); (setsid sleep 0.1 &)", at("left").display());
    let config = format!(
        "[secrets.tts]\nfrom.file = \"{}\"\nevery = \"20ms\"\nto.path = \"{}\"\n[on_change]\ncommand = [\"sh\", \"-c\", {script:?}]\n",
        at("source").display(),
        at("key").display()
    );
    fs::write(at("agent.toml"), config).unwrap();
    let log = at("log");
    let mut namespace = Namespace::start(&["agent", "--config", at("agent.toml").to_str().unwrap()], &log);
    // It runs on after its hook, and does its work.
    namespace.until("what was left has done its work", &log, |_| at("left").exists());
    namespace.until("only the agent is left", &log, |it| it.children().len() == 1);
    let left = namespace.children();
    assert!(left.len() == 1 && !left[0].ends_with(" Z"), "{left:?}");
    namespace.stop();
}
