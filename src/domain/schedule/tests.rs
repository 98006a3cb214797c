//! The calendar against real clock changes, and the properties that every schedule has.

use std::str::FromStr;

use croner::parser::CronParser;
use proptest::prelude::*;

use super::*;

const ZONES: [&str; 5] =
    ["Europe/London", "Europe/Dublin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"];
const CRONS: [&str; 9] = [
    "0 3 * * Mon",
    "30 1 * * *",
    "0 1,2 * * *",
    "*/15 0-3 * * *",
    "* * * * *",
    "15 2 * * Sun",
    "0 0 1 * *",
    "45 1 29 2 *",
    "0 9 L * *",
];

fn calendar(cron: &str, zone: &str) -> Calendar {
    Calendar { cron: CronParser::new().parse(cron).unwrap(), zone: TimeZone::get(zone).unwrap() }
}

fn schedule(cadence: Cadence) -> Schedule {
    Schedule { cadence, jitter: SignedDuration::ZERO, window: None, freezes: Vec::new() }
}

fn name(text: &str) -> CredentialName {
    CredentialName::new(text).unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp::from_str(text).unwrap()
}

/// Every occurrence after `from` and up to `to`, written with the offset then in force.
fn occurrences(cron: &str, zone: &str, from: &str, to: &str) -> Vec<String> {
    let calendar = calendar(cron, zone);
    let mut found = Vec::new();
    let mut now = at(from);
    while let Some(next) = calendar.next_after(now).filter(|next| *next <= at(to)) {
        found.push(next.to_zoned(calendar.zone.clone()).strftime("%d %H:%M %:z").to_string());
        now = next;
    }
    found
}

#[test]
fn a_time_that_the_clocks_skip_occurs_once_when_they_have_gone_forward() {
    for (cron, zone, from, to, expected) in [
        // 29 March 2026: 01:00 GMT becomes 02:00 BST.
        ("30 1 * * *", "Europe/London", "2026-03-28T12:00Z", "2026-03-29T12:00Z", vec!["29 02:00 +01:00"]),
        ("0 2 * * *", "Europe/London", "2026-03-28T12:00Z", "2026-03-29T12:00Z", vec!["29 02:00 +01:00"]),
        ("0 0 * * *", "Europe/London", "2026-03-28T12:00Z", "2026-03-29T12:00Z", vec!["29 00:00 +00:00"]),
        (
            "15,45 1 * * *",
            "Europe/Dublin",
            "2026-03-28T12:00Z",
            "2026-03-30T12:00Z",
            vec!["29 02:00 +01:00", "30 01:15 +01:00", "30 01:45 +01:00"],
        ),
        // 8 March 2026: 02:00 EST becomes 03:00 EDT.
        (
            "0 2,3 * * *",
            "America/New_York",
            "2026-03-08T00:00Z",
            "2026-03-08T12:00Z",
            vec!["08 03:00 -04:00"],
        ),
        // 4 October 2026: 02:00 +10:30 becomes 02:30 +11.
        (
            "*/10 2 * * *",
            "Australia/Lord_Howe",
            "2026-10-03T12:00Z",
            "2026-10-03T16:00Z",
            vec!["04 02:30 +11:00", "04 02:40 +11:00", "04 02:50 +11:00"],
        ),
    ] {
        assert_eq!(occurrences(cron, zone, from, to), expected, "{cron} {zone}");
    }
}

