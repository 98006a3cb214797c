//! Counters and histograms since the start of the process.

use crate::domain::failure::Kind;
use crate::domain::ids::WorkspaceName;
use crate::domain::phase::PhaseName;
use crate::domain::plan::Reason;
use crate::telemetry::catalogue;
use crate::telemetry::meter::{Calls, Counts, Outcome, Spans};
use crate::telemetry::samples::{Samples, total};

/// The largest number of failing destinations.
const DESTINATIONS_MAX: usize = 100;

pub(super) fn add<'w>(
    samples: &mut Samples,
    counts: &Counts,
    workspaces: impl Iterator<Item = &'w WorkspaceName>,
) {
    let Counts {
        provider,
        stores,
        failing,
        failing_stores,
        not_permitted,
        ended,
        phases,
        writes,
        write_failures,
        writable: _,
        spans,
        log_lines_dropped,
    } = counts;
    for name in workspaces {
        let throttled = provider.iter().filter(|((at, _), _)| at == name.as_str());
        let throttled =
            throttled.filter_map(|(_, calls)| calls.outcomes.get(&Outcome::Failed(Kind::Throttled)));
        samples.put(catalogue::PROVIDER_THROTTLED, &[name.as_str()], total(throttled.sum()));
        // Every outcome is exported from the start, so that its first occurrence is an increase.
        let ends = PhaseName::ALL.into_iter().filter(|phase| phase.is_end());
        for (outcome, reason) in ends.flat_map(|end| Reason::ALL.map(|reason| (end, reason))) {
            let times = ended.get(&(name.to_string(), outcome, reason.label())).copied().unwrap_or(0);
            let labels = [name.as_str(), PhaseName::label(outcome), reason.label()];
            samples.put(catalogue::ENDED, &labels, total(times));
        }
    }
    for ((workspace, route), Calls { outcomes, durations }) in provider {
        for (outcome, times) in outcomes {
            let labels = [workspace.as_str(), route.label(), outcome.label()];
            samples.put(catalogue::PROVIDER_REQUESTS, &labels, total(*times));
        }
        samples.histogram(catalogue::PROVIDER_TIME, &[workspace, route.label()], durations.clone());
    }
    for ((store, operation), Calls { outcomes, durations }) in stores {
        for (outcome, times) in outcomes {
            let labels = [store.as_str(), operation.label(), outcome.label()];
            samples.put(catalogue::STORE_REQUESTS, &labels, total(*times));
        }
        samples.histogram(catalogue::STORE_TIME, &[store, operation.label()], durations.clone());
    }
    for (store, kind) in failing_stores {
        samples.put(catalogue::STORE_FAILING, &[store, kind.label()], 1.0);
    }
    for ((store, secret), kind) in failing.iter().take(DESTINATIONS_MAX) {
        samples.put(catalogue::DESTINATION_FAILING, &[store, secret, kind.label()], 1.0);
    }
    for (workspace, route) in not_permitted {
        samples.put(catalogue::NOT_PERMITTED, &[workspace, route.label()], 1.0);
    }
    for (phase, histogram) in phases {
        samples.histogram(catalogue::PHASE_TIME, &[phase.label()], histogram.clone());
    }
    samples.histogram(catalogue::JOURNAL_WRITES, &[], writes.clone());
    samples.put(catalogue::JOURNAL_WRITE_FAILURES, &[], total(*write_failures));
    samples.put(catalogue::LOG_LINES_DROPPED, &[], total(*log_lines_dropped));
    if let Some(Spans { sent, dropped }) = spans {
        samples.put(catalogue::SPANS_SENT, &[], total(*sent));
        for (reason, count) in dropped {
            samples.put(catalogue::SPANS_DROPPED, &[reason.label()], total(*count));
        }
    }
}
