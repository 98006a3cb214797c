//! A scrape of ten thousand credentials.

use jiff::{SignedDuration, Timestamp};
use rekeyd::domain::gate::Evidence;
use rekeyd::domain::ids::{CredentialName, KeyId};
use rekeyd::domain::record::{Current, Due, Obstacle, ObstacleKind, Record};
use rekeyd::domain::report::{CredentialReport, Facts, StatusReport};
use rekeyd::telemetry::observation::Detail;

use crate::support::{promtool, scrape};

/// The `trouble` first ones cannot be rotated.
fn scraped(credentials: usize, trouble: usize, detail: Detail) -> String {
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let report = |index: usize| {
        let since = now - SignedDuration::from_hours(24);
        let key = KeyId::new(format!("key{index}")).unwrap();
        let current =
            Current { key, fingerprint: None, since, expires_at: None, usage_hash: None, attributes: None };
        let due = Due { at: now + SignedDuration::from_hours(24), schedule: String::new() };
        let obstacle = (index < trouble).then(|| Obstacle {
            kind: ObstacleKind::AdoptionUnclear,
            detail: "two keys".to_owned(),
            since,
        });
        let record = Record {
            current: Some(current),
            due: Some(due),
            obstacle,
            ..Record::new(CredentialName::new(format!("c{index:05}")).unwrap())
        };
        let evidence = Evidence::default();
        CredentialReport::new(
            Facts { record: &record, rotation: None, evidence: &evidence, policy: None },
            now,
        )
    };
    scrape::of(StatusReport::new((0..credentials).map(report).collect(), now), detail)
}

fn series(text: &str) -> usize {
    text.lines().filter(|line| !line.starts_with('#')).count()
}

#[test]
fn with_the_switch_off_ten_thousand_credentials_are_no_more_series_than_ten() {
    let (few, many) = (scraped(10, 0, Detail::MostSevere), scraped(10_000, 0, Detail::MostSevere));
    assert_eq!(series(&few), series(&many));
    assert!(many.contains("rekeyd_credentials{health=\"fine\"} 10000.0"), "{many}");
    assert!(!many.contains("credential=\""), "one of many that are well is told");
    promtool::lint(&many);
    assert!(series(&scraped(10_000, 0, Detail::Every)) > 30_000);
}

#[test]
fn with_the_switch_off_those_that_are_not_well_are_named_up_to_a_hundred_and_alerts_name_them() {
    let one = scraped(10_000, 1, Detail::MostSevere);
    assert!(one.contains("rekeyd_rotation_obstacle{credential=\"c00000\""), "{one}");
    assert!(!one.contains("credential=\"c00001\""), "{one}");
    let raised = promtool::firing(&one, &one, 1_800_000_000.0);
    assert!(raised.len() == 1 && raised[0].contains("alertname=\"RekeydRotationBlocked\""), "{raised:?}");
    assert!(raised[0].contains("credential=\"c00000\""), "{raised:?}");
    let all = scraped(10_000, 10_000, Detail::MostSevere);
    assert_eq!(all.matches("rekeyd_rotation_obstacle{").count(), 100);
    assert!(all.contains("rekeyd_credentials{health=\"blocked\"} 10000.0"));
    assert!(series(&all) < 1_500, "{} series", series(&all));
}
