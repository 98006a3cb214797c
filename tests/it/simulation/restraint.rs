//! The holds and limits of a scenario, and the operator who pauses and resumes.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::SignedDuration;
use rekeyd::domain::hold::{Hold, HoldKind, Scope};
use rekeyd::domain::ids::CredentialName;
use rekeyd::domain::policy::{Breaker, WorkspaceLimits};
use rekeyd::domain::schedule::Freeze;
use rekeyd::engine::CommandError;

use super::credentials::workspace;
use super::dice::Dice;
use super::play::{Harness, epoch, seconds};
use super::society::within;

/// Nothing by default.
#[derive(Debug, Clone)]
pub(super) struct Restraint {
    /// Minutes between pauses, and at most twice that each lasts; 0 for never.
    pub(super) pauses_every: u64,
    /// Everything is paused after so many milliseconds, for ten minutes.
    pub(super) pauses_at: Option<u64>,
    /// What the breaker has stopped is resumed after so many minutes, once; 0 for never.
    pub(super) resumes_after: u64,
    pub(super) breaker: Option<Breaker>,
    pub(super) overlaps_at_once: usize,
    pub(super) first_rotations_at_once: usize,
    /// Each credential comes after so many of those before it.
    pub(super) after: usize,
    pub(super) bake: SignedDuration,
}

impl Default for Restraint {
    fn default() -> Self {
        Self {
            pauses_every: 0,
            pauses_at: None,
            resumes_after: 0,
            breaker: None,
            overlaps_at_once: usize::MAX,
            first_rotations_at_once: usize::MAX,
            after: 0,
            bake: SignedDuration::ZERO,
        }
    }
}

impl Restraint {
    pub(super) fn limits(&self, limits: WorkspaceLimits) -> WorkspaceLimits {
        let breaker = self.breaker.unwrap_or(limits.breaker);
        let Self { overlaps_at_once, first_rotations_at_once, .. } = *self;
        WorkspaceLimits { breaker, overlaps_at_once, first_rotations_at_once, ..limits }
    }

    /// The predecessors of a credential by its number.
    pub(super) fn after(&self, index: usize) -> BTreeSet<CredentialName> {
        let before = index.saturating_sub(self.after)..index;
        before.map(|index| CredentialName::new(format!("tts-{index}")).unwrap()).collect()
    }

    pub(super) fn before(&self, credential: &CredentialName) -> BTreeSet<CredentialName> {
        let number = credential.as_str().trim_start_matches("tts-").parse();
        number.map(|index| self.after(index)).unwrap_or_default()
    }
}

impl Harness {
    #[expect(clippy::disallowed_methods, reason = "operators stand outside the engine")]
    pub(super) fn start_pauser(self: &Arc<Self>) -> tokio::task::JoinHandle<()> {
        let harness = Arc::clone(self);
        tokio::spawn(async move {
            let mut dice = Dice::new(harness.scenario.seed ^ 0x9A05E);
            let Restraint { pauses_every, pauses_at, resumes_after, .. } = harness.scenario.restraint;
            if let Some(at) = pauses_at {
                harness.clock.sleep(SignedDuration::from_millis(i64::try_from(at).unwrap())).await;
                harness.pause(Scope::Fleet, None, SignedDuration::from_mins(10)).await;
            }
            if resumes_after > 0 {
                harness.clock.sleep(seconds(resumes_after * 60)).await;
                harness.lift_everything().await;
            }
            if pauses_every == 0 {
                return;
            }
            loop {
                harness.clock.sleep(seconds(1 + dice.below(pauses_every * 60))).await;
                harness.pause_something(&mut dice, pauses_every).await;
            }
        })
    }

    async fn pause_something(&self, dice: &mut Dice, minutes: u64) {
        let one =
            CredentialName::new(format!("tts-{}", dice.below(self.scenario.credentials as u64))).unwrap();
        let scopes = [Scope::Fleet, Scope::Workspace(workspace()), Scope::Credential(one)];
        let scope = scopes[usize::try_from(dice.below(3)).unwrap()].clone();
        let only = [None, Some(HoldKind::Minting), Some(HoldKind::Revoking)]
            [usize::try_from(dice.below(3)).unwrap()];
        self.pause(scope, only, seconds(dice.below(minutes * 120))).await;
    }

    /// Somebody pauses something for a while. From the answer on, nothing of it may happen.
    async fn pause(&self, scope: Scope, only: Option<HoldKind>, lasts: SignedDuration) {
        let Some(handle) = self.handle.lock().unwrap().clone() else { return };
        let by = "the operator".to_owned();
        let answered = handle.pause(scope.clone(), only, String::new(), by.clone());
        let answered = within(&self.clock, SignedDuration::from_hours(1), answered).await;
        self.fate.note(format!("a pause of {scope}: {answered:?}"));
        let what = only.unwrap_or(HoldKind::Everything);
        let hold = Hold { scope, what, by, why: String::new(), since: self.clock.truth() };
        if let Some(Ok(_)) = answered {
            self.witness.paused(hold.clone());
        }
        self.clock.sleep(lasts).await;
        self.witness.resumes(&hold);
        while !self.lift(&hold).await {
            self.clock.sleep(seconds(60)).await;
        }
    }

    /// Whether it is certainly not in force any more.
    async fn lift(&self, hold: &Hold) -> bool {
        let Some(handle) = self.handle.lock().unwrap().clone() else { return false };
        let answered = handle.resume(hold.scope.clone(), Some(hold.what), "the operator".to_owned()).await;
        self.fate.note(format!("a resumption: {answered:?}"));
        !matches!(answered, Err(CommandError::Stopping))
    }

    /// Every hold that is in force, the breaker's too.
    pub(super) async fn lift_everything(&self) {
        let Some(handle) = self.handle.lock().unwrap().clone() else { return };
        for hold in handle.holds().all() {
            self.witness.resumes(hold);
            self.lift(hold).await;
        }
    }
}

/// Between these minutes of the simulation.
pub(super) fn freeze((from, until): (i64, i64)) -> Freeze {
    let at = |minutes| epoch() + SignedDuration::from_mins(minutes);
    Freeze { from: at(from), until: at(until), name: "peak season".to_owned() }
}
