//! What the provider shows of keys' use, and what may be concluded from it.
//!
//! The provider has no last-used field. It has sources of evidence, each late by an unknown time and blind to some
//! calls. Use that is shown is certain; that none is shown means something only while the same source shows use of the
//! new key in the same stretch of time, which proves that it looks at all, and tells how late it is.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::domain::ids::KeyId;

/// Kept of each key: enough to name who still uses it.
const SPOTS_MAX: usize = 8;

/// Where evidence comes from, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Credits by hashed key and time bucket. Does not show calls that cost nothing.
    UsageByKey,
    /// The request log, where it has a column for the key.
    RequestLog,
    /// The counter of credits in the listing. Moves with use, and falls at the end of a billing period.
    CreditCounter,
}

impl Source {
    pub const ALL: [Self; 3] = [Self::UsageByKey, Self::RequestLog, Self::CreditCounter];

    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::UsageByKey => "usage_by_key",
            Self::RequestLog => "request_log",
            Self::CreditCounter => "credit_counter",
        }
    }
}

/// What one question to one source brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    pub source: Source,
    /// When it was asked.
    pub at: Timestamp,
    /// Use from here to `at` would be shown.
    pub since: Timestamp,
    /// Every use that was shown, by key; a key that is missing was not shown as used. Or why the source said nothing.
    pub uses: Result<BTreeMap<KeyId, Vec<Use>>, String>,
}

/// Use of one key in one bucket of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// The bucket's beginning, or the call's own time.
    pub from: Timestamp,
    /// The bucket's end: the use was before it.
    pub until: Timestamp,
    /// Credits, rounded up, or calls where the source counts those.
    pub amount: i64,
    /// What the provider says about it, by its own column names: region, product, model, request source.
    pub about: BTreeMap<String, String>,
}

/// What one source has shown since the overlap began. Grows by [`Seen::learn`], and never forgets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    pub source: Source,
    /// The newest answer; `None` if it never answered.
    pub answered_at: Option<Timestamp>,
    /// From when on the answers cover everything without a gap.
    pub covers_from: Option<Timestamp>,
    /// Why the newest question had no answer, if it had none.
    pub blind: Option<String>,
    pub old: Shown,
    pub new: Shown,
    /// The beginning of the newest bucket that showed any use of the new key, our own included.
    pub newest: Option<Timestamp>,
    /// The longest that use of the new key took to be shown, as far as that can be measured: at most one interval
    /// between two questions too long.
    pub delay: SignedDuration,
}

/// What was shown of one key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// The end of the newest bucket with use; `None` if no use was shown.
    pub last: Option<Timestamp>,
    /// In the stretch of time that was asked about; of a counter, since it was first read.
    pub amount: i64,
    /// Where the newest use came from: values of the provider's columns, the newest first.
    pub spots: Vec<BTreeMap<String, String>>,
}

impl Seen {
    #[must_use]
    pub fn nothing(source: Source) -> Self {
        Self {
            source,
            answered_at: None,
            covers_from: None,
            blind: None,
            old: Shown::default(),
            new: Shown::default(),
            newest: None,
            delay: SignedDuration::ZERO,
        }
    }

    /// Takes in one more answer of the same source. `ours` are instants at which we used the new key ourselves: use
    /// in the same bucket is not the consumers'.
    #[must_use]
    pub fn learn(&self, reading: &Reading, old: &KeyId, new: &KeyId, ours: &[Timestamp]) -> Self {
        let mut seen = self.clone();
        let uses = match &reading.uses {
            Ok(uses) => uses,
            Err(why) => {
                seen.blind = Some(why.clone());
                return seen;
            }
        };
        let gapless = seen.answered_at.is_some_and(|before| reading.since <= before);
        seen.covers_from = match seen.covers_from.filter(|_| gapless) {
            Some(from) => Some(from.min(reading.since)),
            None => Some(reading.since),
        };
        seen.blind = None;
        seen.answered_at = Some(reading.at);
        let of = |key: &KeyId| uses.get(key).map_or(&[][..], Vec::as_slice);
        seen.old = self.old.after(reading.source, of(old), &[]);
        seen.new = self.new.after(reading.source, of(new), ours);
        // Use that was not shown before, our own canary's included, tells how late the source is.
        let newest = of(new).iter().map(|used| used.from).max();
        if newest > self.newest {
            let late = newest.map_or(SignedDuration::ZERO, |newest| reading.at.duration_since(newest));
            seen.delay = seen.delay.max(late);
            seen.newest = newest;
        }
        seen
    }

