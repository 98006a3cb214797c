//! What rekeyd needs of the workspace, and lacks: evidence of use, and a permission of its admin key.

use std::fs;

use rekeyd::sandbox::faults::{Fault, Refused, What};
use rekeyd::sandbox::route::Route;
use rustix::process::Signal;

use super::harness::Harness;

fn refuse(harness: &Harness, routes: &[Route]) {
    let refused = Refused::with(401, "missing_permissions");
    let faults = routes.iter().map(|route| Fault::on(*route, What::Refuse(refused.clone())));
    harness.rehearsal.stage.sandbox.set_faults(faults.collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workspace_that_gives_no_evidence_is_told_once_whatever_waits_for_it() {
    let harness = Harness::open(80).await;
    let path = harness.rehearsal.stage.policy();
    let text = fs::read_to_string(&path).unwrap();
    let dubbing = "publish_to = [{ store = \"local\", secret = \"dubbing\" }]";
    assert_eq!(text.matches(dubbing).count(), 1);
    fs::write(&path, text.replace(dubbing, &format!("{dubbing}\nwait_for = {{ idle = \"1m\" }}"))).unwrap();
    harness.signal(Signal::HUP);
    refuse(&harness, &[Route::Usage, Route::Charges, Route::RequestLog]);
    harness.types("rekeyd rotate dubbing").await;
    for source in ["usage_by_key", "request_log"] {
        let blind = format!(
            "rekeyd_evidence_unavailable{{credential=\"dubbing\",workspace=\"sandbox\",source=\"{source}\"}} 1"
        );
        harness.tells(&blind).await;
    }
    harness.raises(&["RekeydEvidenceUnavailable"]).await;
    let why = harness.types("rekeyd status --why dubbing --policy /etc/rekeyd/policy.toml").await;
    assert!(why.contains("workspace_analytics_full_read"), "{why}");
    harness.ends(|_| true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_admin_key_that_may_list_and_not_create_is_told_and_given_the_permission() {
    let mut harness = Harness::open(81).await;
    refuse(&harness, &[Route::CreateKey]);
    harness.types("rekeyd rotate tts-backend").await;
    harness.tells("rekeyd_workspace_not_permitted{workspace=\"sandbox\",route=\"create\"} 1").await;
    let raised = harness.alerts().await;
    assert!(raised.iter().any(|it| it == "RekeydAdminKeyLacksPermission"), "{raised:?}");
    harness.follows("RekeydAdminKeyLacksPermission", |_, _| false).await;
    harness.rehearsal.stage.sandbox.set_faults(Vec::new());
    harness.types("rekeyd retry tts-backend").await;
    harness.ends_well().await;
}
