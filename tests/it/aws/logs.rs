//! What AWS's SDK logs about our calls, at the most talkative level. It does show the answers to writes at that level,
//! which hold no value, unless a server that is not AWS repeats the request: logging should stop the SDK at `debug`.

use std::io;
use std::sync::{Arc, Mutex};

use rekeyd::ports::secret_store::SecretStore;
use tracing::Level;

use crate::aws::client::Aws;
use crate::support::secrets_manager::StrictFake;
use crate::support::store_conformance::{Harness, place, value, version};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_sdk_logs_no_value_at_trace_level() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(Level::TRACE).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let fake = StrictFake::start().await;
    let aws = Aws::at(&fake.url, true);
    aws.write_by_hand("secret", r#"{"key":"sk_old","other":"sk_planted"}"#).await;
    let to = place("secret", Some("key"), false);
    let over = aws.store.preflight(&to).await.unwrap().version;
    let new = version();
    aws.store.stage(&to, &new, &value("sk_new")).await.unwrap();
    aws.store.promote(&to, &new, over.as_ref()).await.unwrap();
    let log = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(log.contains("GetSecretValue"), "the SDK was listened to");
    // As text, and as the bytes of `"sk_`.
    for planted in ["sk_", "34, 115, 107, 95"] {
        let line = log.lines().find(|line| line.contains(planted));
        assert!(line.is_none(), "a value is in the log: {line:?}");
    }
}
