//! What the calendar puts on which day.

use super::*;
use crate::domain::gate::Evidence;
use crate::domain::ids::KeyId;
use crate::domain::record::{Current, Due, Record};
use crate::domain::report::Facts;

const NOW: &str = "2026-11-29T10:00:00Z";

fn at(days: i64) -> Timestamp {
    later(NOW.parse().unwrap(), SignedDuration::from_hours(24 * days))
}

fn report(name: &str, due: i64, expires: i64) -> CredentialReport {
    let record = Record {
        current: Some(Current {
            key: KeyId::new("key").unwrap(),
            fingerprint: None,
            since: at(-10),
            expires_at: Some(at(expires)),
            usage_hash: None,
            attributes: None,
        }),
        due: Some(Due { at: at(due), schedule: "every 30d".to_owned() }),
        ..Record::new(CredentialName::new(name).unwrap())
    };
    let facts = Facts { record: &record, rotation: None, evidence: &Evidence::default(), policy: None };
    CredentialReport::new(facts, at(0))
}

#[test]
fn each_instant_is_on_its_day_and_what_is_overdue_on_the_first() {
    let reports = vec![report("late", -3, 89), report("soon", 1, 90), report("far", 95, -1)];
    let status = StatusReport::new(reports, at(0));
    let policy = Policy::default();
    let calendar = Calendar::new(&status, &policy, at(0));
    let on = |days: &[Vec<&CredentialName>]| -> Vec<(usize, String)> {
        let days = days.iter().enumerate();
        days.flat_map(|(day, names)| names.iter().map(move |name| (day, name.to_string()))).collect()
    };
    assert_eq!(on(&calendar.due), [(0, "late".to_owned()), (1, "soon".to_owned())]);
    assert_eq!(on(&calendar.expires), [(89, "late".to_owned())]);
    assert_eq!(
        (calendar.date(0).to_string(), calendar.date(89).to_string()),
        ("2026-11-29".to_owned(), "2027-02-26".to_owned())
    );
    let drawn = chart::section(&calendar, at(0)).into_string();
    assert_eq!(
        (drawn.matches("<rect class=\"due\"").count(), drawn.matches("<rect class=\"expires\"").count()),
        (2, 1)
    );
    assert_eq!(summary(&calendar), "2 rotations are due, 1 key expires, 0 freezes.");
}
