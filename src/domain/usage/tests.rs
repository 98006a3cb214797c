//! Evidence of use, by tables; and what `Idle` guarantees, in worlds by chance.

use proptest::prelude::*;

use super::*;

const STALE: SignedDuration = SignedDuration::from_mins(10);
const BUCKET: i64 = 60;

fn at(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
}

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

fn keys() -> (KeyId, KeyId) {
    (KeyId::new("old").unwrap(), KeyId::new("new").unwrap())
}

/// Use in the bucket of a minute that holds `second`.
fn bucket(second: i64) -> Use {
    let from = second.div_euclid(BUCKET) * BUCKET;
    Use { from: at(from), until: at(from + BUCKET), amount: 1, about: BTreeMap::new() }
}

fn reading(source: Source, now: i64, since: i64, old: &[i64], new: &[i64]) -> Reading {
    let (old_key, new_key) = keys();
    let uses = |seconds: &[i64]| seconds.iter().copied().map(bucket).collect::<Vec<_>>();
    let uses = BTreeMap::from([(old_key, uses(old)), (new_key, uses(new))]);
    Reading { source, at: at(now), since: at(since), uses: Ok(uses), untold: BTreeMap::new() }
}

fn learned(seen: &SourceEvidence, reading: &Reading) -> SourceEvidence {
    let (old, new) = keys();
    seen.learn(reading, &old, &new, Ours { canaries: &[], tried_until: Timestamp::MIN })
}

fn usage(readings: &[Reading]) -> SourceEvidence {
    readings.iter().fold(SourceEvidence::nothing(Source::UsageByKey), |seen, reading| learned(&seen, reading))
}

/// An answer of 10 000 s that covers two hours before.
fn answer(old: &[i64], new: &[i64]) -> SourceEvidence {
    usage(&[reading(Source::UsageByKey, 10_000, 2_800, old, new)])
}

fn judged(seen: &SourceEvidence, now: i64) -> &'static str {
    match seen.judge(seconds(1800), Timestamp::MIN, at(now), STALE) {
        Opinion::Used { .. } => "used",
        Opinion::Idle { .. } => "idle",
        Opinion::Unknown(_) => "unknown",
    }
}

#[test]
fn since_when_a_source_is_blind_is_told_and_stays_the_same_however_long_it_lasts() {
    let why =
        |seen: &SourceEvidence, now: i64| match seen.judge(seconds(1800), Timestamp::MIN, at(now), STALE) {
            Opinion::Unknown(why) => why,
            opinion @ (Opinion::Used { .. } | Opinion::Idle { .. }) => panic!("{opinion:?}"),
        };
    let failed = |now: i64, why: &str| {
        let nothing = reading(Source::UsageByKey, now, now - 7_200, &[], &[]);
        Reading { uses: Err(why.to_owned()), ..nothing }
    };
    let mut seen = learned(&answer(&[], &[9_990]), &failed(10_060, "500"));
    for now in [10_120, 13_600, 20_000] {
        seen = learned(&seen, &failed(now, "502"));
        assert_eq!(why(&seen, now), "it does not answer since 1970-01-01T02:47:40Z: 502");
    }
    seen = learned(&seen, &reading(Source::UsageByKey, 20_060, 12_860, &[], &[]));
    assert_eq!(seen.blindness(), None);
    for now in [20_120, 30_000] {
        seen = learned(&seen, &reading(Source::UsageByKey, now, now - 7_200, &[], &[]));
        let told =
            "it has shown no use of the new key since 1970-01-01T02:46:00Z, so that it may not be looking";
        assert_eq!(why(&seen, now), told);
    }
    let mut seen = SourceEvidence::nothing(Source::UsageByKey);
    for now in [500, 9_000] {
        seen = learned(&seen, &reading(Source::UsageByKey, now, now - 400, &[], &[]));
        assert!(why(&seen, now).contains("since it was first asked, at 1970-01-01T00:08:20Z"));
    }
}

