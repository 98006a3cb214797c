//! Evidence of use: columns in every form, answers that make no sense, refusals, and what they amount to.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use rekeyd::domain::ids::KeyId;
use rekeyd::domain::key::Key;
use rekeyd::domain::usage::{Reading, Source, Use};
use rekeyd::ports::usage::UsageSource as _;
use serde_json::{Value, json as value_of};

use super::scripted::{Act, Asked, Server, json};
use super::workspace::{self, NOW, VALUE, issuer};

pub(super) const USAGE: &str = "/v1/workspace/analytics/query/usage-by-product-over-time";
pub(super) const LOG: &str = "/v1/workspace/analytics/requests";

pub(super) fn keys() -> [Key; 2] {
    let key = |id: &str, name: &str, hash: &str| Key {
        id: KeyId::new(id).unwrap(),
        name: name.to_owned(),
        usage_hash: Some(hash.to_owned()),
        ..workspace::key()
    };
    [key("k-old", "tts", "h-old"), key("k-new", "tts rk-1", "h-new")]
}

/// The listing that belongs to these keys.
pub(super) fn listing(more: &str) -> Act {
    let key =
        |(id, name, hash)| format!(r#"{{"key_id":"{id}","name":"{name}","hashed_xi_api_key":"{hash}"}}"#);
    let keys = [("k-old", "tts", "h-old"), ("k-new", "tts rk-1", "h-new")].map(key).join(",");
    json(
        200,
        &format!(
            r#"{{"service-accounts":[{{"service_account_user_id":"sa1","name":"x","api-keys":[{keys}{more}]}}]}}"#
        ),
    )
}

pub(super) fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn asks_for_details(body: &Value) -> bool {
    body["group_by"].as_array().is_some_and(|groups| groups.len() > 1)
}

/// Asks a server that answers the usage query as `usage` says, has no request log, and lists the keys.
async fn ask(usage: impl Fn(&Value) -> Act + Send + Sync + 'static) -> (Server, [Reading; 2]) {
    let server = Server::start(move |asked: &Asked| match asked.path.as_str() {
        USAGE => usage(&serde_json::from_str(&asked.body).unwrap()),
        LOG => json(404, r#"{"detail":"Not Found"}"#),
        _ => listing(""),
    })
    .await;
    let since = now() - SignedDuration::from_hours(1);
    let readings = issuer(&server.url()).usage(&keys()[..1], &keys()[1..], since).await;
    let readings: Vec<Reading> = readings.iter().map(|reading| reading.about(&keys())).collect();
    (server, readings.try_into().unwrap())
}

async fn ask_table(table: Value) -> Result<[Vec<Use>; 2], String> {
    let (_server, [by_key, _]) = ask(move |_| json(200, &table.to_string())).await;
    assert_eq!((by_key.source, by_key.at), (Source::UsageByKey, now()));
    by_key.uses.map(|mut uses| {
        ["k-old", "k-new"].map(|id| uses.remove(&KeyId::new(id).unwrap()).unwrap_or_default())
    })
}

#[expect(clippy::needless_pass_by_value, reason = "they are written where they are passed")]
fn table(columns: Value, units: Value, rows: Value) -> Value {
    value_of!({"columns": columns, "column_types": [], "column_units": units, "rows": rows})
}

/// The old key at 11:58, with three credits, the new one at 11:59, with one.
fn is_understood(uses: &[Vec<Use>; 2]) -> bool {
    let told = uses
        .each_ref()
        .map(|uses| uses.iter().map(|used| (used.from, used.until, used.amount)).collect::<Vec<_>>());
    let minute = SignedDuration::from_mins(1);
    told == [vec![(now() - minute * 2, now() - minute, 3)], vec![(now() - minute, now(), 1)]]
}

/// Two uses, told in every form that names keys by the listing's hash.
fn by_hash() -> Vec<(&'static str, Value)> {
    let (old, new) = ("2026-11-23T11:58:00Z", "2026-11-23T11:59:00Z");
    vec![
        (
            "as a live workspace",
            table(
                value_of!(["hashed_xi_api_key", "timestamp", "total_usage", "total_cost", "api_key_name"]),
                value_of!([null, null, "credits", "usd", null]),
                value_of!([
                    ["h-old", old, 3, 0.1, "tts"],
                    [null, new, 8, 0.1, null],
                    ["h-new", new, 0.2, 0.1, "x"]
                ]),
            ),
        ),
        (
            "as the documentation's example, all in text",
            table(
                value_of!(["timestamp", "hashed_xi_api_key", "credits_used"]),
                value_of!(["", "null", "null"]),
                value_of!([
                    ["2026-11-23 11:58:00", "h-old", "3.0"],
                    ["2026-11-23 11:59:00", "h-new", "0.5"],
                    [new, "null", "9"],
                    [new, "", "9"]
                ]),
            ),
        ),
        (
            "by the unit, under an unknown name",
            table(
                value_of!(["spent", "Timestamp", "HASHED_XI_API_KEY"]),
                value_of!(["Credits", null, null]),
                value_of!([
                    [3, 1_795_435_080_000_i64, "h-old"],
                    [1, 1_795_435_140, "h-new"],
                    [0, 1_795_435_140, "h-old"],
                    [null, old, "h-new"]
                ]),
            ),
        ),
        (
            "money is use, credits are the amount",
            table(
                value_of!(["cost_of_it", "time", "hashed_xi_api_key", "credits", "a_column_of_2031"]),
                value_of!(["usd", null, null, null, "ms"]),
                value_of!([[0.5, old, "h-old", 3, {"x": 1}], [0.01, new, "h-new", 0, null]]),
            ),
        ),
    ]
}

/// The same in other forms.
fn otherwise() -> Vec<(&'static str, Value)> {
    let (old, new) = ("2026-11-23T11:58:00Z", "2026-11-23T11:59:00Z");
    vec![
        (
            "the time by its type",
            value_of!({
                "columns": ["hashed_xi_api_key", "when", "total_usage"], "column_types": ["String", "DateTime", "Float"],
                "column_units": null, "rows": [["h-old", old, 3], ["h-new", new, 1]],
            }),
        ),
        (
            "only by name",
            table(
                value_of!(["timestamp", "total_usage", "api_key_name"]),
                value_of!([null, "credits", null]),
                value_of!([[old, 3, "tts"], [new, 1, "tts rk-1"], [new, 7, "another"]]),
            ),
        ),
        (
            "by another hash than the listing's, under a name that only one key has",
            table(
                value_of!(["hashed_xi_api_key", "timestamp", "total_usage", "api_key_name"]),
                value_of!([null, null, "credits", null]),
                value_of!([["other-1", old, 3, "tts"], ["other-2", new, 1, "tts rk-1"]]),
            ),
        ),
        (
            "one key by another hash",
            table(
                value_of!(["hashed_xi_api_key", "timestamp", "total_usage", "api_key_name"]),
                value_of!([null, null, "credits", null]),
                value_of!([["other-1", old, 3, "tts"], ["h-new", new, 1, "tts rk-1"]]),
            ),
        ),
    ]
}

#[tokio::test]
async fn columns_are_found_by_name_and_unit_in_every_form() {
    for (case, answer) in by_hash().into_iter().chain(otherwise()) {
        let uses = ask_table(answer).await.unwrap_or_else(|why| panic!("{case}: {why}"));
        assert!(is_understood(&uses), "{case}: {uses:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_understood_is_no_evidence() {
    let columns = || value_of!(["hashed_xi_api_key", "timestamp", "total_usage"]);
    let row = |cells: Value| table(columns(), value_of!([null, null, "credits"]), value_of!([cells]));
    let time = "2026-11-23T11:58:00Z";
    for (answer, why) in [
        (value_of!([]), "it names no columns"),
        (value_of!({"columns": columns()}), "it has no rows"),
        (value_of!({"columns": [1], "rows": []}), "not a text"),
        (table(columns(), value_of!([]), value_of!([["h-old", time]])), "as many cells"),
        (table(columns(), value_of!([]), value_of!([{"hashed_xi_api_key": "h-old"}])), "not a list"),
        (table(value_of!(["timestamp", "timestamp", "total_usage"]), value_of!([]), value_of!([])), "twice"),
        (
            table(value_of!(["hashed_xi_api_key", "total_usage"]), value_of!([]), value_of!([])),
            "no column for the time",
        ),
        (
            table(
                value_of!(["hashed_xi_api_key", "timestamp", "minutes"]),
                value_of!([null, null, "min"]),
                value_of!([]),
            ),
            "no column for the credits among `hashed_xi_api_key`, `timestamp`, `minutes`",
        ),
        (
            table(value_of!(["timestamp", "total_usage"]), value_of!([]), value_of!([])),
            "no column for the key",
        ),
        (row(value_of!(["h-old", "yesterday", 3])), "a time is in no form"),
        (row(value_of!(["h-old", time, "three"])), "not a number"),
        (row(value_of!(["h-old", time, true])), "not a number"),
        (row(value_of!(["h-old", "2026-11-20T11:58:00Z", 3])), "of another time"),
        (row(value_of!(["h-old", "2036-11-20T11:58:00Z", 3])), "of another time"),
    ] {
        let told = ask_table(answer.clone()).await.unwrap_err();
        assert!(told.contains(why), "{answer}: {told}");
    }
}

#[tokio::test]
async fn a_refusal_is_told_with_its_reason() {
    let object = |code: &str| format!(r#"{{"detail":{{"code":"{code}","message":"no {VALUE} for you"}}}}"#);
    for (act, why) in [
        (json(401, &object("missing_permissions")), "workspace_analytics_full_read"),
        (json(404, r#"{"detail":"Not Found"}"#), "does not have it"),
        (json(400, &object("validation_error")), "billed by cost"),
        (
            json(422, r#"{"detail":[{"loc":["body","group_by"],"msg":"not that","type":"enum"}]}"#),
            "`group_by`: not that",
        ),
        (json(429, r#"{"detail":"slow"}"#), "slow down"),
        (json(500, ""), "error of its own"),
        (json(200, "<html>"), "not JSON"),
        (Act::Reset(Vec::new()), "connection broke"),
    ] {
        let (_server, [by_key, log]) = ask(move |_| act.clone()).await;
        let told = by_key.uses.unwrap_err();
        assert!(told.contains(why) && !told.contains(VALUE), "{why}: {told}");
        assert!(log.uses.is_err());
    }
    let flood = || Act::Flood {
        head: b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n".to_vec(),
        chunk: vec![b' '; 256 * 1024],
        pause: std::time::Duration::ZERO,
        bytes_max: 64 * 1024 * 1024,
    };
    let (server, [by_key, _]) = ask(move |_| flood()).await;
    assert!(by_key.uses.unwrap_err().contains("longer than"));
    assert!(server.bytes_sent() < 20 * 1024 * 1024, "{}", server.bytes_sent());
}

#[tokio::test]
async fn a_provider_that_does_not_filter_is_asked_for_everything() {
    let rows = value_of!([
        ["h-old", "2026-11-23T11:58:00Z", 3],
        ["h-new", "2026-11-23T11:59:00Z", 1],
        ["h-x", "2026-11-23T11:59:00Z", 1]
    ]);
    let columns = value_of!(["hashed_xi_api_key", "timestamp", "total_usage"]);
    let answer = table(columns, value_of!([null, null, "credits"]), rows).to_string();
    let (server, [by_key, _]) = ask(move |body| match body.get("filters") {
        Some(_) => json(422, r#"{"detail":[{"loc":["body","filters"],"msg":"no","type":"value_error"}]}"#),
        None => json(200, &answer),
    })
    .await;
    let mut uses = by_key.uses.unwrap();
    assert_eq!(uses.len(), 2);
    let used = |uses: &mut BTreeMap<KeyId, Vec<Use>>, id| uses.remove(&KeyId::new(id).unwrap()).unwrap();
    assert!(is_understood(&[used(&mut uses, "k-old"), used(&mut uses, "k-new")]));
    let body: Value = serde_json::from_str(&server.asked()[0].body).unwrap();
    let filter =
        value_of!([{"column": "hashed_xi_api_key", "operation": "in", "values": ["h-new", "h-old"]}]);
    assert_eq!(body["filters"], filter);
    assert_eq!(
        (&body["interval_seconds"], &body["start_time"]),
        (&value_of!(60), &value_of!(1_795_431_600_000_i64))
    );
}

#[tokio::test]
async fn who_uses_the_old_key_is_asked_only_while_somebody_does() {
    for old_is_used in [true, false] {
        let (server, [by_key, _]) = ask(move |body| {
            let time = "2026-11-23T11:58:00Z";
            let answer = if asks_for_details(body) {
                assert_eq!(body["filters"][0]["values"], value_of!(["h-old"]));
                table(
                    value_of!([
                        "region",
                        "request_source",
                        "hashed_xi_api_key",
                        "timestamp",
                        "total_usage",
                        "model"
                    ]),
                    value_of!([null, null, null, null, "credits", null]),
                    value_of!([
                        ["us", "nightly-batch", "h-old", time, 2, null],
                        ["eu", format!("web {VALUE}"), "h-old", time, 1, "m1"]
                    ]),
                )
            } else {
                let old = if old_is_used { 3 } else { 0 };
                table(
                    value_of!(["hashed_xi_api_key", "timestamp", "total_usage"]),
                    value_of!([null, null, "credits"]),
                    value_of!([["h-old", time, old], ["h-new", time, 1]]),
                )
            };
            json(200, &answer.to_string())
        })
        .await;
        let uses = by_key.uses.unwrap();
        let asked = server.asked();
        let detailed = asked
            .iter()
            .filter(|asked| asked.path == USAGE)
            .filter(|asked| asks_for_details(&serde_json::from_str(&asked.body).unwrap()));
        assert_eq!(detailed.count(), usize::from(old_is_used));
        let Some(old) = uses.get(&KeyId::new("k-old").unwrap()) else { continue };
        let about: Vec<Vec<(&str, &str)>> = old
            .iter()
            .map(|used| used.about.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect())
            .collect();
        assert_eq!(
            about,
            [
                vec![("region", "us"), ("request_source", "nightly-batch")],
                vec![("model", "m1"), ("region", "eu"), ("request_source", "web [redacted]")],
            ]
        );
        assert_eq!(old.iter().map(|used| used.amount).sum::<i64>(), 3);
    }
}

#[tokio::test]
async fn a_name_that_two_keys_have_tells_none_apart() {
    let columns = value_of!(["timestamp", "total_usage", "api_key_name"]);
    let rows = value_of!([["2026-11-23T11:58:00Z", 3, "tts"]]);
    let answer = table(columns, value_of!([null, "credits", null]), rows).to_string();
    let server = Server::start(move |asked: &Asked| match asked.path.as_str() {
        USAGE => json(200, &answer),
        LOG => json(404, r#"{"detail":"Not Found"}"#),
        _ => listing(r#",{"key_id":"k3","name":"tts","hashed_xi_api_key":"h3"}"#),
    })
    .await;
    let readings =
        issuer(&server.url()).usage(&keys()[..1], &keys()[1..], now() - SignedDuration::from_hours(1)).await;
    let [old, new] = keys();
    let why = readings[0].about(&[old, new.clone()]).uses.unwrap_err();
    assert!(why.contains("`tts` is not the only key of its name"), "{why}");
    assert_eq!(readings[0].about(&[new]).uses, Ok(BTreeMap::new()), "the other key's name is its own");
}

#[tokio::test]
async fn a_canary_is_one_call_with_the_new_key_and_its_sound_is_thrown_away() {
    let server = Server::always(json(200, "sound")).await;
    let new = workspace::value(VALUE);
    issuer(&server.url()).canary(&new, "voice/1").await.unwrap();
    let asked = server.asked();
    assert_eq!((asked.len(), asked[0].line()), (1, "POST /v1/text-to-speech/voice%2F1".to_owned()));
    assert_eq!((asked[0].header("xi-api-key"), asked[0].body.as_str()), (Some(VALUE), r#"{"text":"a"}"#));
    for (act, certain, why) in [
        (
            json(401, r#"{"detail":{"status":"missing_permissions","message":"x"}}"#),
            true,
            "leave `canary` out",
        ),
        (json(404, r#"{"detail":{"status":"voice_not_found","message":"x"}}"#), true, "no such voice"),
        (json(500, ""), false, "error of its own"),
        (Act::Reset(Vec::new()), false, "connection broke"),
    ] {
        let server = Server::always(act).await;
        let failure = issuer(&server.url()).canary(&new, "voice").await.unwrap_err();
        let is_certain = failure.certainty == rekeyd::domain::failure::Certainty::Rejected;
        assert!(is_certain == certain && failure.message.contains(why), "{failure:?}");
        assert!(!failure.message.contains(VALUE));
    }
    assert!(issuer(&server.url()).canary(&new, "..").await.is_err());
}
