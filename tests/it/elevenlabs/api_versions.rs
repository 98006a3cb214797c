//! The three shapes of the API, as their answers tell them.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rekeyd::domain::failure::{Certainty, Kind};
use rekeyd::domain::key::{Key, KeyAttributes, KeyRequest, Limits, Permissions, canonical_networks};
use rekeyd::ports::issuer::Issuer;
use serde_json::Value;

use super::scripted::{Act, Server, json};
use super::workspace::{VALUE, account, impatient, issuer, key, outcome, request, value};

const NO_ROUTE: &str = r#"{"detail":"Not Found"}"#;
const ALL_REQUIRED: &str = r#"{"detail":[{"loc":["body","name"],"msg":"field required","type":"value_error.missing"},{"loc":["body","permissions"],"msg":"field required","type":"value_error.missing"}]}"#;
const PATCH: &str = "PATCH /v1/service-accounts/sa1/api-keys/k1";
const DISABLE: &str = "POST /v1/service-accounts/sa1/api-keys/k1/disable";

fn bodies(server: &Server) -> Vec<Value> {
    let parsed = |asked: &super::scripted::Asked| serde_json::from_str(&asked.body).unwrap_or(Value::Null);
    server.asked().iter().map(parsed).collect()
}

#[tokio::test]
async fn disabling_uses_its_own_call_where_there_is_one() {
    let server = Server::always(json(200, "null")).await;
    issuer(&server.url()).disable(&key()).await.unwrap();
    assert_eq!(server.lines(), [DISABLE]);
    assert_eq!(server.asked()[0].body, "");
}