#[test]
fn only_a_source_that_shows_the_new_key_shows_that_the_old_one_is_idle() {
    let fallen_silent =
        Reading { uses: Err("500".into()), ..reading(Source::UsageByKey, 10_030, 0, &[], &[]) };
    for (case, seen, now, verdict) in [
        ("nothing was asked", SourceEvidence::nothing(Source::UsageByKey), 10_000, "unknown"),
        ("nothing is shown", answer(&[], &[]), 10_000, "unknown"),
        ("the new key is shown", answer(&[], &[9_990]), 10_000, "idle"),
        ("old use is long ago", answer(&[8_000], &[9_990]), 10_000, "idle"),
        ("old use is within the quiet time", answer(&[8_500], &[9_990]), 10_000, "used"),
        // The bucket of the new key's use begins at 9 960: the delay is 40 s, and the quiet time ends there.
        ("a bucket that ends a second before the quiet time", answer(&[8_100], &[9_990]), 10_000, "idle"),
        ("a bucket that ends a second into it", answer(&[8_160], &[9_990]), 10_000, "used"),
        ("the new key's use is long ago", answer(&[], &[8_000]), 10_000, "idle"),
        ("and the old one's not long before it", answer(&[7_000], &[8_000]), 10_000, "used"),
        ("the answer is stale", answer(&[], &[9_990]), 10_601, "unknown"),
        ("the answer is of the future", answer(&[], &[9_990]), 9_000, "unknown"),
        (
            "the answer does not reach back",
            usage(&[reading(Source::UsageByKey, 10_000, 8_200, &[], &[9_990])]),
            10_000,
            "unknown",
        ),
        ("it fell silent", learned(&answer(&[], &[9_990]), &fallen_silent), 10_030, "unknown"),
        (
            "it fell silent after it showed use",
            learned(&answer(&[9_000], &[9_990]), &fallen_silent),
            10_030,
            "used",
        ),
        (
            "use that was shown long before it fell silent",
            learned(&answer(&[9_000], &[9_990]), &fallen_silent),
            99_999,
            "unknown",
        ),
    ] {
        assert_eq!(judged(&seen, now), verdict, "{case}: {seen:?}");
    }
}

#[test]
fn a_source_that_stood_still_since_it_showed_the_new_key_proves_nothing_after_that() {
    // A minute late, it showed the new key at 5 000; nothing came since, while the old key may well be used.
    let before = reading(Source::UsageByKey, 5_000, 0, &[4_000], &[]);
    let shown = reading(Source::UsageByKey, 5_060, 0, &[4_000], &[5_000]);
    let still = |now| reading(Source::UsageByKey, now, 0, &[4_000], &[5_000]);
    let seen = usage(&[before, shown, still(5_400), still(5_900)]);
    // The old key was quiet for 1 800 s up to now, but for 1 000 s only up to where the source is known to be.
    assert_eq!(judged(&seen, 5_900), "unknown");
    let later = usage(&[still(5_060), reading(Source::UsageByKey, 6_060, 0, &[4_000], &[5_000, 6_000])]);
    assert_eq!(judged(&later, 6_060), "idle");
}

#[test]
fn delay_is_measured_on_use_that_was_not_shown_before() {
    let ask = |now, old: &[i64], new: &[i64]| reading(Source::UsageByKey, now, 0, old, new);
    let first = usage(&[ask(1_000, &[100], &[])]);
    assert_eq!(first.delay, SignedDuration::ZERO, "old use before the first question says nothing");
    let new = learned(&first, &ask(1_300, &[100], &[1_200]));
    assert_eq!(new.delay, seconds(100));
    let same = learned(&new, &ask(1_500, &[100], &[1_200]));
    assert_eq!(same.delay, seconds(100));
    let old = learned(&same, &ask(1_800, &[100, 1_500], &[1_200]));
    assert_eq!(old.delay, seconds(300), "use of the old key that comes in late counts as well");
    let after_a_pause = learned(&old, &ask(9_000, &[100, 1_500], &[1_200, 3_000]));
    assert_eq!(after_a_pause.delay, seconds(300), "when it was shown meanwhile is unknown");
    let never_measured = learned(&first, &ask(9_000, &[100], &[3_000]));
    assert_eq!(never_measured.delay, seconds(6_000), "the first measurement is at its longest");
}

