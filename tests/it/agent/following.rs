//! What the application reads: whole, the newest, and never nothing once there was something.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use super::bench::{Bench, PATIENCE, fingerprint};

fn mode(bench: &Bench, name: &str) -> u32 {
    fs::metadata(bench.path(name)).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_reader_of_the_agents_file_sees_whole_values_only() {
    let bench = Bench::new();
    let value =
        |number: usize| format!("sk_{}", (b'a' + u8::try_from(number % 26).unwrap()) as char).repeat(1000);
    bench.publish(&value(0));
    let agent = bench.agent(&bench.config(&bench.to_key(), ""));
    bench.until_key(&value(0));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut looks, mut seen) = (0u32, std::collections::BTreeSet::new());
            while !is_over.load(SeqCst) {
                let text = fs::read_to_string(bench.path("key")).expect("it is always there");
                assert!((0..26).any(|number| value(number) == text), "torn: {} bytes", text.len());
                seen.insert(text);
                looks += 1;
            }
            (looks, seen.len())
        });
        for number in 1..26 {
            bench.publish(&value(number));
            bench.until_key(&value(number));
        }
        is_over.store(true, SeqCst);
        let (looks, seen) = reader.join().unwrap();
        assert!(looks > 100 && seen > 10, "it looked {looks} times and saw {seen} values");
    });
    assert_eq!(mode(&bench, "key"), 0o400);
    agent.stop();
    assert_eq!(bench.read("key"), value(25));
    // Nothing unfinished is left, and nothing is there that nobody asked for.
    let mut names: Vec<_> = fs::read_dir(bench.path(""))
        .unwrap()
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["agent.toml", "key", "log", "output", "source", "token"]);
}

#[test]
fn a_secret_that_vanishes_or_is_no_key_leaves_the_last_good_one_and_is_complained_of() {
    let bench = Bench::new();
    let agent = bench.agent(&bench.config(&bench.to_key(), ""));
    bench.until_key("sk_first");
    type Break = fn(&Bench);
    let breaks: [(Break, &str); 4] = [
        (|bench| fs::remove_file(bench.path("source")).unwrap(), "No such file"),
        (|bench| bench.publish(""), "the value is empty"),
        (|bench| bench.publish("planted two"), "printable ASCII"),
        (
            |bench| {
                fs::remove_file(bench.path("source")).unwrap();
                fs::create_dir(bench.path("source")).unwrap();
            },
            "no plain file",
        ),
    ];
    for (number, (spoil, words)) in breaks.into_iter().enumerate() {
        spoil(&bench);
        bench.until(words, || {
            bench.log().lines().any(|line| {
                line.contains(words) && line.contains("\"ERROR\"") && line.contains("last good one stays")
            })
        });
        assert!(bench.read("key").starts_with("sk_"), "the last good file is gone");
        fs::remove_dir(bench.path("source")).ok();
        let next = format!("sk_next{number}");
        bench.publish(&next);
        bench.until_key(&next);
    }
    bench.until_log("it can be followed again");
    agent.stop();
    assert!(!bench.log().contains("planted") && !bench.log().contains("sk_"), "a value was told");
}

#[test]
fn without_its_source_it_starts_from_the_last_good_file() {
    let bench = Bench::new();
    let config = bench.config(&bench.to_key(), "");
    let agent = bench.agent(&config);
    bench.until_log("\"ready\"");
    agent.stop();
    fs::remove_file(bench.path("source")).unwrap();
    fs::remove_file(bench.path("log")).unwrap();
    let agent = bench.agent(&config);
    bench.until_log("\"ready\"");
    assert!(bench.log().contains(&fingerprint("sk_first")));
    assert_eq!(bench.read("key"), "sk_first");
    agent.stop();
}

