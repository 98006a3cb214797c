//! Which credentials are listed: by condition and by text, both in the address, page after page.

use serde::Deserialize;

use crate::domain::ids::WorkspaceName;
use crate::domain::report::{CredentialHealth, CredentialReport};

/// On one page of the list.
pub(super) const ROWS: usize = 100;

/// Those that need a person, whatever their condition.
pub(super) const ATTENTION: &str = "attention";

/// As it stands in the address. What makes no sense there filters nothing.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Filter {
    /// In the name, the workspace, the account, a key's id or fingerprint, or in what is said.
    pub(super) q: String,
    pub(super) show: String,
    page: String,
}

impl Filter {
    pub(super) fn is_on(&self) -> bool {
        !self.text().is_empty() || self.shown().is_some()
    }

    pub(super) fn text(&self) -> &str {
        self.q.trim()
    }

    /// The chosen condition, or `attention`, if there is such a thing.
    pub(super) fn shown(&self) -> Option<&'static str> {
        let known = CredentialHealth::ALL.map(CredentialHealth::label).into_iter().chain([ATTENTION]);
        known.into_iter().find(|label| *label == self.show)
    }

    pub(super) fn matches(&self, report: &CredentialReport) -> bool {
        let is_shown = match self.shown() {
            None => true,
            Some(ATTENTION) => report.attention,
            Some(label) => report.health.label() == label,
        };
        is_shown && self.finds(report)
    }

    fn finds(&self, report: &CredentialReport) -> bool {
        let wanted = self.text().to_lowercase();
        let has = |text: &str| text.to_lowercase().contains(&wanted);
        wanted.is_empty()
            || has(report.credential.as_str())
            || report.workspace.as_ref().is_some_and(|it| has(WorkspaceName::as_str(it)))
            || report.account.as_ref().is_some_and(|it| has(it.as_str()))
            || report.key_id.as_ref().is_some_and(|it| has(it.as_str()))
            || report.fingerprint.as_ref().is_some_and(|it| has(it.as_str()))
            || has(&report.summary)
    }

    /// Which page of a list so long, from 1, and how many there are.
    pub(super) fn page(&self, rows: usize) -> (usize, usize) {
        let pages = rows.div_ceil(ROWS).max(1);
        (self.page.parse().unwrap_or(1).clamp(1, pages), pages)
    }

    /// The address of a page of the same list.
    pub(super) fn address(&self, page: usize) -> String {
        let mut parts = Vec::new();
        if !self.text().is_empty() {
            parts.push(format!("q={}", encoded(self.text())));
        }
        parts.extend(self.shown().map(|show| format!("show={show}")));
        if page > 1 {
            parts.push(format!("page={page}"));
        }
        if parts.is_empty() { "/#list".to_owned() } else { format!("/?{}#list", parts.join("&")) }
    }
}

/// As a form would send it.
fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        b' ' => "+".to_owned(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_not_there_is_the_nearest_one() {
        let filter = |page: &str| Filter { page: page.to_owned(), ..Filter::default() };
        for (asked, rows, page) in
            [("", 5, (1, 1)), ("2", 250, (2, 3)), ("9", 250, (3, 3)), ("0", 0, (1, 1)), ("-1", 101, (1, 2))]
        {
            assert_eq!(filter(asked).page(rows), page, "{asked}");
        }
    }

    #[test]
    fn what_is_looked_for_comes_back_in_the_address() {
        let filter = Filter { q: " a&b=<ü ".to_owned(), show: "parked".to_owned(), page: String::new() };
        assert_eq!(filter.address(2), "/?q=a%26b%3D%3C%C3%BC&show=parked&page=2#list");
        assert_eq!(Filter { show: "nonsense".to_owned(), ..Filter::default() }.address(1), "/#list");
    }
}
