//! SharedInventory: what is understood, and what is refused because a guess could hide a key.

use rekeyd::domain::failure::Kind;
use rekeyd::domain::key::{Account, DisableReason, Inventory, Key, Permissions};
use rekeyd::domain::sharing::SharingGroups;
use rekeyd::ports::issuer::Issuer;
use serde_json::{Value, json};

use super::scripted::{self, Server};
use super::workspace::issuer;

const FULL: &str = r#"{"service-accounts":[
  {"service_account_user_id":"sa1","name":"tts","created_at_unix":1700000000,"default_sharing_groups":[
    {"group":{"id":"g1","name":"voices","members":[]},"permission_level":"viewer"},
    {"group":{"id":"g2"},"permission_level":"a_role_of_2031"}],
   "api-keys":[
    {"name":"tts rk-1","hint":"...ab12","key_id":"k1","service_account_user_id":"sa1","created_at_unix":1700000000,
     "is_disabled":true,"permissions":["voices_read","text_to_speech","a_permission_of_2031"],
     "character_limit":1000,"character_count":12,"disable_reason":"exposed_publicly","hashed_xi_api_key":"h1",
     "allowed_ips":["203.0.113.7/32","10.0.0.0/8"],"third_party_disable_allowed":false,
     "platform_limits":{"credits":{"limit":null,"usage":1},"pvc":{"limit":3},"concurrency":{"limit":5},
       "dubbing_concurrency":{"limit":null},"music_concurrency":null},
     "expires_at_unix":1800000000,"a_field_of_2031":{"x":[1]}},
    {"name":"all","hint":"","key_id":"k2","service_account_user_id":"sa1","permissions":"all","is_disabled":false}]},
  {"service_account_user_id":"sa2","name":"empty","api-keys":[]}],"has_more":false,"next_cursor":null}"#;

async fn inventory(body: &str) -> Result<Inventory, rekeyd::domain::failure::Failure> {
    issuer(&Server::always(scripted::json(200, body)).await.url()).inventory().await
}

async fn one_key(fields: &str) -> Key {
    let body = format!(
        r#"{{"service-accounts":[{{"service_account_user_id":"sa1","name":"x","api-keys":[{{"key_id":"k","name":"n"{fields}}}]}}]}}"#
    );
    inventory(&body).await.unwrap().accounts.remove(0).keys.remove(0)
}

fn limit<'a>(key: &'a Key, name: &str) -> Option<&'a Value> {
    key.attributes.limits.get(name)
}

#[tokio::test]
async fn everything_that_a_key_has_is_taken_over() {
    let Inventory { accounts, .. } = inventory(FULL).await.unwrap();
    let [Account { id, name, groups, keys }, empty] = accounts.as_slice() else { panic!("two accounts") };
    assert_eq!((id.as_str(), name.as_str(), empty.keys.len()), ("sa1", "tts", 0));
    let shared = SharingGroups::default().with("g1", "viewer").with("g2", "a_role_of_2031");
    assert_eq!((groups, &empty.groups), (&Some(shared), &None));
    let key = &keys[0];
    assert_eq!((key.id.as_str(), key.name.as_str(), key.hint.as_str()), ("k1", "tts rk-1", "...ab12"));
    assert_eq!(key.created_at.unwrap().as_second(), 1_700_000_000);
    assert_eq!(key.expires_at.unwrap().as_second(), 1_800_000_000);
    assert!(!key.enabled);
    assert_eq!(key.disable_reason, Some(DisableReason::ExposedPublicly));
    assert_eq!(key.attributes.permissions.to_string(), "a_permission_of_2031, text_to_speech, voices_read");
    assert_eq!(limit(key, "character_limit"), Some(&json!(1000)));
    assert_eq!(key.character_count, Some(12));
    assert_eq!(key.usage_hash.as_deref(), Some("h1"));
    assert_eq!(limit(key, "third_party_disable_allowed"), Some(&json!(false)));
    assert_eq!(limit(key, "tts_concurrency_limit"), Some(&json!(5)));
    assert_eq!(limit(key, "dubbing_concurrency_limit"), None);
    assert_eq!(limit(key, "music_concurrency_limit"), None);
    assert_eq!(limit(key, "allowed_ips"), Some(&json!(["10.0.0.0/8", "203.0.113.7"])));
    assert_eq!(keys[1].attributes.permissions, Permissions::All);
    assert!(keys[1].enabled);
}

