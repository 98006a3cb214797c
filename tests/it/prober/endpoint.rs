//! What a probe makes of endpoints, those included that mean ill.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use rekeyd::adapters::prober::{NetworkProber, ResolvedProber};
use rekeyd::domain::gate::probes::{Probe, Reads};
use rekeyd::ports::prober::Prober;

use crate::support::instances::{Instances, Says};

const PRINT: &str = "0123456789abcdef";

type Told = Vec<(String, Result<String, String>)>;

async fn told(prober: &impl Prober, probe: &Probe) -> Told {
    let answers = prober.probe(probe).await;
    answers.iter().map(|answer| (answer.address.clone(), answer.text.clone())).collect()
}

async fn of_each(instances: &Instances, probe: &Probe) -> Told {
    told(&ResolvedProber(instances.addresses.clone()), probe).await
}

/// What one instance's answer is taken for.
async fn of_one(says: Says, reads: Reads) -> Result<String, String> {
    let instances = Instances::start(vec![says]).await;
    let mut told = of_each(&instances, &instances.probe("http", "api.example", reads)).await;
    assert_eq!((told.len(), told[0].0.as_str()), (1, "127.0.0.2"));
    told.remove(0).1
}

#[tokio::test]
async fn every_address_behind_the_name_is_asked_once_and_by_that_name() {
    let instances = Instances::start(vec![Says::body(PRINT), Says::body("fedcba9876543210")]).await;
    let probe = instances.probe("http", "api.example", Reads::Body);
    // The resolver may say the same twice, and in any order.
    let addresses = instances.addresses.iter().rev().chain(&instances.addresses).copied().collect();
    let told = told(&ResolvedProber(addresses), &probe).await;
    assert_eq!(
        told,
        [
            ("127.0.0.2".to_owned(), Ok(PRINT.to_owned())),
            ("127.0.0.3".to_owned(), Ok("fedcba9876543210".to_owned()))
        ]
    );
    let heard = instances.heard();
    assert_eq!(heard.len(), 2);
    let host = probe.url.trim_start_matches("http://").trim_end_matches("/health").to_owned();
    for request in heard {
        assert!(request.starts_with("GET /health HTTP/1.1\r\n"), "{request}");
        assert!(request.to_lowercase().contains(&format!("host: {host}\r\n")), "{request}");
    }
}

#[tokio::test]
async fn over_tls_each_address_is_asked_by_the_name_too() {
    let instances = Instances::start(vec![Says::body(PRINT), Says::body(PRINT)]).await;
    let probe = instances.probe("https", "api.example", Reads::Body);
    let told = of_each(&instances, &probe).await;
    assert_eq!(told.len(), 2);
    assert!(told.iter().all(|(_, text)| text.is_err()), "no TLS is spoken there: {told:?}");
    let heard = instances.heard();
    assert_eq!(heard.len(), 2);
    // The name is in the greeting, and nothing was sent in the clear.
    assert!(heard.iter().all(|hello| hello.contains("api.example") && !hello.contains("GET")));
}

#[tokio::test]
async fn an_address_in_the_url_is_its_only_one_in_both_families() {
    let instances = Instances::start(vec![Says::body(PRINT)]).await;
    let probe = instances.probe("http", "127.0.0.2", Reads::Body);
    assert_eq!(
        told(&NetworkProber::default(), &probe).await,
        [("127.0.0.2".to_owned(), Ok(PRINT.to_owned()))]
    );
    // Nobody listens there; what matters is that the brackets do not get in the way.
    let probe = instances.probe("http", "[::1]", Reads::Body);
    let told = told(&NetworkProber::default(), &probe).await;
    assert_eq!(told, [("::1".to_owned(), Err("it cannot be connected to".to_owned()))]);
}

#[tokio::test]
async fn without_every_address_whoever_answers_speaks_for_all() {
    let instances = Instances::start(vec![Says::body(PRINT)]).await;
    let probe = Probe { every_address: false, ..instances.probe("http", "127.0.0.2", Reads::Body) };
    assert_eq!(
        told(&NetworkProber::default(), &probe).await,
        [("127.0.0.2".to_owned(), Ok(PRINT.to_owned()))]
    );
}

