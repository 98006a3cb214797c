//! The state of each credential.

use std::sync::Arc;

use rekeyd::adapters::memory::journal::MemoryJournal;
use rekeyd::adapters::sqlite::SqliteJournal;
use rekeyd::ports::journal::Records;

use super::{every_adapter, is_conflict};
use crate::journal::samples::{name, record};

type Subject = Arc<dyn Records>;

every_adapter!(a_record_is_replaced_only_by_its_next_revision,);

async fn a_record_is_replaced_only_by_its_next_revision(journal: Subject) {
    for (revision, taken) in [(2, false), (0, false), (1, true), (1, false), (3, false), (2, true), (3, true)]
    {
        let outcome = journal.save(&record("tts", revision, None), &[]).await;
        assert_eq!(outcome.is_ok(), taken, "{revision}: {outcome:?}");
        assert_eq!(is_conflict(&outcome), !taken, "{revision}: {outcome:?}");
    }
    let known = journal.load_one(&name("tts")).await.unwrap().unwrap();
    assert_eq!(known.record.revision, 3);
    assert_eq!(journal.revision(&name("tts")).await.unwrap(), Some(3));
    assert_eq!(journal.revision(&name("asr")).await.unwrap(), None);
}
