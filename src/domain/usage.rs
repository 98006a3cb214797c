//! What the provider shows of keys' use, and what may be concluded from it.
//!
//! The provider has no last-used field. It has sources of evidence, each late by an unknown time and blind to some
//! calls. Use that is shown is certain; that none is shown means something only while the same source shows use of the
//! new key in the same stretch of time, which proves that it looks at all, and tells how late it is.
//!
//! # What `Idle` guarantees
//!
//! Of an answer given at `at`, let the *proven end* be the earlier of `at` less the delay that was measured, and the
//! beginning of the newest bucket with use of the new key. [`Opinion::Idle`] means: the old key was not used in the
//! quiet time before the proven end, nor was any use after it shown. That holds if the source shows all use of a key
//! within the delay that was measured; and, for a source that tells when use was, also if it is later than that, or
//! stands still, but shows use in the order in which it was.
//!
//! It cannot see use that the source never shows (calls that cost nothing, in a source of credits; a stretch of time
//! that the source lost while it showed the new key's use before and after it), nor use after the proven end that is
//! not shown yet. Therefore disabling, which can be undone, comes before deleting.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::ids::KeyId;
use crate::domain::key::Key;
use crate::domain::time::{earlier, later};

mod counters;

pub use crate::domain::usage::counters::CreditCounters;

/// Kept of each key: enough to name who still uses it.
const SPOTS_MAX: usize = 8;
/// Answers further apart than this leave open what happened in between, and when.
const LATELY: SignedDuration = SignedDuration::from_mins(10);
/// How far the provider's clock, by which it writes down a call of ours, may be from ours, with the call's duration.
const NEARBY: SignedDuration = SignedDuration::from_mins(3);

/// Where evidence comes from, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
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
    /// Keys of which the source cannot tell whether they were used, each with why; they are missing from `uses`.
    pub untold: BTreeMap<KeyId, String>,
}

impl Reading {
    /// What it says about these keys. It says nothing about them if it cannot tell the use of one.
    #[must_use]
    pub fn about(&self, keys: &[Key]) -> Self {
        let is_asked = |id: &&KeyId| keys.iter().any(|key| key.id == **id);
        let untold = self.untold.iter().find(|(id, _)| is_asked(id)).map(|(_, why)| why.clone());
        let of = |uses: &BTreeMap<KeyId, Vec<Use>>| {
            uses.iter().filter(|(id, _)| is_asked(id)).map(|(id, uses)| (id.clone(), uses.clone())).collect()
        };
        let uses = match (&self.uses, untold) {
            (Err(why), _) => Err(why.clone()),
            (Ok(_), Some(why)) => Err(why),
            (Ok(uses), None) => Ok(of(uses)),
        };
        Self { uses, untold: BTreeMap::new(), ..*self }
    }
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

/// The evidence of one source since the overlap began. Grows by [`SourceEvidence::learn`], and never forgets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceEvidence {
    pub source: Source,
    /// When it was first asked.
    #[serde(default)]
    pub asked_from: Option<Timestamp>,
    /// The newest answer; `None` if it never answered.
    pub answered_at: Option<Timestamp>,
    /// From when on everything that the source shows is known.
    pub covers_from: Option<Timestamp>,
    /// Why the newest question had no answer, if it had none.
    pub blind: Option<String>,
    /// When the first question after the newest answer was asked, if that had none either.
    #[serde(default)]
    pub blind_since: Option<Timestamp>,
    pub old: KeyUse,
    pub new: KeyUse,
    /// The beginning of the newest bucket that showed any use of the new key, our own included.
    pub newest: Option<Timestamp>,
    /// The longest that use of either key took to be shown, as far as that can be measured: on the newest use, and at
    /// most one bucket and one interval between two questions too long. Of a counter, which does not say when use was,
    /// the time until it first moved.
    pub delay: SignedDuration,
}

/// The use of one key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyUse {
    /// The end of the newest bucket with use; `None` if no use was shown.
    pub last: Option<Timestamp>,
    /// In the stretch of time that was asked about; of a counter, since it was first read.
    pub amount: i64,
    /// Where use came from, the newest first.
    pub spots: Vec<Spot>,
}

