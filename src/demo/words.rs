//! A rotation's events as short phrases for the timeline.

use crate::demo::journal_watch::News;
use crate::demo::timeline::Mood;
use crate::domain::event::Event;
use crate::domain::gate::{GateName, Verdict};
use crate::domain::ids::KeyId;

const TAIL_CHARACTERS: usize = 6;

/// The phrase for an event; `None` if it is too small for the timeline.
pub(super) fn told(news: &News) -> Option<(Mood, String)> {
    let old = || news.plan.old.as_ref().map_or_else(|| "no key".to_owned(), short);
    Some(match &news.event {
        Event::Begun(plan) => match &plan.old {
            Some(_) => {
                let why = plan.reason.label();
                (Mood::Begin, format!("rotation begins ({why}): key {} is to be replaced", old()))
            }
            None => (Mood::Begin, "rotation begins: it has no key yet and gets its first".to_owned()),
        },
        Event::Minted { key, .. } => (Mood::Good, format!("created key {}", short(key))),
        Event::MintRefused { failure } => (Mood::Trouble, format!("no key was created: {failure}")),
        Event::MintOutcomeUnknown { .. } => {
            (Mood::Trouble, "a key may have been created, and its value is lost: looking for it".to_owned())
        }
        Event::LostKeySettled { deleted } if deleted.is_empty() => {
            (Mood::Good, "no key was lost after all".to_owned())
        }
        Event::LostKeySettled { deleted } => {
            let keys: Vec<String> = deleted.iter().map(short).collect();
            let keys = keys.join(", ");
            (Mood::Good, format!("found the lost key {keys} by the mark in its name, and deleted it"))
        }
        Event::ValueLost => (Mood::Trouble, "the new key's value is lost: it will be deleted".to_owned()),
        Event::Verified { .. } if news.plan.old.is_none() => {
            (Mood::Quiet, "the new key works, and may do what the policy says".to_owned())
        }
        Event::Verified { .. } => {
            (Mood::Quiet, "the new key works, and may do exactly what the old one may".to_owned())
        }
        Event::Promoted { .. } if news.plan.old.is_none() => {
            (Mood::Done, "the first key is published: done".to_owned())
        }
        Event::Promoted { .. } => {
            (Mood::Good, "the new key is published; the old one goes on working".to_owned())
        }
        Event::Released { verdicts, forced } => {
            let why = released_because(verdicts, *forced);
            (Mood::Good, format!("{why}: the old key may go"))
        }
        Event::OldKeyDisabled => (Mood::Gone, format!("disabled the old key {}", old())),
        Event::OldKeyGone => (Mood::Done, format!("deleted the old key {}: done", old())),
        Event::Discarded => (Mood::Gone, "deleted the unused key".to_owned()),
        Event::EffectFailed { failure, .. } => (Mood::Trouble, format!("{failure}; will try again")),
        Event::Parked { detail, .. } => (Mood::Trouble, format!("needs an operator: {detail}")),
        Event::VerificationFailed { why } => (Mood::Trouble, format!("the new key must not be used: {why}")),
        Event::ReleaseWithdrawn { .. } => (Mood::Trouble, "a gate is waiting again".to_owned()),
        Event::DestinationChanged { .. } => (Mood::Trouble, "the destination was changed".to_owned()),
        Event::RollbackBegun { .. } => (Mood::Trouble, "rolling back".to_owned()),
        Event::Alarmed { alarm } => (Mood::Trouble, format!("the old key is needed again: {}", alarm.detail)),
        Event::Escalated { why, .. } => (Mood::Trouble, format!("an emergency: {why}")),
        Event::MintIntended { .. }
        | Event::ExpiryIntended { .. }
        | Event::ExpirySettled { .. }
        | Event::Staged { .. }
        | Event::QuarantinePassed
        | Event::OldKeyEnabled
        | Event::Restored { .. }
        | Event::ReturnPassed
        | Event::NewKeyGone
        | Event::Retried { .. }
        | Event::OverwriteRequested { .. }
        | Event::AbortRequested { .. }
        | Event::Confirmed { .. }
        | Event::TermsRevised { .. }
        | Event::ClockAgreed => return None,
    })
}

fn released_because(verdicts: &[Verdict], forced: bool) -> &'static str {
    let waits = verdicts.iter().any(|verdict| verdict.gate == GateName::Acks);
    match (forced, waits) {
        (true, _) => "the policy's deadline has passed",
        (false, true) => "every consumer says that it has switched",
        (false, false) => "every consumer has had its time",
    }
}

/// Enough of an id to tell keys apart.
fn short(key: &KeyId) -> String {
    let text = key.as_str();
    let from = text.char_indices().rev().nth(TAIL_CHARACTERS - 1).map_or(0, |(at, _)| at);
    format!("…{}", text.get(from..).unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_shortened_to_their_end() {
        for (id, shown) in [("0123456789ab", "…6789ab"), ("abc", "…abc"), ("abcdef", "…abcdef")] {
            assert_eq!(short(&KeyId::new(id).unwrap()), shown);
        }
    }
}