#[tokio::test]
async fn the_fingerprint_is_read_where_the_policy_says() {
    let pointer = |text: &str| Reads::JsonPointer(text.to_owned());
    let header = |text: &str| Reads::Header(text.to_owned());
    let body = r#"{"keys": [{"print": "0123456789abcdef", "number": 7}]}"#;
    let headers = [("x-key", PRINT), ("x-odd", "caf\u{e9}")];
    let json = Says::with(&headers, body);
    for (says, reads, expected) in [
        (json.clone(), pointer("/keys/0/print"), Ok(PRINT)),
        (json.clone(), pointer("/keys/0/number"), Err("its answer has no text at the JSON pointer")),
        (json.clone(), pointer("/keys/1/print"), Err("its answer has nothing at the JSON pointer")),
        (Says::body("<html>"), pointer("/keys"), Err("its answer is no JSON")),
        (Says::body(&"[".repeat(60_000)), pointer("/0"), Err("its answer is no JSON")),
        (json.clone(), header("X-Key"), Ok(PRINT)),
        (json.clone(), header("x-none"), Err("its answer lacks the header")),
        (json.clone(), header("no header at all"), Err("its answer lacks the header")),
        (json, header("x-odd"), Err("its header is no text")),
        (Says::body("  \n"), Reads::Body, Ok("  \n")),
    ] {
        let told = of_one(says, reads.clone()).await;
        assert_eq!(told, expected.map(str::to_owned).map_err(str::to_owned), "{reads:?}");
    }
}

#[tokio::test]
async fn whatever_an_endpoint_does_takes_bounded_time_and_memory() {
    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let chunk = [b"1000\r\n".to_vec(), vec![b'x'; 4096], b"\r\n".to_vec()].concat();
    let declared = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n".to_vec();
    let odd = "its answer broke off, or is no HTTP";
    let long = "its answer is longer than 65536 bytes";
    let late = "it did not answer in time";
    for (says, expected) in [
        (Says::Forever(chunked.clone(), chunk), long),
        (Says::Forever(declared.clone(), vec![b'x'; 4096]), long),
        (Says::Forever(b"HTTP/1.1 200 OK\r\n".to_vec(), b"x-more: and more\r\n".to_vec()), odd),
        (Says::Bytes(b"SSH-2.0-OpenSSH_9.9\r\n".to_vec()), odd),
        (Says::Bytes(vec![]), odd),
        (Says::Bytes(declared), odd),
        (Says::AndHangs(vec![]), late),
        (Says::AndHangs(chunked), late),
        (Says::status("302 Found\r\nlocation: http://127.0.0.3/"), "it answers with HTTP 302"),
        (Says::status("503 Service Unavailable"), "it answers with HTTP 503"),
        (
            Says::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n\xff\xfe".to_vec()),
            "its answer is no text",
        ),
    ] {
        let begun = Instant::now();
        assert_eq!(of_one(says, Reads::Body).await, Err(expected.to_owned()));
        assert!(begun.elapsed() < Duration::from_secs(6), "{expected}: {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn many_silent_instances_are_asked_at_once_and_the_round_ends() {
    // Forty addresses that accept and say nothing: one after the other they would take two minutes.
    let instances = Instances::start(vec![Says::AndHangs(vec![]); 40]).await;
    let probe = instances.probe("http", "api.example", Reads::Body);
    let begun = Instant::now();
    let told = of_each(&instances, &probe).await;
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    let why = |why: &str| told.iter().filter(|(_, text)| *text == Err(why.to_owned())).count();
    assert_eq!(told.len(), 40);
    assert_eq!(why("it did not answer in time"), 32);
    assert_eq!(why("it was not reached before the round ended"), 8);
}

#[tokio::test]
async fn more_instances_than_are_asked_count_as_one_that_is_silent() {
    let addresses: Vec<IpAddr> =
        (0..300u16).map(|it| Ipv4Addr::from(0x7f01_0000 + u32::from(it)).into()).collect();
    // Nobody listens on port 1 of loopback.
    let url = "http://api.example:1/".to_owned();
    let probe = Probe { name: "api".to_owned(), url, reads: Reads::Body, every_address: true };
    let told = told(&ResolvedProber(addresses), &probe).await;
    assert_eq!(told.len(), 257);
    assert_eq!(told[256], ("further addresses".to_owned(), Err("only 256 are asked".to_owned())));
}

#[tokio::test]
async fn a_name_that_leads_nowhere_is_a_finding_and_no_addresses_are_none() {
    let url = "http://nowhere.invalid/".to_owned();
    let probe = Probe { name: "api".to_owned(), url, reads: Reads::Body, every_address: true };
    let told = told(&NetworkProber::default(), &probe).await;
    let why = told[0].1.clone().unwrap_err();
    assert!(why.starts_with("its name could not be looked up"), "{why}");
    assert!(ResolvedProber(vec![]).probe(&probe).await.is_empty());
}
