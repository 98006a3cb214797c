//! Rows of use, and which key each is of.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::adapters::elevenlabs::redaction::presentable;
use crate::adapters::elevenlabs::usage::Span;
use crate::adapters::elevenlabs::usage::cell;
use crate::adapters::elevenlabs::usage::table::Table;
use crate::domain::ids::KeyId;
use crate::domain::key::{Inventory, Key};
use crate::domain::sanitize::quoted;
use crate::domain::usage::Use;

pub(super) const HASH_COLUMN: &str = "hashed_xi_api_key";
pub(super) const NAME_COLUMN: &str = "api_key_name";
/// What tells people who uses a key.
const TELLING: [&str; 8] =
    ["request_source", "product_type", "product", "model", "model_id", "region", "surface", "endpoint"];
const TELLING_CHARACTERS_MAX: usize = 80;

/// What was shown of each key's use.
pub(super) type Uses = BTreeMap<KeyId, Vec<Use>>;

/// The texts by which the provider knows each key.
pub(super) type Names = BTreeMap<KeyId, BTreeSet<String>>;

/// What a source told: the use of keys, and of which keys it cannot tell any, with why.
#[derive(Default)]
pub(super) struct Told {
    pub(super) uses: Uses,
    pub(super) untold: BTreeMap<KeyId, String>,
}

/// The names of the keys that no other key of the listing has, and the keys whose name `teller` cannot tell apart.
pub(super) fn only_names(keys: &[Key], listed: &Inventory, teller: &str) -> (Names, BTreeMap<KeyId, String>) {
    let (mut names, mut untold) = (Names::new(), BTreeMap::new());
    for key in keys {
        if listed.keys().filter(|other| other.name == key.name).count() == 1 {
            names.insert(key.id.clone(), [key.name.clone()].into());
        } else {
            let name = quoted(&key.name);
            let why = format!("{teller} keys apart by name only, and {name} is not the only key of its name");
            untold.insert(key.id.clone(), why);
        }
    }
    (names, untold)
}

/// Credits spent in a bucket of time, by a key as the provider names it there.
pub(super) struct Row {
    pub(super) hash: Option<String>,
    pub(super) name: Option<String>,
    pub(super) used: Use,
}

/// The rows of a table of credits over time that show use. A row that shows none is only there to fill the time.
pub(super) struct Rows {
    pub(super) by_hash: bool,
    pub(super) by_name: bool,
    pub(super) rows: Vec<Row>,
}

impl Rows {
    /// # Errors
    /// Which column there is not, or what a cell is not.
    pub(super) fn read(table: &Table, span: &Span) -> Result<Self, String> {
        let (hash, name) = (table.named(HASH_COLUMN), table.named(NAME_COLUMN));
        let (time, amounts) = (table.time()?, table.amounts()?);
        let cell =
            |row: &[Value], column: Option<usize>| column.and_then(|index| cell::text(row.get(index)?));
        let mut rows = Vec::new();
        for row in &table.rows {
            let from = cell::instant(row.get(time).unwrap_or(&Value::Null))?;
            if !span.may_hold(from) {
                return Err("a row is of another time than was asked for".to_owned());
            }
            let read = |index: &usize| cell::number(row.get(*index).unwrap_or(&Value::Null));
            let spent = amounts.iter().map(read).collect::<Result<Vec<f64>, _>>()?;
            let Some(amount) =
                spent.iter().map(|amount| cell::rounded_up(*amount)).find(|amount| *amount > 0)
            else {
                continue;
            };
            let until = from.saturating_add(span.bucket()).unwrap_or(from);
            let about = telling(table, row);
            rows.push(Row {
                hash: cell(row, hash),
                name: cell(row, name),
                used: Use { from, until, amount, about },
            });
        }
        Ok(Self { by_hash: hash.is_some(), by_name: name.is_some(), rows })
    }

    /// The use of each key, by any of the texts that stand for it.
    pub(super) fn of(&self, named: &Names, text: fn(&Row) -> Option<&String>) -> Uses {
        let mut uses = Uses::new();
        for row in &self.rows {
            for (key, texts) in named {
                if text(row).is_some_and(|text| texts.contains(text)) {
                    uses.entry(key.clone()).or_default().push(row.used.clone());
                }
            }
        }
        uses
    }
}

/// What a row says about who used the key, by the provider's own column names.
pub(super) fn telling(table: &Table, row: &[Value]) -> BTreeMap<String, String> {
    let columns = TELLING.iter().filter_map(|name| {
        let text = cell::text(row.get(table.named(name)?)?)?;
        Some(((*name).to_owned(), presentable(&text, &[], TELLING_CHARACTERS_MAX)))
    });
    columns.collect()
}
