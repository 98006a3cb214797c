//! One command for several credentials.

use serde_json::Value;

use super::command::{Run, rekeyd};
use super::harness::Harness;

/// With a rotation of `tts` in the overlap, and one of `wide` that is parked as `unrestricted`.
async fn run(harness: &Harness, words: &[&str]) -> Run {
    rekeyd(words, &[("REKEYD_SOCKET", &harness.socket)]).await
}

fn json(run: &Run) -> Value {
    serde_json::from_str(&run.out).unwrap_or_else(|_| panic!("{} {}", run.out, run.err))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_credentials_result_is_told_and_one_refusal_is_an_exit_code() {
    let harness = Harness::open().await;
    harness.until("wide", |report| report["rotation"]["phase"] == "parked").await;
    // `tts` is in the overlap: it can be neither retried nor aborted.
    let partly = run(&harness, &["abort", "wide", "tts", "--output", "json"]).await;
    let told = json(&partly);
    assert_eq!(
        (partly.code, &told["failed"], &told["error"]["code"]),
        (Some(1), &1.into(), &"partly_failed".into())
    );
    let results = told["results"].as_array().unwrap();
    assert_eq!((&results[0]["credential"], &results[0]["error"]["code"]), (&"tts".into(), &"refused".into()));
    assert_eq!((&results[1]["credential"], &results[1]["error"]), (&"wide".into(), &Value::Null));
    harness.until("wide", |report| report["last"]["outcome"] == "aborted").await;

    let text = run(&harness, &["accept", "wide", "tts"]).await;
    assert_eq!(text.code, Some(1), "{}", text.out);
    assert!(
        text.out.contains("wide: what the key") && text.out.contains("tts: failed: a rotation"),
        "{}",
        text.out
    );
    assert!(text.err.contains("1 of 2 failed to accept"), "{}", text.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_all_named_is_done_only_with_a_yes_and_only_where_it_is_possible() {
    let harness = Harness::open().await;
    harness.until("wide", |report| report["rotation"]["phase"] == "parked").await;
    for words in [
        &["abort", "--all"][..],
        &["abort", "w*"],
        &["abort", "--workspace", "prod"],
        &["retry", "--reason", "unrestricted"],
    ] {
        let unsaid = run(&harness, words).await;
        assert_eq!(unsaid.code, Some(1), "{words:?}: {}", unsaid.out);
        assert!(unsaid.err.contains("pass `--yes`: wide"), "{words:?}: {}", unsaid.err);
    }
    let report = harness.until("wide", |report| report["rotation"]["phase"] == "parked").await;
    assert_eq!(report["last"], Value::Null, "nothing was done");

    for (words, why) in [
        (&["abort", "nosuch", "wide"][..], "no credential `nosuch`; known credentials: tts, wide"),
        (&["abort", "--workspace", "dev", "--yes"], "there is nothing to abort: none fits"),
        (&["confirm", "--all", "--yes"], "there is nothing to confirm: not possible for 2"),
        (&["retry", "--all", "--reason", "foreign_value", "--yes"], "there is nothing to retry"),
    ] {
        let refused = run(&harness, words).await;
        assert!(refused.code == Some(1) && refused.err.contains(why), "{words:?}: {}", refused.err);
    }
    for words in [&["retry", "--reason", "because"][..], &["retry", "--all", "wide"], &["retry"]] {
        assert_eq!(run(&harness, words).await.code, Some(2), "{words:?}");
    }
    let retried = run(&harness, &["retry", "--workspace", "prod", "--reason", "unrestricted", "--yes"]).await;
    assert_eq!(retried.code, Some(0), "{}", retried.err);
    assert!(retried.out.starts_with("wide: ") && retried.out.lines().count() == 1, "{}", retried.out);
    harness.until("wide", |report| report["rotation"]["phase"] == "parked").await;
    let aborted = run(&harness, &["abort", "--all", "--yes", "--output", "json"]).await;
    let told = json(&aborted);
    assert_eq!((aborted.code, told["results"].as_array().unwrap().len()), (Some(0), 1), "{told}");
    let rotated =
        run(&harness, &["rotate", "wide", "tts", "--emergency", "--wait", "--output", "json"]).await;
    assert_eq!(json(&rotated)["results"][0]["message"], "`tts` has a new key", "{}", rotated.out);
}
