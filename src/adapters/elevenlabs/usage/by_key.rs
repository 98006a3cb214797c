//! Credits by key and bucket of time. Keys are known by the hash of the listing; where the analytics name them by
//! another, or by none, by a name that only one key has.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::adapters::elevenlabs::ElevenLabs;
use crate::adapters::elevenlabs::usage::rows::{HASH_COLUMN, Names, Row, Rows, Told, Uses, only_names};
use crate::adapters::elevenlabs::usage::{NoTable, Span};
use crate::domain::key::Key;
use crate::domain::usage::Use;

/// What tells waiting_on apart, beside the key.
const DETAILS: [&str; 4] = ["request_source", "product_type", "model", "region"];

impl ElevenLabs {
    /// The use of `keys`, with who used those that are `leaving`, and the hashes by which they were found.
    pub(super) async fn usage_by_key(
        &self,
        keys: &[Key],
        leaving: &[Key],
        span: &Span,
    ) -> Result<(Told, Names), String> {
        let hashes: Names =
            keys.iter().filter_map(|key| Some((key.id.clone(), [key.usage_hash.clone()?].into()))).collect();
        let (rows, whole) = self.rows_of(&hashes, hashes.len() == keys.len(), span).await?;
        if !rows.by_hash {
            return Ok((self.by_name(keys, &rows, whole, span).await?, Names::new()));
        }
        let mut uses = rows.of(&hashes, by_hash);
        let mut known = hashes;
        if keys.iter().any(|key| !uses.contains_key(&key.id)) {
            let aliases = self.aliases(keys, span).await?;
            if !aliases.is_empty() {
                let (rows, _) = self.rows_of(&aliases, true, span).await?;
                for (key, more) in rows.of(&aliases, by_hash) {
                    uses.entry(key).or_default().extend(more);
                }
                for (key, more) in aliases {
                    known.entry(key).or_default().extend(more);
                }
            }
        }
        let mut used = known.clone();
        used.retain(|id, _| uses.contains_key(id) && leaving.iter().any(|key| key.id == *id));
        if !used.is_empty() {
            self.describe(&mut uses, &used, span).await;
        }
        Ok((Told { uses, untold: BTreeMap::new() }, known))
    }

    /// The rows of the keys with these hashes, if the provider filters; else of all. Whether it is all.
    async fn rows_of(&self, hashes: &Names, filtered: bool, span: &Span) -> Result<(Rows, bool), String> {
        if filtered {
            match self.ask_usage(&[], Some(hashes), span).await {
                Ok(rows) => return Ok((rows, false)),
                Err(NoTable::NotLikeThis(_)) => {}
                Err(NoTable::Other(why)) => return Err(why),
            }
        }
        let rows = self.ask_usage(&[], None, span).await.map_err(NoTable::why)?;
        Ok((rows, true))
    }

    async fn ask_usage(&self, more: &[&str], only: Option<&Names>, span: &Span) -> Result<Rows, NoTable> {
        let groups: Vec<&str> = std::iter::once(HASH_COLUMN).chain(more.iter().copied()).collect();
        let mut body = json!({
            "start_time": span.start_milliseconds(),
            "end_time": span.end_milliseconds(),
            "interval_seconds": span.bucket_seconds,
            "group_by": groups,
            "time_zone": "UTC",
        });
        if let (Some(only), Some(fields)) = (only, body.as_object_mut()) {
            let values: Vec<&String> = only.values().flatten().collect();
            let filter = json!([{"column": HASH_COLUMN, "operation": "in", "values": values}]);
            fields.insert("filters".to_owned(), filter);
        }
        let table = self.query("usage by key", self.routes.usage_by_product(), body).await?;
        Rows::read(&table, span).map_err(NoTable::Other)
    }

    /// Hashes by which the analytics name one of the keys that the listing does not show by that hash. That equal
    /// names of a column mean equal hashes is nowhere promised.
    async fn aliases(&self, keys: &[Key], span: &Span) -> Result<Names, String> {
        let all = self.ask_usage(&[], None, &span.by_day()).await.map_err(NoTable::why)?;
        let own = |key: &Key, row: &Row| row.hash.is_none() || row.hash == key.usage_hash;
        let mut aliases = Names::new();
        for row in &all.rows {
            for key in keys.iter().filter(|key| row.name.as_ref() == Some(&key.name) && !own(key, row)) {
                aliases.entry(key.id.clone()).or_default().extend(row.hash.clone());
            }
        }
        if aliases.is_empty() {
            return Ok(aliases);
        }
        // A hash that the listing shows at another key is that key's, whatever it is called.
        let listed = self.list_workspace().await.map_err(|failure| failure.message)?;
        let listed: BTreeSet<&String> = listed.keys().filter_map(|key| key.usage_hash.as_ref()).collect();
        for hashes in aliases.values_mut() {
            hashes.retain(|hash| !listed.contains(hash));
        }
        aliases.retain(|_, hashes| !hashes.is_empty());
        Ok(aliases)
    }

    async fn by_name(&self, keys: &[Key], rows: &Rows, whole: bool, span: &Span) -> Result<Told, String> {
        if !rows.by_name {
            return Err("the usage analytics have no column for the key".to_owned());
        }
        let listed = self.list_workspace().await.map_err(|failure| failure.message)?;
        let (names, untold) = only_names(keys, &listed, "the usage analytics tell");
        if whole {
            return Ok(Told { uses: rows.of(&names, by_name), untold });
        }
        // The hashes of a filter may be others than the analytics'.
        let all = self.ask_usage(&[], None, span).await.map_err(NoTable::why)?;
        Ok(Told { uses: all.of(&names, by_name), untold })
    }

    /// Puts to each use of `keys` who made it, as far as the provider tells. Without an answer the use stands as it is.
    async fn describe(&self, uses: &mut Uses, keys: &Names, span: &Span) {
        let mut told = match self.ask_usage(&DETAILS, Some(keys), span).await {
            Ok(rows) => rows.of(keys, by_hash),
            Err(trouble) => {
                tracing::debug!("who uses the keys is not told: {}", trouble.why());
                return;
            }
        };
        let newest = |uses: &[Use]| uses.iter().map(|used| used.until).max();
        for (key, plain) in uses {
            let told = told.remove(key).unwrap_or_default();
            if newest(&told) >= newest(plain) {
                *plain = told;
            }
        }
    }
}

fn by_hash(row: &Row) -> Option<&String> {
    row.hash.as_ref()
}

fn by_name(row: &Row) -> Option<&String> {
    row.name.as_ref()
}