#[test]
fn use_near_a_call_of_ours_is_not_the_consumers_and_proves_that_the_source_looks() {
    let (old, new) = keys();
    let consumers_seen = |source, canaries: &[i64], tried_until, use_at| {
        let canaries: Vec<_> = canaries.iter().copied().map(at).collect();
        let ours = Ours { canaries: &canaries, tried_until: at(tried_until) };
        let reading = reading(source, 10_000, 0, &[], &[use_at]);
        let seen = SourceEvidence::nothing(source).learn(&reading, &old, &new, ours);
        assert!(seen.newest.is_some());
        seen.new.last.is_some()
    };
    use Source::{CreditCounter, RequestLog, UsageByKey};
    for (source, canaries, tried_until, use_at, theirs) in [
        (UsageByKey, &[][..], 5_000, 4_000, true),
        (UsageByKey, &[6_000], 0, 6_000, false),
        (UsageByKey, &[6_000], 0, 6_170, false),
        (UsageByKey, &[6_000], 0, 5_830, false),
        (UsageByKey, &[6_000], 0, 6_200, true),
        (RequestLog, &[], 5_000, 4_000, false),
        (RequestLog, &[], 5_000, 5_100, false),
        (RequestLog, &[], 5_000, 5_300, true),
        (RequestLog, &[6_000], 0, 6_000, false),
        (CreditCounter, &[], 5_000, 4_000, true),
        (CreditCounter, &[6_000], 0, 9_000, false),
    ] {
        let case = format!("{source:?}, canaries {canaries:?}, tried until {tried_until}, use at {use_at}");
        assert_eq!(consumers_seen(source, canaries, tried_until, use_at), theirs, "{case}");
    }
}

/// Counts at so many seconds: of the old and of the new key.
fn counted(counts: &[(i64, Option<i64>, Option<i64>)]) -> SourceEvidence {
    let (old, new) = keys();
    let (mut seen, mut before) = (SourceEvidence::nothing(Source::CreditCounter), None);
    for (second, old_count, new_count) in counts {
        let count = CreditCounters { at: at(*second), old: *old_count, new: *new_count };
        seen = learned(&seen, &count.moved(before.as_ref(), &old, &new));
        before = Some(count);
    }
    seen
}

#[test]
fn a_counter_is_as_late_as_it_took_to_move_first() {
    let seen = counted(&[(0, Some(5), Some(0)), (300, Some(5), Some(0)), (600, Some(5), Some(1))]);
    assert_eq!((seen.delay, seen.newest), (seconds(600), Some(at(300))));
    assert_eq!(judged(&seen, 600), "unknown");
    let mut counts = vec![(0, Some(5), Some(0)), (300, Some(5), Some(1))];
    counts.extend((1..=9).map(|look| (300 + look * 300, Some(5), Some(1 + look))));
    let watched = counted(&counts);
    assert_eq!((watched.delay, watched.old.amount, watched.new.amount), (seconds(300), 0, 10));
    assert_eq!(judged(&watched, 3_000), "idle");
    counts.push((3_300, Some(6), Some(11)));
    assert_eq!(judged(&counted(&counts), 3_300), "used");
}

#[test]
fn a_counter_that_fell_or_was_not_looked_at_starts_anew() {
    let steady = |from: i64| (0..=8).map(move |look| (from + look * 300, Some(5), Some(1 + look)));
    for (case, next) in [
        ("it fell: the billing period ended", (2_700, Some(0), Some(20))),
        ("the new key's fell", (2_700, Some(5), Some(0))),
        ("a listing without it", (2_700, None, Some(20))),
    ] {
        let counts: Vec<_> =
            steady(0).chain([next, (3_000, Some(5), Some(21)), (3_300, Some(5), Some(22))]).collect();
        let seen = counted(&counts);
        assert!(seen.covers_from >= Some(at(2_700)), "{case}: {seen:?}");
        assert_ne!(judged(&seen, 3_300), "idle", "{case}");
    }
    // It may have fallen and risen again in an hour.
    let paused: Vec<_> = steady(0).chain([(6_000, Some(5), Some(30)), (6_300, Some(5), Some(31))]).collect();
    assert_eq!(judged(&counted(&paused), 6_300), "unknown");
    let used_meanwhile: Vec<_> = steady(0).chain([(6_000, Some(9), Some(30))]).collect();
    assert_eq!(judged(&counted(&used_meanwhile), 6_000), "used");
}

