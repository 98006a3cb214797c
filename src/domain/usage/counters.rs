//! What the counters of credits in two listings say about the use in between.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::domain::ids::KeyId;
use crate::domain::time::later;
use crate::domain::usage::{LATELY, Reading, Source, Use};

/// The counters of credits at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditCounters {
    pub at: Timestamp,
    pub old: Option<i64>,
    pub new: Option<i64>,
}

impl CreditCounters {
    /// What moved since `before`. A counter that fell says nothing: a billing period may have ended in between, or a
    /// key may have been changed. One that was not looked at lately may have fallen and risen again unseen: that it
    /// rose is told, and what it did not show is not relied on. The same after a reading that lacked a counter.
    #[must_use]
    pub fn moved(&self, before: Option<&Self>, old: &KeyId, new: &KeyId) -> Reading {
        let is_whole = |before: &&Self| before.old.is_some() && before.new.is_some();
        let lately = before.filter(|before| self.at.duration_since(before.at) <= LATELY).filter(is_whole);
        let since = lately.map_or(self.at, |before| before.at);
        let reading = |uses| Reading {
            source: Source::CreditCounter,
            at: self.at,
            since,
            uses,
            untold: BTreeMap::new(),
        };
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
                    let until = later(self.at, SignedDuration::from_nanos(1));
                    let used = Use { from: before.at, until, amount: now - earlier, about: BTreeMap::new() };
                    uses.insert(key.clone(), vec![used]);
                }
            }
        }
        reading(Ok(uses))
    }
}
