//! Rotations whose new key somebody else takes out of service, and inspections that notice.

use jiff::SignedDuration;
use rekeyd::rehearsal::workspace::key::LiveKey;

use super::play::{Harness, Scenario, play};

fn keys(harness: &Harness) -> (LiveKey, LiveKey) {
    let (new, old): (Vec<_>, Vec<_>) =
        harness.provider.keys().into_iter().partition(|key| key.key.nonce().is_some());
    (old[0].clone(), new[0].clone())
}

/// The quarantine of the first rotation, which lasts for hours, and an inspection every minute.
fn in_the_quarantine(script: Vec<(u64, super::play::Act)>) -> Scenario {
    let mut whole: Vec<(u64, super::play::Act)> = vec![(1500, |it| it.expect("old_key_disabled", 1))];
    whole.extend(script);
    whole.push((1750, |it: &Harness| {
        it.expect("alarmed", 1);
        it.expect("old_key_enabled", 1);
        it.expect("old_key_gone", 0);
        if !keys(it).0.key.enabled {
            it.witness.blame("script", "the old key is disabled");
        }
    }));
    whole.sort_by_key(|(after, _)| *after);
    Scenario {
        hours: 3,
        inspects_every: 1,
        quarantine: SignedDuration::from_hours(4),
        script: whole,
        ..Scenario::plain(1)
    }
}

#[test]
fn a_new_key_that_is_disabled_in_the_quarantine_brings_the_old_one_back_within_minutes() {
    let scenario = in_the_quarantine(vec![
        (1510, |it| {
            let (_, new) = keys(it);
            it.witness.damaged(&new.print);
            it.meddle(&new.key.id, Some(false));
        }),
        (1760, |it| {
            let (_, new) = keys(it);
            it.meddle(&new.key.id, Some(true));
        }),
    ]);
    play(&scenario).assert_sound(&scenario);
}

#[test]
fn a_value_that_is_put_back_in_the_quarantine_works_again_within_minutes() {
    let scenario = in_the_quarantine(vec![(1510, |it| {
        let (old, _) = keys(it);
        it.witness.damaged(&old.print);
        it.store.write_as_somebody_else("tts-0", &old.value);
        it.witness.look();
    })]);
    let played = play(&scenario);
    played.assert_sound(&scenario);
    assert!(played.done >= 1, "an operator has it published again in the end");
}

#[test]
fn a_key_whose_activation_comes_and_goes_is_published_when_it_stays() {
    let scenario = Scenario { flaps: true, ..Scenario::plain(1) };
    let played = play(&scenario);
    played.assert_sound(&scenario);
    assert!(played.done >= 1 && played.discarded == 0, "{}", played.trace);
}
