//! The application is told of every change, by a command, a signal or a request, and never told a value.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::json;

use super::bench::{Bench, fingerprint, is_alive};
use super::recorder::Recorder;

#[test]
fn a_command_is_told_the_name_the_fingerprint_and_the_path() {
    let bench = Bench::new();
    let script = "env > told.new; mv told.new told; cat \"$REKEYD_PATH\" > seen";
    let command = format!("[on_change]\ncommand = [\"sh\", \"-c\", {script:?}]\n");
    let agent = bench.agent(&bench.config(&bench.to_key(), &command));
    for value in ["sk_first", "sk_second"] {
        bench.publish(value);
        bench.until("it is told", || bench.read("seen") == value);
        let told = bench.read("told");
        for (name, wanted) in [
            ("REKEYD_SECRET", "tts"),
            ("REKEYD_FINGERPRINT", &fingerprint(value)),
            ("REKEYD_PATH", &bench.shown("key")),
        ] {
            assert!(told.lines().any(|line| line == format!("{name}={wanted}")), "{name}: {told}");
        }
        assert!(!told.contains(value), "the command was told the value");
    }
    agent.stop();
    assert!(!bench.log().contains("sk_"));
}

#[test]
fn a_key_that_comes_back_is_told_again_if_the_one_between_was_half_told() {
    let bench = Bench::new();
    let script = "cp -f key in-use; [ ! -e broken ]";
    let more = format!("[on_change]\ncommand = [\"sh\", \"-c\", {script:?}]\n");
    let agent = bench.agent(&bench.config(&bench.to_key(), &more));
    bench.until_log("the application is told");
    fs::write(bench.path("broken"), "").unwrap();
    bench.publish("sk_second");
    bench.until_log("the application could not be told");
    assert_eq!(bench.read("in-use"), "sk_second");
    bench.publish("sk_first");
    fs::remove_file(bench.path("broken")).unwrap();
    bench.until("the first is in use again", || bench.read("in-use") == "sk_first");
    agent.stop();
}

#[test]
fn a_command_that_fails_or_hangs_is_ended_and_run_again() {
    let bench = Bench::new();
    // Fails first, hangs with a child then, and works in the end.
    let script = "echo . >> tries; n=$(wc -l < tries); \
                  [ $n = 1 ] && exit 3; [ $n = 2 ] && { sleep 600 & echo $! > hanging; wait; }; echo ok > told";
    let more = format!("[on_change]\ncommand = [\"sh\", \"-c\", {script:?}]\ntime_limit = \"1s\"\n");
    let agent = bench.agent(&bench.config(&bench.to_key(), &more));
    bench.until("it is told in the end", || bench.read("told") == "ok\n");
    assert_eq!(bench.read("tries").lines().count(), 3);
    assert!(
        bench.log().contains("exit status: 3") && bench.log().contains("took longer than"),
        "{}",
        bench.log()
    );
    bench.until("what hung is gone", || !is_alive(&bench.read("hanging")));
    agent.stop();
}

#[test]
fn a_signal_reaches_the_process_of_a_pid_file() {
    let bench = Bench::new();
    let script = "trap 'cat key >> heard; echo >> heard' USR1; echo $$ > pid.new; mv pid.new pid; \
                  while :; do sleep 0.02; done";
    let mut app = Command::new("sh")
        .args(["-c", script])
        .current_dir(bench.path(""))
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    bench.until("the application runs", || bench.path("pid").exists());
    let more = format!("[on_change.signal]\npid_file = \"{}\"\nsend = \"USR1\"\n", bench.shown("pid"));
    let agent = bench.agent(&bench.config(&bench.to_key(), &more));
    bench.until("it hears of the first", || bench.read("heard") == "sk_first\n");
    bench.publish("sk_second");
    bench.until("it hears of the second", || bench.read("heard") == "sk_first\nsk_second\n");
    // Whoever has no number yet is told later; nobody else is signalled instead.
    fs::write(bench.path("pid"), "-1\n").unwrap();
    bench.publish("sk_third");
    bench.until_log("there is no number of a process");
    fs::write(bench.path("pid"), format!("{}\n", app.id())).unwrap();
    bench.until("it hears of the third", || bench.read("heard").ends_with("sk_third\n"));
    agent.stop();
    app.kill().unwrap();
    app.wait().unwrap();
}

#[test]
fn a_request_to_the_application_names_what_changed() {
    let bench = Bench::new();
    let app = Recorder::start();
    app.answers(500);
    let more = format!("[on_change]\nurl = \"{}\"\n", app.url("/reload"));
    let agent = bench.agent(&bench.config(&bench.to_key(), &more));
    bench.until_log("answered with 500");
    app.answers(204);
    bench.until_log("the application is told");
    let request = app.requests().remove(0);
    assert_eq!(request.line, "POST /reload HTTP/1.1");
    let wanted = json!({
        "secret": "tts", "fingerprint": fingerprint("sk_first"), "path": bench.shown("key")
    });
    assert_eq!(request.json(), wanted);
    agent.stop();
    // An agent that starts again does not tell again what was told.
    let before = app.requests().len();
    let agent = bench.agent(&bench.config(&bench.to_key(), &more));
    bench.until("it is ready again", || bench.log().matches("\"ready\"").count() == 2);
    bench.publish("sk_second");
    bench.until("the next is told", || app.requests().len() > before);
    assert_eq!(app.requests().last().unwrap().json()["fingerprint"], json!(fingerprint("sk_second")));
    assert_eq!(app.requests().len(), before + 1);
    agent.stop();
}
