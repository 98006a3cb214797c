//! The policy of a scenario: its workspace's limits, its credentials, and what somebody published before.

use jiff::SignedDuration;
use rekeyd::domain::gate::confirm::ConfirmWhen;
use rekeyd::domain::gate::probes::{Probe, Reads};
use rekeyd::domain::gate::{Gate, Idle, WhenUnknown};
use rekeyd::domain::ids::{ConsumerName, CredentialName, StoreName, WorkspaceName};
use rekeyd::domain::key::{KeyAttributes, Limits, Permissions};
use rekeyd::domain::plan::{Destination, RevocationPolicy};
use rekeyd::domain::policy::{Credential, IfVanished, Mode, WorkspaceLimits};
use rekeyd::domain::schedule::{Cadence, Schedule};
use rekeyd::domain::sharing::SharingGroups;

use super::evidence::Proof;
use super::play::Scenario;
use super::restraint::{Restraint, freeze};

pub(super) const AT_LEAST: SignedDuration = SignedDuration::from_mins(10);
pub(super) const AT_LEAST_OF_PROOF: SignedDuration = SignedDuration::from_mins(1);

pub(super) fn workspace() -> WorkspaceName {
    WorkspaceName::new("prod").unwrap()
}

pub(super) fn attributes() -> KeyAttributes {
    let names = ["text_to_speech", "voices_read", "a_permission_of_2031"];
    let permissions = Permissions::Only(names.iter().map(|&name| name.to_owned()).collect());
    KeyAttributes { permissions, limits: Limits::default().with("character_limit", Some(1_000_000)) }
}

pub(super) fn limits(restraint: &Restraint) -> WorkspaceLimits {
    let limits = WorkspaceLimits { rotations_at_once: 2, mints_per_hour: 10, ..WorkspaceLimits::default() };
    restraint.limits(limits)
}

pub(super) fn consumer(place: usize) -> ConsumerName {
    ConsumerName::new(format!("consumer-{place}")).unwrap()
}

/// Publishes to a secret of its own and to a field of one that all share.
pub(super) fn credential(scenario: &Scenario, index: usize) -> Credential {
    let destination = |secret: &str, json_field: Option<String>| Destination {
        store: StoreName::new("local").unwrap(),
        secret: secret.to_owned(),
        create_field: json_field.is_some(),
        json_field,
        create: true,
    };
    let proof = scenario.proof;
    let expires = proof.is_some_and(|proof| proof.expires);
    Credential {
        name: CredentialName::new(format!("tts-{index}")).unwrap(),
        workspace: workspace(),
        service_account: format!("account-{index}"),
        create_account: scenario.creates_account.then(|| SharingGroups::default().with("g1", "viewer")),
        adopt: None,
        first: scenario.first_key.then(attributes),
        allow_unrestricted: false,
        key_lifetime: scenario.key_lifetime,
        after: scenario.restraint.after(index),
        bake: scenario.restraint.bake,
        expire_old_key: expires.then(|| SignedDuration::from_hours(2)),
        if_vanished: IfVanished::Alert,
        mode: Mode::Rotate,
        destinations: vec![
            destination(&format!("tts-{index}"), None),
            destination("shared", Some(format!("key_{index}"))),
        ],
        schedule: Schedule {
            cadence: Cadence::Every(SignedDuration::from_hours(6)),
            jitter: SignedDuration::ZERO,
            window: None,
            freezes: scenario.freeze.map(freeze).into_iter().collect(),
        },
        terms: RevocationPolicy {
            at_least: if proof.is_some() { AT_LEAST_OF_PROOF } else { AT_LEAST },
            at_most: SignedDuration::from_mins(if proof.is_some() { 300 } else { 40 }),
            then: scenario.then,
            gates: gates(scenario, index),
            confirm: ConfirmWhen::Never,
            acks_valid_for: None,
            canary: None,
            quarantine: scenario.quarantine,
        },
    }
}

fn gates(scenario: &Scenario, index: usize) -> Vec<Gate> {
    let places = index * 2..index * 2 + 2;
    let mut gates = Vec::new();
    if scenario.acks {
        gates.push(Gate::Acks(places.clone().map(consumer).collect()));
    }
    if let Some(proof) = scenario.proof {
        gates.push(Gate::Idle(Idle { quiet: Proof::QUIET, when_unknown: WhenUnknown::Hold }));
        let probe = |place| Probe {
            name: format!("place-{place}"),
            url: format!("http://place-{place}/"),
            reads: Reads::Body,
            every_address: false,
        };
        if proof.probes {
            gates.push(Gate::Probes(places.map(probe).collect()));
        }
    }
    gates
}
