//! A workspace that asked for no calls: what puts a key back, or ends a leaked one, does not wait; everything else does.

use std::time::{Duration, Instant};

use jiff::SignedDuration;
use rekeyd::domain::ack::Health;
use rekeyd::domain::effect::EffectName;
use rekeyd::domain::event::Event;
use rekeyd::domain::failure::Kind;
use rekeyd::domain::phase::PhaseName;
use rekeyd::domain::rotation::ParkReason;
use rekeyd::engine::Command;
use rekeyd::sandbox::faults::{Fault, Refused, What};
use rekeyd::sandbox::key::State;
use rekeyd::sandbox::route::Route;

use super::harness::Harness;
use super::leaks::{overlapping, settled};

const SECONDS: [u64; 2] = [60, 3600];
/// What is waited for in seconds, and never for a minute.
const AT_MOST: Duration = Duration::from_secs(8);

fn slow_down(route: Route, seconds: u64) -> Fault {
    let refused = Refused::with(429, "rate_limit_exceeded").header("retry-after", seconds.to_string());
    Fault::on(route, What::Refuse(refused)).times(1)
}

impl Harness {
    /// One ordinary call is told to slow down.
    async fn is_told_to_slow_down(&self, seconds: u64) {
        self.sandbox.set_faults(vec![slow_down(Route::ListAccounts, seconds)]);
        self.until("a listing was refused", async |harness, _| {
            harness.inspect().await;
            harness.sandbox.faults().iter().all(|fault| fault.times == Some(0))
        })
        .await;
        self.keeps_silence(seconds).await;
    }

    /// Ordinary calls are not sent, and it is told until when.
    async fn keeps_silence(&self, seconds: u64) {
        let context = self.handle().context();
        let client = context.workspaces.values().next().unwrap();
        let left = client.health().silent_until.unwrap().duration_since(self.clock.now());
        let asked = SignedDuration::from_secs(i64::try_from(seconds).unwrap());
        assert!(left <= asked && left > asked - SignedDuration::from_secs(20), "{left:?} of {asked:?}");
        let listings = self.calls(Route::ListAccounts);
        for _ in 0..5 {
            self.inspect().await;
            self.handle().sweep().await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(self.calls(Route::ListAccounts), listings, "an ordinary call was sent");
    }

    async fn enabled_again_in_time(&self, since: Instant) {
        self.parks_for(ParkReason::ConsumerFailing).await;
        assert!(since.elapsed() < AT_MOST, "{:?}", since.elapsed());
        assert_eq!(self.states(), [State::Enabled, State::Enabled]);
    }
}

async fn in_quarantine(faults: Vec<Fault>) -> Harness {
    let mut harness = overlapping().await;
    harness.revise(|terms| terms.quarantine = SignedDuration::from_hours(1)).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    harness.sandbox.set_faults(faults);
    harness.acknowledge("nobody", Health::Using).await;
    harness.reaches(PhaseName::Quarantine).await;
    assert_eq!(harness.states(), [State::Disabled, State::Enabled]);
    harness
}

#[tokio::test]
async fn a_failing_consumer_has_its_old_key_back_within_seconds_however_long_the_workspace_is_silent() {
    for seconds in SECONDS {
        let harness = in_quarantine(Vec::new()).await;
        harness.is_told_to_slow_down(seconds).await;
        let since = Instant::now();
        harness.acknowledge("nobody", Health::Failing).await;
        harness.enabled_again_in_time(since).await;
        harness.keeps_silence(seconds).await;
        harness.stop().await;
    }
}

#[tokio::test]
async fn a_rotation_that_was_told_to_slow_down_itself_still_notices_a_failing_consumer() {
    for seconds in SECONDS {
        // The check of the clocks, the precheck, the look at the disabled key; then the quarantine's own first listing.
        let harness = in_quarantine(vec![slow_down(Route::ListAccounts, seconds).after(3)]).await;
        let throttled = |event: &Event| {
            matches!(event, Event::EffectFailed { effect: EffectName::AwaitQuarantine, failure }
                if failure.kind == Kind::Throttled && failure.retry_after.is_some())
        };
        harness.until("the quarantine waits", async |it, _| it.events().await.iter().any(throttled)).await;
        let since = Instant::now();
        harness.acknowledge("nobody", Health::Failing).await;
        harness.enabled_again_in_time(since).await;
        harness.stop().await;
    }
}

#[tokio::test]
async fn a_call_that_enables_a_key_and_is_told_to_slow_down_is_tried_again_within_seconds() {
    for seconds in SECONDS {
        let harness = in_quarantine(Vec::new()).await;
        let faults = [Route::UpdateKey, Route::ListAccounts].map(|route| slow_down(route, seconds));
        harness.sandbox.set_faults(faults.to_vec());
        let since = Instant::now();
        harness.acknowledge("nobody", Health::Failing).await;
        harness.enabled_again_in_time(since).await;
        assert!(harness.sandbox.faults().iter().all(|fault| fault.times == Some(0)));
        harness.keeps_silence(seconds).await;
        harness.stop().await;
    }
}

#[tokio::test]
async fn a_leaked_key_is_disabled_within_seconds_however_long_the_workspace_is_silent() {
    for seconds in SECONDS {
        let mut harness = settled(|_| ()).await;
        harness.outage = true;
        harness.is_told_to_slow_down(seconds).await;
        // Every call on the way is told so once more.
        let on_the_way = [Route::ListAccounts, Route::CreateKey, Route::User, Route::DisableKey];
        harness.sandbox.set_faults(on_the_way.map(|route| slow_down(route, seconds)).to_vec());
        let since = Instant::now();
        harness.request(Command::Leaked(harness.served().unwrap().fingerprint())).await.unwrap();
        harness.reaches(PhaseName::Revoking).await;
        assert!(since.elapsed() < 2 * AT_MOST, "{:?}", since.elapsed());
        assert_eq!(harness.states(), [State::Disabled, State::Enabled]);
        // To delete it is no matter of seconds any more.
        harness.keeps_silence(seconds).await;
        harness.stop().await;
    }
}