#[test]
fn it_is_not_ready_before_every_secret_is_in_place() {
    let bench = Bench::new();
    let other = format!(
        "[secrets.other]\nfrom.file = \"{}\"\nevery = \"20ms\"\nto.path = \"{}\"\n",
        bench.shown("other-source"),
        bench.shown("other")
    );
    let systemd = UnixDatagram::bind(bench.path("notify")).unwrap();
    systemd.set_read_timeout(Some(PATIENCE)).unwrap();
    let notify = bench.shown("notify");
    let config = bench.config(&bench.to_key(), &other);
    let agent = bench.agent_with(&config, &[], &[("NOTIFY_SOCKET", &notify)]);
    bench.until_key("sk_first");
    bench.until_log("there is no earlier one");
    std::thread::sleep(Duration::from_millis(100));
    assert!(!bench.log().contains("\"ready\""));
    bench.publish_as("other-source", "sk_other");
    bench.until_log("\"ready\"");
    assert_eq!(bench.read("other"), "sk_other");
    let told = || {
        let mut bytes = [0; 256];
        let length = systemd.recv(&mut bytes).expect("systemd is told");
        String::from_utf8_lossy(&bytes[..length]).trim().to_owned()
    };
    assert_eq!(told(), "READY=1");
    agent.stop();
    assert_eq!(told(), "STATUS=the application is well");
    assert_eq!(told(), "STOPPING=1");
}

#[test]
fn several_secrets_stand_in_one_env_file_and_a_field_of_json_is_taken_out() {
    let bench = Bench::new();
    bench.publish_as("json", "{\"user\": \"planted\", \"key\": \"sk_$j&\"}");
    let other = format!(
        "[secrets.other]\nfrom.file = \"{}\"\njson_field = \"key\"\nevery = \"20ms\"\nto = {{ path = \"{}\", mode = \
         \"0440\" }}\nvariable = \"OTHER\"\n[env_file]\npath = \"{}\"\nmode = \"0600\"\n",
        bench.shown("json"),
        bench.shown("other"),
        bench.shown("env")
    );
    let of_secret = format!("{}\nvariable = \"KEY\"", bench.to_key());
    let agent = bench.agent(&bench.config(&of_secret, &other));
    bench.until("both are in the env file", || bench.read("env") == "OTHER='sk_$j&'\nKEY=sk_first\n");
    assert_eq!((bench.read("other").as_str(), mode(&bench, "other")), ("sk_$j&", 0o440));
    assert_eq!(mode(&bench, "env"), 0o600);
    bench.publish("sk_second");
    bench.until("the new one is", || bench.read("env") == "OTHER='sk_$j&'\nKEY=sk_second\n");
    agent.stop();
}

#[test]
fn a_changed_mode_is_put_right_at_the_next_start() {
    let bench = Bench::new();
    let agent = bench.agent(&bench.config(&bench.to_key(), ""));
    bench.until_key("sk_first");
    agent.stop();
    let config = bench.config(&format!("to = {{ path = \"{}\", mode = \"0440\" }}", bench.shown("key")), "");
    let agent = bench.agent(&config);
    bench.until("the mode is the new one", || mode(&bench, "key") == 0o440);
    agent.stop();
}

#[test]
fn a_file_that_is_written_into_is_taken_when_it_is_whole() {
    let bench = Bench::new();
    let agent = bench.agent(&bench.config(&bench.to_key(), ""));
    bench.until_key("sk_first");
    fs::write(bench.path("source"), "sk_in_place\n").unwrap();
    bench.until_key("sk_in_place");
    // SIGHUP looks at once and does not end it.
    agent.signal(rustix::process::Signal::HUP);
    bench.publish("sk_third");
    bench.until_key("sk_third");
    agent.stop();
}

#[test]
fn once_it_writes_every_secret_and_ends_without_telling_anybody() {
    let bench = Bench::new();
    let config = bench.config(&bench.to_key(), "[on_change]\ncommand = [\"touch\", \"told\"]\n");
    fs::remove_file(bench.path("source")).unwrap();
    let mut agent = bench.agent_with(&config, &["--once"], &[]);
    bench.until_log("there is no earlier one");
    bench.publish("sk_late");
    assert_eq!(agent.ended().code(), Some(0));
    assert_eq!((bench.read("key").as_str(), bench.path("told").exists()), ("sk_late", false));
    // Who goes on from there tells it.
    let agent = bench.agent(&config);
    bench.until("it is told", || bench.path("told").exists());
    agent.stop();
}