#[test]
fn a_time_that_the_clocks_show_twice_occurs_once_the_first_time() {
    for (cron, zone, from, to, expected) in [
        // 25 October 2026: 02:00 BST becomes 01:00 GMT.
        ("30 1 * * *", "Europe/London", "2026-10-24T12:00Z", "2026-10-25T12:00Z", vec!["25 01:30 +01:00"]),
        (
            "30 1,2 * * *",
            "Europe/Dublin",
            "2026-10-24T12:00Z",
            "2026-10-25T12:00Z",
            vec!["25 01:30 +01:00", "25 02:30 +00:00"],
        ),
        // 1 November 2026: 02:00 EDT becomes 01:00 EST.
        (
            "0,30 1 * * *",
            "America/New_York",
            "2026-11-01T00:00Z",
            "2026-11-01T12:00Z",
            vec!["01 01:00 -04:00", "01 01:30 -04:00"],
        ),
        // 5 April 2026: 02:00 +11 becomes 01:30 +10:30.
        (
            "*/15 1 * * *",
            "Australia/Lord_Howe",
            "2026-04-04T12:00Z",
            "2026-04-04T18:00Z",
            vec!["05 01:00 +11:00", "05 01:15 +11:00", "05 01:30 +11:00", "05 01:45 +11:00"],
        ),
    ] {
        assert_eq!(occurrences(cron, zone, from, to), expected, "{cron} {zone}");
    }
}

#[test]
fn nothing_occurs_again_for_a_key_that_became_current_in_the_repeated_hour() {
    // 01:40 GMT, the second time the clocks show it: 01:45 was at 00:45 UTC.
    let next = calendar("45 1 * * *", "Europe/London").next_after(at("2026-10-25T01:40Z"));
    assert_eq!(next, Some(at("2026-10-26T01:45Z")));
}

#[test]
fn an_interval_counts_from_when_the_key_became_current() {
    let monthly = schedule(Cadence::Every(SignedDuration::from_hours(30 * 24)));
    assert_eq!(monthly.next_due(&name("tts"), at("2026-03-01T10:00Z")), at("2026-03-31T10:00Z"));
    assert_eq!(monthly.next_due(&name("tts"), Timestamp::MAX), Timestamp::MAX);
}

#[test]
fn jitter_is_the_same_in_every_release() {
    let jitter = SignedDuration::from_hours(4);
    let seconds = ["tts-backend", "dubbing", "a"].map(|text| jitter_of(&name(text), jitter).as_secs());
    assert_eq!(seconds, [JITTERS.0, JITTERS.1, JITTERS.2]);
    assert_eq!(jitter_of(&name("tts-backend"), SignedDuration::ZERO), SignedDuration::ZERO);
}

/// Computed once, outside Rust: int(sha256("jitter\0" + name)[:8]) * 14401 >> 64.
const JITTERS: (i64, i64, i64) = (2_016, 11_034, 10_393);

#[test]
fn jitter_spreads_over_its_whole_width() {
    let jitter = SignedDuration::from_secs(9);
    let mut counts = [0u32; 10];
    for number in 0..2000 {
        counts[usize::try_from(jitter_of(&name(&format!("c{number}")), jitter).as_secs()).unwrap()] += 1;
    }
    assert!(counts.iter().all(|count| (120..280).contains(count)), "{counts:?}");
}

fn office_hours() -> Window {
    Window { opens: calendar("0 9 * * Mon-Thu", "Europe/London"), lasts: SignedDuration::from_hours(6) }
}

#[test]
fn a_window_admits_from_its_opening_to_its_end() {
    let mut guarded = schedule(Cadence::Every(SignedDuration::from_hours(1)));
    guarded.window = Some(office_hours());
    let until = |now: &str| match guarded.admits(at(now)) {
        StartDecision::Open => "open".to_owned(),
        StartDecision::Closed { until, .. } => until.to_string(),
    };
    // Monday 23 March 2026 is in GMT, Monday 30 March in BST.
    for (now, expected) in [
        ("2026-03-23T08:59:59Z", "2026-03-23T09:00:00Z"),
        ("2026-03-23T09:00:00Z", "open"),
        ("2026-03-23T14:59:59Z", "open"),
        ("2026-03-23T15:00:00Z", "2026-03-24T09:00:00Z"),
        ("2026-03-26T15:00:00Z", "2026-03-30T08:00:00Z"),
        ("2026-03-30T08:00:00Z", "open"),
    ] {
        assert_eq!(until(now), expected, "{now}");
    }
}

