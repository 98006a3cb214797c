//! The listener over TLS: who may speak, by which certificate, and what happens when certificates change.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::{Certificate, Client, Identity, Response, StatusCode};
use serde_json::{Value, json};

use crate::support::certificates::{Authority, Paper};
use crate::support::served::{Served, stage};

const TLS: &str = "tls = { certificate = \"@/tls.crt\", key = \"@/tls.key\", client_ca = \"@/clients.pem\" }";
const PATIENCE: Duration = Duration::from_secs(15);

/// One that trusts only this authority, with or without a certificate of its own.
fn client(authority: &Authority, own: Option<&Paper>) -> Client {
    let trusted = Certificate::from_pem(authority.pem.as_bytes()).unwrap();
    let mut client = Client::builder().no_proxy().tls_certs_only([trusted]).timeout(Duration::from_secs(5));
    if let Some(Paper { certificate, key }) = own {
        client = client.identity(Identity::from_pem(format!("{certificate}\n{key}").as_bytes()).unwrap());
    }
    client.build().unwrap()
}

struct Scene {
    served: Served,
    servers: Authority,
    clients: Authority,
}

impl Scene {
    async fn set(seed: u64) -> Self {
        let (servers, clients) = (Authority::new(), Authority::new());
        let stage = stage(seed).await;
        servers.server().write(stage.root(), "tls");
        fs::write(stage.root().join("clients.pem"), &clients.pem).unwrap();
        let policy = fs::read_to_string(stage.policy()).unwrap();
        let named = "[consumers.tts-api]\ncertificate = \"tts-api.internal\"\n";
        fs::write(stage.policy(), policy.replace("[consumers.tts-api]\n", named)).unwrap();
        let readers = "\n[readers]\ncertificate = \"grafana.internal\"\n";
        Self { served: Served::start(stage, TLS, readers).await, servers, clients }
    }

    fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.served.address)
    }

    async fn get(&self, client: &Client, path: &str) -> reqwest::Result<Response> {
        client.get(self.url(path)).send().await
    }

    async fn ack(&self, client: &Client, token: Option<&str>) -> reqwest::Result<StatusCode> {
        let body = json!({ "fingerprint": "0123456789abcdef" }).to_string();
        let mut request = client.post(self.url("/v1/credentials/tts-backend/acks")).body(body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        Ok(request.send().await?.status())
    }

    async fn reasons(&self, client: &Client) -> Vec<String> {
        let told: Value = self.get(client, "/readyz").await.unwrap().json().await.unwrap();
        told["reasons"].as_array().unwrap().iter().map(|it| it["code"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_names_its_consumer_and_only_that_one() {
    let scene = Scene::set(51).await;
    let Scene { served, servers, clients } = &scene;
    let anybody = client(servers, None);
    assert_eq!(scene.get(&anybody, "/livez").await.unwrap().status(), 200);
    assert!(reqwest::get(served.url("/livez")).await.is_err(), "it spoke without encryption");
    assert!(scene.get(&client(clients, None), "/livez").await.is_err(), "another authority was believed");

    let named = |name: &str| client(servers, Some(&clients.client(name)));
    let token = served.token("tts-batch");
    for (who, token, expected) in [
        (anybody.clone(), None, 401),
        (anybody.clone(), Some(token.as_str()), 200),
        (named("tts-api.internal"), None, 200),
        (named("other.internal"), None, 401),
        (named("*.internal"), None, 401),
        (named("grafana.internal"), None, 401),
        // What is said is judged, and not what else there would be.
        (named("tts-api.internal"), Some("tok_wrong"), 401),
    ] {
        assert_eq!(scene.ack(&who, token).await.unwrap(), expected, "{token:?}");
    }
    // By somebody else's authority it is no certificate at all.
    let forged = client(servers, Some(&servers.client("tts-api.internal")));
    assert!(scene.ack(&forged, None).await.is_err());

    for (who, expected) in
        [(named("grafana.internal"), 200), (named("tts-api.internal"), 401), (anybody.clone(), 401)]
    {
        let answer = scene.get(&who, "/v1/credentials").await.unwrap();
        assert_eq!(answer.status(), expected);
        let said = answer.text().await.unwrap();
        assert!(expected == 200 || said.contains("use the client certificate named in"), "{said}");
    }
    scene.served.daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_certificate_is_taken_up_and_a_bad_one_is_not() {
    let scene = Scene::set(52).await;
    let Scene { served, servers, .. } = &scene;
    let root = served.stage.root();
    let before = client(servers, None);
    assert_eq!(scene.reasons(&before).await, Vec::<String>::new());
    let expires = |year: i16| {
        let at = jiff::civil::date(year, 1, 1).to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp();
        format!("\nrekeyd_certificate_not_after_timestamp_seconds {}.0\n", at.as_second())
    };
    let metrics = scene.get(&before, "/metrics").await.unwrap().text().await.unwrap();
    assert!(metrics.contains(&expires(4096)), "{metrics}");

    fs::write(root.join("tls.crt"), "-----BEGIN CERTIFICATE-----\nplanted\n").unwrap();
    until(|| async { scene.reasons(&client(servers, None)).await == ["certificate_refused"] }).await;
    let metrics = scene.get(&before, "/metrics").await.unwrap().text().await.unwrap();
    assert!(metrics.contains("\nrekeyd_certificate_reload_success 0.0\n"), "{metrics}");
    assert!(metrics.contains(&expires(4096)), "the previous one is in force: {metrics}");
    let log = fs::read_to_string(served.stage.log()).unwrap();
    assert!(log.contains("the previous one stays in force") && !log.contains("planted"), "{log}");

    // Nobody will ever write into it.
    fs::remove_file(root.join("tls.crt")).unwrap();
    assert!(Command::new("mkfifo").arg(root.join("tls.crt")).status().unwrap().success());
    until(|| async { fs::read_to_string(served.stage.log()).unwrap().contains("not a plain file") }).await;
    assert_eq!(scene.get(&client(servers, None), "/livez").await.unwrap().status(), 200);
    fs::remove_file(root.join("tls.crt")).unwrap();

    let renewed = Authority::new();
    renewed.server_until(4000).write(root, "tls");
    until(|| async {
        scene.get(&client(&renewed, None), "/readyz").await.is_ok_and(|it| it.status() == 200)
    })
    .await;
    assert!(scene.get(&client(servers, None), "/livez").await.is_err(), "the old certificate is still shown");
    let metrics = scene.get(&client(&renewed, None), "/metrics").await.unwrap().text().await.unwrap();
    assert!(metrics.contains(&expires(4000)), "{metrics}");

    fs::write(root.join("renewed.pem"), &renewed.pem).unwrap();
    for (ca, expected) in [("renewed.pem", 0), ("clients.pem", 1)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rekeyd"));
        command.args(["healthcheck", "--url", &scene.url("/livez"), "--ca-file"]).arg(root.join(ca));
        let asked = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert_eq!(asked.status.code(), Some(expected), "{ca}: {}", String::from_utf8_lossy(&asked.stderr));
    }
    scene.served.daemon.stop().await.unwrap();
}

async fn until<F: Future<Output = bool>>(holds: impl Fn() -> F) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "not in time");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_and_a_key_that_do_not_go_together_end_the_start_with_advice() {
    let stage = stage(53).await;
    let (one, other) = (Authority::new().server(), Authority::new().server());
    Paper { certificate: one.certificate, key: other.key }.write(stage.root(), "tls");
    let policy = fs::read_to_string(stage.policy()).unwrap();
    let root = stage.root().to_str().unwrap();
    let tls = format!("[daemon]\ntls = {{ certificate = \"{root}/tls.crt\", key = \"{root}/tls.key\" }}\n");
    fs::write(stage.policy(), policy.replacen("[daemon]\n", &tls, 1)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rekeyd"));
    command.arg("run").arg("--policy").arg(stage.policy());
    let run = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert_eq!(run.status.code(), Some(78), "{said}");
    assert!(said.contains("tls.crt") && said.contains("do not belong together"), "{said}");
}
