//! A provider that asked for no calls for an hour: what puts a key back, or ends a leaked one, is a matter of seconds.

use jiff::SignedDuration;
use rekeyd::domain::ack::{Ack, Health};
use rekeyd::domain::ids::CredentialName;
use rekeyd::engine::Command;
use rekeyd::ports::clock::Clock as _;
use rekeyd::rehearsal::workspace::key::LiveKey;

use super::credentials::consumer;
use super::play::{Act, Harness, Scenario, play};

fn tts() -> CredentialName {
    CredentialName::new("tts-0").unwrap()
}

fn new_key(harness: &Harness) -> LiveKey {
    harness.provider.keys().into_iter().find(|key| key.key.nonce().is_some()).unwrap()
}

fn falls_silent(harness: &Harness) {
    harness.fate.silence(SignedDuration::from_hours(1));
}

#[expect(clippy::disallowed_methods, reason = "consumers stand outside the engine")]
fn reports(harness: &Harness, health: Health) {
    let handle = harness.handle.lock().unwrap().clone().unwrap();
    let (now, fingerprint) = (harness.clock.now(), new_key(harness).print);
    let ack = Ack { consumer: consumer(0), fingerprint, health, since: now, at: now };
    tokio::spawn(async move { handle.acknowledge(tts(), ack).await });
}

fn scenario(seed: u64, script: Vec<(u64, Act)>) -> Scenario {
    Scenario { hours: 3, quarantine: SignedDuration::from_hours(4), script, ..Scenario::plain(seed) }
}

#[test]
fn a_failing_consumer_has_its_old_key_back_within_seconds_in_every_silence() {
    for seed in 0..20 {
        let scenario = scenario(
            seed,
            vec![
                (1500, |it| it.expect("old_key_disabled", 1)),
                (1505, falls_silent),
                (1510, |it| reports(it, Health::Failing)),
                (1520, |it| {
                    it.expect("alarmed", 1);
                    it.expect("old_key_enabled", 1);
                }),
                (6000, |it| reports(it, Health::Using)),
            ],
        );
        play(&scenario).assert_sound(&scenario);
    }
}

#[test]
fn a_leaked_new_key_is_gone_within_seconds_in_every_silence() {
    for seed in 0..20 {
        let scenario = scenario(
            seed,
            vec![
                (400, |it| it.expect("promoted", 2)),
                (405, falls_silent),
                (410, |it| {
                    let print = new_key(it).print;
                    it.witness.leaked(&print);
                    it.ask(tts(), Command::Leaked(print));
                }),
                (440, |it| it.expect("new_key_gone", 1)),
            ],
        );
        play(&scenario).assert_sound(&scenario);
    }
}

#[test]
fn everything_else_keeps_the_silence() {
    let script: Vec<(u64, Act)> = vec![
        (1500, |it| it.expect("old_key_disabled", 1)),
        (1505, falls_silent),
        (5000, |it| it.expect("old_key_gone", 0)),
    ];
    let scenario = Scenario { quarantine: SignedDuration::from_mins(20), script, ..Scenario::plain(1) };
    let played = play(&scenario);
    played.assert_sound(&scenario);
    assert!(played.done >= 1, "it goes on afterwards");
}
