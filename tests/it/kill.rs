//! The real program under SIGKILL at random moments, with consumers that use their keys all the time.

#![expect(clippy::unwrap_used, reason = "a test ends where it is wrong")]

use std::time::{Duration, Instant};

use rekeyd::adapters::sqlite::SqliteJournal;
use rekeyd::demo::fixture::Pace;
use rekeyd::ports::journal::AuditReader;
use rekeyd::sandbox::faults::Moment;
use rekeyd::sandbox::random::Random;
use rekeyd::sandbox::route::Route;

use crate::support::rehearsal::{Rehearsal, slow};

const LASTS: Duration = Duration::from_secs(22);
/// From a daemon that is ready to its death.
const LIFE_MILLISECONDS_MAX: u64 = 1500;

/// A number below `bound` that the seed decides.
fn below(random: &mut Random, bound: u64) -> u64 {
    u64::from_str_radix(&random.hex(12), 16).unwrap() % bound
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_it_never_hurts_a_consumer_and_forgets_nothing() {
    let given = std::env::var_os("REKEYD_SEED").and_then(|seed| seed.to_str()?.parse().ok());
    let seed: u64 = given.unwrap_or_else(|| below(&mut Random::from_system(), 1 << 32));
    println!("REKEYD_SEED={seed}");
    let mut random = Random::seeded(seed);
    let pace = Pace::new("3s", "2s", "200ms");
    let rehearsal = Rehearsal::set(seed, &pace).await;
    // Calls take long enough to die in, before and after their effect.
    let routes = [Route::ListAccounts, Route::CreateKey, Route::User, Route::DisableKey, Route::DeleteKey];
    let both = routes.map(|route| [slow(route, 15, Moment::Before), slow(route, 15, Moment::After)]);
    rehearsal.stage.sandbox.set_faults(both.concat());
    let (begun, mut kills) = (Instant::now(), 0);
    while begun.elapsed() < LASTS {
        let daemon = rehearsal.launcher.start().await.unwrap();
        let life = Duration::from_millis(below(&mut random, LIFE_MILLISECONDS_MAX));
        tokio::time::sleep(life).await;
        daemon.kill().await.unwrap();
        rehearsal.launcher.address.send_replace(None);
        kills += 1;
    }
    rehearsal.stage.write_policy(&pace.at_rest()).unwrap();
    let daemon = rehearsal.launcher.start().await.unwrap();
    rehearsal.rests().await;
    daemon.stop().await.unwrap();
    let verified =
        SqliteJournal::open_read_only(&rehearsal.stage.journal()).unwrap().verify_audit(None).unwrap();
    assert_eq!(verified.fault, None, "seed {seed}: the audit log is whole, and tells of each event once");
    let tail = rehearsal.tail();
    let (verdict, tallies, stage) = rehearsal.verdict(kills).await;
    println!("{}", verdict.table());
    assert!(verdict.holds(), "seed {seed}: {:#?}\n{tallies:#?}\n{tail}", verdict.broken);
    assert!(
        kills >= 8 && verdict.rotations >= 6 && verdict.requests > 500,
        "too little happened: {verdict:?}"
    );
    stage.sandbox.shutdown().await;
}
