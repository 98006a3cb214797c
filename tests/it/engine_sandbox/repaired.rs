//! A record that is damaged, and made anew from the events of its rotations, at rest and on the way back.

use rekeyd::domain::phase::PhaseName;
use rekeyd::domain::record::Record;
use rekeyd::engine::Wish;
use rekeyd::sandbox::key::State;

use crate::support::tampering::tamper;

use super::bench::Bench;
use super::leaks::overlapping;

/// What the record says that is not found out again.
fn of_events(record: Record) -> Record {
    Record { revision: 0, due: None, findings: Vec::new(), ..record }
}

impl Bench {
    /// Its row is broken while the keeper is away; nothing else is possible then before it is made anew.
    async fn is_damaged_and_repaired(&mut self) {
        let (handle, shutdown, task) = self.life.take().unwrap();
        drop(handle);
        shutdown.cancel();
        task.await.unwrap().unwrap();
        let before = self.known().await;
        tamper(&self.folder.path().join("journal.db"), "UPDATE records SET body = '['");
        self.live().await;
        let refused = self.order(Wish::Rotate).await.unwrap_err().to_string();
        assert!(refused.contains("left alone") && refused.contains("rekeyd repair tts-backend"), "{refused}");
        let done = self.order(Wish::Repair).await.unwrap();
        assert!(done.contains("made anew"), "{done}");
        let after = self.known().await;
        let phase = |it: &rekeyd::ports::journal::Known| it.rotation.as_ref().map(|it| it.phase.clone());
        assert_eq!(phase(&after), phase(&before));
        assert!(after.record.revision > before.record.revision);
        assert_eq!(of_events(after.record), of_events(before.record));
        let again = self.order(Wish::Repair).await.unwrap();
        assert!(again.contains("are sound"), "{again}");
    }
}

#[tokio::test]
async fn a_rotation_goes_on_from_where_it_was_when_its_record_is_made_anew() {
    let mut bench = overlapping().await;
    bench.is_damaged_and_repaired().await;
    bench.order(Wish::RollBack).await.unwrap();
    bench.ended(PhaseName::RolledBack).await;
    // The newest of several endings is not the one that settles everything.
    bench.is_damaged_and_repaired().await;
    assert_eq!(bench.known().await.record.last.unwrap().outcome, PhaseName::RolledBack);
    assert_eq!(bench.states(), [State::Enabled, State::Deleted]);
    bench.stop().await;
}
