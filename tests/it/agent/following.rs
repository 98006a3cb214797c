//! What the application reads: whole, the newest, and never nothing once there was something.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use super::harness::{AgentHarness, PATIENCE, fingerprint};

fn mode(harness: &AgentHarness, name: &str) -> u32 {
    fs::metadata(harness.path(name)).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_reader_of_the_agents_file_sees_whole_values_only() {
    let harness = AgentHarness::new();
    let value =
        |number: usize| format!("sk_{}", (b'a' + u8::try_from(number % 26).unwrap()) as char).repeat(1000);
    harness.publish(&value(0));
    let agent = harness.agent(&harness.config(&harness.to_key(), ""));
    harness.until_key(&value(0));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut looks, mut seen) = (0u32, std::collections::BTreeSet::new());
            while !is_over.load(SeqCst) {
                let text = fs::read_to_string(harness.path("key")).expect("it is always there");
                assert!((0..26).any(|number| value(number) == text), "torn: {} bytes", text.len());
                seen.insert(text);
                looks += 1;
            }
            (looks, seen.len())
        });
        for number in 1..26 {
            harness.publish(&value(number));
            harness.until_key(&value(number));
        }
        is_over.store(true, SeqCst);
        let (looks, seen) = reader.join().unwrap();
        assert!(looks > 100 && seen > 10, "it looked {looks} times and saw {seen} values");
    });
    assert_eq!(mode(&harness, "key"), 0o400);
    agent.stop();
    assert_eq!(harness.read("key"), value(25));
    // Nothing unfinished is left, and nothing is there that nobody asked for.
    let mut names: Vec<_> = fs::read_dir(harness.path(""))
        .unwrap()
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["agent.toml", "key", "log", "output", "source", "token"]);
}

#[test]
fn a_secret_that_vanishes_or_is_no_key_leaves_the_last_good_one_and_is_complained_of() {
    let harness = AgentHarness::new();
    let agent = harness.agent(&harness.config(&harness.to_key(), ""));
    harness.until_key("sk_first");
    type Break = fn(&AgentHarness);
    let breaks: [(Break, &str); 4] = [
        (|harness| fs::remove_file(harness.path("source")).unwrap(), "No such file"),
        (|harness| harness.publish(""), "the value is empty"),
        (|harness| harness.publish("planted two"), "printable ASCII"),
        (
            |harness| {
                fs::remove_file(harness.path("source")).unwrap();
                fs::create_dir(harness.path("source")).unwrap();
            },
            "not a plain file",
        ),
    ];
    for (number, (spoil, words)) in breaks.into_iter().enumerate() {
        spoil(&harness);
        harness.until(words, || {
            harness.log().lines().any(|line| {
                line.contains(words) && line.contains("\"ERROR\"") && line.contains("last good one stays")
            })
        });
        assert!(harness.read("key").starts_with("sk_"), "the last good file is gone");
        fs::remove_dir(harness.path("source")).ok();
        let next = format!("sk_next{number}");
        harness.publish(&next);
        harness.until_key(&next);
    }
    harness.until_log("secret is readable again");
    agent.stop();
    assert!(!harness.log().contains("planted") && !harness.log().contains("sk_"), "a value was told");
}

#[test]
fn without_its_source_it_starts_from_the_last_good_file() {
    let harness = AgentHarness::new();
    let config = harness.config(&harness.to_key(), "");
    let agent = harness.agent(&config);
    harness.until_log("\"ready\"");
    agent.stop();
    fs::remove_file(harness.path("source")).unwrap();
    fs::remove_file(harness.path("log")).unwrap();
    let agent = harness.agent(&config);
    harness.until_log("\"ready\"");
    assert!(harness.log().contains(&fingerprint("sk_first")));
    assert_eq!(harness.read("key"), "sk_first");
    agent.stop();
}

