//! What is found of a workspace behind TLS: whom its certificate is signed by, and for how long.

use std::io;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, KeyPair};
use rekeyd::adapters::clock::SystemClock;
use rekeyd::ports::clock::Clock as _;
use rekeyd::sandbox::rules::Rules;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::harness::Harness;

/// A workspace without accounts behind a certificate of its own.
struct Server {
    url: String,
    pem: String,
    _tasks: JoinSet<()>,
}

impl Server {
    async fn start(holds_until: Timestamp) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let end = holds_until.to_zoned(jiff::tz::TimeZone::UTC);
        let part = |number: i8| u8::try_from(number).unwrap();
        parameters.not_after =
            rcgen::date_time_ymd(i32::from(end.year()), part(end.month()), part(end.day()));
        let certificate = parameters.self_signed(&key).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], private);
        let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(answer(acceptor.clone(), stream));
            }
        });
        Self { url, pem: certificate.pem(), _tasks: tasks }
    }
}

async fn answer(acceptor: TlsAcceptor, stream: tokio::net::TcpStream) -> io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let mut request = vec![0; 4096];
    let length = stream.read(&mut request).await?;
    let body = if request[..length].starts_with(b"HEAD") { "" } else { "{\"service-accounts\": []}" };
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).await?;
    stream.shutdown().await
}

fn in_days(days: i64) -> Timestamp {
    SystemClock.now() + SignedDuration::from_hours(days * 24)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_that_nobody_trusts_is_named_in_the_policy_and_then_trusted() {
    let harness = Harness::build(Rules::default()).await;
    let server = Server::start(in_days(200)).await;
    let policy = harness.policy().replace(&harness.sandbox.base_url(), &server.url);
    let told = harness.doctor(&policy);
    told.says("certificate", "error", &["no encrypted connection", "set `ca_file` to its PEM file"]);
    told.says("admin_key", "error", &["not tested"]);

    let ca_file = harness.path("ca.pem");
    let trusting =
        policy.replace("admin_key =", &format!("ca_file = \"{}\"\nadmin_key =", ca_file.display()));
    let told = harness.doctor(&trusting);
    told.says("certificate", "error", &["cannot read `ca_file`"]);
    std::fs::write(&ca_file, "no certificate").unwrap();
    harness.doctor(&trusting).says("certificate", "error", &["[put PEM certificates into the file"]);
    std::fs::write(&ca_file, &server.pem).unwrap();
    let told = harness.doctor(&trusting);
    told.says("certificate", "ok", &["is trusted, and expires at"]);
    told.says("admin_key", "ok", &["service accounts: 0"]);

    let soon = Server::start(in_days(5)).await;
    std::fs::write(&ca_file, &soon.pem).unwrap();
    let told = harness.doctor(&trusting.replace(&server.url, &soon.url));
    told.says("certificate", "warning", &["expires at", "[renew the certificate of the server"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_without_certificate_authorities_is_a_clear_error() {
    let harness = Harness::build(Rules::default()).await;
    let server = Server::start(in_days(200)).await;
    let told =
        harness.doctor_with(&harness.policy().replace(&harness.sandbox.base_url(), &server.url), |command| {
            command
                .env("SSL_CERT_FILE", harness.path("nowhere.pem"))
                .env("SSL_CERT_DIR", harness.path("nowhere"));
        });
    told.says("certificate", "error", &["no CA certificates to trust", "`apt-get install ca-certificates`"]);
}
