//! A store that asks to slow down: the rotation that publishes there waits, and everybody is told which store it is.

use std::fs;
use std::time::{Duration, Instant};

use crate::support::secrets_manager::StrictFake;

use super::harness::Harness;

/// After a handful of failures, a step that failed is not tried again at once.
const LONGEST_WAIT: Duration = Duration::from_secs(70);

/// The policy with another destination for the first credential, in AWS as the fake has it.
fn publish_there_too(harness: &Harness, aws: &StrictFake) {
    let path = harness.rehearsal.stage.policy();
    let text = fs::read_to_string(&path).unwrap();
    let store = format!(
        "[stores.aws.aws_secrets_manager]\nregion = \"eu-west-1\"\nendpoint_url = \"{}\"\n\n[defaults]",
        aws.url
    );
    let here = "publish_to = [{ store = \"local\", secret = \"tts-backend\" }]";
    let too = "publish_to = [{ store = \"local\", secret = \"tts-backend\" }, \
               { store = \"aws\", secret = \"prod/tts\", create = true }]";
    fs::write(path, text.replacen("[defaults]", &store, 1).replacen(here, too, 1)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_asks_to_slow_down_is_told_and_waited_for() {
    let aws = StrictFake::start().await;
    let mut harness = Harness::open(67).await;
    aws.refuse_all(Some((400, "ThrottlingException")));
    publish_there_too(&harness, &aws);
    harness.types("rekeyd reload").await;
    harness.tells("rekeyd_store_failing{store=\"aws\",kind=\"throttled\"} 1").await;
    let raised = harness.alerts().await;
    assert!(raised.iter().any(|it| it == "RekeydStoreFailing"), "{raised:?}");
    harness.status_says(&["retrying", "store `aws` is failing", "throttled", "rekeyd doctor"]).await;
    harness.page_says("/", &["Store failing", "store aws is failing", "throttled", "rekeyd doctor"]).await;
    harness.page_says("/credentials/tts-backend", &["AWS asks to slow down"]).await;

    let slows_down = |_: &Harness, command: &str| {
        if command.contains(" --iam") {
            aws.refuse_all(None);
        }
        false
    };
    harness.follows("RekeydStoreFailing", slows_down).await;
    let begun = Instant::now();
    while aws.label("prod/tts", "AWSCURRENT").is_none() {
        assert!(begun.elapsed() < LONGEST_WAIT, "it does not go on:\n{}", harness.rehearsal.tail());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    harness.rehearsal.rests().await;
    harness.ends_well().await;
}