#[tokio::test]
async fn sharing_groups_that_are_not_listed_or_make_no_sense_are_unknown_and_hide_no_key() {
    let none = Some(SharingGroups::default());
    for (field, groups) in [
        ("", None),
        (r#","default_sharing_groups":null"#, None),
        (r#","default_sharing_groups":{}"#, None),
        (
            r#","default_sharing_groups":[{"group":{"id":"g"},"permission_level":"viewer"},{"group":{}}]"#,
            None,
        ),
        (r#","default_sharing_groups":[]"#, none),
    ] {
        let body = format!(
            r#"{{"service-accounts":[{{"service_account_user_id":"sa1","name":"x","api-keys":[{{"key_id":"k","name":"n"}}]{field}}}]}}"#
        );
        let listed = inventory(&body).await.unwrap().accounts.remove(0);
        assert_eq!((listed.groups, listed.keys.len()), (groups, 1), "{field}");
    }
}

#[tokio::test]
async fn what_is_left_out_or_null_has_its_default() {
    let nulls = r#","hint":null,"created_at_unix":null,"is_disabled":null,"permissions":null,"character_limit":null,
        "character_count":null,"disable_reason":null,"allowed_ips":null,"third_party_disable_allowed":null,
        "platform_limits":null,"expires_at_unix":null,"hashed_xi_api_key":null,"service_account_user_id":null"#;
    assert_eq!(one_key("").await, one_key(nulls).await);
    let key = one_key("").await;
    assert!(key.enabled && key.created_at.is_none() && key.expires_at.is_none());
    assert_eq!(key.attributes.permissions, Permissions::Unlisted);
    let odd =
        one_key(r#","character_limit":3.0,"expires_at_unix":9223372036854775807,"disable_reason":"new""#)
            .await;
    assert_eq!(limit(&odd, "character_limit"), Some(&json!(3)));
    assert_eq!(odd.expires_at, Some(jiff::Timestamp::MAX));
    assert_eq!(odd.disable_reason, Some(DisableReason::Other("new".to_owned())));
    let underscores = r#"{"service_accounts":[{"service-account-user-id":"sa1","name":null,"api_keys":[]}]}"#;
    assert_eq!(inventory(underscores).await.unwrap().accounts.len(), 1);
}

#[tokio::test]
async fn a_listing_that_could_hide_a_key_is_no_listing() {
    let account = |id: &str, keys: &str| {
        format!(r#"{{"service_account_user_id":"{id}","name":"x","api-keys":[{keys}]}}"#)
    };
    let listing = |accounts: &str| format!(r#"{{"service-accounts":[{accounts}]}}"#);
    let key = r#"{"key_id":"k","name":"n"}"#;
    for (name, body) in [
        ("no accounts", "{}".to_owned()),
        ("null accounts", r#"{"service-accounts":null}"#.to_owned()),
        ("more pages", r#"{"service-accounts":[],"has_more":true}"#.to_owned()),
        ("more pages, in hyphens", r#"{"service-accounts":[],"has-more":1}"#.to_owned()),
        ("a cursor", r#"{"service-accounts":[],"next_cursor":"abc"}"#.to_owned()),
        (
            "more pages of an account",
            listing(r#"{"service_account_user_id":"a","api-keys":[],"has_more":true}"#),
        ),
        (
            "a cursor of an account",
            listing(r#"{"service_account_user_id":"a","api-keys":[],"next-cursor":"x"}"#),
        ),
        ("no keys", listing(r#"{"service_account_user_id":"a","name":"x"}"#)),
        ("null keys", listing(r#"{"service_account_user_id":"a","name":"x","api-keys":null}"#)),
        ("no account id", listing(r#"{"name":"x","api-keys":[]}"#)),
        ("an empty account id", listing(&account("", ""))),
        ("an account id of dots", listing(&account("..", ""))),
        ("an unprintable account id", listing(&account("a\\u0000", ""))),
        ("an account twice", listing(&format!("{},{}", account("a", ""), account("a", "")))),
        ("a key twice", listing(&account("a", &format!("{key},{key}")))),
        ("a key in two accounts", listing(&format!("{},{}", account("a", key), account("b", key)))),
        ("no key id", listing(&account("a", r#"{"name":"n"}"#))),
        ("an empty key id", listing(&account("a", r#"{"key_id":"","name":"n"}"#))),
        ("a key id of dots", listing(&account("a", r#"{"key_id":"..","name":"n"}"#))),
        (
            "an endless key id",
            listing(&account("a", &format!(r#"{{"key_id":"{}","name":"n"}}"#, "x".repeat(600)))),
        ),
        ("a number for a key id", listing(&account("a", r#"{"key_id":1,"name":"n"}"#))),
        ("no name", listing(&account("a", r#"{"key_id":"k"}"#))),
        (
            "another owner",
            listing(&account("a", r#"{"key_id":"k","name":"n","service_account_user_id":"b"}"#)),
        ),
        (
            "permissions that are a word",
            listing(&account("a", r#"{"key_id":"k","name":"n","permissions":"some"}"#)),
        ),
        (
            "permissions that are numbers",
            listing(&account("a", r#"{"key_id":"k","name":"n","permissions":[1]}"#)),
        ),
        ("a fraction", listing(&account("a", r#"{"key_id":"k","name":"n","character_limit":0.5}"#))),
        (
            "a time beyond measure",
            listing(&account("a", r#"{"key_id":"k","name":"n","created_at_unix":1e300}"#)),
        ),
        ("a text for a truth", listing(&account("a", r#"{"key_id":"k","name":"n","is_disabled":"no"}"#))),
        ("two listings", r#"{"service-accounts":[],"service_accounts":[]}"#.to_owned()),
        ("something behind it", r#"{"service-accounts":[]}{"#.to_owned()),
    ] {
        let failure = inventory(&body).await.err().unwrap_or_else(|| panic!("{name} was taken"));
        assert_eq!(failure.kind, Kind::Garbled, "{name}: {failure}");
    }
}

#[tokio::test]
async fn the_providers_clock_is_compared_with_ours() {
    for (date, skew) in [
        (None, None),
        (Some("Mon, 23 Nov 2026 12:00:00 GMT"), Some(0)),
        (Some("Mon, 23 Nov 2026 11:59:59 GMT"), Some(-1)),
        (Some("Mon, 23 Nov 2026 12:03:00 GMT"), Some(180)),
        (Some("yesterday"), None),
    ] {
        let mut act = scripted::json(200, r#"{"service-accounts":[]}"#);
        if let Some(date) = date {
            act = act.with_header("date", date);
        }
        let listed = issuer(&Server::always(act).await.url()).inventory().await.unwrap();
        // Ours says 12:00:00 sharp; theirs is cut to the second, so half a second is added.
        assert!(
            listed.clock_skew_seconds == skew || listed.clock_skew_seconds == skew.map(|s| s + 1),
            "{date:?}: {listed:?}"
        );
    }
}
