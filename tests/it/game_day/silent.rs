//! A workspace that asked for no calls for an hour: whoever asks is told until when, and what that holds.

use rekeyd::sandbox::faults::{Fault, Refused, What};
use rekeyd::sandbox::route::Route;

use super::harness::Harness;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn until_when_a_workspace_is_silent_is_told_by_status_page_metric_and_the_answers_of_commands() {
    let harness = Harness::open(79).await;
    harness.rehearsal.rests().await;
    let refused = Refused::with(429, "rate_limit_exceeded").header("retry-after", "3600");
    harness
        .rehearsal
        .stage
        .sandbox
        .set_faults(vec![Fault::on(Route::ListAccounts, What::Refuse(refused)).times(1)]);
    harness.types("rekeyd sweep").await;
    harness.tells_of("rekeyd_workspace_silent_until_timestamp_seconds{workspace=").await;
    harness
        .status_says(&["workspace_silent", "is silent until 2", "ElevenLabs asked rekeyd to slow down"])
        .await;
    let json = harness.types("rekeyd status --output json --policy /etc/rekeyd/policy.toml").await;
    assert!(json.contains("\"workspace_silent\""), "{json}");
    harness.page_says("/", &["Workspace silent", "as ElevenLabs asked"]).await;

    let listings = harness.rehearsal.calls(Route::ListAccounts);
    let answer = harness.types("rekeyd rotate tts-backend").await;
    assert!(
        answer.contains("begins at 2") && answer.contains("ElevenLabs asked for no calls of workspace"),
        "{answer}"
    );
    harness.types("rekeyd sweep").await;
    assert_eq!(harness.rehearsal.calls(Route::ListAccounts), listings, "an ordinary call was sent");
    // The silence is not over: what is held is held, and no consumer is hurt.
    harness.ends(|_| true).await;
}
