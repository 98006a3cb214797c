//! The image: without root, without anything to write but its volumes, beside an agent that follows what it publishes.

use std::fs;
use std::os::unix::fs::chown;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bill;
use crate::yard::Yard;

const POLICY: &str = r#"
[workspaces.prod]
base_url = "http://127.0.0.1:9810"
admin_key = { file = "/etc/rekeyd/admin-key" }

[stores.local.directory]
path = "/run/secrets-of-rekeyd"

[consumers.tts-api]
token = { file = "/etc/rekeyd/token" }

[credentials.tts-backend]
service_account = "tts-backend"
permissions = ["text_to_speech"]
every = "30d"
overlap = { at_least = "1s" }
quarantine = "1s"
wait_for = { acks = ["tts-api"] }
publish_to = [{ store = "local", secret = "tts-backend" }]
"#;

/// The application takes its key up when its agent signals; here, that is enough.
const AGENT: &str = r#"
[secrets.tts-backend]
from.file = "/run/secrets-of-rekeyd/tts-backend"
to = { path = "/run/keys/elevenlabs-key", mode = "0440" }

[on_change]
command = ["/usr/bin/rekeyd", "healthcheck", "--file", "/run/keys/elevenlabs-key"]

[rekeyd]
consumer = "tts-api"
token.file = "/etc/rekeyd/token"
"#;

const DAEMON: &[(&str, &str)] = &[
    ("etc", "/etc/rekeyd:ro"),
    ("journal", "/var/lib/rekeyd"),
    ("run", "/run/rekeyd"),
    ("memory/published", "/run/secrets-of-rekeyd"),
];

fn furnished() -> Yard {
    let mut yard = Yard::open();
    for directory in ["etc", "journal", "run", "memory/published", "memory/keys", "no-authorities"] {
        yard.give(directory, None);
    }
    yard.give("etc/policy.toml", Some(POLICY));
    yard.give("etc/agent.toml", Some(AGENT));
    yard.give("etc/token", Some("tried-token-0123456789abcdef0123456789\n"));
    let key = yard.path("etc/admin-key");
    let sandbox = format!(
        "{} sandbox --listen 127.0.0.1:9810 --admin-key-file {} --account tts-backend",
        env!("CARGO_BIN_EXE_rekeyd"),
        key.display()
    );
    yard.start(&sandbox, "sandbox.log");
    yard.until("the sandbox listens", || yard.run("exec 3<>/dev/tcp/127.0.0.1/9810").status.success());
    chown(&key, Some(65532), Some(65532)).unwrap();
    yard
}

pub(crate) fn it_rotates_beside_an_agent_and_stops_in_order() {
    let mut yard = furnished();
    let daemon = yard.container("rekeyd", DAEMON, "");
    yard.start(&daemon, "daemon.log");
    let ask = yard.podman("exec rekeyd /usr/bin/rekeyd healthcheck --url http://127.0.0.1:9809/readyz");
    yard.until("it is ready", || yard.run(&ask).status.success());
    // The image's own check.
    yard.ok(&yard.podman("healthcheck run rekeyd"));
    yard.until("its first key is published", || yard.path("memory/published/tts-backend").exists());

    let mounts = [
        ("etc", "/etc/rekeyd:ro"),
        ("memory/published", "/run/secrets-of-rekeyd:ro"),
        ("memory/keys", "/run/keys"),
    ];
    let agent = yard.container("agent", &mounts, "agent --config /etc/rekeyd/agent.toml");
    yard.start(&agent, "agent.log");
    let has = yard.podman("exec agent /usr/bin/rekeyd healthcheck --file /run/keys/elevenlabs-key");
    yard.until("the application's key is there", || yard.run(&has).status.success());
    let key = |yard: &Yard| fs::read_to_string(yard.path("memory/keys/elevenlabs-key")).unwrap();
    let first = key(&yard);
    yard.ok(&yard.podman("exec rekeyd /usr/bin/rekeyd rotate tts-backend --wait"));
    assert_ne!(key(&yard), first);

    for name in ["agent", "rekeyd"] {
        let begun = Instant::now();
        yard.ok(&yard.podman(&format!("stop --time=20 {name}")));
        assert!(begun.elapsed() < Duration::from_secs(10), "{name} took {:?}", begun.elapsed());
        let code = yard.ok(&yard.podman(&format!("inspect --format={{{{.State.ExitCode}}}} {name}")));
        assert_eq!(code, "0", "{name}");
    }
    // What it wrote is in its volumes.
    assert!(yard.path("journal/journal.db").exists() && !key(&yard).is_empty());
}

pub(crate) fn without_certificate_authorities_it_says_so() {
    let yard = furnished();
    yard.give("etc/policy.toml", Some(&POLICY.replace("http://", "https://")));
    let mounts: Vec<_> = DAEMON.iter().copied().chain([("no-authorities", "/etc/ssl/certs:ro")]).collect();
    let ended = yard.run(&yard.container("bare", &mounts, ""));
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(78), "{said}");
    assert!(said.contains("no CA certificates to trust"), "{said}");
}

pub(crate) fn it_says_what_it_is_and_what_it_is_made_of() {
    let yard = Yard::open();
    let inspected = yard.ok(&yard.podman("image inspect localhost/rekeyd:tried"));
    let image: Value = serde_json::from_str(&inspected).unwrap();
    let config = &image[0]["Config"];
    assert_eq!((&config["User"], &config["StopSignal"]), (&"65532:65532".into(), &"SIGTERM".into()));
    for label in ["title", "description", "version", "revision", "licenses"] {
        assert!(config["Labels"][format!("org.opencontainers.image.{label}")].is_string(), "{label}");
    }
    assert!(
        image[0]["HealthCheck"]["Test"].is_array() || image[0]["Healthcheck"]["Test"].is_array(),
        "no health check"
    );
    yard.ok(&yard.podman("create --name=made localhost/rekeyd:tried"));
    yard.ok(
        &yard.podman(&format!("cp made:/usr/share/doc/rekeyd/sbom.cdx.json {}", yard.path("sbom").display()))
    );
    bill::names_every_linked_crate(&fs::read_to_string(yard.path("sbom")).unwrap());
}

pub(crate) fn the_compose_file_is_understood() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/compose/compose.yaml");
    let read = Command::new("podman-compose").args(["--file", file, "config"]).output();
    let read =
        read.unwrap_or_else(|error| panic!("podman-compose, which `make system-test` brings: {error}"));
    let said = String::from_utf8_lossy(&read.stdout);
    assert!(read.status.success(), "{said}{}", String::from_utf8_lossy(&read.stderr));
    for service in ["rekeyd", "rekeyd-agent", "tts-api"] {
        assert!(said.contains(&format!("\n  {service}:\n")), "{said}");
    }
}
