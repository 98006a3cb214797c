//! An agent that speaks to the real daemon over TLS: with a token, and with a certificate in its place.

use std::fs;

use rekeyd::demo::fixture::{Fixture, Pace};
use rekeyd::demo::journal_watch::JournalWatch;
use rekeyd::domain::ids::CredentialName;

use super::daemon::released;
use super::harness::AgentHarness;
use super::recorder::Recorder;
use crate::support::certificates::Authority;
use crate::support::served::Served;

const CREDENTIAL: &str = "voice-agent";
const TLS: &str = "tls = { certificate = \"@/tls.crt\", key = \"@/tls.key\", client_ca = \"@/clients.pem\" }";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_keys_go_because_an_agent_says_so_over_tls_by_token_or_by_certificate() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let stage = Fixture::build(61, &Pace::new("1s", "100ms", "100ms")).await.unwrap();
    servers.server().write(stage.root(), "tls");
    fs::write(stage.root().join("clients.pem"), &clients.pem).unwrap();
    let policy = fs::read_to_string(stage.policy()).unwrap();
    let named = format!("[consumers.{CREDENTIAL}]\ncertificate = \"voice.internal\"\n");
    fs::write(stage.policy(), policy.replace(&format!("[consumers.{CREDENTIAL}]\n"), &named)).unwrap();
    let served = Served::start(stage, TLS, "").await;

    let (harness, app) = (AgentHarness::new(), Recorder::start());
    clients.client("voice.internal").write(&harness.path("."), "own");
    fs::write(harness.path("ca.pem"), &servers.pem).unwrap();
    fs::write(harness.path("token"), served.token(CREDENTIAL)).unwrap();
    let source = served.stage.secret(&CredentialName::new(CREDENTIAL).unwrap());
    let agent = |proof: &str| {
        harness.agent(&format!(
            "[secrets.{CREDENTIAL}]\nfrom.file = \"{}\"\nevery = \"20ms\"\n{}\n[on_change]\nurl = \"{}\"\n\
             [rekeyd]\nurl = \"https://{}\"\nconsumer = \"{CREDENTIAL}\"\nca_file = \"{}\"\nheartbeat = \"1s\"\n{proof}\n",
            source.display(),
            harness.to_key(),
            app.url("/reload"),
            served.address,
            harness.shown("ca.pem"),
        ))
    };
    let credential = CredentialName::new(CREDENTIAL).unwrap();
    let chronicle = JournalWatch::new(&served.stage.journal(), [&credential].into_iter());
    let by_token = format!("token.file = \"{}\"", harness.shown("token"));
    let by_certificate =
        format!("certificate = \"{}\"\nkey = \"{}\"", harness.shown("own.crt"), harness.shown("own.key"));
    for proof in [by_token, by_certificate] {
        let before = released(&chronicle);
        let agent = agent(&proof);
        harness.until("an old key is revoked", || released(&chronicle) > before);
        agent.stop();
    }
    assert!(harness.log().contains("acknowledged to rekeyd"), "{}", harness.log());
    let secrets = served.stage.secrets();
    served.daemon.stop().await.unwrap();
    let said = harness.log() + &fs::read_to_string(served.stage.log()).unwrap();
    assert!(secrets.iter().all(|secret| !said.contains(secret)), "a value was told");
}
