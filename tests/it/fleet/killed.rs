//! Many rotations while agents, and now and then the daemon, are killed.

use std::time::{Duration, Instant};

use rekeyd::demo::fixture::Pace;
use rekeyd::sandbox::random::Random;

use super::harness::Harness;

const ROTATIONS: usize = 50;
const LONGEST: Duration = Duration::from_secs(180);
/// Of so many kills one is the daemon's.
const DAEMONS_TURN: usize = 8;

fn below(random: &mut Random, bound: u64) -> u64 {
    u64::from_str_radix(&random.hex(12), 16).unwrap() % bound
}

async fn pause(random: &mut Random, from: u64, to: u64) {
    tokio::time::sleep(Duration::from_millis(from + below(random, to - from))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_rotations_refuse_nobody_while_agents_and_daemon_are_killed() {
    let given = std::env::var_os("REKEYD_SEED").and_then(|seed| seed.to_str()?.parse().ok());
    let seed: u64 = given.unwrap_or_else(|| below(&mut Random::from_system(), 1 << 32));
    println!("REKEYD_SEED={seed}");
    let mut random = Random::seeded(seed);
    let pace = Pace::new("1s", "300ms", "200ms");
    let mut harness = Harness::set(seed, &pace, "", None).await;
    let names = harness.names();
    harness.start_agents();
    let mut daemon = harness.rehearsal.launcher.start().await.unwrap();
    let (begun, mut kills, mut deaths) = (Instant::now(), 0, 0);
    while harness.done() < ROTATIONS {
        assert!(begun.elapsed() < LONGEST, "{} are done\n{}", harness.done(), harness.tails());
        pause(&mut random, 100, 600).await;
        kills += 1;
        if kills % DAEMONS_TURN == 0 {
            daemon.kill().await.unwrap();
            deaths += 1;
            pause(&mut random, 0, 300).await;
            daemon = harness.rehearsal.launcher.start().await.unwrap();
        } else {
            let count = u64::try_from(names.len()).unwrap();
            let name = &names[usize::try_from(below(&mut random, count)).unwrap()];
            harness.kill_agent(name);
            pause(&mut random, 0, 500).await;
            harness.start_agent(name);
        }
    }
    let took = begun.elapsed();
    harness.write_policy(&pace.at_rest());
    daemon.kill().await.unwrap();
    let daemon = harness.rehearsal.launcher.start().await.unwrap();
    harness.rehearsal.rests().await;
    daemon.stop().await.unwrap();
    harness.stop_agents();
    harness.nothing_leaked();
    let tails = harness.tails();
    let (verdict, tallies, stage) = harness.rehearsal.verdict(kills).await;
    println!("{}\n{deaths} of the killed were the daemon; it took {took:?}", verdict.table());
    assert!(verdict.holds(), "seed {seed}: {:#?}\n{tallies:#?}\n{tails}", verdict.broken);
    assert!(verdict.rotations >= ROTATIONS && verdict.failed == 0, "{verdict:?}");
    assert!(kills >= 12 && deaths >= 1 && verdict.requests > 1000, "too little happened: {verdict:?}");
    stage.sandbox.shutdown().await;
}
