//! One place, one owner: secrets under two names, keys of another rekeyd, and credentials that are renamed.

use rekeyd::domain::ids::{CredentialName, StoreName};
use rekeyd::domain::place::Rival;
use rekeyd::domain::policy::Policy;

use super::play::{Harness, Scenario, play};

fn name(index: usize) -> CredentialName {
    CredentialName::new(format!("tts-{index}")).unwrap()
}

/// The second credential is published to the first one's secret, by another store's name for it.
fn share_a_secret(harness: &Harness) {
    let mut policy = harness.policy.lock().unwrap();
    let Policy { credentials, rivals, .. } = &mut *policy;
    let own = credentials[&name(0)].destinations[0].clone();
    let other = credentials.get_mut(&name(1)).unwrap();
    other.destinations[0].store = StoreName::new("again").unwrap();
    other.destinations[0].secret.clone_from(&own.secret);
    let its = other.destinations[0].clone();
    let rival = |own: &_, credential, its: &_| {
        vec![Rival { own: Clone::clone(own), credential, its: Clone::clone(its) }]
    };
    rivals.insert(name(0), rival(&own, name(1), &its));
    rivals.insert(name(1), rival(&its, name(0), &own));
}

/// What an operator does about it.
fn publish_apart(harness: &Harness) {
    let mut policy = harness.policy.lock().unwrap();
    policy.rivals.clear();
    let second = policy.credentials.get_mut(&name(1)).unwrap();
    second.destinations[0].store = StoreName::new("local").unwrap();
    second.destinations[0].secret = name(1).to_string();
}

#[test]
fn a_secret_under_two_names_gets_no_key_of_either_credential_until_they_are_apart() {
    let scenario = Scenario {
        credentials: 2,
        hours: 4,
        prepare: share_a_secret,
        script: vec![
            (3600, |it| {
                it.expect("begun", 0);
                publish_apart(it);
            }),
            (7200, |it| it.expect("old_key_gone", 2)),
        ],
        ..Scenario::plain(1)
    };
    play(&scenario).assert_sound(&scenario);
}
