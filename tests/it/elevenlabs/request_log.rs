//! The request log: which column names the key, and how far back it is read.

use jiff::SignedDuration;
use rekeyd::domain::ids::KeyId;
use rekeyd::domain::usage::Reading;
use rekeyd::ports::usage::UsageSource as _;
use serde_json::{Value, json as value_of};

use super::scripted::{Act, Asked, Server, json};
use super::usage::{LOG, USAGE, keys, listing, now};
use super::workspace::issuer;

/// A log of `calls`, newest first, in pages as they are asked for.
fn paged(asked: &Asked, calls: &[(i64, &str)], key_column: Option<&str>) -> Act {
    let body: Value = serde_json::from_str(&asked.body).unwrap();
    let (start, end) = (body["start_time"].as_i64().unwrap(), body["end_time"].as_i64().unwrap());
    let limit = usize::try_from(body["limit"].as_i64().unwrap()).unwrap();
    let found = calls.iter().enumerate().filter(|(_, (at, _))| (start..end).contains(at)).take(limit);
    let rows: Vec<Value> = found
        .map(|(index, (at, key))| match key_column {
            Some(_) => value_of!([format!("r{index}"), at, "/v1/models", "true", key]),
            None => value_of!([format!("r{index}"), at, "/v1/models", "true"]),
        })
        .collect();
    let columns: Vec<&str> =
        ["request_id", "timestamp", "endpoint", "success"].into_iter().chain(key_column).collect();
    json(200, &value_of!({"columns": columns, "rows": rows}).to_string())
}

async fn ask_log(calls: Vec<(i64, &'static str)>, key_column: Option<&'static str>) -> (Server, Reading) {
    let server = Server::start(move |asked: &Asked| match asked.path.as_str() {
        LOG => paged(asked, &calls, key_column),
        USAGE => json(404, r#"{"detail":"Not Found"}"#),
        _ => listing(""),
    })
    .await;
    let adapter = issuer(&server.url());
    let since = now() - SignedDuration::from_hours(1);
    let mut readings = adapter.usage(&keys()[..1], &keys()[1..], since).await;
    // What columns there are is known by now.
    let before = server.lines().iter().filter(|line| line.ends_with(LOG)).count();
    assert_eq!(adapter.usage(&keys()[..1], &keys()[1..], since).await[1].uses, readings[1].uses);
    let again = server.lines().iter().filter(|line| line.ends_with(LOG)).count() - before;
    assert_eq!(again, before - 1);
    (server, readings.remove(1))
}

#[tokio::test]
async fn the_request_log_is_evidence_where_it_names_the_key() {
    let at = |second: i64| now().as_millisecond() - second * 1000;
    for (column, old, new) in [
        ("hashed_xi_api_key", "h-old", "h-new"),
        ("api_key_id", "k-old", "k-new"),
        ("xi_api_key_name", "tts", "tts rk-1"),
    ] {
        let calls = vec![(at(10), new), (at(20), old), (at(20), old), (at(30), "another"), (at(9_000), old)];
        let (_server, reading) = ask_log(calls, Some(column)).await;
        let uses = reading.uses.unwrap();
        let of = |id: &str| {
            uses[&KeyId::new(id).unwrap()].iter().map(|used| used.from.as_millisecond()).collect::<Vec<_>>()
        };
        assert_eq!((of("k-old"), of("k-new")), (vec![at(20), at(20)], vec![at(10)]), "{column}");
        assert_eq!(uses[&KeyId::new("k-old").unwrap()][0].about["endpoint"], "/v1/models");
    }
    let (_server, reading) = ask_log(vec![(at(10), "h-new")], None).await;
    let why = reading.uses.unwrap_err();
    assert!(why.contains("no column for the key") && why.contains("`request_id`"), "{why}");
}

#[tokio::test]
async fn a_long_request_log_is_read_page_by_page_and_no_further_than_it_promises() {
    let at = |second: i64| now().as_millisecond() - second * 1000;
    let busy = |count: i64| (0..count).map(|index| (at(1) - index * 100, "another"));
    let calls: Vec<_> = busy(2_500).chain([(at(3_000), "h-old")]).collect();
    let (_server, reading) = ask_log(calls, Some("hashed_xi_api_key")).await;
    assert_eq!(reading.since, now() - SignedDuration::from_hours(1));
    assert_eq!(reading.uses.unwrap().len(), 1);
    let calls: Vec<_> = busy(12_000).chain([(at(3_000), "h-old")]).collect();
    let (_server, reading) = ask_log(calls, Some("hashed_xi_api_key")).await;
    assert!(reading.since > now() - SignedDuration::from_mins(20), "{}", reading.since);
    assert!(reading.uses.unwrap().is_empty());
    let at_once: Vec<_> = (0..1_500).map(|_| (at(5), "another")).collect();
    let (_server, reading) = ask_log(at_once, Some("hashed_xi_api_key")).await;
    assert!(reading.uses.unwrap_err().contains("at one instant"));
}
