//! The application is told of every change, by a command, a signal or a request, and never told a value.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::json;

use super::harness::{AgentHarness, fingerprint, is_alive};
use super::recorder::Recorder;

#[test]
fn a_command_is_told_the_name_the_fingerprint_and_the_path() {
    let harness = AgentHarness::new();
    let script = "env > told.new; mv told.new told; cat \"$REKEYD_PATH\" > seen";
    let command = format!("[on_change]\ncommand = [\"sh\", \"-c\", {script:?}]\n");
    let agent = harness.agent(&harness.config(&harness.to_key(), &command));
    for value in ["sk_first", "sk_second"] {
        harness.publish(value);
        harness.until("it is told", || harness.read("seen") == value);
        let told = harness.read("told");
        for (name, wanted) in [
            ("REKEYD_SECRET", "tts"),
            ("REKEYD_FINGERPRINT", &fingerprint(value)),
            ("REKEYD_PATH", &harness.shown("key")),
        ] {
            assert!(told.lines().any(|line| line == format!("{name}={wanted}")), "{name}: {told}");
        }
        assert!(!told.contains(value), "the command was told the value");
    }
    agent.stop();
    assert!(!harness.log().contains("sk_"));
}

#[test]
fn a_key_that_comes_back_is_told_again_if_the_one_between_was_half_told() {
    let harness = AgentHarness::new();
    let script = "cp -f key in-use; [ ! -e broken ]";
    let more = format!("[on_change]\ncommand = [\"sh\", \"-c\", {script:?}]\n");
    let agent = harness.agent(&harness.config(&harness.to_key(), &more));
    harness.until_log("application notified");
    fs::write(harness.path("broken"), "").unwrap();
    harness.publish("sk_second");
    harness.until_log("cannot notify the application");
    assert_eq!(harness.read("in-use"), "sk_second");
    harness.publish("sk_first");
    fs::remove_file(harness.path("broken")).unwrap();
    harness.until("the first is in use again", || harness.read("in-use") == "sk_first");
    agent.stop();
}

#[test]
fn a_command_that_fails_or_hangs_is_ended_and_run_again() {
    let harness = AgentHarness::new();
    // Fails first, hangs with a child then, and works in the end.
    let script = "echo . >> tries; n=$(wc -l < tries); \
                  [ $n = 1 ] && exit 3; [ $n = 2 ] && { setsid sleep 600 & echo $! > hanging; wait; }; echo ok > told";
    let more = format!("[on_change]\ncommand = [\"sh\", \"-c\", {script:?}]\ntime_limit = \"1s\"\n");
    let agent = harness.agent(&harness.config(&harness.to_key(), &more));
    harness.until("it is told in the end", || harness.read("told") == "ok\n");
    assert_eq!(harness.read("tries").lines().count(), 3);
    assert!(
        harness.log().contains("exit status: 3") && harness.log().contains("took longer than"),
        "{}",
        harness.log()
    );
    harness.until("what hung is gone", || !is_alive(&harness.read("hanging")));
    agent.stop();
}

#[test]
fn a_signal_reaches_the_process_of_a_pid_file() {
    let harness = AgentHarness::new();
    let script = "trap 'cat key >> heard; echo >> heard' USR1; echo $$ > pid.new; mv pid.new pid; \
                  while :; do sleep 0.02; done";
    let mut app = Command::new("sh")
        .args(["-c", script])
        .current_dir(harness.path(""))
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    harness.until("the application runs", || harness.path("pid").exists());
    let more = format!("[on_change.signal]\npid_file = \"{}\"\nsend = \"USR1\"\n", harness.shown("pid"));
    let agent = harness.agent(&harness.config(&harness.to_key(), &more));
    harness.until("it hears of the first", || harness.read("heard") == "sk_first\n");
    harness.publish("sk_second");
    harness.until("it hears of the second", || harness.read("heard") == "sk_first\nsk_second\n");
    // Whoever has no number yet is told later; nobody else is signalled instead.
    fs::write(harness.path("pid"), "-1\n").unwrap();
    harness.publish("sk_third");
    harness.until_log("holds no process id");
    fs::write(harness.path("pid"), format!("{}\n", app.id())).unwrap();
    harness.until("it hears of the third", || harness.read("heard").ends_with("sk_third\n"));
    agent.stop();
    app.kill().unwrap();
    app.wait().unwrap();
}

#[test]
fn a_request_to_the_application_names_what_changed() {
    let harness = AgentHarness::new();
    let app = Recorder::start();
    app.answers(500);
    let more = format!("[on_change]\nurl = \"{}\"\n", app.url("/reload"));
    let agent = harness.agent(&harness.config(&harness.to_key(), &more));
    harness.until_log("answered 500");
    app.answers(204);
    harness.until_log("application notified");
    let request = app.requests().remove(0);
    assert_eq!(request.line, "POST /reload HTTP/1.1");
    let wanted = json!({
        "secret": "tts", "fingerprint": fingerprint("sk_first"), "path": harness.shown("key")
    });
    assert_eq!(request.json(), wanted);
    agent.stop();
    // An agent that starts again does not tell again what was told.
    let before = app.requests().len();
    let agent = harness.agent(&harness.config(&harness.to_key(), &more));
    harness.until("it is ready again", || harness.log().matches("\"ready\"").count() == 2);
    harness.publish("sk_second");
    harness.until("the next is told", || app.requests().len() > before);
    assert_eq!(app.requests().last().unwrap().json()["fingerprint"], json!(fingerprint("sk_second")));
    assert_eq!(app.requests().len(), before + 1);
    harness.until("it is noted", || harness.path(".key.rekeyd-notified").exists());
    agent.stop();
    // Agents of an earlier version called the note of the last notification differently.
    let earlier = harness.path(".key.rekeyd-told");
    fs::rename(harness.path(".key.rekeyd-notified"), &earlier).unwrap();
    let agent = harness.agent(&harness.config(&harness.to_key(), &more));
    harness.until("it is ready again", || harness.log().matches("\"ready\"").count() == 3);
    assert_eq!(app.requests().len(), before + 1);
    harness.publish("sk_third");
    harness.until("the next is told", || app.requests().len() > before + 1);
    harness.until("the note has its name", || harness.path(".key.rekeyd-notified").exists());
    assert!(app.requests().len() == before + 2 && !earlier.exists());
    agent.stop();
}
