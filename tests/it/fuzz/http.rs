//! Any bytes said to the public listener: as a whole conversation, or as the body of what needs a token.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rekeyd::adapters::clock::SystemClock;
use rekeyd::adapters::memory::journal::MemoryJournal;
use rekeyd::adapters::prober::NetworkProber;
use rekeyd::domain::acceptance::AcceptanceRule;
use rekeyd::domain::ids::ConsumerName;
use rekeyd::domain::policy::Policy;
use rekeyd::domain::secret::SecretValue;
use rekeyd::engine::{Context, Controller, Periods, Timing};
use rekeyd::http::{Consumers, Public, PublicListener, Status};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::waiting::runtime;

const CONSUMER: &str = "tok_of_a_consumer";
const ALIVE: &[u8] = b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
const REPORTER: &str = "tok_of_the_reporter";

/// The first byte says what the rest is.
///
/// # Panics
/// If the server breaks down over it, or says a token.
pub(crate) fn eat(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    let said = match kind % 3 {
        0 => rest.to_vec(),
        1 => posted("/v1/credentials/tts/acks", CONSUMER, rest),
        _ => posted("/v1/leaks", REPORTER, rest),
    };
    let answer = String::from_utf8_lossy(&converse(&said)).into_owned();
    for token in [CONSUMER, REPORTER] {
        assert!(!answer.contains(token), "a token is told");
    }
    for line in answer.lines().filter(|line| line.starts_with("HTTP/1.1 5")) {
        assert!(line.contains(" 503 "), "the server broke down: {line}");
    }
    let alive = converse(ALIVE);
    assert!(alive.starts_with(b"HTTP/1.1 200"), "it does not answer any more");
}

fn posted(path: &str, token: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// What it answers until it hangs up; it may do so before everything is said.
fn converse(said: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut answer = Vec::new();
    // Nothing more will come, but for a whole request the connection stays open until it is answered.
    let is_whole = said == ALIVE;
    if stream.write_all(said).is_ok() && (is_whole || stream.shutdown(Shutdown::Write).is_ok()) {
        let read = stream.read_to_end(&mut answer);
        let was_cut = read.as_ref().is_err_and(|error| error.kind() != std::io::ErrorKind::ConnectionReset);
        assert!(!was_cut, "it neither answers nor hangs up: {read:?}");
    }
    answer
}

/// One of them has said enough by then: whoever says more than a thousand things an hour is not listened to.
const SAID_MAX: u32 = 900;

struct Server {
    address: SocketAddr,
    said: u32,
    stop: CancellationToken,
}

/// A daemon's public listener over an engine without credentials, replaced before it has heard too much.
fn server() -> SocketAddr {
    static SERVER: Mutex<Option<Server>> = Mutex::new(None);
    let mut server = SERVER.lock().unwrap();
    if let Some(old) = server.take_if(|it| it.said >= SAID_MAX) {
        old.stop.cancel();
    }
    let server = server.get_or_insert_with(|| {
        let stop = CancellationToken::new();
        Server { address: runtime().block_on(serve(stop.clone())), said: 0, stop }
    });
    server.said += 1;
    server.address
}

async fn serve(stop: CancellationToken) -> SocketAddr {
    let seconds = jiff::SignedDuration::from_secs;
    let setup = Context {
        policy: Policy::default(),
        workspaces: BTreeMap::new(),
        stores: BTreeMap::new(),
        journal: Arc::new(MemoryJournal::default()),
        prober: Arc::new(NetworkProber::default()),
        clock: Arc::new(SystemClock),
        timing: Timing {
            settle: seconds(5),
            activation_deadline: seconds(30),
            acceptances: AcceptanceRule { count: 2, over: seconds(0) },
            clock_skew_max: seconds(60),
            look_again: seconds(30),
            periods: Periods::NEVER,
        },
        seed: [7; 16],
    };
    let (controller, handle) = Controller::load(setup, Arc::new(Notify::new())).await.unwrap();
    let name = ConsumerName::new("api").unwrap();
    let secret = |text: &str| SecretValue::new(text.to_owned()).unwrap();
    let consumers = Consumers::new([(name, secret(CONSUMER))]).unwrap();
    let consumers = consumers.with_reporter(Some(secret(REPORTER))).unwrap();
    let (consumers, known) = watch::channel(Arc::new(consumers));
    let (status, statuses) = watch::channel(Status::default());
    let listener = PublicListener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = listener.address();
    let public = Public { handle, consumers: known, status: statuses };
    runtime().spawn(async move {
        let (_consumers, _status) = (consumers, status);
        tokio::join!(
            controller.run(stop.clone(), Duration::from_secs(1)),
            listener.serve(public, stop.clone())
        )
    });
    address
}
