//! Orders over the socket, and the socket as a file.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;

use rekeyd::domain::event::Event;
use rekeyd::http::{BindError, OperatorSocket};
use rekeyd::ports::journal::AuditLog;
use reqwest::Method;
use serde_json::json;

use super::harness::Harness;

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_journalled_with_the_uid_of_who_gave_it() {
    let harness = Harness::open().await;
    let answer = harness.order(Method::POST, "/v1/credentials/wide/abort", None).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.json()["message"].as_str().unwrap().ends_with("is being aborted"));
    let uid = fs::metadata(&harness.socket).unwrap().uid();
    let by_whom = |event| if let Event::AbortRequested { by } = event { Some(by) } else { None };
    let asked = harness.events("wide").await.into_iter().find_map(by_whom);
    assert!(asked.unwrap().starts_with(&format!("uid {uid}")));
    let audit = harness.journal.audit(0, 1000).await.unwrap();
    let record = audit.iter().find(|record| record.act.what == "abort_requested").unwrap();
    assert!(record.act.actor.to_string().starts_with(&format!("operator uid {uid}")), "{record:?}");
    harness.nothing_leaked("").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_impossible_is_refused_with_the_reason() {
    let harness = Harness::open().await;
    let post = Method::POST;
    for (method, path, body, status, code, told) in [
        (&post, "/v1/credentials/tts/rotate", None, 409, "refused", "under way already, in phase `overlap`"),
        (&post, "/v1/credentials/tts/retry", None, 409, "refused", "no parked rotation"),
        (&post, "/v1/credentials/tts/reinstate", None, 409, "refused", "`tts` is in phase `overlap`"),
        (
            &post,
            "/v1/credentials/nobody/rotate",
            None,
            404,
            "no_such_credential",
            "no credential has this name; the policy has tts, wide: see `rekeyd status`",
        ),
        (&post, "/v1/credentials/no%20body/rotate", None, 404, "no_such_credential", ""),
        (&post, "/v1/credentials/%ff/rotate", None, 404, "no_such_credential", ""),
        (&post, "/v1/credentials/tts/explode", None, 404, "not_found", ""),
        (&post, "/v1/credentials/tts/retry", Some(json!({ "force": true })), 400, "bad_request", "overwrite"),
        (&post, "/v1/credentials/tts/abort", Some(json!({ "overwrite": true })), 400, "bad_request", ""),
        (&post, "/v1/credentials/tts/retry", Some(json!("x".repeat(5000))), 413, "payload_too_large", ""),
        (&Method::GET, "/v1/credentials/nobody", None, 404, "no_such_credential", ""),
        (&Method::GET, "/v1/reload", None, 405, "method_not_allowed", ""),
        (&Method::GET, "/metrics", None, 404, "not_found", ""),
    ] {
        let answer = harness.order(method.clone(), path, body).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{path}: {}", answer.text);
        assert!(answer.text.contains(told), "{path}: {}", answer.text);
    }
    let all = harness.order(Method::GET, "/v1/status", None).await.json();
    assert_eq!(
        (all["schema_version"].as_i64(), all["credentials"][0]["credential"].as_str()),
        (Some(1), Some("wide"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_is_answered_with_what_came_of_it() {
    let harness = Harness::open().await;
    for (outcome, status, expected) in [
        (Ok("2 credentials".to_owned()), 200, json!({ "message": "2 credentials" })),
        (
            Err("line 7 is wrong".to_owned()),
            422,
            json!({ "error": { "code": "policy_refused", "message": "line 7 is wrong" } }),
        ),
    ] {
        let asking = harness.order(Method::POST, "/v1/reload", None);
        let answering = async {
            let mut reloads = harness.reloads.lock().await;
            reloads.recv().await.unwrap().answer.send(outcome).unwrap();
        };
        let (answer, ()) = tokio::join!(asking, answering);
        assert_eq!((answer.status, answer.json()), (status, expected));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_is_for_its_owner_and_group_and_goes_at_the_end() {
    let mut harness = Harness::open().await;
    assert_eq!(fs::metadata(&harness.socket).unwrap().permissions().mode() & 0o777, 0o660);
    assert!(matches!(OperatorSocket::bind(&harness.socket), Err(BindError::InUse(_))));
    assert_eq!(harness.order(Method::GET, "/v1/status", None).await.status, 200, "it was left alone");
    harness.surfaces.cancel();
    harness.engine.cancel();
    while let Some(ended) = harness.tasks.join_next().await {
        ended.unwrap();
    }
    assert!(!harness.socket.exists());
}

#[tokio::test]
async fn a_socket_that_a_killed_process_left_is_replaced_and_nothing_else_is() {
    let directory = tempfile::tempdir().unwrap();
    let stale = directory.path().join("stale.sock");
    drop(UnixListener::bind(&stale).unwrap());
    assert!(stale.exists());
    let socket = OperatorSocket::bind(&stale).unwrap();
    std::os::unix::net::UnixStream::connect(&stale).unwrap();
    // Somebody else took the place meanwhile: theirs stays.
    fs::remove_file(&stale).unwrap();
    let theirs = UnixListener::bind(&stale).unwrap();
    drop(socket);
    assert!(stale.exists());
    drop(theirs);

    let file = directory.path().join("file");
    fs::write(&file, "precious").unwrap();
    assert!(matches!(OperatorSocket::bind(&file), Err(BindError::NotASocket(_))));
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    let nowhere = OperatorSocket::bind(&directory.path().join("none/rekeyd.sock"));
    assert!(nowhere.is_err_and(|error| error.to_string().contains("its directory has to exist")));
}
