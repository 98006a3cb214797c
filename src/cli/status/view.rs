//! Which credentials `rekeyd status` shows, and in which order.

use std::cmp::Reverse;

use clap::ValueEnum;

use crate::cli::selection::{fits, is_pattern};
use crate::domain::report::holds::HoldReport;
use crate::domain::report::{CredentialReport, StatusReport};

#[derive(clap::Args)]
pub(super) struct View {
    /// Only this credential, in detail; several, or a pattern with `*` and `?`, in the table
    #[arg(value_name = "NAME")]
    pub(super) names: Vec<String>,
    /// Only those of this workspace
    #[arg(long, value_name = "NAME")]
    workspace: Option<String>,
    /// Only those that need an operator
    #[arg(long)]
    attention: bool,
    /// Only those whose rotation is in this phase, or parked in it
    #[arg(long, value_name = "PHASE")]
    phase: Option<String>,
    /// Order of the table
    #[arg(long, value_enum, default_value_t = Sort::Health)]
    sort: Sort,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Sort {
    /// The worst first
    Health,
    Name,
    Workspace,
    /// The oldest key first
    Age,
    /// The next to be rotated first
    Due,
}

impl View {
    /// The one credential that is named, if nothing else is.
    pub(super) fn only(&self) -> Option<&str> {
        let is_plain = self.workspace.is_none() && !self.attention && self.phase.is_none();
        match self.names.as_slice() {
            [name] if is_plain && !is_pattern(name) => Some(name),
            _ => None,
        }
    }

    /// The report of those that are meant, in the order that is wanted. What concerns the daemon as a whole stays.
    ///
    /// # Errors
    /// A name without a pattern fits none.
    pub(super) fn of(&self, report: StatusReport) -> Result<StatusReport, String> {
        let plain = self.names.iter().filter(|name| !is_pattern(name));
        for name in plain {
            if !report.credentials.iter().any(|it| it.credential.as_str() == name) {
                return Err(super::unknown(name, &report));
            }
        }
        let is_narrowed =
            !self.names.is_empty() || self.workspace.is_some() || self.attention || self.phase.is_some();
        let mut report = if is_narrowed { self.narrowed(report) } else { report };
        let credentials = &mut report.credentials;
        match self.sort {
            Sort::Health => {}
            Sort::Name => credentials.sort_by(|one, other| one.credential.cmp(&other.credential)),
            Sort::Workspace => credentials.sort_by(|one, other| one.workspace.cmp(&other.workspace)),
            Sort::Age => credentials.sort_by_key(|it| (it.key_since.is_none(), it.key_since)),
            Sort::Due => {
                credentials.sort_by_key(|it| (Reverse(it.requested), it.next_due.is_none(), it.next_due));
            }
        }
        Ok(report)
    }

    fn narrowed(&self, report: StatusReport) -> StatusReport {
        let StatusReport { at, credentials, holds, failing_channels, conditions, .. } = report;
        let shown: Vec<CredentialReport> = credentials.into_iter().filter(|it| self.shows(it)).collect();
        let applies = |hold: &HoldReport| shown.iter().any(|it| it.held.contains(hold));
        let holds: Vec<HoldReport> = holds.into_iter().filter(applies).collect();
        let mut narrowed = StatusReport::new(shown, at);
        narrowed.attention |= holds.iter().any(HoldReport::is_breakers);
        narrowed.holds = holds;
        narrowed.with_failing_channels(failing_channels).with_conditions(conditions)
    }

    fn shows(&self, report: &CredentialReport) -> bool {
        let is_named =
            self.names.is_empty() || self.names.iter().any(|wanted| fits(wanted, report.credential.as_str()));
        let workspace = report.workspace.as_ref().map(|workspace| workspace.as_str());
        let is_there = self.workspace.is_none() || workspace == self.workspace.as_deref();
        let phases = report.rotation.iter().flat_map(|it| [Some(it.phase), it.parked_in]).flatten();
        let mut phases = phases.map(|phase| phase.label());
        let is_in_phase = self.phase.as_ref().is_none_or(|wanted| phases.any(|phase| phase == wanted));
        is_named && is_there && is_in_phase && (!self.attention || report.attention)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::domain::ids::{CredentialName, WorkspaceName};

    fn report(name: &str, workspace: &str, age: i64, attention: bool) -> CredentialReport {
        let damaged = CredentialReport::damaged(&CredentialName::new(name).unwrap(), "a row".to_owned());
        CredentialReport {
            attention,
            workspace: Some(WorkspaceName::new(workspace).unwrap()),
            key_since: Some(Timestamp::from_second(1_000_000 - age).unwrap()),
            ..damaged
        }
    }

    fn view(names: &[&str]) -> View {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        View { names, workspace: None, attention: false, phase: None, sort: Sort::Health }
    }

    fn shown(view: &View) -> Result<String, String> {
        let all = vec![
            report("a", "prod", 10, true),
            report("b-1", "dev", 30, false),
            report("b-2", "prod", 20, false),
        ];
        let report = view.of(StatusReport::new(all, Timestamp::UNIX_EPOCH))?;
        let names: Vec<&str> = report.credentials.iter().map(|it| it.credential.as_str()).collect();
        Ok(format!("{} {}", names.join(" "), report.attention))
    }

    #[test]
    fn names_workspaces_and_attention_narrow_what_is_shown() {
        let of = |view: View| shown(&view).unwrap();
        assert_eq!(of(view(&[])), "a b-1 b-2 true");
        assert_eq!(of(view(&["b-*"])), "b-1 b-2 false");
        assert_eq!(of(view(&["b-2", "a"])), "a b-2 true");
        assert_eq!(of(View { workspace: Some("prod".to_owned()), ..view(&[]) }), "a b-2 true");
        assert_eq!(of(View { attention: true, ..view(&[]) }), "a true");
        assert_eq!(of(View { attention: true, ..view(&["b-*"]) }), " false");
        assert_eq!(of(View { phase: Some("overlap".to_owned()), ..view(&[]) }), " false");
        assert!(shown(&view(&["nosuch"])).unwrap_err().contains("known credentials: a, b-1, b-2"));
        assert_eq!(view(&["a"]).only(), Some("a"));
        assert_eq!(view(&["a*"]).only(), None);
    }

    #[test]
    fn the_order_is_what_was_asked_for() {
        let of = |sort| shown(&View { sort, ..view(&[]) }).unwrap();
        assert_eq!(of(Sort::Name), "a b-1 b-2 true");
        assert_eq!(of(Sort::Workspace), "b-1 a b-2 true");
        assert_eq!(of(Sort::Age), "b-1 b-2 a true");
    }
}
