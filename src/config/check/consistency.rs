//! Errors and warnings about times that conflict: durations, calendars, gates and the quotas of stores.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::config::check::calendars::reference_instant;
use crate::config::check::credentials::CheckedCredential;
use crate::config::components::ConsumerConfig;
use crate::config::raw::At;
use crate::config_file::findings::Findings;
use crate::domain::gate::Gate;
use crate::domain::ids::{ConsumerName, StoreName};
use crate::domain::plan::AfterDeadline;
use crate::domain::schedule::{Cadence, Calendar, Schedule, brief};
use crate::ports::store_kind::{StoreConfig, VersionQuota};

/// Long enough to include the longest and shortest months, and a leap day.
const OCCURRENCES_LOOKED_AT: usize = 100;

/// How often a schedule matches.
#[derive(Clone, Copy)]
pub(super) struct Rhythm {
    pub(super) shortest: SignedDuration,
    pub(super) longest: SignedDuration,
    per_day: f64,
}

pub(super) fn check(
    written: &[CheckedCredential<'_>],
    stores: &BTreeMap<StoreName, Arc<dyn StoreConfig>>,
    consumers: &BTreeMap<ConsumerName, ConsumerConfig>,
    findings: &mut Findings,
) {
    let mut rhythms: BTreeMap<String, Rhythm> = BTreeMap::new();
    let mut writes: BTreeMap<(&StoreName, &str), (VersionQuota, f64, Range<usize>)> = BTreeMap::new();
    for one in written {
        let schedule = &one.credential.schedule;
        let rhythm = *rhythms.entry(schedule.signature()).or_insert_with(|| rhythm_of(schedule));
        overlap(one, consumers, findings);
        interval(one, rhythm, findings);
        lifetime(one, rhythm, findings);
        for (destination, span) in one.credential.destinations.iter().zip(&one.places) {
            let store = stores.get(&destination.store);
            let Some(quota) = store.and_then(|store| store.kind().version_quota) else { continue };
            let entry = writes
                .entry((&destination.store, &destination.secret))
                .or_insert_with(|| (quota, 0.0, span.clone()));
            entry.1 += rhythm.per_day;
        }
    }
    for (VersionQuota { per_day, service }, written, span) in writes.into_values() {
        if written > f64::from(per_day) {
            let rule = format!(
                "about {written:.0} versions per day would be written to this secret; {service} allows {per_day}"
            );
            let minutes = (24 * 60_u32).div_ceil(per_day);
            let help = format!(
                "rotate less often: at most every \"{minutes}m\", counting all fields of a secret together"
            );
            findings.warning(&span, rule, help);
        }
    }
}

fn overlap(
    one: &CheckedCredential<'_>,
    consumers: &BTreeMap<ConsumerName, ConsumerConfig>,
    findings: &mut Findings,
) {
    let terms = &one.credential.terms;
    let (own, inherited) = (&one.raw.overlap, &one.defaults.overlap);
    let at_least = own.at_least.as_ref().or(inherited.at_least.as_ref()).map(At::span);
    let at_most = own.at_most.as_ref().or(inherited.at_most.as_ref()).map(At::span);
    if terms.at_most < terms.at_least {
        let span = own.at_most.as_ref().map(At::span).or_else(|| own.at_least.as_ref().map(At::span));
        let span = span.or(at_most).or_else(|| at_least.clone()).unwrap_or_else(|| one.name.span());
        let rule = format!(
            "`at_most` ({}) is shorter than `at_least` ({})",
            brief(terms.at_most),
            brief(terms.at_least)
        );
        findings.error(&span, rule, "set `at_most` to a longer duration");
    }
    let acks = one.raw.wait_for.acks.as_ref().or(one.defaults.wait_for.acks.as_ref());
    let ack = acks.and_then(|acks| acks.first()).map(At::span);
    if terms.at_least.is_zero() && terms.gates.is_empty() {
        let span = at_least.clone().unwrap_or_else(|| one.name.span());
        let rule = "the old key is revoked at once, before consumers can read the new one";
        findings.warning(&span, rule, "set `at_least`, or wait for acknowledgements");
    }
    for names in terms.gates.iter().filter_map(Gate::consumers) {
        for (name, cache_ttl) in names.iter().filter_map(|name| Some((name, consumers.get(name)?.cache_ttl?)))
        {
            if cache_ttl > terms.at_least {
                let span = at_least.clone().or_else(|| ack.clone()).unwrap_or_else(|| one.name.span());
                let rule = format!(
                    "the consumer `{name}` may use the old key from its cache for {}, longer than `at_least` ({})",
                    brief(cache_ttl),
                    brief(terms.at_least)
                );
                findings.warning(&span, rule, format!("set `at_least` to at least \"{}\"", brief(cache_ttl)));
            }
        }
        if terms.then == AfterDeadline::Revoke {
            let then = own.then.as_ref().or(inherited.then.as_ref()).map(At::span);
            let rule = "the old key is revoked after `at_most` even if required consumers still use it";
            let help = "use \"hold\" to be alerted instead, or \"roll_back\"";
            findings.warning(&then.unwrap_or_else(|| one.name.span()), rule, help);
        }
    }
    let quarantine = one.raw.quarantine.as_ref().or(one.defaults.quarantine.as_ref());
    if let Some(written) = quarantine.filter(|_| terms.quarantine.is_zero()) {
        let rule = "the old key is deleted at once, and deletion cannot be undone";
        findings.warning(&written.span(), rule, "set a quarantine, for example \"24h\"");
    }
}

fn interval(one: &CheckedCredential<'_>, rhythm: Rhythm, findings: &mut Findings) {
    let terms = &one.credential.terms;
    let own = one.raw.every.as_ref().map(At::span);
    let is_own = own.is_some() || one.raw.cron.is_some();
    let inherited = one.defaults.every.as_ref().map(At::span).filter(|_| !is_own);
    let span = own.or(inherited).unwrap_or_else(|| one.name.span());
    let takes = terms.at_least.saturating_add(terms.quarantine);
    if takes >= rhythm.shortest {
        let rule = format!(
            "a rotation takes at least {} (`at_least` and `quarantine`), but the next is due after {}",
            brief(takes),
            brief(rhythm.shortest)
        );
        findings.warning(&span, rule, "rotate less often, or shorten `overlap.at_least` or `quarantine`");
    }
    let jitter = one.credential.schedule.jitter;
    if jitter > rhythm.shortest {
        let written = one.raw.jitter.as_ref().or(one.defaults.jitter.as_ref());
        let rule = format!(
            "the jitter ({}) is longer than the interval between rotations ({})",
            brief(jitter),
            brief(rhythm.shortest)
        );
        findings.warning(&written.map_or(span, At::span), rule, "shorten it");
    }
}

fn lifetime(one: &CheckedCredential<'_>, rhythm: Rhythm, findings: &mut Findings) {
    let written = one.raw.key_lifetime.as_ref().or(one.defaults.key_lifetime.as_ref());
    let (Some(lifetime), Some(written)) = (one.credential.key_lifetime, written) else { return };
    let terms = &one.credential.terms;
    let jitter = one.credential.schedule.jitter;
    let whole = [jitter, terms.at_most, terms.quarantine]
        .iter()
        .fold(rhythm.longest, |sum, part| sum.saturating_add(*part));
    if lifetime < rhythm.longest {
        let rule = format!(
            "keys expire after {}, before they are replaced after {}",
            brief(lifetime),
            brief(rhythm.longest)
        );
        findings.error(
            &written.span(),
            rule,
            format!("set at least \"{}\", or rotate more often", brief(whole)),
        );
    } else if lifetime < whole {
        let rule = format!(
            "keys expire after {}, but interval, jitter, `at_most` and `quarantine` add up to {}: an old key may expire \
             while it is still in use",
            brief(lifetime),
            brief(whole)
        );
        findings.warning(
            &written.span(),
            rule,
            format!("set at least \"{}\", or rotate more often", brief(whole)),
        );
    }
}

pub(super) fn rhythm_of(schedule: &Schedule) -> Rhythm {
    match &schedule.cadence {
        Cadence::Every(interval) => {
            Rhythm { shortest: *interval, longest: *interval, per_day: per_day(*interval, 1) }
        }
        Cadence::Calendar(calendar) => rhythm_of_calendar(calendar),
    }
}

fn rhythm_of_calendar(calendar: &Calendar) -> Rhythm {
    let next = |now: &Timestamp| calendar.next_after(*now);
    let first = calendar.next_after(reference_instant());
    let times: Vec<Timestamp> = std::iter::successors(first, next).take(OCCURRENCES_LOOKED_AT).collect();
    let gaps = times.iter().zip(times.iter().skip(1)).map(|(a, b)| b.duration_since(*a));
    let gaps: Vec<SignedDuration> = gaps.collect();
    let whole = gaps.iter().fold(SignedDuration::ZERO, |sum, gap| sum.saturating_add(*gap));
    Rhythm {
        shortest: gaps.iter().copied().min().unwrap_or(SignedDuration::MAX),
        longest: gaps.iter().copied().max().unwrap_or(SignedDuration::ZERO),
        per_day: per_day(whole, gaps.len()),
    }
}

fn per_day(duration: SignedDuration, times: usize) -> f64 {
    let times = u32::try_from(times).unwrap_or(u32::MAX);
    if duration.is_zero() { 0.0 } else { 86_400.0 * f64::from(times) / duration.as_secs_f64() }
}
