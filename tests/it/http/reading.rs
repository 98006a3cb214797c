//! What is known is read over HTTP: the same as operators and commands see, page by page, by those who may.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use rekeyd::domain::ids::ConsumerName;
use rekeyd::domain::secret::SecretValue;
use rekeyd::http::{Consumers, Readers};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::harness::{Harness, TOKENS};

fn names(page: &Value) -> Vec<&str> {
    page["credentials"].as_array().unwrap().iter().map(|it| it["credential"].as_str().unwrap()).collect()
}

fn fields(report: &Value) -> BTreeSet<&String> {
    report.as_object().unwrap().keys().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_told_as_operators_see_them_page_by_page() {
    let harness = Harness::open().await;
    let status = harness.order(Method::GET, "/v1/status", None).await.json();
    let page = harness.get("/v1/credentials").await.json();
    assert_eq!((names(&page), &page["next_cursor"]), (vec!["tts", "wide"], &json!(null)));
    let mut expected = fields(&status);
    let cursor = "next_cursor".to_owned();
    expected.insert(&cursor);
    assert_eq!(fields(&page), expected);
    for name in ["tts", "wide"] {
        let [public, operators] = [
            harness.get(&format!("/v1/credentials/{name}")).await.json(),
            harness.order(Method::GET, &format!("/v1/credentials/{name}"), None).await.json(),
        ];
        assert_eq!(fields(&public), fields(&operators));
        assert_eq!(public["rotation"]["id"], operators["rotation"]["id"]);
        assert!(name == "tts" || public == operators, "{public:#}");
        let of_page = page["credentials"].as_array().unwrap().iter().find(|it| it["credential"] == name);
        assert_eq!(fields(of_page.unwrap()), fields(&operators));
    }
    for (query, expected, next) in [
        ("limit=1", vec!["tts"], json!("tts")),
        ("limit=1&cursor=tts", vec!["wide"], json!(null)),
        ("cursor=wide", vec![], json!(null)),
        ("health=parked", vec!["wide"], json!(null)),
        ("health=damaged", vec![], json!(null)),
        ("attention=true", vec!["wide"], json!(null)),
        ("attention=false&workspace=prod", vec!["tts"], json!(null)),
        ("workspace=other", vec![], json!(null)),
    ] {
        let page = harness.get(&format!("/v1/credentials?{query}")).await.json();
        assert_eq!((names(&page), &page["next_cursor"]), (expected, &next), "{query}");
        assert_eq!(page["attention"], true, "it is about the whole fleet");
    }
    assert_eq!(harness.get("/v1/credentials/nobody").await.code(), "no_such_credential");
    assert_eq!(harness.get("/v1/credentials/%ff").await.code(), "no_such_credential");
    harness.nothing_leaked("").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rotations_are_told_newest_first_under_way_and_past() {
    let harness = Harness::open().await;
    assert_eq!(harness.order(Method::POST, "/v1/credentials/wide/abort", None).await.status, 200);
    harness.until("wide", |report| report["last"]["outcome"] == "aborted").await;
    let all = harness.get("/v1/rotations").await.json();
    let told = all["rotations"].as_array().unwrap();
    let ids: Vec<&str> = told.iter().map(|it| it["rotation"].as_str().unwrap()).collect();
    assert!(ids.is_sorted_by(|newer, older| newer > older) && ids.len() >= 2, "{ids:?}");
    assert!(told.iter().all(|it| it["lines"][0]["event"] == "begun"), "{all:#}");
    for (query, expected) in [
        ("credential=tts", vec![("tts", "overlap")]),
        ("outcome=aborted", vec![("wide", "aborted")]),
        ("outcome=aborted&credential=tts", vec![]),
        ("outcome=under_way&credential=tts", vec![("tts", "overlap")]),
        ("outcome=damaged", vec![]),
        ("credential=nobody", vec![]),
    ] {
        let page = harness.get(&format!("/v1/rotations?{query}")).await.json();
        let told = page["rotations"].as_array().unwrap().iter();
        let told: Vec<_> =
            told.map(|it| (it["credential"].as_str().unwrap(), it["phase"].as_str().unwrap())).collect();
        assert_eq!((told, &page["next_cursor"]), (expected, &json!(null)), "{query}");
    }
    let (mut paged, mut cursor) = (Vec::new(), String::new());
    while paged.len() <= ids.len() {
        let page = harness.get(&format!("/v1/rotations?limit=1{cursor}")).await.json();
        paged.extend(page["rotations"].as_array().unwrap().iter().cloned());
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let paged: Vec<&str> = paged.iter().map(|it| it["rotation"].as_str().unwrap()).collect();
    assert_eq!(paged, ids);
    harness.nothing_leaked("").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_is_not_understood_is_refused_and_not_repeated() {
    let harness = Harness::open().await;
    for query in [
        "credentials?limit=0",
        "credentials?limit=501",
        "credentials?limit=planted",
        "credentials?limit=1&limit=2",
        "credentials?health=planted",
        "credentials?health=",
        "credentials?workspace=a/planted",
        "credentials?attention=planted",
        "credentials?cursor=%20planted",
        "credentials?planted=1",
        "rotations?limit=101",
        "rotations?outcome=planted",
        "rotations?cursor=planted",
        "rotations?credential=%ffplanted",
    ] {
        let answer = harness.get(&format!("/v1/{query}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad_request"), "{query}");
        assert!(!answer.text.contains("planted"), "{}", answer.text);
    }
    harness.journal.is_broken.store(true, SeqCst);
    for path in ["/v1/credentials/tts", "/v1/rotations"] {
        assert_eq!(harness.get(path).await.code(), "journal_unreadable");
    }
}

fn consumers() -> Consumers {
    let secret = |token: &str| SecretValue::new(token.to_owned()).unwrap();
    Consumers::new(TOKENS.map(|(who, token)| (ConsumerName::new(who).unwrap(), secret(token)))).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn where_readers_are_named_nobody_else_reads() {
    let harness = Harness::open().await;
    let token = SecretValue::new("tok_reader_planted".to_owned()).unwrap();
    let readers = Readers::Known { token: Some(token), certificate: None };
    harness.consumers.send_replace(Arc::new(consumers().with_readers(readers).unwrap()));
    let paths = ["/v1/credentials", "/v1/credentials/tts", "/v1/rotations"];
    for path in paths {
        for (token, status) in
            [("tok_reader_planted", 200), ("tok_wrong", 401), (TOKENS[0].1, 401), ("", 401)]
        {
            let answer = harness.send(harness.request(Method::GET, path).bearer_auth(token)).await;
            assert_eq!(answer.status, status, "{path} with `{token}`: {}", answer.text);
        }
        let anonymous = harness.get(path).await;
        assert_eq!((anonymous.status, anonymous.code().as_str()), (401, "unauthenticated"));
    }
    let word = json!({ "fingerprint": "0123456789abcdef" });
    assert_eq!(harness.ack("tts", "tok_reader_planted", word).await.status, 401);
    for path in ["/livez", "/readyz", "/version", "/metrics", "/openapi.json"] {
        assert_eq!(harness.get(path).await.status, 200, "{path}");
    }
    harness.consumers.send_replace(Arc::new(consumers()));
    for path in paths {
        let refused = harness.get(path).await;
        assert!(refused.status == 401 && refused.text.contains("`[readers]`"), "{}", refused.text);
    }
    let shared = SecretValue::new(TOKENS[0].1.to_owned()).unwrap();
    let shared = Readers::Known { token: Some(shared), certificate: None };
    let Err(shared) = consumers().with_readers(shared) else { panic!("accepted") };
    assert_eq!(
        shared.to_string(),
        "the consumer `api` and `[readers]` have the same token; give each its own"
    );
}

/// Sends one request again and again over one connection until it is answered with 429, and says how often it was not.
async fn until_too_many(harness: &Harness, token: &str, most: usize) -> (usize, String) {
    let mut stream = TcpStream::connect(harness.url.trim_start_matches("http://")).await.unwrap();
    let body = "{\"fingerprint\":\"0123456789abcdef\"}";
    let request = format!(
        "POST /v1/credentials/nobody/acks HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: \
         {}\r\n\r\n{body}",
        body.len()
    );
    for sent in 0..most {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let length = stream.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
        if answer.starts_with("HTTP/1.1 429") {
            return (sent, answer);
        }
    }
    panic!("it is never too often");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_tries_too_many_tokens_is_refused_for_a_moment_and_nobody_else_is() {
    let harness = Harness::open().await;
    let (tried, answer) = until_too_many(&harness, "tok_wrong", 200).await;
    assert!((60..120).contains(&tried), "{tried}");
    assert!(answer.contains("too_many_failures") && answer.contains("retry-after: "), "{answer}");
    let word = || json!({ "fingerprint": "0123456789abcdef" });
    let wrong = harness.ack("tts", "tok_wrong", word()).await;
    assert_eq!((wrong.status, wrong.code().as_str()), (429, "too_many_failures"));
    // Behind the same address: what it says may be that a key has to come back.
    let right = harness.ack("tts", TOKENS[0].1, word()).await;
    assert_eq!(right.status, 200, "{}", right.text);
    for path in ["/livez", "/v1/credentials"] {
        assert_eq!(harness.get(path).await.status, 200, "{path}");
    }
    let wait: u64 = wrong.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=2).contains(&wait), "{wait}");
    tokio::time::sleep(std::time::Duration::from_secs(wait)).await;
    let right = harness.ack("tts", TOKENS[0].1, json!({ "fingerprint": "0123456789abcdef" })).await;
    assert_eq!(right.status, 200, "{}", right.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_never_stops_talking_is_slowed_down_and_others_are_not() {
    let harness = Harness::open().await;
    let (said, answer) = until_too_many(&harness, TOKENS[0].1, 3000).await;
    assert!(said >= 1000 && answer.contains("too_many_requests"), "{said}: {answer}");
    let other = harness.ack("tts", TOKENS[1].1, json!({ "fingerprint": "0123456789abcdef" })).await;
    assert_eq!(other.status, 200, "{}", other.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_said_everything_and_shuts_its_side_is_answered() {
    let harness = Harness::open().await;
    let mut stream = TcpStream::connect(harness.url.trim_start_matches("http://")).await.unwrap();
    stream.write_all(b"GET /v1/credentials HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_the_web_whose_name_leads_here_may_not_read() {
    let harness = Harness::open().await;
    let address = harness.url.trim_start_matches("http://").to_owned();
    for (host, status) in [("evil.example", 421), ("localhost:9809", 200), (address.as_str(), 200)] {
        for path in ["/", "/v1/credentials", "/v1/credentials/tts", "/v1/rotations"] {
            let asked = harness.request(Method::GET, path).header("host", host);
            assert_eq!(harness.send(asked).await.status, status, "{host} {path}");
        }
    }
}
