//! The newest use of a key that nobody waits for: what the provider shows of a key before rekeyd rotates it.
//!
//! Use that was shown is certain. That none was shown is reported as what it is, and nothing is ever concluded from it:
//! gates judge by evidence of their own (see [`crate::domain::usage`]).

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::ids::KeyId;
use crate::domain::key::Key;
use crate::domain::sanitize::one_line;
use crate::domain::usage::{Reading, Source};

const RECORDED_EVERY: SignedDuration = SignedDuration::from_hours(1);

/// What is known of the use of one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastUse {
    pub key: KeyId,
    /// When the sources were last asked.
    pub asked_at: Timestamp,
    /// The key was used shortly before; `null` if no source showed any use.
    pub last: Option<Timestamp>,
    /// The source that showed it.
    pub source: Option<Source>,
    /// Who used it, as far as the provider tells, by the names of its columns.
    #[serde(default)]
    pub about: BTreeMap<String, String>,
    /// The sources that showed the use of keys when they were last asked, and from when on they showed it.
    pub watched_by: Vec<Source>,
    pub watched_from: Option<Timestamp>,
    /// Why no source shows the use of this key, if none does.
    pub unknown: Option<String>,
    /// Credits used in the billing period, as last listed.
    #[serde(default)]
    pub credits: Option<i64>,
}

impl LastUse {
    /// Adds what the sources showed, and the listing's counter of credits. `before` is the same of an earlier time.
    #[must_use]
    pub fn learn(before: Option<&Self>, key: &Key, readings: &[Reading], at: Timestamp) -> Self {
        let before = before.filter(|before| before.key == key.id);
        let readings: Vec<Reading> =
            readings.iter().map(|reading| reading.about(std::slice::from_ref(key))).collect();
        let answers = || readings.iter().filter_map(|reading| Some((reading, reading.uses.as_ref().ok()?)));
        let mut next = Self {
            key: key.id.clone(),
            asked_at: at,
            last: before.and_then(|before| before.last),
            source: before.and_then(|before| before.source),
            about: before.map(|before| before.about.clone()).unwrap_or_default(),
            watched_by: answers().map(|(reading, _)| reading.source).collect(),
            watched_from: answers().map(|(reading, _)| reading.since).min(),
            unknown: None,
            credits: key.character_count,
        };
        let earlier = before.filter(|before| !before.watched_by.is_empty()).and_then(|it| it.watched_from);
        if next.watched_from.is_some() {
            next.watched_from = next.watched_from.into_iter().chain(earlier).min();
        }
        let shown = answers().flat_map(|(reading, uses)| {
            uses.get(&key.id).into_iter().flatten().map(|used| (reading.source, used))
        });
        // A source that tells the call's own time is preferred to one that tells the hour.
        if let Some((source, used)) = shown.max_by_key(|(_, used)| (used.from, used.until)) {
            next.saw(source, used.until.min(at), &used.about);
        }
        let moved = before.and_then(|before| before.credits).zip(key.character_count);
        if moved.is_some_and(|(before, now)| now > before)
            && next.last.is_none_or(|last| last < before.map_or(at, |it| it.asked_at))
        {
            next.saw(Source::CreditCounter, at, &BTreeMap::new());
        }
        if next.watched_by.is_empty() && next.last.is_none() {
            let why = readings.iter().find_map(|reading| reading.uses.as_ref().err());
            next.unknown =
                Some(why.map_or("the workspace has no evidence of use", String::as_str).to_owned());
        }
        next
    }

    fn saw(&mut self, source: Source, at: Timestamp, about: &BTreeMap<String, String>) {
        if self.last.is_none_or(|last| at > last) {
            self.last = Some(at);
            self.source = Some(source);
            self.about.clone_from(about);
        }
    }

    /// Whether it is worth a record of its own: that only time has passed is recorded once an hour.
    #[must_use]
    pub fn is_news_after(&self, known: &Self) -> bool {
        let as_before = Self { asked_at: known.asked_at, credits: known.credits, ..self.clone() };
        as_before != *known || self.asked_at.duration_since(known.asked_at) >= RECORDED_EVERY
    }

    /// Who used it, such as `request_source=tts-api, region=eu`; empty if the provider does not tell.
    #[must_use]
    pub fn by_whom(&self) -> String {
        let columns: Vec<String> = self.about.iter().map(|(name, value)| format!("{name}={value}")).collect();
        one_line(&columns.join(", "))
    }

    /// The sources that look, such as `usage_by_key and request_log`.
    #[must_use]
    pub fn sources(&self) -> String {
        self.watched_by.iter().map(|source| source.label()).collect::<Vec<_>>().join(" and ")
    }