/// A use, and how many seconds later it can be shown; `None` never.
type Played = (i64, Option<i64>);

#[derive(Debug, Clone)]
struct World {
    old: Vec<Played>,
    new: Vec<Played>,
    /// Time until the next question, whether it fails, and how far the source is behind if it shows in order.
    questions: Vec<(i64, bool, i64)>,
    in_order: bool,
    quiet: i64,
}

fn worlds() -> impl Strategy<Value = World> {
    let used = || (0..12_000i64, prop_oneof![4 => (0..900i64).prop_map(Some), 1 => Just(None)]);
    let question =
        (prop_oneof![8 => 5..90i64, 1 => 90..2_500i64], proptest::bool::weighted(0.1), 0..1_500i64);
    (
        proptest::collection::vec(used(), 0..12),
        proptest::collection::vec(used(), 0..150),
        proptest::collection::vec(question, 1..250),
        any::<bool>(),
        prop_oneof![60..300i64, 300..2_400i64],
    )
        .prop_map(|(old, new, questions, in_order, quiet)| World {
            old,
            new,
            questions,
            in_order,
            quiet,
        })
}

impl World {
    fn is_shown(&self, (used, late): Played, now: i64, behind: i64) -> bool {
        late.is_some_and(|late| if self.in_order { used <= behind } else { used + late <= now })
    }

    /// The seconds of uses that the source shows at `now` and that are after `since`.
    fn shown(&self, uses: &[Played], now: i64, behind: i64, since: i64) -> Vec<i64> {
        let shown = uses.iter().filter(|used| used.0 + BUCKET > since && self.is_shown(**used, now, behind));
        shown.map(|(used, _)| *used).filter(|used| *used <= now).collect()
    }

    /// What `Idle` at `now` promises, from the module's documentation.
    fn check(&self, seen: &SourceEvidence, now: i64, in_order: bool) -> Result<(), TestCaseError> {
        let quiet = seconds(self.quiet);
        if !matches!(seen.judge(quiet, Timestamp::MIN, at(now), STALE), Opinion::Idle { .. }) {
            return Ok(());
        }
        let end = seen.newest.unwrap().min(at(now) - seen.delay);
        for (used, late) in &self.old {
            let can_be_shown = late.is_some_and(|late| in_order || seconds(late) <= seen.delay);
            let promised = at(*used) >= end - quiet && at(*used) <= end;
            prop_assert!(!(can_be_shown && promised), "used at {used}, idle at {now}: {seen:?}");
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn idle_is_never_said_of_a_key_that_was_used_in_the_quiet_time_before_the_proven_end(world in worlds()) {
        let (mut seen, mut now, mut behind) = (SourceEvidence::nothing(Source::UsageByKey), 0, i64::MIN);
        for (pause, fails, lag) in &world.questions {
            now += pause;
            behind = behind.max(now - lag);
            let since = now - 2 * world.quiet - seen.delay.as_secs() - 3_600;
            let (old, new) = (world.shown(&world.old, now, behind, since), world.shown(&world.new, now, behind, since));
            let answer = reading(Source::UsageByKey, now, since, &old, &new);
            let answer = if *fails { Reading { uses: Err("500".to_owned()), ..answer } } else { answer };
            seen = learned(&seen, &answer);
            world.check(&seen, now, world.in_order)?;
        }
    }

    #[test]
    fn nor_by_a_counter_that_is_no_later_than_it_was_measured(world in worlds()) {
        let world = World { in_order: false, ..world };
        let (old, new) = keys();
        let (mut seen, mut now, mut before) = (SourceEvidence::nothing(Source::CreditCounter), 0, None);
        for (pause, fails, _) in &world.questions {
            now += pause;
            let count = |uses: &[Played]| {
                let shown = uses.iter().filter(|used| world.is_shown(**used, now, 0)).count();
                (!fails).then(|| i64::try_from(shown).unwrap())
            };
            let counted = CreditCounters { at: at(now), old: count(&world.old), new: count(&world.new) };
            seen = learned(&seen, &counted.moved(before.as_ref(), &old, &new));
            before = Some(counted);
            world.check(&seen, now, false)?;
        }
    }
}
