//! What each refusal means: for calls of the admin key, and for the call that tries a new key.

use jiff::SignedDuration;
use rekeyd::domain::failure::Certainty::{Rejected, Unknown};
use rekeyd::domain::failure::Kind;
use rekeyd::ports::issuer::Issuer;

use super::scripted::{Act, Server, json};
use super::workspace::{Method, VALUE, issuer, key, outcome, value};

const BAD_KEY: &str = r#"{"detail":{"type":"authentication_error","code":"invalid_api_key","message":"Invalid API key","status":"invalid_api_key","request_id":"r1"}}"#;
const LEGACY_BAD_KEY: &str = r#"{"detail":{"status":"invalid_api_key","message":"Invalid API key"}}"#;
const NO_KEY: &str = r#"{"detail":{"status":"needs_authorization","message":"Neither authorization header nor xi-api-key received"}}"#;
const NO_PERMISSION: &str = r#"{"detail":{"status":"missing_permissions","message":"The API key you used is missing the permission user_read to execute this operation."}}"#;
const NO_CREDITS: &str = r#"{"detail":{"status":"quota_exceeded","message":"You have 0 credits remaining"}}"#;
const UNPAID: &str = r#"{"detail":{"type":"payment_required","code":"insufficient_credits","message":"no"}}"#;
const FORBIDDEN: &str = r#"{"detail":{"type":"authorization_error","code":"a_code_of_2031","message":"no"}}"#;
const NOT_FOUND: &str =
    r#"{"detail":{"type":"not_found","code":"api_key_not_found","message":"no such key"}}"#;
const OLD_NOT_FOUND: &str = r#"{"detail":{"status":"anything","message":"no such key"}}"#;
const NO_ROUTE: &str = r#"{"detail":"Not Found"}"#;
const BAD_METHOD: &str = r#"{"detail":"Method Not Allowed"}"#;
const LIMIT: &str = r#"{"detail":{"code":"max_service_account_api_keys_reached","message":"too many"}}"#;
const RATE: &str = r#"{"detail":{"type":"rate_limit_error","code":"rate_limit_exceeded","message":"slow"}}"#;
const AT_ONCE: &str = r#"{"detail":{"status":"too_many_concurrent_requests","message":"slow"}}"#;
const VALIDATION: &str = r#"{"detail":[{"loc":["body","permissions",0],"msg":"Input should be 'text_to_speech'","type":"enum","input":"sk_5ec2e75ec2e75ec2e75e"}]}"#;
const BAD_REQUEST: &str = r#"{"detail":{"type":"validation_error","code":"invalid_expires_at","message":"too far","param":"expires_at_unix"}}"#;
const CONFLICT: &str = r#"{"detail":{"type":"conflict","message":"changed"}}"#;

#[tokio::test]
async fn the_admin_keys_refusals_are_told_apart_by_the_providers_words_first() {
    for (status, body, certainty, kind) in [
        (401, BAD_KEY, Rejected, Kind::Unauthenticated),
        (400, BAD_KEY, Rejected, Kind::Unauthenticated),
        (401, LEGACY_BAD_KEY, Rejected, Kind::Unauthenticated),
        (401, NO_KEY, Rejected, Kind::Unauthenticated),
        (401, "", Rejected, Kind::Unauthenticated),
        (401, NO_PERMISSION, Rejected, Kind::Forbidden),
        (403, NO_PERMISSION, Rejected, Kind::Forbidden),
        (401, NO_CREDITS, Rejected, Kind::Forbidden),
        (402, UNPAID, Rejected, Kind::Forbidden),
        (402, "", Rejected, Kind::Forbidden),
        (403, FORBIDDEN, Rejected, Kind::Forbidden),
        (403, "{}", Rejected, Kind::Forbidden),
        (404, NOT_FOUND, Rejected, Kind::NotFound),
        (404, OLD_NOT_FOUND, Rejected, Kind::NotFound),
        (404, NO_ROUTE, Rejected, Kind::Invalid),
        (404, "", Rejected, Kind::Garbled),
        (405, BAD_METHOD, Rejected, Kind::Invalid),
        (400, LIMIT, Rejected, Kind::LimitReached),
        (403, LIMIT, Rejected, Kind::LimitReached),
        (400, BAD_REQUEST, Rejected, Kind::Invalid),
        (422, VALIDATION, Rejected, Kind::Invalid),
        (409, CONFLICT, Rejected, Kind::Conflict),
        (409, "", Rejected, Kind::Conflict),
        (418, "[1]", Rejected, Kind::Invalid),
        (408, "", Unknown, Kind::TimedOut),
        (500, "", Unknown, Kind::ServerError),
        (500, BAD_KEY, Unknown, Kind::ServerError),
        (502, "<html>", Unknown, Kind::ServerError),
        (503, NOT_FOUND, Unknown, Kind::ServerError),
        (503, RATE, Unknown, Kind::Throttled),
        (307, "", Unknown, Kind::Garbled),
        (304, "", Unknown, Kind::Garbled),
    ] {
        let server = Server::always(json(status, body)).await;
        for method in [Method::Inventory, Method::Create, Method::Enable] {
            let result = method.call(&issuer(&server.url())).await;
            let certainty = if method.lasts() { certainty } else { Rejected };
            assert_eq!(outcome(&result), Some((certainty, kind)), "{method:?} {status} {body}");
        }
    }
}

