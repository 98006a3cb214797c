//! What was counted since the start.

use crate::domain::failure::Kind;
use crate::domain::ids::WorkspaceName;
use crate::domain::phase::PhaseName;
use crate::domain::plan::Reason;
use crate::telemetry::catalogue;
use crate::telemetry::meter::{Calls, Counts, Outcome, Spans};
use crate::telemetry::samples::{Samples, total};

pub(super) fn tell<'w>(
    samples: &mut Samples,
    counts: &Counts,
    workspaces: impl Iterator<Item = &'w WorkspaceName>,
) {
    let Counts { provider, stores, failing, ended, phases, writes, unwritten, writable, spans } = counts;
    for name in workspaces {
        let throttled = provider.iter().filter(|((at, _), _)| at == name.as_str());
        let throttled =
            throttled.filter_map(|(_, calls)| calls.outcomes.get(&Outcome::Failed(Kind::Throttled)));
        samples.put(catalogue::PROVIDER_THROTTLED, &[name.as_str()], total(throttled.sum()));
        // Every way of ending is told from the start, so that its first time is an increase.
        let ends = PhaseName::ALL.into_iter().filter(|phase| phase.is_end());
        for (outcome, reason) in ends.flat_map(|end| Reason::ALL.map(|reason| (end, reason))) {
            let times = ended.get(&(name.to_string(), outcome, reason.label())).copied().unwrap_or(0);
            let labels = [name.as_str(), PhaseName::label(outcome), reason.label()];
            samples.put(catalogue::ENDED, &labels, total(times));
        }
    }
    for ((workspace, route), Calls { outcomes, took }) in provider {
        for (outcome, times) in outcomes {
            let labels = [workspace.as_str(), route.label(), outcome.label()];
            samples.put(catalogue::PROVIDER_REQUESTS, &labels, total(*times));
        }
        samples.spread(catalogue::PROVIDER_TIME, &[workspace, route.label()], took.clone());
    }
    for ((store, operation), Calls { outcomes, took }) in stores {
        for (outcome, times) in outcomes {
            let labels = [store.as_str(), operation.label(), outcome.label()];
            samples.put(catalogue::STORE_REQUESTS, &labels, total(*times));
        }
        samples.spread(catalogue::STORE_TIME, &[store, operation.label()], took.clone());
    }
    for (store, kind) in failing {
        samples.put(catalogue::STORE_FAILING, &[store, kind.label()], 1.0);
    }
    for (phase, spread) in phases {
        samples.spread(catalogue::PHASE_TIME, &[phase.label()], spread.clone());
    }
    samples.flag(catalogue::JOURNAL_WRITABLE, &[], *writable);
    samples.spread(catalogue::JOURNAL_WRITES, &[], writes.clone());
    samples.put(catalogue::JOURNAL_UNWRITTEN, &[], total(*unwritten));
    if let Some(Spans { sent, lost }) = spans {
        samples.put(catalogue::SPANS_SENT, &[], total(*sent));
        for (loss, count) in lost {
            samples.put(catalogue::SPANS_DROPPED, &[loss.label()], total(*count));
        }
    }
}
