//! One place, one owner: secrets under two names, keys of another rekeyd, and credentials that are renamed.

use rekeyd::domain::ids::{CredentialName, StoreName};
use rekeyd::domain::place::Rival;
use rekeyd::domain::policy::Policy;

use jiff::SignedDuration;
use rekeyd::domain::ids::{RotationId, ServiceAccountId};
use rekeyd::rehearsal::workspace::key::settings;

use super::by_hand::publish_by_hand;
use super::credentials::{attributes, credential};
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

/// The credential's only key is one of this name, and its destinations serve it.
fn serve_a_key_named(harness: &Harness, name: &str) {
    for key in harness.provider.keys() {
        harness.witness.damaged(&key.print);
        harness.meddle(&key.key.id, None);
    }
    let credential = credential(&harness.scenario, 0);
    let account = ServiceAccountId::new(format!("user-{}", credential.service_account)).unwrap();
    let made = settings(name, attributes(), None);
    let made = harness.provider.create_key(&account, made, SignedDuration::ZERO).unwrap();
    publish_by_hand(&harness.store, &credential, &made.value);
    harness.witness.look();
}

#[test]
fn a_key_of_another_rekeyd_is_neither_adopted_nor_deleted() {
    let scenario = Scenario {
        hours: 4,
        prepare: |it| {
            let elsewhere: RotationId = "0190b8a0-0000-7000-8000-000000000001".parse().unwrap();
            serve_a_key_named(it, &elsewhere.nonce(1).key_name(&name(0)));
        },
        script: vec![
            (3600, |it| {
                it.expect("begun", 0);
                // The operator gives the credential a key of its own.
                serve_a_key_named(it, "made in the dashboard");
            }),
            (7200, |it| it.expect("old_key_gone", 1)),
        ],
        ..Scenario::plain(1)
    };
    play(&scenario).assert_sound(&scenario);
}

/// A credential whose second rotation is in the overlap gets another name.
fn rename(harness: &Harness) {
    let mut policy = harness.policy.lock().unwrap();
    let mut credential = policy.credentials.remove(&name(0)).unwrap();
    credential.name = name(9);
    policy.renames.insert(name(9), name(0));
    policy.credentials.insert(name(9), credential);
}

#[test]
fn a_credential_that_is_renamed_in_mid_rotation_keeps_its_key() {
    for after in [5, 60, 300, 700, 1300] {
        let scenario = Scenario {
            hours: 8,
            script: vec![
                (after, rename),
                (5 * 3600, |it| {
                    it.expect("begun", 1);
                    it.expect("old_key_gone", 1);
                }),
            ],
            ..Scenario::plain(after)
        };
        play(&scenario).assert_sound(&scenario);
    }
}
