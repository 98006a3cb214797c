//! Waves that could never come: credentials that wait for each other, or for one that is rotated too seldom or too often.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

use jiff::SignedDuration;

use crate::config::check::credentials::Written;
use crate::config::check::lints::rhythm_of;
use crate::config::raw::At;
use crate::config_file::findings::Findings;
use crate::domain::ids::CredentialName;
use crate::domain::schedule::brief;

type ByName<'w> = BTreeMap<&'w CredentialName, &'w Written<'w>>;

pub(super) fn check(written: &[Written<'_>], findings: &mut Findings) {
    let by_name: ByName<'_> = written.iter().map(|one| (&one.credential.name, one)).collect();
    for one in written {
        for name in &one.credential.after {
            let span = place(one, name);
            if let Some(way) = way_back(&by_name, name, &one.credential.name) {
                let way: Vec<String> = way.iter().map(|name| format!("`{name}`")).collect();
                let rule = format!(
                    "`{}` comes after {}: none of them would ever be rotated by its schedule",
                    one.credential.name,
                    way.join(", which comes after ")
                );
                findings.error(&span, rule, "take one of them out of the circle");
            } else if let Some(before) = by_name.get(name) {
                pace(one, before, &span, findings);
            }
        }
        crowd(one, &by_name, findings);
    }
}

/// Where the name stands in the credential's `after`.
fn place(one: &Written<'_>, name: &CredentialName) -> Range<usize> {
    let written = one.raw.after.iter().flatten().find(|written| written.value().as_str() == name.as_str());
    written.map_or_else(|| one.name.span(), At::span)
}

/// The shortest way along `after` from one credential to another, both included.
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

/// How long a rotation of `before` keeps `one` waiting, at least.
fn busy(one: &Written<'_>, before: &Written<'_>) -> SignedDuration {
    let terms = &before.credential.terms;
    terms.at_least.saturating_add(terms.quarantine).saturating_add(one.credential.bake)
}

/// Whether those that come first could be at it in turns for ever.
fn crowd(one: &Written<'_>, by_name: &ByName<'_>, findings: &mut Findings) {
    let before: Vec<&Written<'_>> =
        one.credential.after.iter().filter_map(|name| by_name.get(name).copied()).collect();
    let (Some(first), true) = (one.credential.after.first(), before.len() > 1) else { return };
    let whole = before.iter().fold(SignedDuration::ZERO, |sum, it| sum.saturating_add(busy(one, it)));
    let shortest = before.iter().map(|it| rhythm_of(&it.credential.schedule).shortest).min();
    if let Some(shortest) = shortest.filter(|shortest| whole >= *shortest) {
        let rule = format!(
            "the rotations of all that come first take {} with `bake`, and each begins again after {}: there may never be \
             a moment at which all of them are done",
            brief(whole),
            brief(shortest)
        );
        findings.lint(&place(one, first), rule, "name fewer of them, or shorten `bake`");
    }
}

/// Whether the credential that comes first leaves the other one time to follow.
fn pace(one: &Written<'_>, before: &Written<'_>, span: &Range<usize>, findings: &mut Findings) {
    let (own, its) = (rhythm_of(&one.credential.schedule), rhythm_of(&before.credential.schedule));
    let name = &before.credential.name;
    let busy = busy(one, before);
    if busy >= its.shortest {
        let rule = format!(
            "`{name}` is rotated again after {}, and its rotation and `bake` take at least {}: the turn of this one would \
             never come",
            brief(its.shortest),
            brief(busy)
        );
        findings.error(span, rule, "shorten `bake`, or rotate the first one less often");
    } else if its.longest > own.longest {
        let rule = format!(
            "`{name}` is rotated every {}, less often than this one, which has to wait for it",
            brief(its.longest)
        );
        let help = format!("rotate `{name}` at least every {} too", brief(own.longest));
        findings.lint(span, rule, help);
    }
}
