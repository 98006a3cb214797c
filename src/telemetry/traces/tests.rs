//! The spans that a previous process may not have sent.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::domain::audit::{Act, Actor, ChainedAct, Head, changes};
use crate::domain::ids::RotationId;
use crate::telemetry::traces::resend::unsent;

fn rotation(number: u32) -> RotationId {
    format!("0190b8a0-0000-7000-8000-{number:012}").parse().unwrap()
}

/// Records at these seconds, each of a rotation or of the daemon.
fn records(of: &[(i64, &str, Option<u32>)]) -> Vec<ChainedAct> {
    let mut head = Head::genesis();
    let sealed = of.iter().map(|(second, what, of)| {
        let at = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(*second);
        let mut act = Act::new(at, Actor::Policy, what, json!({}));
        act.rotation = of.map(rotation);
        let sealed = ChainedAct::after(&head, act);
        head = sealed.head();
        sealed
    });
    sealed.collect()
}

#[test]
fn after_a_clean_shutdown_nothing_is_sent_again_and_after_a_crash_the_last_minutes_are() {
    let (first, stop) = ((0, "begun", Some(1)), (2000, changes::STOPPED, None));
    let killed = [first, (1000, "minted", Some(2)), (1300, "staged", Some(3)), (1301, "held", None)];
    for (told, expected) in [
        (vec![], None),
        (vec![first, stop], None),
        (killed.to_vec(), Some((941, vec![2, 3]))),
        (vec![first, stop, (2400, changes::STARTED, None)], Some((2040, vec![]))),
    ] {
        let expected = expected.map(|(from, rotations)| {
            let from = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(from);
            (from, rotations.into_iter().map(rotation).collect::<BTreeSet<_>>())
        });
        assert_eq!(unsent(&records(&told)), expected, "{told:?}");
    }
}
