//! A scrape of a daemon that reports this, and is well otherwise.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use rekeyd::domain::ids::WorkspaceName;
use rekeyd::domain::report::StatusReport;
use rekeyd::engine::{Heartbeat, WorkspaceHealth};
use rekeyd::telemetry::meter::Counts;
use rekeyd::telemetry::metrics::{self, Exposition};
use rekeyd::telemetry::observation::{Detail, Observation, Status};

pub(crate) fn of(report: StatusReport, detail: Detail) -> String {
    let observation = Observation {
        is_journal_writable: true,
        last_journal_write: None,
        at: report.at,
        status: Status { detail, ..Status::default() },
        heartbeat: Heartbeat::default(),
        is_looking: true,
        workspaces: BTreeMap::from([(WorkspaceName::new("prod").unwrap(), WorkspaceHealth::default())]),
        report: Ok(report),
        conditions: Vec::new(),
        budgets: BTreeMap::new(),
        clock_skew_max: SignedDuration::from_mins(2),
        journal_bytes: None,
        counts: Counts::default(),
    };
    metrics::render(&observation, Exposition::Prometheus).unwrap()
}
