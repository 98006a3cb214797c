//! Credentials that leave the policy while a rotation of theirs is under way: under a new name, or for good. Pure.

use std::collections::BTreeSet;

use crate::domain::ids::{ConsumerName, CredentialName};
use crate::domain::plan::{Destination, RevocationPolicy};
use crate::domain::policy::{Credential, Policy};
use crate::domain::record::Record;
use crate::domain::rotation::Rotation;

/// What a journal knows of a credential.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    pub record: &'a Record,
    pub rotation: Option<&'a Rotation>,
}

/// Why a policy cannot be put in force: it looks as if a credential had another name, and does not say so. Then two rotations
/// would write one destination. `before` is the policy in force, if there is one.
#[must_use]
pub fn unsaid(policy: &Policy, before: Option<&Policy>, known: &[Known<'_>]) -> Option<String> {
    for (old, rotation) in left(policy, known) {
        let was = before.and_then(|before| before.credentials.get(old));
        let is_new = |new: &&Credential| {
            let recorded = known.iter().find(|it| it.record.credential == new.name);
            recorded.is_none_or(|it| it.record.current.is_none() && it.rotation.is_none())
        };
        let shares_an_account = |new: &Credential| {
            new.workspace == rotation.plan.workspace
                && (new.service_account == rotation.plan.account.as_str()
                    || was.is_some_and(|was| was.service_account == new.service_account))
        };
        let is_published_to =
            |place: &Destination| rotation.plan.destinations.iter().any(|it| it.is_same_place(place));
        let shared = policy.credentials.values().filter(is_new).find_map(|new| {
            if shares_an_account(new) {
                Some((new, "service account"))
            } else {
                new.destinations.iter().any(is_published_to).then_some((new, "destination"))
            }
        });
        if let Some((Credential { name, .. }, what)) = shared {
            let phase = rotation.phase.name().label();
            return Some(format!(
                "`{old}` has left the policy while its rotation is in phase `{phase}`, and `{name}` has the same {what}; if it is \
                 the same credential, write `renamed_from = \"{old}\"` into `[credentials.{name}]`; if not, put `{old}` back until \
                 its rotation is over"
            ));
        }
    }
    None
}

/// Credentials that the policy has no longer, under any name, with their rotations under way.
pub fn left<'a>(
    policy: &'a Policy,
    known: &'a [Known<'a>],
) -> impl Iterator<Item = (&'a CredentialName, &'a Rotation)> {
    known.iter().filter_map(move |Known { record, rotation }| {
        let name = &record.credential;
        let is_known = policy.credentials.contains_key(name) || policy.renamed(name).is_some();
        rotation.filter(|_| !is_known).map(|rotation| (name, rotation))
    })
}

/// Whether the policy knows this consumer, so that it can authenticate.
#[must_use]
pub fn may_acknowledge(consumer: &str, policy: &Policy) -> bool {
    policy.consumers.iter().any(|known| known.as_str() == consumer)
}

/// Consumers by their names, in one line.
#[must_use]
pub fn named<'a>(consumers: impl IntoIterator<Item = &'a str>) -> String {
    let named: Vec<String> = consumers.into_iter().map(|it| format!("`{it}`")).collect();
    named.join(", ")
}

/// The consumers whose acknowledgements a rotation asks for by its own terms.
fn awaited(terms: &RevocationPolicy) -> BTreeSet<&str> {
    terms.consumers().map(ConsumerName::as_str).collect()
}

/// What a rotation under way waits for no longer, because its credential's policy does not ask for it any more; `None` if
/// there is nothing such.
#[must_use]
pub fn no_longer_awaited(policy: &Policy, rotation: &Rotation) -> Option<String> {
    let name = &rotation.plan.credential;
    let credential = policy.credentials.get(name)?;
    let now = awaited(&credential.terms);
    let gone: BTreeSet<&str> = awaited(&rotation.plan.terms).difference(&now).copied().collect();
    (!gone.is_empty() && !rotation.plan.emergency).then(|| {
        format!(
            "the rotation of `{name}` under way waits for {} no longer: make sure that they do not use the old key, or name them in \
             `wait_for.acks` again and reload",
            named(gone)
        )
    })
}

/// What to do about a rotation whose credential is not in the policy.
#[must_use]
pub fn way_out(name: &CredentialName, rotation: &Rotation, policy: &Policy) -> String {
    let begun = rotation.successor().is_some_and(|successor| successor.promotion_begun);
    let back = if rotation.can_roll_back() || !begun {
        format!(", or `rekeyd rollback {name}`")
    } else {
        String::new()
    };
    let gone: Vec<&str> =
        awaited(&rotation.plan.terms).into_iter().filter(|it| !may_acknowledge(it, policy)).collect();
    let silenced = if gone.is_empty() {
        String::new()
    } else {
        format!(" and {} cannot acknowledge any more", named(gone))
    };
    format!(
        "its rotation goes on by the terms that it began with{silenced}; put `{name}` back and reload{back}"
    )
}

impl Record {
    /// The record of the same credential under a new name, as the first revision of its own.
    #[must_use]
    pub fn renamed_to(&self, new: &Self) -> Self {
        Self {
            credential: new.credential.clone(),
            revision: new.revision,
            asked: self.asked || new.asked,
            open: None,
            obstacle: None,
            due: None,
            ..self.clone()
        }
    }
}
