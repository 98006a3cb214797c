//! When rotations come so late that their policy is not kept.

use jiff::{SignedDuration, Timestamp};

use crate::domain::policy::Credential;

/// A freeze is written on purpose, with its end: so much of it is no lateness of the rotation that it holds.
const FROZEN_MAX: SignedDuration = SignedDuration::from_hours(31 * 24);

/// What a credential that is due waits for.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) why: String,
    /// Other credentials hold it, not its own window or freezes.
    pub(super) by_others: bool,
}

impl Held {
    /// What is reported of a rotation that is held until `begins` at least.
    pub(super) fn up(held: Option<&Self>, begins: Timestamp) -> String {
        match held {
            Some(Self { why, by_others: true }) => format!(
                "it has to wait for others until {begins:.0} at least, longer than its whole interval ({why}): shorten \
                 `bake` or `overlap`, raise `overlaps_at_once` or `mints_per_hour`, or rotate less often"
            ),
            Some(Self { .. }) if begins == Timestamp::MAX => {
                "it is due and can never begin: change `window` or `freeze`".to_owned()
            }
            held => {
                let why = held.map_or("its calendar", |held| &held.why);
                format!(
                    "it cannot begin before {begins:.0}, a whole interval or more after it is due ({why}): open `window` \
                     more often, shorten `freeze`, or rotate less often"
                )
            }
        }
    }
}

/// Whether a rotation that was due at `due` comes too late if its key is created at `made`: by then it is due once more,
/// and one rotation never took place. Up to 31 days under freezes do not count.
pub(super) fn is_late(credential: &Credential, due: Timestamp, made: Timestamp) -> bool {
    let once_more = credential.schedule.next_due(&credential.name, due);
    let under = |from: Timestamp, until: Timestamp| until.min(made).duration_since(from.max(due));
    let freezes = credential.schedule.freezes.iter().map(|freeze| under(freeze.from, freeze.until));
    let frozen =
        freezes.fold(SignedDuration::ZERO, |sum, it| sum.saturating_add(it.max(SignedDuration::ZERO)));
    let counted = made.saturating_sub(frozen.min(FROZEN_MAX)).unwrap_or(Timestamp::MIN);
    once_more <= counted
}

/// What is reported of a rotation that is due before the last one is over.
pub(super) fn overlapping(over: Timestamp) -> String {
    format!(
        "the rotation before it ends at {over:.0} at the earliest: shorten `overlap` or `quarantine`, or rotate less often"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{CredentialName, WorkspaceName};
    use crate::domain::plan::RevocationPolicy;
    use crate::domain::policy::{IfVanished, Mode};
    use crate::domain::schedule::{Cadence, Freeze, Schedule};

    fn at(hour: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hour)
    }

    /// Rotated every day.
    fn daily(freezes: Vec<Freeze>) -> Credential {
        let zero = SignedDuration::ZERO;
        let cadence = Cadence::Every(SignedDuration::from_hours(24));
        Credential {
            name: CredentialName::new("a").unwrap(),
            workspace: WorkspaceName::new("prod").unwrap(),
            service_account: "a".to_owned(),
            create_account: None,
            adopt: None,
            first: None,
            allow_unrestricted: false,
            key_lifetime: None,
            destinations: Vec::new(),
            schedule: Schedule { cadence, jitter: zero, window: None, freezes },
            terms: RevocationPolicy::of_an_emergency(),
            after: [].into(),
            bake: zero,
            expire_old_key: None,
            if_vanished: IfVanished::Alert,
            mode: Mode::Rotate,
        }
    }

    #[test]
    fn a_rotation_that_its_calendar_holds_up_for_a_whole_interval_is_late_and_a_freeze_may_last_a_month() {
        let frozen =
            |days: i64| daily(vec![Freeze { from: at(20), until: at(24 * days), name: "long".to_owned() }]);
        for (credential, begins, expected) in [
            (daily(Vec::new()), 47, false),
            (daily(Vec::new()), 48, true),
            (frozen(10), 10 * 24, false),
            (frozen(10), 11 * 24, true),
            (frozen(32), 32 * 24, false),
            (frozen(33), 33 * 24, true),
        ] {
            assert_eq!(is_late(&credential, at(24), at(begins)), expected, "{begins}");
        }
    }
}
