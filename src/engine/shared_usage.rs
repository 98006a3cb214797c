//! One question to a workspace about the use of keys serves all of its credentials that wait for evidence: the provider's
//! calls do not grow with the rotations.
//!
//! A gate judges an answer by when it was asked, which an answer that is shared keeps. An answer serves a credential if it
//! is about both of its keys, over its stretch of time, and was asked after the credential wanted it, or before by no more
//! than half of the time after which the credential asks again: between half a second and half a minute, and far less than
//! what a gate takes for stale. That a source does not answer is shared in the same way.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::SignedDuration;
use tokio::sync::Mutex;

use crate::domain::ids::{CredentialName, KeyId};
use crate::domain::key::Key;
use crate::domain::time::earlier;
use crate::domain::usage::Reading;
use crate::ports::clock::Clock;
use crate::ports::usage::UsageSource;

/// How many credentials one question is about at most: its answer has to fit into one that is read.
const CREDENTIALS_MAX: usize = 20;
/// Twice as long as a credential that waits for evidence goes without asking.
const WANTED_FOR: Duration = Duration::from_mins(2);
const ANSWERS_MAX: usize = 8;
/// Longer than anything that is waited for.
const WINDOW_HOURS_MAX: u64 = 1 << 20;

#[derive(Default)]
pub(super) struct SharedUsage {
    wanted: std::sync::Mutex<BTreeMap<CredentialName, Wanted>>,
    /// The newest last. Held while a question is under way, so that at most one is.
    answers: Mutex<VecDeque<Answer>>,
}

pub(super) struct UsageQuestion<'q> {
    pub(super) credential: &'q CredentialName,
    /// The key that is to go, and the key that stays.
    pub(super) keys: &'q [Key; 2],
    /// How far back the answer has to reach.
    pub(super) window: SignedDuration,
    /// How long before now the answer may have been asked for.
    pub(super) older_by: Duration,
}

/// What a credential asked for last.
struct Wanted {
    keys: [Key; 2],
    window: SignedDuration,
    /// By the clock's uptime, as all of these.
    at: Duration,
    /// When a question was asked last that was about its keys.
    asked: Option<Duration>,
}

struct Answer {
    asked: Duration,
    /// Of the clock: an answer that is dated by a clock that was set since serves nobody.
    steps: u64,
    window: SignedDuration,
    keys: BTreeSet<KeyId>,
    readings: Arc<Vec<Reading>>,
}

impl SharedUsage {
    /// What the sources say of the question's keys. Cancel-safe: whoever waits for the answer asks then.
    pub(super) async fn ask(
        &self,
        source: &dyn UsageSource,
        clock: &dyn Clock,
        question: &UsageQuestion<'_>,
    ) -> Vec<Reading> {
        let window = shared_window(question.window);
        let not_before = clock.uptime().saturating_sub(question.older_by);
        self.want(question, window, clock.uptime());
        let mut answers = self.answers.lock().await;
        let serves = |answer: &&Answer| {
            answer.window == window
                && answer.steps == clock.steps()
                && answer.asked >= not_before
                && question.keys.iter().all(|key| answer.keys.contains(&key.id))
        };
        if let Some(answer) = answers.iter().rev().find(serves) {
            return about(question.keys, &answer.readings);
        }
        let (asked, steps) = (clock.uptime(), clock.steps());
        let (leaving, staying) = self.asked_together(question, window, asked);
        let since = earlier(clock.now(), window.max(question.window));
        let readings = Arc::new(source.usage(&leaving, &staying, since).await);
        while answers.len() >= ANSWERS_MAX {
            answers.pop_front();
        }
        let ids = leaving.into_iter().chain(staying).map(|key| key.id).collect();
        answers.push_back(Answer { asked, steps, window, keys: ids, readings: Arc::clone(&readings) });
        about(question.keys, &readings)
    }

    fn want(&self, question: &UsageQuestion<'_>, window: SignedDuration, now: Duration) {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = wanted.get(question.credential).and_then(|before| before.asked);
        let next = Wanted { keys: question.keys.clone(), window, at: now, asked };
        wanted.insert(question.credential.clone(), next);
    }

    /// The keys of the credential, and of others that wait, or will soon: those first that were asked about longest ago.
    /// Those that are to go, and those that stay.
    fn asked_together(
        &self,
        question: &UsageQuestion<'_>,
        window: SignedDuration,
        now: Duration,
    ) -> (Vec<Key>, Vec<Key>) {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.retain(|_, it| now.saturating_sub(it.at) <= WANTED_FOR);
        let is_another = |name: &CredentialName| name != question.credential;
        let mut others: Vec<&mut Wanted> = wanted
            .iter_mut()
            .filter_map(|(name, it)| (is_another(name) && it.window == window).then_some(it))
            .collect();
        others.sort_by_key(|it| (it.asked, Reverse(it.at)));
        others.truncate(CREDENTIALS_MAX - 1);
        let mut asked = vec![question.keys.clone()];
        for it in others {
            it.asked = Some(now);
            asked.push(it.keys.clone());
        }
        if let Some(own) = wanted.get_mut(question.credential) {
            own.asked = Some(now);
        }
        asked.into_iter().map(|[going, staying]| (going, staying)).unzip()
    }
}

/// Rounded up to a power of two in hours: delays that were measured differ a little from credential to credential.
fn shared_window(window: SignedDuration) -> SignedDuration {
    let hours = window.unsigned_abs().as_secs().div_ceil(3600).clamp(1, WINDOW_HOURS_MAX).next_power_of_two();
    SignedDuration::from_hours(i64::try_from(hours).unwrap_or_default())
}

fn about(keys: &[Key; 2], readings: &[Reading]) -> Vec<Reading> {
    readings.iter().map(|reading| reading.about(keys)).collect()
}

#[cfg(test)]
mod tests;
