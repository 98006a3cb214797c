//! A record that is damaged, and made anew from the events of its rotations, at rest and on the way back.

use rekeyd::adapters::clock::SystemClock;
use rekeyd::domain::finding::FindingKind;
use rekeyd::domain::phase::PhaseName;
use rekeyd::domain::record::Record;
use rekeyd::domain::sharing::SharingGroups;
use rekeyd::engine::Command;
use rekeyd::ports::clock::Clock as _;
use rekeyd::sandbox::key::State;
use rekeyd::sandbox::settings::{Granted, Settings};

use crate::support::tampering::tamper;

use super::harness::Harness;
use super::leaks::{overlapping, settled};

/// What the record says that is not found out again.
fn of_events(record: Record) -> Record {
    Record { revision: 0, due: None, findings: Vec::new(), sharing_groups: None, ..record }
}

impl Harness {
    /// Its row is broken while the daemon is away; nothing else is possible then before it is made anew.
    async fn is_damaged_and_repaired(&mut self) -> String {
        let (handle, shutdown, task) = self.life.take().unwrap();
        drop(handle);
        shutdown.cancel();
        task.await.unwrap().unwrap();
        let before = self.known().await;
        tamper(&self.folder.path().join("journal.db"), "UPDATE records SET body = '['");
        self.live().await;
        let refused = self.request(Command::Rotate).await.unwrap_err().to_string();
        assert!(refused.contains("left alone") && refused.contains("rekeyd repair tts-backend"), "{refused}");
        let done = self.request(Command::Repair).await.unwrap();
        assert!(done.contains("made anew"), "{done}");
        let after = self.known().await;
        let phase =
            |it: &rekeyd::ports::journal::CredentialState| it.rotation.as_ref().map(|it| it.phase.clone());
        assert_eq!(phase(&after), phase(&before));
        assert!(after.record.revision > before.record.revision);
        assert_eq!(of_events(after.record), of_events(before.record));
        let again = self.request(Command::Repair).await.unwrap();
        assert!(again.contains("are sound"), "{again}");
        done
    }
}

#[tokio::test]
async fn what_an_operator_accepted_stays_accepted_when_the_record_is_made_anew() {
    let mut harness = settled(|_| ()).await;
    let account = harness.sandbox.truth().accounts[0].service_account_user_id.clone();
    harness.inspect().await;
    harness.until("the groups are recorded", async |_, known| known.record.sharing_groups.is_some()).await;
    let stranger = Settings::new("somebody's", Granted::Only(vec!["voices_read".to_owned()]));
    drop(harness.sandbox.workspace().create_key(&account, stranger, SystemClock.now()).unwrap());
    let groups = SharingGroups::default().with("g1", "viewer");
    harness.sandbox.workspace().share(&account, groups.clone()).unwrap();
    harness.found(&[FindingKind::SharingGroupsChanged, FindingKind::ForeignKeys]).await;
    harness.request(Command::Accept).await.unwrap();
    let accepted = harness.known().await.record.accepted;
    assert_eq!(accepted.len(), 1);
    let done = harness.is_damaged_and_repaired().await;
    assert!(done.contains("1 other keys of its account stay accepted"), "{done}");
    assert!(
        done.contains("permissions since has to be accepted anew: `rekeyd accept tts-backend`"),
        "{done}"
    );
    let record = harness.known().await.record;
    assert_eq!((record.accepted, record.sharing_groups), (accepted, Some(groups)));
    harness.inspect().await;
    harness.found(&[]).await;
    harness.stop().await;
}

#[tokio::test]
async fn a_rotation_goes_on_from_where_it_was_when_its_record_is_made_anew() {
    let mut harness = overlapping().await;
    harness.is_damaged_and_repaired().await;
    harness.request(Command::RollBack).await.unwrap();
    harness.ended(PhaseName::RolledBack).await;
    // The newest of several endings is not the one that settles everything.
    harness.is_damaged_and_repaired().await;
    assert_eq!(harness.known().await.record.last.unwrap().outcome, PhaseName::RolledBack);
    assert_eq!(harness.states(), [State::Enabled, State::Deleted]);
    harness.stop().await;
}
