//! The groups by whose sharing a service account reaches resources. They belong to the account, not to its keys: two keys
//! of one account reach the same.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::sanitize::{one_line, shortened};

/// The roles that a group can be given.
pub const ROLES: [&str; 3] = ["viewer", "editor", "admin"];
/// What a group is given where nothing is said.
const DEFAULT_ROLE: &str = ROLES[0];
const ID_CHARACTERS_MAX: usize = 128;
const SHOWN_CHARACTERS_MAX: usize = 300;

/// Each group's id with its role, as the provider names them: both are opaque in a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct SharingGroups(BTreeMap<String, String>);

impl SharingGroups {
    /// Reads `ID` or `ID:ROLE`, and adds it.
    ///
    /// # Errors
    /// Which rule the text breaks.
    pub fn add(&mut self, text: &str) -> Result<(), &'static str> {
        let (id, role) = text.split_once(':').unwrap_or((text, DEFAULT_ROLE));
        if id.is_empty() || id.len() > ID_CHARACTERS_MAX || !id.chars().all(|c| c.is_ascii_graphic()) {
            return Err("not a group ID");
        }
        if !ROLES.contains(&role) {
            return Err("the role of a group is `viewer`, `editor` or `admin`");
        }
        if self.0.insert(id.to_owned(), role.to_owned()).is_some() {
            return Err("the group is named twice");
        }
        Ok(())
    }

    /// Adds a group as a listing shows it.
    #[must_use]
    pub fn with(mut self, id: impl Into<String>, role: impl Into<String>) -> Self {
        self.0.insert(id.into(), role.into());
        self
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(id, role)| (id.as_str(), role.as_str()))
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What became of these groups in `now`, for a person; `None` if nothing did.
    #[must_use]
    pub fn changes(&self, now: &Self) -> Option<String> {
        let removed = self.0.keys().filter(|id| !now.0.contains_key(*id)).map(|id| format!("removed `{id}`"));
        let others = now.0.iter().filter_map(|(id, role)| match self.0.get(id) {
            None => Some(format!("added `{id}` ({role})")),
            Some(before) if before != role => Some(format!("`{id}` is {role}, was {before}")),
            Some(_) => None,
        });
        let changes: Vec<String> = removed.chain(others).collect();
        (!changes.is_empty()).then(|| shown(&changes.join(", ")))
    }
}

impl fmt::Display for SharingGroups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        let groups: Vec<String> = self.0.iter().map(|(id, role)| format!("`{id}` ({role})")).collect();
        f.write_str(&shown(&groups.join(", ")))
    }
}

/// The ids of a listing are the provider's: they must not break a line.
fn shown(text: &str) -> String {
    shortened(&one_line(text), SHOWN_CHARACTERS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_an_id_with_a_role_that_is_viewer_by_default() {
        let mut groups = SharingGroups::default();
        assert_eq!(groups.add("g1"), Ok(()));
        assert_eq!(groups.add("g2:editor"), Ok(()));
        assert_eq!(groups, SharingGroups::default().with("g1", "viewer").with("g2", "editor"));
        assert_eq!(groups.to_string(), "`g1` (viewer), `g2` (editor)");
        assert_eq!(SharingGroups::default().to_string(), "none");
        for wrong in ["", ":viewer", "g3:", "g3:owner", "g 3", "g3:editor:x", "g1:admin"] {
            assert!(groups.add(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn each_change_of_the_groups_is_named() {
        let before =
            SharingGroups::default().with("kept", "viewer").with("gone", "admin").with("moved", "viewer");
        let after =
            SharingGroups::default().with("kept", "viewer").with("new", "editor").with("moved", "admin");
        for (one, other, told) in [
            (&before, &before, None),
            (&before, &after, Some("removed `gone`, `moved` is admin, was viewer, added `new` (editor)")),
            (
                &SharingGroups::default(),
                &SharingGroups::default().with("g", "viewer"),
                Some("added `g` (viewer)"),
            ),
        ] {
            assert_eq!(one.changes(other).as_deref(), told);
        }
    }
}