    /// What this source says about whether the old key has been idle for `quiet`, at its newest answer. The quiet time
    /// has to lie after `switched`, the instant from which on nobody could begin to use it: whoever began just before
    /// that shows within the quiet time and the source's delay, and not earlier.
    #[must_use]
    pub fn judge(
        &self,
        quiet: SignedDuration,
        switched: Timestamp,
        now: Timestamp,
        stale_after: SignedDuration,
    ) -> Opinion {
        let Some(answered_at) = self.answered_at else {
            return Opinion::Unknown(
                self.blind.clone().unwrap_or_else(|| "it has not been asked yet".to_owned()),
            );
        };
        let needed = quiet.saturating_add(self.delay);
        let from = answered_at.saturating_sub(needed).unwrap_or(Timestamp::MIN);
        if let Some(last) = self.old.last.filter(|last| *last > from) {
            return Opinion::Used { last };
        }
        if let Some(why) = &self.blind {
            return Opinion::Unknown(format!("it does not answer: {why}"));
        }
        if now.duration_since(answered_at) > stale_after {
            return Opinion::Unknown(format!("its newest answer is of {answered_at}"));
        }
        if from < switched || self.covers_from.is_none_or(|covered| covered > from) {
            return Opinion::Unknown("it has not been watched for long enough".to_owned());
        }
        match self.newest.filter(|newest| *newest > from) {
            Some(_) => Opinion::Idle { since: self.old.last },
            None => Opinion::Unknown(format!(
                "it has shown no use of the new key since {from}, so that it may not be looking"
            )),
        }
    }
}

impl Shown {
    fn after(&self, source: Source, uses: &[Use], ours: &[Timestamp]) -> Self {
        let theirs = |used: &&Use| !ours.iter().any(|at| (used.from..used.until).contains(at));
        let mut newest_first: Vec<&Use> = uses.iter().filter(theirs).collect();
        newest_first.sort_by_key(|used| std::cmp::Reverse(used.until));
        let mut spots: Vec<BTreeMap<String, String>> = Vec::new();
        let earlier = self.spots.iter();
        for spot in newest_first.iter().map(|used| &used.about).chain(earlier) {
            if !spot.is_empty() && !spots.contains(spot) && spots.len() < SPOTS_MAX {
                spots.push(spot.clone());
            }
        }
        let amount = newest_first.iter().fold(0i64, |sum, used| sum.saturating_add(used.amount));
        let amount = match source {
            // Each reading tells what came since the one before.
            Source::CreditCounter => amount.saturating_add(self.amount),
            // Each reading tells everything again, and more of it as it comes in.
            Source::UsageByKey | Source::RequestLog => amount.max(self.amount),
        };
        Self { last: newest_first.first().map(|used| used.until).max(self.last), amount, spots }
    }
}

/// What a source says about the old key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opinion {
    /// Certain, whatever else is known of the source.
    Used { last: Timestamp },
    /// Not used for long enough, and the source is known to look. `since`: the last use that it ever showed.
    Idle { since: Option<Timestamp> },
    /// Nothing can be concluded, and why. Never to be read as idle.
    Unknown(String),
}

/// The counters of credits at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    pub at: Timestamp,
    pub old: Option<i64>,
    pub new: Option<i64>,
}

impl Counted {
    /// What moved since `before`. A counter that fell says nothing: a billing period may have ended in between, or a
    /// key may have been changed.
    #[must_use]
    pub fn moved(&self, before: Option<&Self>, old: &KeyId, new: &KeyId) -> Reading {
        let since = before.map_or(self.at, |before| before.at);
        let reading = |uses| Reading { source: Source::CreditCounter, at: self.at, since, uses };
        if self.old.is_none() || self.new.is_none() {
            return reading(Err("the listing does not show how much a key was used".to_owned()));
        }
        let mut uses = BTreeMap::new();
        if let Some(before) = before {
            for (key, earlier, now) in [(old, before.old, self.old), (new, before.new, self.new)] {
                let (Some(earlier), Some(now)) = (earlier, now) else { continue };
                if now < earlier {
                    return reading(Err("a counter fell: a billing period may have ended".to_owned()));
                }
                if now > earlier {
                    let until = self.at.saturating_add(SignedDuration::from_nanos(1)).unwrap_or(self.at);
                    let used = Use { from: before.at, until, amount: now - earlier, about: BTreeMap::new() };
                    uses.insert(key.clone(), vec![used]);
                }
            }
        }
        reading(Ok(uses))
    }
}