#[test]
fn a_freeze_shuts_whatever_the_window_says_and_the_way_out_is_outside_every_freeze() {
    let freeze = |from: &str, until: &str, name: &str| Freeze {
        from: at(from),
        until: at(until),
        name: name.to_owned(),
    };
    let mut frozen = schedule(Cadence::Every(SignedDuration::from_hours(1)));
    frozen.freezes = vec![
        freeze("2026-12-18T00:00Z", "2026-12-28T10:00Z", "holidays"),
        freeze("2026-12-28T00:00Z", "2026-12-29T12:00Z", "stock-taking"),
    ];
    assert_eq!(frozen.admits(at("2026-12-17T23:59:59Z")), StartDecision::Open);
    assert_eq!(frozen.admits(at("2026-12-29T12:00Z")), StartDecision::Open);
    let StartDecision::Closed { until, why } = frozen.admits(at("2026-12-20T10:00Z")) else {
        panic!("a freeze does not shut");
    };
    assert_eq!((until, why.contains("holidays")), (at("2026-12-29T12:00Z"), true));
    frozen.window = Some(office_hours());
    assert!(matches!(
        frozen.admits(at("2026-12-21T10:00Z")),
        StartDecision::Closed { until, .. } if until == at("2026-12-29T12:00Z")
    ));
    frozen.freezes[1].until = at("2026-12-29T15:00Z");
    assert!(matches!(
        frozen.admits(at("2026-12-21T10:00Z")),
        StartDecision::Closed { until, .. } if until == at("2026-12-30T09:00Z")
    ));
}

#[test]
fn an_impossible_date_is_never_due_and_never_opens() {
    let never = calendar("0 0 30 2 *", "Europe/London");
    let mut shut = schedule(Cadence::Calendar(Box::new(never.clone())));
    assert_eq!(shut.next_due(&name("a"), at("2026-01-01T00:00Z")), Timestamp::MAX);
    shut.window = Some(Window { opens: never, lasts: SignedDuration::from_hours(1) });
    assert!(matches!(
        shut.admits(at("2026-01-01T00:00Z")),
        StartDecision::Closed { until, .. } if until == Timestamp::MAX
    ));
}

#[test]
fn a_signature_changes_exactly_when_due_instants_do() {
    let every = schedule(Cadence::Every(SignedDuration::from_hours(24)));
    let mut same = every.clone();
    same.window = Some(office_hours());
    assert_eq!(every.signature(), same.signature());
    let mut others = vec![every.clone()];
    others.push(Schedule { jitter: SignedDuration::from_secs(1), ..every });
    others.push(schedule(Cadence::Every(SignedDuration::from_hours(25))));
    for (cron, zone) in [("0 3 * * Mon", "Europe/London"), ("0 3 * * Mon", "UTC"), ("0 3 * * Tue", "UTC")] {
        others.push(schedule(Cadence::Calendar(Box::new(calendar(cron, zone)))));
    }
    let mut signatures: Vec<String> = others.iter().map(Schedule::signature).collect();
    signatures.sort();
    signatures.dedup();
    assert_eq!(signatures.len(), others.len(), "{signatures:?}");
}

#[test]
fn durations_are_written_as_a_policy_writes_them() {
    for (seconds, expected) in
        [(0, "0s"), (90, "1m 30s"), (7200, "2h"), (86_400, "1d"), (129_600, "1d 12h"), (2_592_000, "30d")]
    {
        assert_eq!(brief(SignedDuration::from_secs(seconds)), expected);
    }
}

#[test]
fn a_calendar_is_described_with_the_names_of_weekdays() {
    for (cron, expected) in [
        ("0 9 * * Mon-Thu", "`0 9 * * Mon-Thu` UTC"),
        ("0 9 1 * *", "`0 9 1 * *` UTC"),
        ("0 9 * * 5#2,sun", "`0 9 * * Fri#2,Sun` UTC"),
        ("0 9 * * */2", "`0 9 * * */2` UTC"),
    ] {
        assert_eq!(calendar(cron, "UTC").describe(), expected);
    }
}

