//! The usage port over the same workspace: what its analytics show of two keys' use.
//!
//! Nothing is taken from where it stands in an answer: [`table`] finds columns by name and unit and [`cell`] reads what
//! is in them, as text or not. [`by_key`] asks for credits in buckets of time, [`request_log`] for single calls where
//! the log tells keys apart. What cannot be understood is no evidence, with the reason why; it is never guessed at.

mod by_key;
mod canary;
mod cell;
mod request_log;
mod rows;
mod table;

pub(super) use request_log::LogColumn;

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use reqwest::{Method, Url};
use serde_json::Value;

use crate::adapters::elevenlabs::ElevenLabs;
use crate::adapters::elevenlabs::classify::Meaning;
use crate::adapters::elevenlabs::transport::{Call, Mutability, Reply};
use crate::adapters::elevenlabs::usage::rows::{Names, Told};
use crate::adapters::elevenlabs::usage::table::Table;
use crate::domain::failure::{Certainty, Failure};
use crate::domain::key::Key;
use crate::domain::secret::SecretValue;
use crate::domain::usage::{Reading, Source};
use crate::ports::usage::UsageSource;

/// Some tens of thousands of rows.
const TABLE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The provider knows no earlier time.
const EARLIEST_MILLISECONDS: i64 = 1_577_836_800_000;
/// How many buckets of each length are asked for at most, the shortest first.
const BUCKETS_MAX: i64 = 600;
const DAY_SECONDS: i64 = 86_400;
const BUCKET_SECONDS: [i64; 4] = [60, 300, 3600, DAY_SECONDS];

#[async_trait]
impl UsageSource for ElevenLabs {
    async fn usage(&self, leaving: &[Key], staying: &[Key], since: Timestamp) -> Vec<Reading> {
        let keys = &[leaving, staying].concat();
        let span = Span::new(since, self.transport.now());
        let (by_key, names) = match self.usage_by_key(keys, leaving, &span).await {
            Ok((told, names)) => (Ok(told), names),
            Err(why) => (Err(why), Names::new()),
        };
        let logged_at = self.transport.now();
        let (from, logged) = self.request_log(keys, &names, &Span::new(since, logged_at)).await;
        vec![
            reading(Source::UsageByKey, span.until, since, by_key),
            reading(Source::RequestLog, logged_at, from, logged),
        ]
    }

    async fn canary(&self, value: &SecretValue, voice: &str) -> Result<(), Failure> {
        self.speak_once(value, voice).await
    }
}

fn reading(source: Source, at: Timestamp, since: Timestamp, told: Result<Told, String>) -> Reading {
    let (uses, untold) = match told {
        Ok(told) => (Ok(told.uses), told.untold),
        Err(why) => (Err(why), BTreeMap::new()),
    };
    Reading { source, at, since, uses, untold }
}

/// The stretch of time that is asked about, in buckets.
#[derive(Debug, Clone, Copy)]
struct Span {
    since: Timestamp,
    until: Timestamp,
    bucket_seconds: i64,
}

impl Span {
    fn new(since: Timestamp, until: Timestamp) -> Self {
        let seconds = until.duration_since(since).as_secs();
        let fits = |bucket: &i64| seconds / bucket <= BUCKETS_MAX;
        let bucket_seconds = BUCKET_SECONDS.into_iter().find(fits).unwrap_or(DAY_SECONDS);
        Self { since, until, bucket_seconds }
    }

    /// The same in as few buckets as can be: who appears at all.
    fn by_day(self) -> Self {
        Self { bucket_seconds: DAY_SECONDS, ..self }
    }

    /// From the beginning of the first bucket, so that none is shown in part.
    fn start_milliseconds(self) -> i64 {
        let first =
            self.since.as_second().div_euclid(self.bucket_seconds).saturating_mul(self.bucket_seconds);
        first.saturating_mul(1000).max(EARLIEST_MILLISECONDS)
    }

    fn end_milliseconds(self) -> i64 {
        self.until.as_millisecond().saturating_add(1)
    }

    fn bucket(self) -> SignedDuration {
        SignedDuration::from_secs(self.bucket_seconds)
    }

    /// Whether something at `at` can have been asked for, the clocks being a little apart.
    fn may_hold(self, at: Timestamp) -> bool {
        let slack = self.bucket().saturating_add(SignedDuration::from_hours(1));
        at.duration_since(self.since) >= SignedDuration::ZERO - slack
            && at.duration_since(self.until) <= slack
    }
}

/// Why a query brought no table.
enum NoTable {
    /// The provider understood it, and does not want it like this.
    NotLikeThis(String),
    Other(String),
}

impl NoTable {
    fn why(self) -> String {
        match self {
            Self::NotLikeThis(why) | Self::Other(why) => why,
        }
    }
}

impl ElevenLabs {
    /// Asks one of the analytics, with the admin key.
    async fn query(&self, what: &str, url: Url, body: Value) -> Result<Table, NoTable> {
        let attempt = format!("asking for {what}");
        let call = Call { body: Some(body), ..Call::new(attempt, Mutability::ReadOnly, Method::POST, url) };
        let other = |failure: Failure| NoTable::Other(failure.message);
        let mut accepted = match self.transport.send(&call).await.map_err(other)? {
            Reply::Accepted(accepted) => accepted,
            Reply::Refused(refusal) => {
                let meaning = refusal.meaning();
                let why = self.transport.refused_as(
                    &call,
                    &refusal,
                    Certainty::Rejected,
                    meaning.kind(),
                    explanation(meaning),
                );
                let why = why.message;
                let is_the_question = meaning == Meaning::Invalid;
                return Err(if is_the_question { NoTable::NotLikeThis(why) } else { NoTable::Other(why) });
            }
        };
        let mut text = Vec::new();
        let read = accepted.read(TABLE_BYTES_MAX, &mut text).await;
        read.map_err(|shortfall| other(self.transport.cut_short(&call, &shortfall)))?;
        Table::parse(&text).map_err(|why| other(self.transport.senseless(&call, &why)))
    }
}

fn explanation(meaning: Meaning) -> &'static str {
    match meaning {
        Meaning::MissingPermission => {
            "the admin key lacks a permission: reading use takes `workspace_analytics_full_read`"
        }
        Meaning::NoSuchRoute => "this workspace does not have it",
        Meaning::Invalid => {
            "the provider refuses the question, as it does where a workspace is billed by cost"
        }
        Meaning::BadKey
        | Meaning::Forbidden
        | Meaning::NoCredits
        | Meaning::Throttled
        | Meaning::NoSuchThing
        | Meaning::Conflict
        | Meaning::LimitReached
        | Meaning::ServerError
        | Meaning::RequestTimeout
        | Meaning::Page
        | Meaning::Redirect
        | Meaning::Nonsense => meaning.explanation(),
    }
}