/// One origin of use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spot {
    /// The end of the newest bucket with use from there.
    pub last: Timestamp,
    /// Values of the provider's columns, by their names.
    pub about: BTreeMap<String, String>,
}

/// Calls that we made with the new key ourselves: use near them is not the consumers'.
#[derive(Debug, Clone, Copy)]
pub struct Ours<'a> {
    /// When calls were made that are billed.
    pub canaries: &'a [Timestamp],
    /// Until when it was tried whether the provider accepts the key, by calls that cost nothing.
    pub tried_until: Timestamp,
}

impl Ours<'_> {
    /// In doubt it is ours: that a consumer uses the new key must not be concluded from our own calls.
    fn may_be(&self, source: Source, used: &Use) -> bool {
        let near = |at: Timestamp| later(at, NEARBY) > used.from && earlier(at, NEARBY) < used.until;
        let is_canary = self.canaries.iter().any(|at| near(*at));
        match source {
            Source::UsageByKey => is_canary,
            // It shows what costs nothing as well.
            Source::RequestLog => is_canary || used.from <= later(self.tried_until, NEARBY),
            // It may move long after the call that moved it.
            Source::CreditCounter => !self.canaries.is_empty(),
        }
    }
}

impl SourceEvidence {
    #[must_use]
    pub fn nothing(source: Source) -> Self {
        Self {
            source,
            asked_from: None,
            answered_at: None,
            covers_from: None,
            blind: None,
            blind_since: None,
            old: KeyUse::default(),
            new: KeyUse::default(),
            newest: None,
            delay: SignedDuration::ZERO,
        }
    }

    /// Takes in one more answer of the same source.
    #[must_use]
    pub fn learn(&self, reading: &Reading, old: &KeyId, new: &KeyId, ours: Ours<'_>) -> Self {
        let mut seen = self.clone();
        seen.asked_from = seen.asked_from.or(Some(reading.at));
        let uses = match &reading.uses {
            Ok(uses) => uses,
            Err(why) => {
                seen.blind = Some(why.clone());
                seen.blind_since = self.blind_since.or(Some(reading.at));
                return seen;
            }
        };
        let of = |key: &KeyId| uses.get(key).map_or(&[][..], Vec::as_slice);
        (seen.blind, seen.blind_since) = (None, None);
        seen.answered_at = Some(reading.at);
        seen.covers_from = Some(self.covered(reading));
        seen.old = self.old.after(reading.source, of(old).iter());
        let theirs = of(new).iter().filter(|used| !ours.may_be(reading.source, used));
        seen.new = self.new.after(reading.source, theirs);
        seen.newest = self.newest.max(of(new).iter().map(|used| used.from).max());
        let late = [self.late_for_new(reading, of(new)), self.late_for_old(reading, of(old))];
        seen.delay = late.into_iter().flatten().fold(self.delay, SignedDuration::max);
        seen
    }

    /// An answer about a stretch of time tells again everything that is in it, and what came in late. A counter tells
    /// what came since the reading before, and all of it only if none is missing.
    fn covered(&self, reading: &Reading) -> Timestamp {
        match reading.source {
            Source::UsageByKey | Source::RequestLog => reading.since,
            Source::CreditCounter => {
                let gapless = self.answered_at.is_some_and(|before| reading.since <= before);
                self.covers_from.filter(|_| gapless).unwrap_or(reading.since)
            }
        }
    }

    fn asked_lately(&self, reading: &Reading) -> bool {
        self.answered_at.is_some_and(|before| reading.at.duration_since(before) <= LATELY)
    }

    /// How late use of the new key is that was not shown before, our own canary's included.
    fn late_for_new(&self, reading: &Reading, uses: &[Use]) -> Option<SignedDuration> {
        let newest = uses.iter().map(|used| used.from).max().filter(|newest| Some(*newest) > self.newest)?;
        let from = match (reading.source, self.newest) {
            // The key was in nobody's hands long before it was first asked about it.
            (Source::CreditCounter, None) => self.asked_from?.min(newest),
            // Nobody knows when in the meantime it would have been shown; one measurement is there already.
            (_, Some(_)) if !self.asked_lately(reading) => return None,
            (_, _) => newest,
        };
        Some(reading.at.duration_since(from))
    }

