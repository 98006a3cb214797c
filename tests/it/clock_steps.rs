//! The real program while its machine's clock is set, forward and back, by seconds and by years.
#![expect(clippy::unwrap_used, reason = "a test ends where it is wrong")]

use std::fs;
use std::time::Duration;

use rekeyd::adapters::sqlite::SqliteJournal;
use rekeyd::demo::daemon::Daemon;
use rekeyd::demo::fixture::Pace;
use rekeyd::ports::journal::AuditReader;
use rekeyd::sandbox::route::Route;
use rustix::process::Signal;

use crate::support::rehearsal::Rehearsal;
use crate::support::wrong_clock::WrongClock;

/// How long the clock is wrong.
const WRONG_FOR: Duration = Duration::from_secs(6);
/// Rotations that have to be done after it is right again, of every credential together.
const ROTATIONS: usize = 3;

struct Machine {
    rehearsal: Rehearsal,
    clock: WrongClock,
    pace: Pace,
}

impl Machine {
    async fn new(seed: u64) -> Self {
        let pace = Pace::new("3s", "2s", "300ms");
        let mut rehearsal = Rehearsal::set(seed, &pace).await;
        let program = rehearsal.stage.root().join("rekeyd-with-a-clock");
        let clock = WrongClock::of(rehearsal.stage.root(), &program);
        rehearsal.launcher.program = program;
        Self { rehearsal, clock, pace }
    }

    fn done(&self) -> usize {
        let journal = SqliteJournal::open_read_only(&self.rehearsal.stage.journal()).unwrap();
        journal.audit(0, 1_000_000).unwrap().iter().filter(|it| it.act.what == "old_key_gone").count()
    }

    async fn answers(&self, path: &str) -> u16 {
        let address = self.rehearsal.launcher.address.borrow().unwrap();
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        client.get(format!("http://{address}{path}")).send().await.unwrap().status().as_u16()
    }

    /// Everything goes on.
    async fn works(&self, when: &str) {
        let before = self.done();
        let what = format!("rotations go on {when}");
        self.rehearsal.until(&what, |_| self.done() >= before + ROTATIONS).await;
        assert_eq!(self.answers("/livez").await, 200, "{when}");
    }

    async fn jumps(&self, off_by: &str) {
        self.clock.set(off_by);
        tokio::time::sleep(WRONG_FOR).await;
        assert_eq!(self.answers("/livez").await, 200, "while it is off by {off_by}");
        self.clock.set("+0");
        self.works(&format!("after the clock was off by {off_by}")).await;
    }

    /// Nobody was hurt, and everything is in the journal once.
    async fn ends_well(self, daemon: Daemon) {
        fs::write(self.rehearsal.stage.policy(), "").unwrap();
        self.rehearsal.stage.write_policy(&self.pace.at_rest()).unwrap();
        daemon.signal(Signal::HUP).unwrap();
        self.rehearsal.rests().await;
        // Nothing is due any more, and the workspace is listed all the same.
        let lists = |it: &Rehearsal| it.calls(Route::ListAccounts);
        let before = lists(&self.rehearsal);
        self.rehearsal.until("it sweeps", |it| lists(it) > before).await;
        daemon.stop().await.unwrap();
        let journal = SqliteJournal::open_read_only(&self.rehearsal.stage.journal()).unwrap();
        assert_eq!(journal.verify_audit(None).unwrap().fault, None);
        let tail = self.rehearsal.tail();
        assert!(self.rehearsal.said().contains("this machine's clock was set"), "{tail}");
        let (verdict, tallies, stage) = self.rehearsal.verdict(0).await;
        assert!(verdict.holds(), "{:#?}\n{tallies:#?}\n{tail}", verdict.broken);
        stage.sandbox.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_forward_and_comes_right_again_stops_nothing() {
    let machine = Machine::new(501).await;
    let daemon = machine.rehearsal.launcher.start().await.unwrap();
    machine.works("from the beginning").await;
    for off_by in ["+119", "+40d", "+2y"] {
        machine.jumps(off_by).await;
    }
    machine.ends_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_back_and_comes_right_again_stops_nothing() {
    let machine = Machine::new(502).await;
    let daemon = machine.rehearsal.launcher.start().await.unwrap();
    machine.works("from the beginning").await;
    for off_by in ["-119", "-40d", "-2y"] {
        machine.jumps(off_by).await;
    }
    machine.ends_well(daemon).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_was_restarted_by_a_wrong_clock_goes_on_when_it_is_right() {
    for (seed, off_by) in [(503, "+2y"), (504, "-40d")] {
        let machine = Machine::new(seed).await;
        machine.clock.set(off_by);
        let first = machine.rehearsal.launcher.start().await.unwrap();
        tokio::time::sleep(WRONG_FOR).await;
        assert_eq!(machine.answers("/livez").await, 200);
        first.kill().await.unwrap();
        let daemon = machine.rehearsal.launcher.start().await.unwrap();
        machine.clock.set("+0");
        machine.works(&format!("after a start that was off by {off_by}")).await;
        machine.ends_well(daemon).await;
    }
}
