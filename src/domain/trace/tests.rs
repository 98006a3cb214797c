//! Histories, and the spans that they are.

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::domain::audit::Actor;
use crate::domain::effect::EffectName;
use crate::domain::event::Event;
use crate::domain::failure::{Failure, Kind};
use crate::domain::ids::{CredentialName, KeyId, ServiceAccountId, StoreName, WorkspaceName};
use crate::domain::key::{KeyAttributes, KeyRequest, Permissions};
use crate::domain::plan::{Destination, Plan, Reason, RevocationPolicy};
use crate::domain::rotation::ParkReason;
use crate::domain::secret::Fingerprint;
use crate::domain::successor::Served;

fn at(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
}

fn id() -> RotationId {
    "0190b8a0-0000-7000-8000-000000000001".parse().unwrap()
}

fn begun() -> Event {
    Event::Begun(Box::new(Plan {
        rotation: id(),
        credential: CredentialName::new("tts").unwrap(),
        workspace: WorkspaceName::new("prod").unwrap(),
        account: ServiceAccountId::new("account").unwrap(),
        reason: Reason::Schedule,
        begun_at: at(0),
        old: Some(KeyId::new("old").unwrap()),

        adopted: false,
        first: None,
        key_lifetime: None,
        allow_unrestricted: false,
        destinations: vec![Destination {
            store: StoreName::new("local").unwrap(),
            secret: "tts".to_owned(),
            json_field: None,
            create: false,
            create_field: false,
        }],
        terms: RevocationPolicy::of_an_emergency(),
        expire_old_key: None,
        emergency: false,
        urgency: None,
    }))
}

fn intended() -> Event {
    let request = KeyRequest { attributes: KeyAttributes::of(Permissions::All), expires_at: None };
    Event::MintIntended { request, before: vec![Served { version: None, fingerprint: None }] }
}

fn minted() -> Event {
    Event::Minted { key: KeyId::new("new").unwrap(), fingerprint: Fingerprint::of(b"new") }
}

fn hindered() -> Event {
    let failure = Failure {
        request_id: Some("req-1".to_owned()),
        ..Failure::rejected(Kind::Throttled, "listing the workspace: slow down")
    };
    Event::EffectFailed { effect: EffectName::Preflight, failure }
}

fn parked() -> Event {
    Event::Parked { reason: ParkReason::ForeignValue, detail: "somebody's".to_owned() }
}

fn aborted() -> Event {
    Event::AbortRequested { by: "uid 0".to_owned() }
}

fn told(history: &[(i64, Event)]) -> Vec<FinishedSpan> {
    let actor = Actor::Policy;
    let steps =
        history.iter().map(|(second, event)| Step { at: at(*second), actor: &actor, key: None, event });
    finished(steps).unwrap()
}

/// The number of the entry that ended it, its name, when it began and ended, its notes, and its fault.
type Row<'a> = (u64, &'a str, i64, i64, usize, Option<&'a str>);

fn rows(told: &[FinishedSpan]) -> Vec<Row<'_>> {
    let row = |it: &'_ FinishedSpan| -> (u64, &'static str, i64, i64, usize) {
        let span = &it.span;
        (it.entry, span.name, span.start.as_second(), span.end.as_second(), span.notes.len())
    };
    told.iter()
        .map(|it| {
            let (entry, name, start, end, notes) = row(it);
            (entry, name, start, end, notes, it.span.fault.as_deref())
        })
        .collect()
}

#[test]
fn each_phase_that_is_left_is_a_span_and_so_is_the_whole_when_it_is_over() {
    for (history, expected) in [
        (vec![(0, begun())], vec![]),
        (vec![(0, begun()), (5, hindered())], vec![]),
        (vec![(0, begun()), (5, hindered()), (9, intended())], vec![(2, "due", 0, 9, 3, None)]),
        (
            vec![(0, begun()), (2, intended()), (3, minted())],
            vec![(1, "due", 0, 2, 2, None), (2, "minting", 2, 3, 1, None)],
        ),
        (
            vec![(0, begun()), (4, parked()), (9, aborted())],
            vec![
                (1, "due", 0, 4, 2, Some("parked: foreign_value")),
                (2, "parked", 4, 9, 1, Some("aborted")),
                (2, "rotation", 0, 9, 0, Some("aborted")),
            ],
        ),
        // A clock that was set back.
        (vec![(10, begun()), (2, intended())], vec![(1, "due", 10, 10, 2, None)]),
    ] {
        let told = told(&history);
        assert_eq!(rows(&told), expected, "{history:?}");
    }
}

#[test]
fn the_rotation_is_the_trace_and_a_span_is_the_same_however_long_the_history_has_become() {
    let history = vec![(0, begun()), (2, intended()), (3, minted()), (4, parked()), (5, aborted())];
    let whole = told(&history);
    for length in 1..history.len() {
        let part = told(&history[..length]);
        assert_eq!(part, whole[..part.len()], "{length}");
    }
    let ids: std::collections::BTreeSet<SpanId> = whole.iter().map(|it| it.span.id).collect();
    assert_eq!(ids.len(), whole.len(), "each span has an id of its own");
    for FinishedSpan { span, .. } in &whole {
        assert_eq!(span.trace.to_string(), "0190b8a0000070008000000000000001");
        let parent = if span.name == "rotation" { None } else { Some(SpanId::of(id())) };
        assert_eq!(span.parent, parent, "{span:?}");
    }
    assert_eq!(whole[1].span.id, SpanId::of_phase(id(), 1), "by the entry that led to the phase");
}

#[test]
fn an_entry_is_a_note_in_the_phase_in_which_it_was_made_with_the_other_sides_request() {
    let told = told(&[(0, begun()), (5, hindered()), (9, intended())]);
    let notes = &told[0].span.notes;
    let names: Vec<_> = notes.iter().map(|note| (note.name, note.at.as_second())).collect();
    assert_eq!(names, [("begun", 0), ("effect_failed", 5), ("mint_intended", 9)]);
    let said = &notes[1].attributes;
    for (name, value) in [
        ("rekeyd.entry", Value::from(1)),
        ("rekeyd.actor", Value::from("policy")),
        ("rekeyd.effect", Value::from("preflight")),
        ("error.type", Value::from("throttled")),
        ("rekeyd.request_id", Value::from("req-1")),
    ] {
        assert!(said.contains(&(name, value.clone())), "{name}: {value:?} is not in {said:?}");
    }
}

#[test]
fn of_too_many_notes_the_first_and_the_last_are_kept() {
    let mut history = vec![(0, begun())];
    history.extend((1..1000).map(|second| (second, hindered())));
    history.push((1000, intended()));
    let told = told(&history);
    let span = &told[0].span;
    assert_eq!((span.notes.len(), span.unnoted), (NOTES_MAX, 1001 - 128));
    let seconds: Vec<i64> = span.notes.iter().map(|note| note.at.as_second()).collect();
    assert_eq!((seconds[0], seconds[63], seconds[64], seconds[127]), (0, 63, 937, 1000));
}

#[test]
fn a_history_that_cannot_be_is_told_nothing_of() {
    let actor = Actor::Policy;
    for history in [vec![], vec![minted()], vec![begun(), minted()]] {
        let steps = history.iter().map(|event| Step { at: at(0), actor: &actor, key: None, event });
        assert!(finished(steps).is_err(), "{history:?}");
    }
}
