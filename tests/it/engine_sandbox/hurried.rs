//! A wait after a failure, which an operator ends.

use rekeyd::domain::phase::PhaseName;
use rekeyd::engine::Command;
use rekeyd::sandbox::faults::{Fault, Refused, What};
use rekeyd::sandbox::route::Route;

use super::harness::Harness;
use super::leaks::overlapping;

const RETRY: Command = Command::Retry { overwrite: false };

impl Harness {
    /// How many failures the rotation has had in a row, if it waits after one.
    async fn failures(&self) -> Option<u32> {
        self.known().await.rotation?.last_failure.map(|failure| failure.failures)
    }
}

#[tokio::test]
async fn a_wait_after_a_failure_ends_when_an_operator_says_so() {
    let mut harness = overlapping().await;
    let refused = harness.request(RETRY).await.unwrap_err().to_string();
    assert!(refused.contains("waits for no failure"), "{refused}");

    // The provider wants an hour.
    let busy = Refused::with(503, "unavailable").header("retry-after", "3600");
    let refuses = |route| Fault::on(route, What::Refuse(busy.clone())).times(1);
    harness.sandbox.set_faults([Route::UpdateKey, Route::DisableKey, Route::DeleteKey].map(refuses).into());
    harness.revise(|terms| terms.gates = Vec::new()).await;
    harness.until("it fails", async |harness, _| harness.failures().await.is_some()).await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(harness.failures().await, Some(1), "it waits");

    // It works again, and nothing but an operator knows.
    harness.sandbox.set_faults(Vec::new());
    let told = harness.request(RETRY).await.unwrap();
    assert!(told.contains("is tried again now"), "{told}");
    harness.ended(PhaseName::Done).await;
    let refused = harness.request(RETRY).await.unwrap_err().to_string();
    assert!(refused.contains("nothing of it waits"), "{refused}");
    harness.stop().await;
}
