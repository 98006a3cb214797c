//! A record that is damaged, and made anew from the events of its rotations, at rest and on the way back.

use rekeyd::domain::phase::PhaseName;
use rekeyd::domain::record::Record;
use rekeyd::engine::Command;
use rekeyd::sandbox::key::State;

use crate::support::tampering::tamper;

use super::harness::Harness;
use super::leaks::overlapping;

/// What the record says that is not found out again.
fn of_events(record: Record) -> Record {
    Record { revision: 0, due: None, findings: Vec::new(), sharing_groups: None, ..record }
}

impl Harness {
    /// Its row is broken while the daemon is away; nothing else is possible then before it is made anew.
    async fn is_damaged_and_repaired(&mut self) {
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
    }
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