    /// In one line. `moment` writes an instant.
    #[must_use]
    pub fn told(&self, moment: impl Fn(Timestamp) -> String) -> String {
        if let Some(last) = self.last {
            let source = self.source.map_or("", Source::label);
            let by = self.by_whom();
            let by = if by.is_empty() { by } else { format!("; {by}") };
            return format!("{}, by {source}{by}", moment(last));
        }
        match (&self.unknown, self.watched_from) {
            (Some(why), _) => format!("cannot be known: {why}"),
            (None, Some(from)) => format!(
                "no use seen since {} by {}, which may not show calls that cost nothing",
                moment(from),
                self.sources()
            ),
            (None, None) => "not known yet".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::ServiceAccountId;
    use crate::domain::key::{KeyAttributes, Permissions};
    use crate::domain::time::{earlier, later};
    use crate::domain::usage::Use;

    const NOON: Timestamp = Timestamp::constant(1_795_435_200, 0);

    fn minutes(count: i64) -> SignedDuration {
        SignedDuration::from_mins(count)
    }

    fn key(credits: Option<i64>) -> Key {
        Key {
            id: KeyId::new("key_1").unwrap(),
            account: ServiceAccountId::new("account_1").unwrap(),
            name: "by hand".to_owned(),
            hint: String::new(),
            created_at: None,
            enabled: true,
            disable_reason: None,
            attributes: KeyAttributes::of(Permissions::All),
            expires_at: None,
            usage_hash: None,
            character_count: credits,
        }
    }

    fn reading(source: Source, uses: Result<Option<Timestamp>, &str>) -> Reading {
        let used = |until: Timestamp| {
            let about = BTreeMap::from([("request_source".to_owned(), "tts".to_owned())]);
            let used = Use { from: earlier(until, minutes(1)), until, amount: 1, about };
            (key(None).id, vec![used])
        };
        let uses = uses.map(|until| until.map(used).into_iter().collect()).map_err(str::to_owned);
        Reading { source, at: NOON, since: earlier(NOON, minutes(60)), uses, untold: BTreeMap::new() }
    }

    fn told(known: &LastUse) -> String {
        known.told(|at| at.to_string())
    }

    #[test]
    fn use_that_a_source_showed_is_never_forgotten_and_the_newest_counts() {
        let at = |ago| earlier(NOON, minutes(ago));
        let seen =
            [reading(Source::UsageByKey, Ok(Some(at(30)))), reading(Source::RequestLog, Ok(Some(at(10))))];
        let first = LastUse::learn(None, &key(Some(5)), &seen, NOON);
        assert_eq!((first.last, first.source), (Some(at(10)), Some(Source::RequestLog)));
        assert_eq!(told(&first), format!("{}, by request_log; request_source=tts", at(10)));
        let blind = [reading(Source::UsageByKey, Err("not permitted"))];
        let next = LastUse::learn(Some(&first), &key(Some(5)), &blind, later(NOON, minutes(60)));
        assert_eq!((next.last, &next.unknown), (Some(at(10)), &None));
        // Of another key nothing is known.
        let other = Key { id: KeyId::new("key_2").unwrap(), ..key(Some(5)) };
        assert_eq!(LastUse::learn(Some(&next), &other, &blind, NOON).last, None);
    }

    #[test]
    fn a_counter_that_rose_is_use_and_one_that_fell_is_none() {
        let blind = [reading(Source::UsageByKey, Err("not permitted"))];
        let first = LastUse::learn(None, &key(Some(5)), &blind, NOON);
        assert_eq!(told(&first), "cannot be known: not permitted");
        let hour = later(NOON, minutes(60));
        let fell = LastUse::learn(Some(&first), &key(Some(0)), &blind, hour);
        assert_eq!(fell.last, None);
        let rose = LastUse::learn(Some(&first), &key(Some(6)), &blind, hour);
        assert_eq!((rose.last, rose.source), (Some(hour), Some(Source::CreditCounter)));
    }

    #[test]
    fn no_use_is_told_with_since_when_it_was_looked_for() {
        let quiet = [reading(Source::UsageByKey, Ok(None))];
        let first = LastUse::learn(None, &key(None), &quiet, NOON);
        let since = earlier(NOON, minutes(60));
        assert!(told(&first).starts_with(&format!("no use seen since {since} by usage_by_key")), "{first:?}");
        let later_reading = Reading { since: NOON, ..reading(Source::UsageByKey, Ok(None)) };
        let next = LastUse::learn(Some(&first), &key(None), &[later_reading], later(NOON, minutes(60)));
        assert_eq!(next.watched_from, Some(since), "what was watched before is not forgotten");
        assert_eq!(
            told(&LastUse::learn(None, &key(None), &[], NOON)),
            "cannot be known: the workspace has no evidence of use"
        );
    }
}
