//! The image: without root, with writable volumes only, beside an agent that follows the published secret.

use std::fs;
use std::os::unix::fs::chown;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bill;
use crate::harness::Harness;

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

/// An application that reloads its key when its agent signals it.
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

fn furnished() -> Harness {
    let mut harness = Harness::open();
    for directory in ["etc", "journal", "run", "memory/published", "memory/keys", "no-authorities"] {
        harness.give(directory, None);
    }
    harness.give("etc/policy.toml", Some(POLICY));
    harness.give("etc/agent.toml", Some(AGENT));
    harness.give("etc/token", Some("tried-token-0123456789abcdef0123456789\n"));
    let key = harness.path("etc/admin-key");
    let sandbox = format!(
        "{} sandbox --listen 127.0.0.1:9810 --admin-key-file {} --empty-account tts-backend",
        env!("CARGO_BIN_EXE_rekeyd"),
        key.display()
    );
    harness.start(&sandbox, "sandbox.log");
    harness.until("the sandbox listens", || harness.run("exec 3<>/dev/tcp/127.0.0.1/9810").status.success());
    chown(&key, Some(65532), Some(65532)).unwrap();
    harness
}

pub(crate) fn it_rotates_beside_an_agent_and_stops_in_order() {
    let mut harness = furnished();
    let daemon = harness.container("rekeyd", DAEMON, "");
    harness.start(&daemon, "daemon.log");
    let ask = harness.podman("exec rekeyd /usr/bin/rekeyd healthcheck --url http://127.0.0.1:9809/readyz");
    harness.until("it is ready", || harness.run(&ask).status.success());
    // The image's health check.
    harness.ok(&harness.podman("healthcheck run rekeyd"));
    harness.until("its first key is published", || harness.path("memory/published/tts-backend").exists());

    let mounts = [
        ("etc", "/etc/rekeyd:ro"),
        ("memory/published", "/run/secrets-of-rekeyd:ro"),
        ("memory/keys", "/run/keys"),
    ];
    let agent = harness.container("agent", &mounts, "agent --config /etc/rekeyd/agent.toml");
    harness.start(&agent, "agent.log");
    let has = harness.podman("exec agent /usr/bin/rekeyd healthcheck --file /run/keys/elevenlabs-key");
    harness.until("the application's key is there", || harness.run(&has).status.success());
    let key = |harness: &Harness| fs::read_to_string(harness.path("memory/keys/elevenlabs-key")).unwrap();
    let first = key(&harness);
    harness.ok(&harness.podman("exec rekeyd /usr/bin/rekeyd rotate tts-backend --wait"));
    assert_ne!(key(&harness), first);

    for name in ["agent", "rekeyd"] {
        let begun = Instant::now();
        harness.ok(&harness.podman(&format!("stop --time=20 {name}")));
        assert!(begun.elapsed() < Duration::from_secs(10), "{name} took {:?}", begun.elapsed());
        let code = harness.ok(&harness.podman(&format!("inspect --format={{{{.State.ExitCode}}}} {name}")));
        assert_eq!(code, "0", "{name}");
    }
    // Everything that it wrote is in its volumes.
    assert!(harness.path("journal/journal.db").exists() && !key(&harness).is_empty());
}

pub(crate) fn without_certificate_authorities_it_says_so() {
    let harness = furnished();
    harness.give("etc/policy.toml", Some(&POLICY.replace("http://", "https://")));
    let mounts: Vec<_> = DAEMON.iter().copied().chain([("no-authorities", "/etc/ssl/certs:ro")]).collect();
    let ended = harness.run(&harness.container("bare", &mounts, ""));
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(78), "{said}");
    assert!(said.contains("no CA certificates to trust"), "{said}");
}

pub(crate) fn it_says_what_it_is_and_what_it_is_made_of() {
    let harness = Harness::open();
    let inspected = harness.ok(&harness.podman("image inspect localhost/rekeyd:tried"));
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
    harness.ok(&harness.podman("create --name=made localhost/rekeyd:tried"));
    harness.ok(&harness
        .podman(&format!("cp made:/usr/share/doc/rekeyd/sbom.cdx.json {}", harness.path("sbom").display())));
    bill::names_every_linked_crate(&fs::read_to_string(harness.path("sbom")).unwrap());
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