fn instants() -> impl Strategy<Value = Timestamp> {
    // 2020 to 2040, to the nanosecond.
    (1_577_836_800i64..2_208_988_800, 0i32..1_000_000_000)
        .prop_map(|(second, nanosecond)| Timestamp::new(second, nanosecond).unwrap())
}

fn calendars() -> impl Strategy<Value = Calendar> {
    (prop::sample::select(&CRONS[..]), prop::sample::select(&ZONES[..]))
        .prop_map(|(cron, zone)| calendar(cron, zone))
}

fn schedules() -> impl Strategy<Value = Schedule> {
    let cadence = prop_oneof![
        (1i64..100_000_000).prop_map(|seconds| Cadence::Every(SignedDuration::from_secs(seconds))),
        calendars().prop_map(|calendar| Cadence::Calendar(Box::new(calendar))),
    ];
    let window = prop::option::of((calendars(), 60i64..200_000))
        .prop_map(|it| it.map(|(opens, lasts)| Window { opens, lasts: SignedDuration::from_secs(lasts) }));
    let freezes = prop::collection::vec((instants(), 1i64..10_000_000), 0..4).prop_map(|freezes| {
        let freeze = |(from, seconds): (Timestamp, i64)| Freeze {
            from,
            until: from + SignedDuration::from_secs(seconds),
            name: "f".to_owned(),
        };
        freezes.into_iter().map(freeze).collect()
    });
    (cadence, 0i64..100_000, window, freezes).prop_map(|(cadence, jitter, window, freezes)| Schedule {
        cadence,
        jitter: SignedDuration::from_secs(jitter),
        window,
        freezes,
    })
}

proptest! {
    #[test]
    fn due_is_later_and_the_same_again_and_never_earlier_for_a_later_key(
        schedule in schedules(), a in instants(), b in instants(),
    ) {
        let (first, second) = (a.min(b), a.max(b));
        let due = schedule.next_due(&name("tts"), first);
        prop_assert!(due > first);
        prop_assert_eq!(due, schedule.next_due(&name("tts"), first));
        prop_assert!(due <= schedule.next_due(&name("tts"), second));
        let plain = Schedule { jitter: SignedDuration::ZERO, ..schedule.clone() };
        let late = due.duration_since(plain.next_due(&name("tts"), first));
        prop_assert!(late >= SignedDuration::ZERO && late <= schedule.jitter);
    }

    #[test]
    fn what_is_shut_opens_when_it_says_and_not_before(schedule in schedules(), now in instants(), share in 0u32..100) {
        if let StartDecision::Closed { until, .. } = schedule.admits(now) {
            prop_assert!(until > now);
            prop_assert_eq!(schedule.admits(until), StartDecision::Open);
            let between = now + until.duration_since(now).checked_div(100).unwrap() * i32::try_from(share).unwrap();
            prop_assert!(schedule.admits(between) != StartDecision::Open, "open already at {between}");
        }
    }

    #[test]
    fn every_wall_clock_reading_occurs_exactly_once(
        cron in prop::sample::select(&CRONS[..5]), zone in prop::sample::select(&ZONES[..]), day in 0i32..3650,
    ) {
        // Counts the readings that the expression names in two civil days against what occurs in them.
        let calendar = calendar(cron, zone);
        let from = jiff::civil::date(2024, 1, 1).checked_add(jiff::Span::new().days(day)).unwrap().at(12, 0, 0, 0);
        let to = from.checked_add(jiff::Span::new().days(2)).unwrap();
        let mut named = Vec::new();
        let mut reading = from;
        loop {
            reading = calendar.cron.find_next_occurrence(&reading, false).unwrap();
            if reading > to { break; }
            named.push(calendar.instant_of(reading).unwrap());
        }
        prop_assert!(named.is_sorted());
        named.dedup();
        let mut occurred = Vec::new();
        let mut now = calendar.instant_of(from).unwrap();
        loop {
            now = calendar.next_after(now).unwrap();
            if now > calendar.instant_of(to).unwrap() { break; }
            occurred.push(now);
        }
        prop_assert_eq!(occurred, named);
    }
}
