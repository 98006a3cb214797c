//! Where the process dies and which calls fail: one counter over every call to the outside and every journal write.

use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};
use rekeyd::call_context::{self, Lane};
use rekeyd::domain::failure::{Failure, Kind};
use rekeyd::rehearsal::clock::VirtualClock;
use tokio::sync::Notify;

use super::dice::Dice;

/// What happens at the one point of a crash matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doom {
    /// The process dies: before the call at an even point, after it at an odd one.
    Dies,
    /// The call fails without having had its effect (even), or its reply is lost after it had (odd).
    LosesReply,
}

/// How often things go wrong by chance, in percent of calls.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Odds {
    pub(super) dies: u64,
    pub(super) refused: u64,
    pub(super) lost_before: u64,
    pub(super) lost_after: u64,
}

pub(super) struct Fate {
    clock: VirtualClock,
    state: Mutex<State>,
    died: Notify,
}

struct State {
    dice: Dice,
    odds: Odds,
    doom: Option<(u64, Doom)>,
    points: u64,
    life: u64,
    /// Calls of this name are always refused.
    broken: Option<&'static str>,
    /// The provider has asked for no calls until then.
    silent_until: Option<Timestamp>,
    /// Names of the points, in order: what a failing test prints.
    trace: Vec<String>,
}

/// What the caller has to do at a point.
enum Turn {
    Go,
    Fail(Failure),
    /// The process dies here.
    Die,
    /// It died elsewhere: this call never returns.
    Gone,
}

impl Fate {
    pub(super) fn new(clock: VirtualClock, dice: Dice, odds: Odds, doom: Option<(u64, Doom)>) -> Self {
        let state = State {
            dice,
            odds,
            doom,
            points: 0,
            life: 0,
            broken: None,
            silent_until: None,
            trace: Vec::new(),
        };
        Self { clock, state: Mutex::new(state), died: Notify::new() }
    }

    /// Numbers its lives from there on.
    pub(super) fn counting_from(self, life: u64) -> Self {
        self.state.lock().unwrap().life = life;
        self
    }

    /// One more life begins; the calls of earlier ones never return.
    pub(super) fn begin_life(&self) -> u64 {
        let mut state = self.state.lock().unwrap();
        state.life += 1;
        state.life
    }

    pub(super) fn life(&self) -> u64 {
        self.state.lock().unwrap().life
    }

    pub(super) async fn death(&self) {
        self.died.notified().await;
    }

    pub(super) fn be_kind(&self) {
        let mut state = self.state.lock().unwrap();
        state.odds = Odds::default();
        state.doom = None;
        state.broken = None;
        state.silent_until = None;
    }

    /// Calls of this name are refused from now on.
    pub(super) fn breaks(&self, name: &'static str) {
        self.state.lock().unwrap().broken = Some(name);
    }

    /// The provider asks for no calls for so long: the adapter sends those of the safety lane only.
    pub(super) fn silence(&self, wait: SignedDuration) {
        self.state.lock().unwrap().silent_until = Some(self.clock.truth() + wait);
    }

    /// So many of a hundred calls are refused from now on.
    pub(super) fn be_unkind(&self, refused: u64) {
        self.state.lock().unwrap().odds = Odds { refused, ..Odds::default() };
    }

    pub(super) fn points(&self) -> u64 {
        self.state.lock().unwrap().points
    }

    pub(super) fn trace(&self) -> String {
        self.state.lock().unwrap().trace.join("\n")
    }

    pub(super) fn note(&self, line: String) {
        self.state.lock().unwrap().trace.push(line);
    }

    /// Before a call: some time passes, and the call may fail without effect, or never be made.
    pub(super) async fn before(&self, life: u64, name: &str) -> Result<(), Failure> {
        let pause = self.state.lock().unwrap().dice.below(400);
        self.clock.sleep(SignedDuration::from_millis(i64::try_from(pause).unwrap())).await;
        let turn = {
            let mut state = self.state.lock().unwrap();
            match state.kept_silent(name, self.clock.truth()) {
                Some(failure) => Turn::Fail(failure),
                None => state.turn(life, name, "before"),
            }
        };
        self.take(turn).await
    }

    /// After a call that had its effect: its reply may be lost.
    pub(super) async fn after(&self, life: u64, name: &str) -> Result<(), Failure> {
        let turn = self.state.lock().unwrap().turn(life, name, "after");
        self.take(turn).await
    }

    /// Before and after a journal write there is only life or death.
    pub(super) async fn write(&self, life: u64, name: &str, when: &'static str) {
        let turn = self.state.lock().unwrap().turn(life, name, when);
        if matches!(turn, Turn::Die | Turn::Gone) {
            drop(self.take(turn).await);
        }
    }

    async fn take(&self, turn: Turn) -> Result<(), Failure> {
        match turn {
            Turn::Go => Ok(()),
            Turn::Fail(failure) => Err(failure),
            Turn::Die => {
                self.died.notify_one();
                std::future::pending().await
            }
            Turn::Gone => std::future::pending().await,
        }
    }
}

/// The calls of the provider; the others are those of stores.
const OF_THE_PROVIDER: [&str; 10] = [
    "list",
    "create",
    "authenticate",
    "prove admin",
    "disable",
    "enable",
    "set expiry",
    "delete",
    "usage",
    "canary",
];

impl State {
    fn kept_silent(&self, name: &str, now: Timestamp) -> Option<Failure> {
        let left = self.silent_until?.duration_since(now);
        let is_kept = OF_THE_PROVIDER.contains(&name) && call_context::lane() == Lane::Ordinary;
        (is_kept && left.is_positive()).then(|| {
            let failure = Failure::rejected(Kind::Throttled, format!("{name} was not sent"));
            Failure { retry_after: Some(left), ..failure }
        })
    }

    fn turn(&mut self, life: u64, name: &str, when: &'static str) -> Turn {
        if life != self.life {
            return Turn::Gone;
        }
        let point = self.points;
        self.points += 1;
        self.trace.push(format!("{point} {when} {name}"));
        let is_effect = !name.starts_with("journal");
        let lost = |state: &mut Self| {
            state.trace.push(format!("  ^ {when}: fails"));
            Turn::Fail(Failure::unknown(Kind::TimedOut, format!("{name} was lost")))
        };
        match self.doom {
            Some((doomed, Doom::Dies)) if doomed == point => return self.die(),
            Some((doomed, Doom::LosesReply)) if doomed == point && is_effect => return lost(self),
            _ => {}
        }
        if when == "before" && self.broken == Some(name) {
            return Turn::Fail(Failure::rejected(Kind::Unreachable, format!("{name} does not answer")));
        }
        let odds = self.odds;
        if self.dice.chance(odds.dies) {
            return self.die();
        }
        if when == "before" && is_effect && self.dice.chance(odds.refused) {
            self.trace.push("  ^ refused".to_owned());
            let failure = Failure::rejected(Kind::Throttled, format!("{name} was throttled"));
            return Turn::Fail(Failure { retry_after: Some(SignedDuration::from_secs(3)), ..failure });
        }
        let chance = if when == "before" { odds.lost_before } else { odds.lost_after };
        if is_effect && self.dice.chance(chance) {
            return lost(self);
        }
        Turn::Go
    }

    fn die(&mut self) -> Turn {
        self.trace.push("  ^ dies".to_owned());
        // Whatever else the dying process is doing stops here too.
        self.life += 1;
        Turn::Die
    }
}
