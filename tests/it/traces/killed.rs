//! A process that is killed leaves nothing of a trace untold, and what is told twice is the same.

use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use rekeyd::demo::fixture::Pace;
use rekeyd::sandbox::faults::Moment;
use rekeyd::sandbox::route::Route;

use crate::support::rehearsal::{Rehearsal, slow};
use crate::traces::collector::Collector;
use crate::traces::whole::{is_whole, stays};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_mid_rotation_and_started_again_the_trace_is_one_and_complete() {
    let pace = Pace::new("3s", "1s", "200ms");
    let mut rehearsal = Rehearsal::set(32, &pace).await;
    let collector = Collector::open().await;
    collector.listens_to(&mut rehearsal);
    let routes = [Route::ListAccounts, Route::CreateKey, Route::User, Route::DisableKey, Route::DeleteKey];
    let faults = routes.map(|route| slow(route, 15, Moment::After));
    rehearsal.stage.sandbox.set_faults(faults.to_vec());
    for life in [300, 700, 1100, 1500, 900, 400] {
        let daemon = rehearsal.launcher.start().await.unwrap();
        tokio::time::sleep(Duration::from_millis(life)).await;
        daemon.kill().await.unwrap();
        rehearsal.launcher.address.send_replace(None);
    }
    rehearsal.stage.write_policy(&pace.at_rest()).unwrap();
    let daemon = rehearsal.launcher.start().await.unwrap();
    rehearsal.rests().await;
    daemon.stop().await.unwrap();

    let stays = stays(&rehearsal);
    assert!(stays.len() >= 3 && stays.values().all(|(_, ended)| ended.is_some()), "{stays:?}");
    let mut calls = 0;
    for (rotation, (left, ended)) in &stays {
        let spans = collector.trace(rotation);
        let phases = is_whole(&spans, left, ended.as_deref());
        let mut outside = spans.iter().filter(|span| span.kind == SpanKind::Client as i32);
        assert!(outside.all(|call| phases.contains(&call.parent_span_id)));
        calls += spans.len() - phases.len() - 1;
    }
    assert!(calls > 20, "{calls}");
    let (verdict, _, stage) = rehearsal.verdict(6).await;
    assert!(verdict.holds(), "{:#?}", verdict.broken);
    stage.sandbox.shutdown().await;
}