#[tokio::test]
async fn a_new_key_is_judged_by_what_the_refusal_proves() {
    for (status, body, kind) in [
        (200, "{}", None),
        (401, NO_PERMISSION, None),
        (403, NO_PERMISSION, None),
        (401, NO_CREDITS, None),
        (402, UNPAID, None),
        (402, "", None),
        (401, BAD_KEY, Some(Kind::NotActiveYet)),
        (400, BAD_KEY, Some(Kind::NotActiveYet)),
        (401, NO_KEY, Some(Kind::NotActiveYet)),
        (401, "", Some(Kind::NotActiveYet)),
        (401, r#"{"detail":7}"#, Some(Kind::NotActiveYet)),
        (403, FORBIDDEN, Some(Kind::Forbidden)),
        (403, "", Some(Kind::Forbidden)),
        (404, NO_ROUTE, Some(Kind::Invalid)),
        (429, RATE, Some(Kind::Throttled)),
        (429, AT_ONCE, Some(Kind::Throttled)),
        (500, BAD_KEY, Some(Kind::ServerError)),
        (500, NO_PERMISSION, Some(Kind::ServerError)),
        (302, "", Some(Kind::Garbled)),
    ] {
        let server = Server::always(json(status, body)).await;
        let result = Method::Authenticate.call(&issuer(&server.url())).await;
        assert_eq!(outcome(&result), kind.map(|kind| (Rejected, kind)), "{status} {body}");
        assert_eq!(server.asked()[0].header("xi-api-key"), Some(VALUE));
    }
}

#[tokio::test]
async fn a_web_page_is_nobodys_judgement() {
    for (status, certainty, kind) in [
        (401, Rejected, Kind::Unreachable),
        (403, Rejected, Kind::Unreachable),
        (404, Rejected, Kind::Unreachable),
        (502, Unknown, Kind::ServerError),
    ] {
        let page = json(status, "<html>Sorry, you have been blocked")
            .with_header("content-type", "text/html; charset=UTF-8");
        let server = Server::always(page).await;
        for method in Method::ALL {
            let result = method.call(&issuer(&server.url())).await;
            let certainty = if method.lasts() { certainty } else { Rejected };
            assert_eq!(outcome(&result), Some((certainty, kind)), "{method:?} {status}");
        }
    }
    let portal = json(200, "<html>Log in").with_header("content-type", "text/html");
    let server = Server::always(portal).await;
    let result = issuer(&server.url()).authenticate(&value(VALUE)).await;
    assert_eq!(outcome(&result), Some((Rejected, Kind::Garbled)));
}

#[tokio::test]
async fn deleting_what_is_gone_succeeds_and_an_unknown_route_does_not() {
    for (status, body, expected) in [
        (200, "anything", None),
        (204, "", None),
        (404, NOT_FOUND, None),
        (404, OLD_NOT_FOUND, None),
        (404, NO_ROUTE, Some((Rejected, Kind::Invalid))),
        (404, "", Some((Rejected, Kind::Garbled))),
        (404, "[]", Some((Rejected, Kind::Garbled))),
        (401, BAD_KEY, Some((Rejected, Kind::Unauthenticated))),
        (500, NOT_FOUND, Some((Unknown, Kind::ServerError))),
    ] {
        let server = Server::always(json(status, body)).await;
        let result = issuer(&server.url()).delete(&key()).await;
        assert_eq!(outcome(&result), expected, "{status} {body}");
        assert_eq!(server.lines(), ["DELETE /v1/service-accounts/sa1/api-keys/k1"]);
    }
}

#[tokio::test]
async fn a_message_says_what_failed_on_what_and_what_to_do() {
    for (status, body, headers, text) in [
        (
            422,
            VALIDATION,
            ("x-trace-id", "t-1"),
            "enabling key `k1` of service account `sa1`: the provider refuses the request as it stands (HTTP 422: \
             `permissions.0`: Input should be 'text_to_speech') (request t-1)",
        ),
        (
            401,
            NO_PERMISSION,
            ("request-id", "q\u{1}-2"),
            "enabling key `k1` of service account `sa1`: the admin key lacks a permission: managing keys takes \
             `service_account_write` (HTTP 401: The API key you used is missing the permission user_read to execute \
             this operation.)",
        ),
        (
            401,
            BAD_KEY,
            ("x-trace-id", "t-3"),
            "enabling key `k1` of service account `sa1`: the provider does not accept the admin key: put a valid \
             one where the policy refers to (HTTP 401: Invalid API key) (request r1)",
        ),
        (
            302,
            "",
            ("location", "https://elsewhere.example"),
            "enabling key `k1` of service account `sa1`: the answer is a redirect, which is not followed: check \
             base_url (HTTP 302)",
        ),
    ] {
        let (name, content) = headers;
        let content: String = content.chars().filter(|c| !c.is_control()).collect();
        let server = Server::always(if name == "request-id" {
            json(status, body)
        } else {
            json(status, body).with_header(name, content)
        })
        .await;
        let failure = Method::Enable.call(&issuer(&server.url())).await.unwrap_err();
        assert_eq!(failure.to_string(), text);
    }
}

#[tokio::test]
async fn a_long_or_hostile_text_is_cut_and_made_printable() {
    let noise = format!("\\u001b[31m\\u202e{}\\n", "noise ".repeat(5000));
    let id = "i".repeat(5000);
    let body = format!(r#"{{"detail":{{"code":"x","message":"{noise}","request_id":"{id}\u0007\n"}}}}"#);
    let server = Server::always(json(400, &body)).await;
    let failure = issuer(&server.url()).inventory().await.err().unwrap();
    assert!(failure.message.len() < 800, "{}", failure.message.len());
    assert!(failure.message.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{failure}");
    assert!(failure.request_id.unwrap().chars().count() <= 128);
    let many = vec![r#"{"loc":["body","x"],"msg":"m"}"#; 500].join(",");
    let server = Server::always(json(422, &format!(r#"{{"detail":[{many}]}}"#))).await;
    let failure = issuer(&server.url()).inventory().await.err().unwrap();
    assert!(failure.message.len() < 800, "{}", failure.message.len());
}

#[tokio::test]
async fn a_wish_to_slow_down_is_passed_on() {
    for (name, text, seconds) in
        [("retry-after", "90", Some(90)), ("retry-after", "99999", Some(3600)), ("x-other", "1", None)]
    {
        let server = Server::always(json(429, RATE).with_header(name, text)).await;
        let failure = issuer(&server.url()).disable(&key()).await.unwrap_err();
        assert_eq!((failure.certainty, failure.kind), (Rejected, Kind::Throttled));
        assert_eq!(failure.retry_after, seconds.map(SignedDuration::from_secs));
    }
    let busy =
        Act::Answer { status: 503, headers: vec![("retry-after", "5".to_owned())], body: String::new() };
    let failure = issuer(&Server::always(busy).await.url()).disable(&key()).await.unwrap_err();
    assert_eq!(failure.retry_after, Some(SignedDuration::from_secs(5)));
}
