//! Waves that can never start: credentials that wait for each other, or for one that is rotated too rarely or too often.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

use jiff::SignedDuration;

use crate::config::check::consistency::rhythm_of;
use crate::config::check::credentials::CheckedCredential;
use crate::config::raw::At;
use crate::config_file::findings::Findings;
use crate::domain::ids::CredentialName;
use crate::domain::schedule::brief;

type ByName<'w> = BTreeMap<&'w CredentialName, &'w CheckedCredential<'w>>;

pub(super) fn check(written: &[CheckedCredential<'_>], findings: &mut Findings) {
    let by_name: ByName<'_> = written.iter().map(|one| (&one.credential.name, one)).collect();
    for one in written {
        for name in &one.credential.after {
            let span = place(one, name);
            if let Some(way) = way_back(&by_name, name, &one.credential.name) {
                let way: Vec<String> = way.iter().map(|name| format!("`{name}`")).collect();
                let rule = format!(
                    "`{}` comes after {}: a cycle, in which no credential is ever rotated by its schedule",
                    one.credential.name,
                    way.join(", which comes after ")
                );
                findings.error(&span, rule, "remove one of them from the cycle");
            } else if let Some(before) = by_name.get(name) {
                pace(one, before, &span, findings);
            }
        }
        crowd(one, &by_name, findings);
    }
}

/// The position of the name in the credential's `after`.
fn place(one: &CheckedCredential<'_>, name: &CredentialName) -> Range<usize> {
    let written = one.raw.after.iter().flatten().find(|written| written.value().as_str() == name.as_str());
    written.map_or_else(|| one.name.span(), At::span)
}

/// The shortest path along `after` from one credential to another, both included.
fn way_back<'w>(
    by_name: &ByName<'w>,
    from: &'w CredentialName,
    to: &CredentialName,
) -> Option<Vec<&'w CredentialName>> {
    let mut seen = BTreeSet::from([from]);
    let mut ways = VecDeque::from([vec![from]]);
    while let Some(way) = ways.pop_front() {
        let last = *way.last()?;
        if last == to {
            return Some(way);
        }
        for next in by_name.get(last).iter().flat_map(|one| &one.credential.after) {
            if seen.insert(next) {
                ways.push_back(way.iter().copied().chain([next]).collect());
            }
        }
    }
    None
}

/// The minimum time that a rotation of `before` delays `one`.
fn busy(one: &CheckedCredential<'_>, before: &CheckedCredential<'_>) -> SignedDuration {
    let terms = &before.credential.terms;
    terms.at_least.saturating_add(terms.quarantine).saturating_add(one.credential.bake)
}

/// Whether the predecessors' rotations may overlap forever.
fn crowd(one: &CheckedCredential<'_>, by_name: &ByName<'_>, findings: &mut Findings) {
    let before: Vec<&CheckedCredential<'_>> =
        one.credential.after.iter().filter_map(|name| by_name.get(name).copied()).collect();
    let (Some(first), true) = (one.credential.after.first(), before.len() > 1) else { return };
    let whole = before.iter().fold(SignedDuration::ZERO, |sum, it| sum.saturating_add(busy(one, it)));
    let shortest = before.iter().map(|it| rhythm_of(&it.credential.schedule).shortest).min();
    if let Some(shortest) = shortest.filter(|shortest| whole >= *shortest) {
        let rule = format!(
            "the predecessors' rotations take {} with `bake`, and each starts again after {}: they may never all be done \
             at the same time",
            brief(whole),
            brief(shortest)
        );
        findings.warning(&place(one, first), rule, "use fewer predecessors, or shorten `bake`");
    }
}

/// Whether the predecessor leaves the other one time to follow.
fn pace(
    one: &CheckedCredential<'_>,
    before: &CheckedCredential<'_>,
    span: &Range<usize>,
    findings: &mut Findings,
) {
    let (own, its) = (rhythm_of(&one.credential.schedule), rhythm_of(&before.credential.schedule));
    let name = &before.credential.name;
    let busy = busy(one, before);
    if busy >= its.shortest {
        let rule = format!(
            "`{name}` is rotated again after {}, but its rotation and `bake` take at least {}: this credential would never \
             be rotated",
            brief(its.shortest),
            brief(busy)
        );
        findings.error(span, rule, "shorten `bake`, or rotate the predecessor less often");
    } else if its.longest > own.longest {
        let rule = format!(
            "`{name}` is rotated every {}, less often than this credential, which waits for it",
            brief(its.longest)
        );
        let help = format!("rotate `{name}` at least every {}", brief(own.longest));
        findings.warning(span, rule, help);
    }
}
