//! A consumer that says that a key does not work for it is told at once, there and back, until it says otherwise.

use jiff::SignedDuration;
use rekeyd::domain::ack::{Ack, Health};
use rekeyd::domain::gate::GateName;
use rekeyd::domain::ids::ConsumerName;
use rekeyd::domain::phase::PhaseName;
use rekeyd::domain::report::failing::FailingKey;
use rekeyd::domain::report::{CredentialHealth, CredentialReport};
use rekeyd::domain::secret::Fingerprint;
use rekeyd::engine::Command;

use super::harness::{Harness, name};
use super::leaks::overlapping;

impl Harness {
    /// What a consumer says of any key, whatever is served.
    async fn says_of(&self, print: &Fingerprint, health: Health) {
        let now = self.clock.now();
        let consumer = ConsumerName::new("nobody").unwrap();
        let ack = Ack { consumer, fingerprint: print.clone(), health, since: now, at: now };
        self.handle().acknowledge(name(), ack).await.unwrap();
    }
}

fn fails_with(report: &CredentialReport) -> Vec<FailingKey> {
    report.failing_consumers.iter().map(|it| it.key).collect()
}

fn waits_for_acks(report: &CredentialReport) -> bool {
    let gates = report.rotation.iter().flat_map(|rotation| &rotation.gates);
    gates.filter(|it| it.gate == GateName::Acks).any(|it| !it.satisfied && !it.waiting_on.is_empty())
}

#[tokio::test]
async fn a_consumer_that_fails_is_told_at_once_and_on_the_way_back_until_it_has_returned() {
    let harness = overlapping().await;
    let new = harness.served().unwrap().fingerprint();
    harness.says_of(&new, Health::Failing).await;
    let report = harness.report().await;
    assert_eq!((report.health, report.attention), (CredentialHealth::Failing, true));
    assert!(report.summary.starts_with("nobody fails with the new key since "), "{}", report.summary);
    assert_eq!(report.next_command.as_deref(), Some("rekeyd rollback tts-backend"));
    assert!(CredentialHealth::ALL.iter().all(|it| *it <= report.health), "nothing comes before it");

    harness.request(Command::RollBack).await.unwrap();
    harness.reaches(PhaseName::Returning).await;
    let report = harness.report().await;
    assert_eq!((report.health, fails_with(&report)), (CredentialHealth::Failing, vec![FailingKey::New]));
    assert_eq!(report.next_command.as_deref(), Some("rekeyd consumers nobody"));
    assert!(waits_for_acks(&report), "{:?}", report.rotation.map(|it| it.gates));

    let old = harness.served().unwrap().fingerprint();
    assert_ne!(old, new);
    harness.says_of(&old, Health::Failing).await;
    let report = harness.report().await;
    assert_eq!((report.health, fails_with(&report)), (CredentialHealth::Failing, vec![FailingKey::Old]));
    harness.says_of(&old, Health::Using).await;
    harness.ended(PhaseName::RolledBack).await;
    let report = harness.report().await;
    assert_eq!((report.health, fails_with(&report)), (CredentialHealth::Fine, vec![]));

    harness.says_of(&old, Health::Failing).await;
    let report = harness.report().await;
    assert_eq!((report.health, fails_with(&report)), (CredentialHealth::Failing, vec![FailingKey::Current]));
    assert_eq!(report.next_command.as_deref(), Some("rekeyd consumers nobody"));
    harness.stop().await;
}

#[tokio::test]
async fn the_way_back_has_a_deadline_after_which_an_operator_is_needed() {
    let mut harness = overlapping().await;
    harness.acknowledge("nobody", Health::Failing).await;
    harness.request(Command::RollBack).await.unwrap();
    harness.reaches(PhaseName::Returning).await;
    let report = harness.report().await;
    let rotation = report.rotation.unwrap();
    assert_eq!(rotation.deadline, Some(rotation.phase_since + SignedDuration::from_hours(1)));
    // It has a key that works again, and is not seen to use the old one.
    let new = rotation.new_fingerprint.unwrap();
    harness.says_of(&new, Health::Using).await;
    let report = harness.report().await;
    assert_eq!((report.health, report.attention), (CredentialHealth::Waiting, false), "{}", report.summary);
    harness.revise(|terms| terms.at_most = SignedDuration::ZERO).await;
    let report = harness.told("late", |report| report.attention).await;
    assert!(report.summary.starts_with("rolled back; past its deadline, waiting on: "), "{}", report.summary);
    assert_eq!(report.next_command.as_deref(), Some("rekeyd consumers nobody"));
    harness.stop().await;
}
