//! The filter of the list, by condition and text, in the query of the URL.

use serde::Deserialize;

use crate::domain::ids::WorkspaceName;
use crate::domain::report::{CredentialHealth, CredentialReport};

/// Rows on one page of the list.
pub(super) const ROWS: usize = 100;

/// Selects credentials that need attention, whatever their condition.
pub(super) const ATTENTION: &str = "attention";

/// The query parameters. Invalid values do not filter.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Filter {
    /// Searched in name, workspace, account, key id, fingerprint and summary.
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

    /// The selected condition or `attention`, if valid.
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

    /// The current page, from 1, and the number of pages.
    pub(super) fn page(&self, rows: usize) -> (usize, usize) {
        let pages = rows.div_ceil(ROWS).max(1);
        (self.page.parse().unwrap_or(1).clamp(1, pages), pages)
    }

    /// The URL of a page of the same list.
    pub(super) fn url(&self, page: usize) -> String {
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

/// Encodes text like an HTML form.
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
    fn a_page_out_of_range_is_the_nearest_one() {
        let filter = |page: &str| Filter { page: page.to_owned(), ..Filter::default() };
        for (asked, rows, page) in
            [("", 5, (1, 1)), ("2", 250, (2, 3)), ("9", 250, (3, 3)), ("0", 0, (1, 1)), ("-1", 101, (1, 2))]
        {
            assert_eq!(filter(asked).page(rows), page, "{asked}");
        }
    }

    #[test]
    fn the_url_contains_the_filter() {
        let filter = Filter { q: " a&b=<ü ".to_owned(), show: "parked".to_owned(), page: String::new() };
        assert_eq!(filter.url(2), "/?q=a%26b%3D%3C%C3%BC&show=parked&page=2#list");
        assert_eq!(Filter { show: "nonsense".to_owned(), ..Filter::default() }.url(1), "/#list");
    }
}
