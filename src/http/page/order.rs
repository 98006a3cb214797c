//! The order of the list: by a column, up or down.

use std::cmp::Ordering;

use jiff::Timestamp;

use crate::domain::report::CredentialReport;

/// A column that the list can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Credential,
    Condition,
    Phase,
    Workspace,
    Created,
    Next,
}

/// A column with a direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) column: Column,
    pub(super) is_descending: bool,
}

impl Column {
    pub(super) const ALL: [Self; 6] =
        [Self::Credential, Self::Condition, Self::Phase, Self::Workspace, Self::Created, Self::Next];

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Credential => "credential",
            Self::Condition => "condition",
            Self::Phase => "phase",
            Self::Workspace => "workspace",
            Self::Created => "created",
            Self::Next => "next",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Credential => "Credential",
            Self::Condition => "Condition",
            Self::Phase => "Phase",
            Self::Workspace => "Workspace",
            Self::Created => "Key created",
            Self::Next => "Next",
        }
    }

    /// Whether a narrow window leaves it out.
    pub(super) fn is_wide(self) -> bool {
        match self {
            Self::Phase | Self::Workspace | Self::Created => true,
            Self::Credential | Self::Condition | Self::Next => false,
        }
    }
}

impl Order {
    /// `next`, or `-next` for descending.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (label, is_descending) = text.strip_prefix('-').map_or((text, false), |label| (label, true));
        let column = Column::ALL.into_iter().find(|column| column.label() == label)?;
        Some(Self { column, is_descending })
    }

    pub(super) fn text(self) -> String {
        format!("{}{}", if self.is_descending { "-" } else { "" }, self.column.label())
    }

    /// The order that a click on the header of `column` leads to.
    pub(super) fn after(current: Option<Self>, column: Column) -> Self {
        let is_descending = current.is_some_and(|order| order.column == column && !order.is_descending);
        Self { column, is_descending }
    }

    /// Stable: equal rows keep their order, which is by severity. What has no value comes last either way.
    pub(super) fn sort(self, reports: &mut [&CredentialReport], now: Timestamp) {
        let by = |one: &CredentialReport, other: &CredentialReport| match self.column {
            Column::Credential => self.turned(one.credential.cmp(&other.credential)),
            // The most severe first, as without an order.
            Column::Condition => {
                self.turned((other.attention, other.health).cmp(&(one.attention, one.health)))
            }
            Column::Phase => {
                let phase =
                    |it: &CredentialReport| it.rotation.as_ref().map(|rotation| rotation.phase.label());
                self.last(phase(one), phase(other))
            }
            Column::Workspace => self.last(one.workspace.as_ref(), other.workspace.as_ref()),
            Column::Created => self.last(one.key_since, other.key_since),
            Column::Next => self.last(next(one, now), next(other, now)),
        };
        reports.sort_by(|one, other| by(one, other));
    }

    fn turned(self, ordering: Ordering) -> Ordering {
        if self.is_descending { ordering.reverse() } else { ordering }
    }

    fn last<T: Ord>(self, one: Option<T>, other: Option<T>) -> Ordering {
        match (one, other) {
            (Some(one), Some(other)) => self.turned(one.cmp(&other)),
            (one, other) => other.is_some().cmp(&one.is_some()),
        }
    }
}

/// The next planned instant, as its column shows it.
fn next(report: &CredentialReport, now: Timestamp) -> Option<Timestamp> {
    let next = report.rotation.as_ref().map_or(report.next_due, |rotation| {
        rotation.waits_until.filter(|until| *until > now).or(rotation.deadline)
    });
    next.filter(|next| *next != Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_turns_the_order_around_and_its_text_is_read_again() {
        let next = Order::after(None, Column::Next);
        assert_eq!(next.text(), "next");
        let back = Order::after(Some(next), Column::Next);
        assert_eq!((back.text().as_str(), Order::parse("-next")), ("-next", Some(back)));
        assert_eq!(Order::after(Some(back), Column::Next), next);
        assert_eq!(Order::after(Some(back), Column::Phase).text(), "phase");
        assert_eq!(Order::parse("--next"), None);
    }

    #[test]
    fn what_has_no_value_comes_last_up_and_down() {
        for text in ["next", "-next"] {
            let order = Order::parse(text).unwrap();
            assert_eq!(order.last(None, Some(1)), Ordering::Greater);
            assert_eq!(order.last(Some(1), None), Ordering::Less);
        }
        assert_eq!(Order::parse("-next").unwrap().last(Some(1), Some(2)), Ordering::Greater);
    }
}
