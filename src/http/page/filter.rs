//! The filter and the order of the list, in the query of the URL.

use serde::Deserialize;

use crate::domain::ids::WorkspaceName;
use crate::domain::report::{CredentialHealth, CredentialReport};
use crate::http::page::cause::Cause;
use crate::http::page::order::Order;

/// Rows on one page of the list.
pub(super) const ROWS: usize = 100;

/// Selects credentials that need attention, whatever their condition.
pub(super) const ATTENTION: &str = "attention";

/// Selects those of a condition that do not: `calm=yes`.
pub(super) const CALM: &str = "yes";

/// The query parameters. Invalid values do not filter.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Filter {
    /// Searched in name, workspace, account, key id, fingerprint and summary.
    pub(super) q: String,
    pub(super) show: String,
    /// Whether those that need attention are left out.
    pub(super) calm: String,
    pub(super) workspace: String,
    /// The shared cause, by its slug.
    pub(super) cause: String,
    pub(super) sort: String,
    pub(super) page: String,
}

impl Filter {
    pub(super) fn is_on(&self) -> bool {
        !self.text().is_empty()
            || self.shown().is_some()
            || self.is_calm()
            || !self.workspace.is_empty()
            || !self.cause.is_empty()
    }

    pub(super) fn text(&self) -> &str {
        self.q.trim()
    }

    /// The selected condition or `attention`, if valid.
    pub(super) fn shown(&self) -> Option<&'static str> {
        let known = CredentialHealth::ALL.map(CredentialHealth::label).into_iter().chain([ATTENTION]);
        known.into_iter().find(|label| *label == self.show)
    }

    pub(super) fn is_calm(&self) -> bool {
        self.calm == CALM
    }

    pub(super) fn order(&self) -> Option<Order> {
        Order::parse(&self.sort)
    }

    /// `account` is the name of its service account, if that is known.
    pub(super) fn matches(&self, report: &CredentialReport, account: Option<&str>) -> bool {
        let is_shown = match self.shown() {
            None => true,
            Some(ATTENTION) => report.attention,
            Some(label) => report.health.label() == label,
        };
        let workspace = report.workspace.as_ref().map(WorkspaceName::as_str);
        is_shown
            && !(self.is_calm() && report.attention)
            && (self.workspace.is_empty() || workspace == Some(&self.workspace))
            && (self.cause.is_empty() || Cause::of(report).is_some_and(|cause| cause.slug == self.cause))
            && self.finds(report, account)
    }

    fn finds(&self, report: &CredentialReport, account: Option<&str>) -> bool {
        let wanted = self.text().to_lowercase();
        let has = |text: &str| text.to_lowercase().contains(&wanted);
        wanted.is_empty()
            || has(report.credential.as_str())
            || account.is_some_and(has)
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
        let mut put = |name: &str, value: &str| {
            if !value.is_empty() {
                parts.push(format!("{name}={}", encoded(value)));
            }
        };
        put("q", self.text());
        put("show", self.shown().unwrap_or_default());
        put("calm", if self.is_calm() { CALM } else { "" });
        put("workspace", &self.workspace);
        put("cause", &self.cause);
        put("sort", &self.order().map(Order::text).unwrap_or_default());
        if page > 1 {
            put("page", &page.to_string());
        }
        if parts.is_empty() { "/#list".to_owned() } else { format!("/?{}#list", parts.join("&")) }
    }

    /// The URL of the same list in another order.
    pub(super) fn sorted_by(&self, order: Order) -> String {
        Self { sort: order.text(), ..self.clone() }.url(1)
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
    fn the_url_contains_the_filter_and_the_order() {
        let filter = Filter { q: " a&b=<ü ".to_owned(), show: "parked".to_owned(), ..Filter::default() };
        assert_eq!(filter.url(2), "/?q=a%26b%3D%3C%C3%BC&show=parked&page=2#list");
        assert_eq!(Filter { show: "nonsense".to_owned(), ..Filter::default() }.url(1), "/#list");
        let filter = Filter {
            calm: "yes".to_owned(),
            workspace: "prod".to_owned(),
            cause: "parked.foreign_value".to_owned(),
            sort: "-next".to_owned(),
            ..Filter::default()
        };
        assert_eq!(filter.url(1), "/?calm=yes&workspace=prod&cause=parked.foreign_value&sort=-next#list");
        assert_eq!(Filter { sort: "nonsense".to_owned(), ..Filter::default() }.url(1), "/#list");
    }
}