#[tokio::test]
async fn disabling_falls_back_to_a_change_and_remembers() {
    for missing in [json(404, NO_ROUTE), json(405, r#"{"detail":"Method Not Allowed"}"#)] {
        let server = Server::in_order([missing, json(200, ""), json(200, "{}")]).await;
        let issuer = issuer(&server.url());
        issuer.disable(&key()).await.unwrap();
        issuer.disable(&key()).await.unwrap();
        assert_eq!(server.lines(), [DISABLE, PATCH, PATCH]);
        assert_eq!(bodies(&server)[1], serde_json::json!({"is_enabled": false}));
    }
}

#[tokio::test]
async fn a_key_that_is_gone_is_not_mistaken_for_a_missing_call() {
    let gone = r#"{"detail":{"status":"api_key_not_found","message":"no"}}"#;
    let server = Server::always(json(404, gone)).await;
    let result = issuer(&server.url()).disable(&key()).await;
    assert_eq!(outcome(&result), Some((Certainty::Rejected, Kind::NotFound)));
    assert_eq!(server.lines(), [DISABLE]);
    let result = issuer(&server.url()).enable(&key()).await;
    assert_eq!(outcome(&result), Some((Certainty::Rejected, Kind::NotFound)));
}

#[tokio::test]
async fn a_doubtful_answer_to_disabling_is_not_followed_by_another_call() {
    for act in [json(500, ""), json(404, ""), Act::Reset(Vec::new())] {
        let server = Server::always(act).await;
        assert!(issuer(&server.url()).disable(&key()).await.is_err());
        assert_eq!(server.asked().len(), 1);
    }
}

#[tokio::test]
async fn enabling_changes_nothing_else_where_that_can_be_said() {
    let server = Server::always(json(200, r#""ok""#)).await;
    issuer(&server.url()).enable(&key()).await.unwrap();
    assert_eq!(server.lines(), [PATCH]);
    assert_eq!(bodies(&server), [serde_json::json!({"is_enabled": true})]);
}

#[tokio::test]
async fn where_every_field_is_required_the_listed_ones_are_sent() {
    let only = |names: &[&str]| Permissions::Only(names.iter().map(|&name| name.to_owned()).collect());
    for (permissions, limit, sent) in [
        (
            Permissions::Unlisted,
            None,
            serde_json::json!({"is_enabled": true, "name": "tts", "permissions": "all"}),
        ),
        (
            only(&["voices_read", "text_to_speech"]),
            Some(500),
            serde_json::json!({"is_enabled": true, "name": "tts", "permissions": ["text_to_speech", "voices_read"],
                "character_limit": 500}),
        ),
    ] {
        let server = Server::in_order([json(422, ALL_REQUIRED), json(200, "")]).await;
        let limits = Limits::default().with("character_limit", limit);
        let attributes = KeyAttributes { permissions, limits };
        issuer(&server.url()).enable(&Key { attributes, ..key() }).await.unwrap();
        assert_eq!(server.lines(), [PATCH, PATCH]);
        assert_eq!(bodies(&server)[1], sent);
    }
}

#[tokio::test]
async fn another_complaint_about_a_change_is_not_answered_by_sending_more() {
    let other = r#"{"detail":[{"loc":["body","name"],"msg":"too long","type":"string_too_long"}]}"#;
    let server = Server::always(json(422, other)).await;
    let result = issuer(&server.url()).enable(&key()).await;
    assert_eq!(outcome(&result), Some((Certainty::Rejected, Kind::Invalid)));
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn the_oldest_shape_needs_three_calls_to_disable() {
    let server = Server::in_order([json(404, NO_ROUTE), json(422, ALL_REQUIRED), json(200, "")]).await;
    issuer(&server.url()).disable(&key()).await.unwrap();
    assert_eq!(server.lines(), [DISABLE, PATCH, PATCH]);
}

fn listed(keys: &[(&str, &str)]) -> String {
    let keys: Vec<String> =
        keys.iter().map(|(id, name)| format!(r#"{{"key_id":"{id}","name":"{name}","hint":"x"}}"#)).collect();
    format!(r#"{{"api-keys":[{}]}}"#, keys.join(","))
}

#[tokio::test]
async fn a_new_key_without_an_id_is_found_by_its_name() {
    let mut calls = tokio::task::JoinSet::new();
    for id in ["", r#","key_id":null"#, r#","key_id":7"#, r#","key_id":"..""#, r#","key_id":"""#] {
        calls.spawn(async move {
            let created = json(200, &format!(r#"{{"xi-api-key":"{VALUE}"{id}}}"#));
            let lagging = listed(&[("k1", "tts")]);
            let there = listed(&[("k1", "tts"), ("k9", "tts rk-1")]);
            let server = Server::in_order([created, json(200, &lagging), json(200, &there)]).await;
            let minted = issuer(&server.url()).create(&account(), "tts rk-1", &request()).await;
            let minted = minted.unwrap_or_else(|failure| panic!("{id}: {failure}"));
            assert_eq!(minted.key.as_str(), "k9");
            assert!(minted.value.matches(&value(VALUE)));
            assert_eq!(server.lines()[1], "GET /v1/service-accounts/sa1/api-keys");
        });
    }
    calls.join_all().await;
}

#[tokio::test]
async fn a_new_key_that_is_not_found_is_in_doubt() {
    let twice = listed(&[("k8", "tts rk-1"), ("k9", "tts rk-1")]);
    for (listing, kind) in [
        (json(200, &twice), Kind::Garbled),
        (json(200, &listed(&[])), Kind::Garbled),
        (json(500, ""), Kind::ServerError),
        (Act::Reset(Vec::new()), Kind::Unreachable),
    ] {
        let script = move |asked: &super::scripted::Asked| match asked.method.as_str() {
            "POST" => json(200, &format!(r#"{{"xi-api-key":"{VALUE}"}}"#)),
            _ => listing.clone(),
        };
        let server = Server::start(script).await;
        let failure = issuer(&server.url()).create(&account(), "tts rk-1", &request()).await.err().unwrap();
        assert_eq!((failure.certainty, failure.kind), (Certainty::Unknown, kind), "{failure}");
        assert_eq!(server.lines().iter().filter(|line| line.starts_with("POST")).count(), 1);
    }
}

#[tokio::test]
async fn a_creation_asks_for_exactly_what_is_granted() {
    let limits = Limits::default()
        .with("character_limit", Some(0))
        .with("allowed_ips", Some(canonical_networks(["203.0.113.0/24", "2001:db8::1"])))
        .with("third_party_disable_allowed", Some(false))
        .with("tts_concurrency_limit", Some(1))
        .with("dubbing_concurrency_limit", Some(2))
        .with("music_concurrency_limit", Some(3));
    let permissions = Permissions::Only(BTreeSet::from(["b_new".to_owned(), "a".to_owned()]));
    let full = KeyRequest {
        attributes: KeyAttributes { permissions, limits },
        expires_at: Some("2027-01-01T00:00:00.9Z".parse::<Timestamp>().unwrap()),
    };
    let unlisted = KeyRequest { attributes: KeyAttributes::of(Permissions::Unlisted), expires_at: None };
    for (request, sent) in [
        (request(), serde_json::json!({"name": "n", "permissions": "all"})),
        (unlisted, serde_json::json!({"name": "n", "permissions": "all"})),
        (
            full,
            serde_json::json!({"name": "n", "permissions": ["a", "b_new"], "character_limit": 0,
                "allowed_ips": ["2001:db8::1", "203.0.113.0/24"], "third_party_disable_allowed": false,
                "tts_concurrency_limit": 1, "dubbing_concurrency_limit": 2, "music_concurrency_limit": 3,
                "expires_at_unix": 1_798_761_600}),
        ),
    ] {
        let server = Server::always(json(200, &format!(r#"{{"xi-api-key":"{VALUE}","key_id":"k"}}"#))).await;
        issuer(&server.url()).create(&account(), "n", &request).await.map(drop).unwrap();
        assert_eq!(bodies(&server), [sent]);
    }
}

#[tokio::test]
async fn an_id_that_would_be_another_path_is_never_sent() {
    use rekeyd::domain::ids::{KeyId, ServiceAccountId};
    let server = Server::always(json(200, "{}")).await;
    let issuer = impatient(&server.url(), std::time::Duration::from_secs(5));
    let dots = ServiceAccountId::new("..").unwrap();
    let of_dots = Key { account: dots.clone(), ..key() };
    let dotted = Key { id: KeyId::new(".").unwrap(), ..key() };
    let refused = Some((Certainty::Rejected, Kind::Invalid));
    assert_eq!(outcome(&issuer.create(&dots, "n", &request()).await.map(drop)), refused);
    for key in [of_dots, dotted] {
        assert_eq!(outcome(&issuer.disable(&key).await), refused);
        assert_eq!(outcome(&issuer.enable(&key).await), refused);
        assert_eq!(outcome(&issuer.delete(&key).await), refused);
    }
    assert!(server.asked().is_empty());
}
