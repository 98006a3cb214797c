//! Acknowledgements and observations.

use std::sync::Arc;

use rekeyd::adapters::memory::journal::MemoryJournal;
use rekeyd::adapters::sqlite::SqliteJournal;
use rekeyd::domain::gate::Observations;
use rekeyd::ports::journal::Journal;

use super::every_adapter;
use crate::journal::samples::{ack, at, begun, entry, name, rotation};

type Subject = Arc<dyn Journal>;

every_adapter!(
    the_newest_acknowledgement_of_each_consumer_is_kept,
    an_acknowledgement_from_the_future_gives_way_to_the_next_one,
    the_observations_of_a_rotation_replace_the_earlier_ones,
);

async fn the_newest_acknowledgement_of_each_consumer_is_kept(journal: Subject) {
    let tts = name("tts");
    for ack in [ack("api", "old", 10), ack("batch", "new", 20), ack("api", "new", 30), ack("api", "older", 5)]
    {
        journal.acknowledge(&tts, &ack).await.unwrap();
    }
    journal.acknowledge(&name("asr"), &ack("api", "other", 99)).await.unwrap();
    assert_eq!(journal.acks(&tts).await.unwrap(), [ack("api", "new", 30), ack("batch", "new", 20)]);
    assert_eq!(journal.acks(&name("nobody")).await.unwrap(), []);
    let all = journal.all_acks().await.unwrap();
    assert_eq!(all.keys().collect::<Vec<_>>(), [&name("asr"), &tts]);
    for (credential, acks) in &all {
        assert_eq!(acks.as_ref().unwrap(), &journal.acks(credential).await.unwrap(), "{credential}");
    }
}

async fn an_acknowledgement_from_the_future_gives_way_to_the_next_one(journal: Subject) {
    let (tts, days) = (name("tts"), |count: i64| count * 86_400);
    // A clock that is ahead, comes right, goes back, and comes right again; and one report that came in late.
    for (fingerprint, second, kept) in [
        ("one", days(40), ("one", days(40))),
        ("two", 10, ("two", 10)),
        ("three", -days(730), ("three", -days(730))),
        ("four", 700, ("four", 700)),
        ("late", 101, ("four", 700)),
        ("five", 99, ("five", 99)),
    ] {
        journal.acknowledge(&tts, &ack("api", fingerprint, second)).await.unwrap();
        assert_eq!(journal.acks(&tts).await.unwrap(), [ack("api", kept.0, kept.1)], "{fingerprint}");
    }
}

async fn the_observations_of_a_rotation_replace_the_earlier_ones(journal: Subject) {
    let tts = name("tts");
    for number in [1, 2] {
        let id = rotation(number);
        journal.append(&entry("tts", id, 0, begun("tts", "prod", id)), None).await.unwrap();
    }
    assert_eq!(journal.observed(&tts, rotation(1)).await.unwrap(), None);
    for gone in [false, true] {
        let observed = Observations { gone, ..Observations::default() };
        journal.observe(&tts, rotation(1), &observed, at(1)).await.unwrap();
        assert_eq!(journal.observed(&tts, rotation(1)).await.unwrap(), Some(observed));
    }
    journal.observe(&tts, rotation(2), &Observations::default(), at(2)).await.unwrap();
    assert_eq!(journal.observed(&tts, rotation(1)).await.unwrap(), None, "one of a credential");
    assert_eq!(journal.observed(&name("asr"), rotation(2)).await.unwrap(), None);
}
