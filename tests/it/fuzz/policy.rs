//! Any text as a policy, and as an agent's configuration: refused with words, or a policy that can be played forward.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use rekeyd::config;
use rekeyd::config::agent::Mode;
use rekeyd::domain::policy::Credential;
use rekeyd::domain::schedule::StartDecision;
use rekeyd::rehearsal::dry_run::Given;
use rekeyd::rehearsal::simulation::{self, Conditions};

const NOW: &str = "2026-03-01T00:00:00Z";
/// How far calendars are followed: long enough for a window, a freeze and the change to summer time.
const HORIZON: SignedDuration = SignedDuration::from_hours(24 * 40);
/// A calendar of every second is not followed to its end.
const STEPS_MAX: usize = 1000;
/// Two policies of this size play for seconds; a fuzzer looks for panics, not for work.
const CREDENTIALS_MAX: usize = 20;
/// The engine plays so much of it.
const PLAYED: SignedDuration = SignedDuration::from_hours(24);
const ROTATIONS_MAX: usize = 10;

/// # Panics
/// If it should have been refused, or refused with words.
pub(crate) fn eat(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let environment: BTreeMap<String, String> = BTreeMap::new();
    match config::load(&text, "policy.toml", &environment) {
        Ok(config) if config.policy.credentials.len() <= CREDENTIALS_MAX => {
            let now: Timestamp = NOW.parse().unwrap();
            config.policy.credentials.values().for_each(|credential| follow(credential, now));
            let (given, nothing) = (Given::of(&config), BTreeMap::new());
            let conditions =
                Conditions { rotations_max: ROTATIONS_MAX, play_out: false, ..Conditions::fair() };
            let played = simulation::play(&given, &nothing, &conditions, now, now + PLAYED, |_| {}).unwrap();
            assert!(played.rotations.iter().all(|it| it.due <= it.begun_at), "begins before it is due");
        }
        Ok(_) => {}
        Err(problems) => assert!(!problems.to_string().is_empty(), "refused without a word"),
    }
    for mode in [Mode::Beside, Mode::Exec] {
        if let Err(problems) = config::agent::load(&text, "agent.toml", mode) {
            assert!(!problems.to_string().is_empty(), "refused without a word");
        }
    }
}

/// Every beginning that the calendar of a credential allows until the horizon.
fn follow(credential: &Credential, now: Timestamp) {
    let mut at = now;
    for _ in 0..STEPS_MAX {
        let due = credential.schedule.next_due(&credential.name, at);
        at = match credential.schedule.admits(due) {
            StartDecision::Open => due,
            StartDecision::Closed { until, .. } => until,
        };
        assert!(due <= at, "begins before it is due");
        if at > now + HORIZON {
            return;
        }
    }
}