#[test]
fn it_is_not_ready_before_every_secret_is_in_place() {
    let harness = AgentHarness::new();
    let other = format!(
        "[secrets.other]\nfrom.file = \"{}\"\nevery = \"20ms\"\nto.path = \"{}\"\n",
        harness.shown("other-source"),
        harness.shown("other")
    );
    let systemd = UnixDatagram::bind(harness.path("notify")).unwrap();
    systemd.set_read_timeout(Some(PATIENCE)).unwrap();
    let notify = harness.shown("notify");
    let config = harness.config(&harness.to_key(), &other);
    let agent = harness.agent_with(&config, &[], &[("NOTIFY_SOCKET", &notify)]);
    harness.until_key("sk_first");
    harness.until_log("there is no earlier one");
    std::thread::sleep(Duration::from_millis(100));
    assert!(!harness.log().contains("\"ready\""));
    harness.publish_as("other-source", "sk_other");
    harness.until_log("\"ready\"");
    assert_eq!(harness.read("other"), "sk_other");
    let told = || {
        let mut bytes = [0; 256];
        let length = systemd.recv(&mut bytes).expect("systemd is told");
        String::from_utf8_lossy(&bytes[..length]).trim().to_owned()
    };
    assert_eq!(told(), "READY=1");
    agent.stop();
    assert_eq!(told(), "STATUS=application is healthy");
    assert_eq!(told(), "STOPPING=1");
}

#[test]
fn several_secrets_stand_in_one_env_file_and_a_field_of_json_is_taken_out() {
    let harness = AgentHarness::new();
    harness.publish_as("json", "{\"user\": \"planted\", \"key\": \"sk_$j&\"}");
    let other = format!(
        "[secrets.other]\nfrom.file = \"{}\"\njson_field = \"key\"\nevery = \"20ms\"\nto = {{ path = \"{}\", mode = \
         \"0440\" }}\nvariable = \"OTHER\"\n[env_file]\npath = \"{}\"\nmode = \"0600\"\n",
        harness.shown("json"),
        harness.shown("other"),
        harness.shown("env")
    );
    let of_secret = format!("{}\nvariable = \"KEY\"", harness.to_key());
    let agent = harness.agent(&harness.config(&of_secret, &other));
    harness.until("both are in the env file", || harness.read("env") == "OTHER='sk_$j&'\nKEY=sk_first\n");
    assert_eq!((harness.read("other").as_str(), mode(&harness, "other")), ("sk_$j&", 0o440));
    assert_eq!(mode(&harness, "env"), 0o600);
    harness.publish("sk_second");
    harness.until("the new one is", || harness.read("env") == "OTHER='sk_$j&'\nKEY=sk_second\n");
    agent.stop();
}

#[test]
fn a_changed_mode_is_put_right_at_the_next_start() {
    let harness = AgentHarness::new();
    let agent = harness.agent(&harness.config(&harness.to_key(), ""));
    harness.until_key("sk_first");
    agent.stop();
    let config =
        harness.config(&format!("to = {{ path = \"{}\", mode = \"0440\" }}", harness.shown("key")), "");
    let agent = harness.agent(&config);
    harness.until("the mode is the new one", || mode(&harness, "key") == 0o440);
    agent.stop();
}

#[test]
fn a_file_that_is_written_into_is_taken_when_it_is_whole() {
    let harness = AgentHarness::new();
    let agent = harness.agent(&harness.config(&harness.to_key(), ""));
    harness.until_key("sk_first");
    fs::write(harness.path("source"), "sk_in_place\n").unwrap();
    harness.until_key("sk_in_place");
    // SIGHUP looks at once and does not end it.
    agent.signal(rustix::process::Signal::HUP);
    harness.publish("sk_third");
    harness.until_key("sk_third");
    agent.stop();
}

#[test]
fn once_it_writes_every_secret_and_ends_without_telling_anybody() {
    let harness = AgentHarness::new();
    let config = harness.config(&harness.to_key(), "[on_change]\ncommand = [\"touch\", \"told\"]\n");
    fs::remove_file(harness.path("source")).unwrap();
    let mut agent = harness.agent_with(&config, &["--once"], &[]);
    harness.until_log("there is no earlier one");
    harness.publish("sk_late");
    assert_eq!(agent.ended().code(), Some(0));
    assert_eq!((harness.read("key").as_str(), harness.path("told").exists()), ("sk_late", false));
    // Who goes on from there tells it.
    let agent = harness.agent(&config);
    harness.until("it is told", || harness.path("told").exists());
    agent.stop();
}