    /// The same for the old key, whose use before the first question says nothing about delay.
    fn late_for_old(&self, reading: &Reading, uses: &[Use]) -> Option<SignedDuration> {
        let newest = uses.iter().max_by_key(|used| used.until)?;
        let is_news = self.asked_lately(reading) && Some(newest.until) > self.old.last;
        is_news.then(|| reading.at.duration_since(newest.from))
    }

    /// Why it does not answer, and since when; `None` if it does.
    #[must_use]
    pub fn blindness(&self) -> Option<String> {
        let why = self.blind.as_ref()?;
        let since = self.blind_since.map(|since| format!(" since {since:.0}")).unwrap_or_default();
        Some(format!("it does not answer{since}: {why}"))
    }

    fn may_not_look(&self) -> String {
        let since = match (self.newest, self.asked_from) {
            (Some(newest), _) => format!(" since {newest:.0}"),
            (None, Some(asked_from)) => format!(" since it was first asked, at {asked_from:.0}"),
            (None, None) => String::new(),
        };
        format!("it has shown no use of the new key{since}, so that it may not be looking")
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
        let not_asked = || "it has not been asked yet".to_owned();
        let Some(answered_at) = self.answered_at else {
            return Opinion::Unknown(self.blindness().unwrap_or_else(not_asked));
        };
        let needed = quiet.saturating_add(self.delay);
        let used_after = |from: Timestamp| self.old.last.filter(|last| *last > from);
        if let Some(last) = used_after(earlier(now, needed)) {
            return Opinion::Used { last };
        }
        if let Some(why) = self.blindness() {
            return Opinion::Unknown(why);
        }
        if now.duration_since(answered_at).abs() > stale_after {
            return Opinion::Unknown(format!("its newest answer is of {answered_at}"));
        }
        let from = earlier(answered_at, needed);
        if let Some(last) = used_after(from) {
            return Opinion::Used { last };
        }
        let Some(newest) = self.newest.filter(|newest| *newest > from) else {
            return Opinion::Unknown(self.may_not_look());
        };
        let quiet_from = earlier(newest.min(earlier(answered_at, self.delay)), quiet);
        if quiet_from < switched || self.covers_from.is_none_or(|covered| covered > quiet_from) {
            return Opinion::Unknown("it has not been watched for long enough".to_owned());
        }
        match used_after(quiet_from) {
            None => Opinion::Idle { since: self.old.last },
            Some(last) => Opinion::Unknown(format!(
                "it shows use of the old key until {last}, and of the new key not since {newest}, so that it may have \
                 stopped looking"
            )),
        }
    }
}

impl KeyUse {
    /// Where use came from within `quiet` of the newest: who has stopped by then is no straggler.
    #[must_use]
    pub fn origins(&self, quiet: SignedDuration) -> Vec<BTreeMap<String, String>> {
        let lately = self.last.map_or(Timestamp::MIN, |last| earlier(last, quiet));
        self.spots.iter().filter(|spot| spot.last > lately).map(|spot| spot.about.clone()).collect()
    }

    fn after<'a>(&self, source: Source, uses: impl Iterator<Item = &'a Use>) -> Self {
        let mut newest_first: Vec<&Use> = uses.collect();
        newest_first.sort_by_key(|used| std::cmp::Reverse(used.until));
        let fresh = newest_first.iter().map(|used| Spot { last: used.until, about: used.about.clone() });
        let mut spots: Vec<Spot> = Vec::new();
        for spot in fresh.chain(self.spots.iter().cloned()) {
            let known = spots.iter().any(|known| known.about == spot.about);
            if !spot.about.is_empty() && !known && spots.len() < SPOTS_MAX {
                spots.push(spot);
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

#[cfg(test)]
mod tests;
