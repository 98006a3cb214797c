//! No value in anything that can be shown, and no key sent anywhere but to the workspace's address.

use std::io;
use std::sync::{Arc, Mutex};

use rekeyd::adapters::elevenlabs::{BuildError, ElevenLabs, Settings};
use rekeyd::ports::issuer::Issuer;

use super::scripted::{Act, Asked, Server, json};
use super::workspace::{ADMIN, Method, VALUE, account, issuer, request, settings, value};

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether twelve characters in a row of a value stand in a text.
fn shows_a_piece(text: &str, value: &str) -> bool {
    value.as_bytes().windows(12).any(|piece| text.contains(std::str::from_utf8(piece).unwrap()))
}

#[tokio::test]
async fn no_answer_can_make_a_value_appear() {
    let written = Written::default();
    let sink = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || sink.clone())
        .finish();
    let _listening = tracing::subscriber::set_default(subscriber);
    let mut shown = String::new();
    let echoes = |secret: &str| {
        [
            format!(
                r#"{{"detail":{{"code":"{secret}","message":"key {secret} is bad","request_id":"{secret}"}}}}"#
            ),
            format!(
                r#"{{"detail":[{{"loc":["body","{secret}"],"msg":"not {secret}","type":"{secret}","input":"{secret}"}}]}}"#
            ),
            format!(r#"{{"detail":"{secret}"}}"#),
            format!(r#"{{"service-accounts":"{secret}","api-keys":["{secret}"]}}"#),
            format!(r#"{{"xi-api-key":["{secret}"],"key_id":"{secret}"}}"#),
            format!(r#"{{"xi-api-key":"{secret} {secret}","key_id":"{secret}"}}"#),
            secret.to_owned(),
        ]
    };
    let mut acts: Vec<Act> = Vec::new();
    for body in [ADMIN, VALUE].into_iter().flat_map(echoes) {
        for status in [200, 302, 401, 422, 500] {
            acts.push(json(status, &body).with_header("x-trace-id", body.replace(['\n', '\r'], "")));
        }
    }
    acts.push(Act::Bytes(format!("HTTP/1.1 {VALUE} {ADMIN}\r\n\r\n").into_bytes()));
    acts.push(Act::Bytes(format!("{VALUE}\r\n\r\n").into_bytes()));
    for act in acts {
        let server = Server::always(act).await;
        for method in Method::ALL {
            if let Err(failure) = method.call(&issuer(&server.url())).await {
                shown.push_str(&format!(
                    "{failure}\n{failure:?}\n{}\n",
                    serde_json::to_string(&failure).unwrap()
                ));
            }
        }
    }
    let logged = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    assert!(shown.len() > 10_000, "the calls failed, and said so");
    for (what, text) in [("a failure", &shown), ("the log", &logged)] {
        for secret in [ADMIN, VALUE] {
            let bad: Vec<&str> = text.lines().filter(|line| shows_a_piece(line, secret)).collect();
            assert!(bad.is_empty(), "{what} shows a piece of a value: {bad:?}");
        }
    }
}

#[tokio::test]
async fn a_redirect_takes_the_key_nowhere() {
    let thief = Server::always(json(200, "{}")).await;
    for status in [301, 302, 303, 307, 308] {
        let server =
            Server::always(json(status, "").with_header("location", format!("{}/v1/user", thief.url())))
                .await;
        for method in Method::ALL {
            assert!(method.call(&issuer(&server.url())).await.is_err(), "{status} {method:?}");
        }
    }
    assert_eq!(thief.connections(), 0);
}

#[tokio::test]
async fn each_call_says_who_asks_with_the_right_key() {
    let server = Server::always(json(500, "").with_header("set-cookie", "a=b")).await;
    let issuer = issuer(&server.url());
    for method in Method::ALL {
        assert!(method.call(&issuer).await.is_err());
    }
    let asked = server.asked();
    assert_eq!(
        asked.iter().map(Asked::line).collect::<Vec<_>>(),
        [
            "GET /v1/service-accounts",
            "POST /v1/service-accounts",
            "POST /v1/service-accounts/sa1/api-keys",
            "GET /v1/user",
            "POST /v1/service-accounts/sa1/api-keys/k1/disable",
            "PATCH /v1/service-accounts/sa1/api-keys/k1",
            "DELETE /v1/service-accounts/sa1/api-keys/k1",
        ]
    );
    for (asked, method) in asked.iter().zip(Method::ALL) {
        let key = if method == Method::Authenticate { VALUE } else { ADMIN };
        assert_eq!(asked.header("xi-api-key"), Some(key));
        let agent = concat!("rekeyd/", env!("CARGO_PKG_VERSION"));
        assert_eq!(asked.header("user-agent"), Some(agent));
        assert_eq!(asked.header("cookie"), None);
    }
}

#[tokio::test]
async fn a_created_key_is_handed_over_with_its_id() {
    for body in [
        format!(r#"{{"xi-api-key":"{VALUE}","key_id":"k2"}}"#),
        format!(r#"{{"key_id":"k2","new":[{{}}],"xi_api_key":"{}"}}"#, VALUE.replace('5', "\\u0035")),
    ] {
        let server = Server::always(json(200, &body)).await;
        let minted = issuer(&server.url()).create(&account(), "n", &request()).await.ok().unwrap();
        assert_eq!(minted.key.as_str(), "k2");
        assert!(minted.value.matches(&value(VALUE)));
    }
}

#[test]
fn what_cannot_work_is_said_when_it_is_built() {
    let built = |change: &dyn Fn(&mut Settings)| {
        let mut settings = settings("https://api.example");
        change(&mut settings);
        ElevenLabs::new(settings).err()
    };
    assert_eq!(built(&|s| s.request_timeout = std::time::Duration::ZERO), Some(BuildError::Timeout));
    assert!(matches!(
        built(&|s| s.base_url = format!("https://{ADMIN}:x@api.example")),
        Some(BuildError::BaseUrl(_))
    ));
    for pem in [&b""[..], b"not PEM", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let error = built(&|s| s.ca_pem = Some(pem.to_vec()));
        let error = error.unwrap_or_else(|| panic!("{pem:?} was taken")).to_string();
        assert!(error.contains("CA"), "{error}");
    }
}

/// Runs itself again on a machine that, as far as the environment can say so, has no CA certificates.
#[test]
fn without_ca_certificates_it_is_said_what_to_install() {
    const ABSENT: &str = "/no-such-folder/no-such-file";
    if std::env::var_os("SSL_CERT_FILE").is_some_and(|file| file == ABSENT) {
        let error = ElevenLabs::new(settings("https://api.example")).err().unwrap();
        assert!(error.to_string().contains("install the system's ca-certificates package"), "{error}");
        assert!(ElevenLabs::new(settings("http://127.0.0.1:1")).is_ok());
        return;
    }
    let this = "elevenlabs::secrets::without_ca_certificates_it_is_said_what_to_install";
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", this])
        .envs([("SSL_CERT_FILE", ABSENT), ("SSL_CERT_DIR", ABSENT)])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
}
