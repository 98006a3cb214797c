//! Which destinations fail, and of which stores most do: one secret that cannot be written is not a store that is down.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::failure::Kind;

/// What was not called for so long says nothing about now.
const KNOWN_FOR: Duration = Duration::from_secs(3600);

/// The last operation on each secret, by store.
#[derive(Debug, Clone, Default)]
pub(super) struct Places(BTreeMap<String, BTreeMap<String, Last>>);

#[derive(Debug, Clone, Copy)]
struct Last {
    at: Instant,
    fault: Option<Kind>,
}

impl Places {
    /// `fault`: why the operation failed, if the store or the connection is at fault.
    pub(super) fn note(&mut self, store: &str, secret: &str, fault: Option<Kind>) {
        let secrets = self.0.entry(store.to_owned()).or_default();
        secrets.retain(|_, last| last.at.elapsed() < KNOWN_FOR);
        secrets.insert(secret.to_owned(), Last { at: Instant::now(), fault });
    }

    /// By store and secret.
    pub(super) fn failing(&self) -> BTreeMap<(String, String), Kind> {
        let known = self.0.iter().flat_map(|(store, secrets)| secrets.iter().map(move |it| (store, it)));
        let failing = known.filter_map(|(store, (secret, last))| {
            let kind = last.fault.filter(|_| last.at.elapsed() < KNOWN_FOR)?;
            Some(((store.clone(), secret.clone()), kind))
        });
        failing.collect()
    }

    /// The stores of which most secrets fail, with the newest cause.
    pub(super) fn failing_stores(&self) -> BTreeMap<String, Kind> {
        let failing = self.0.iter().filter_map(|(store, secrets)| {
            let known = || secrets.values().filter(|last| last.at.elapsed() < KNOWN_FOR);
            let failing = || known().filter_map(|last| Some((last.at, last.fault?)));
            let (_, kind) = failing().max_by_key(|(at, _)| *at)?;
            (failing().count() * 2 > known().count()).then(|| (store.clone(), kind))
        });
        failing.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_secret_that_fails_is_that_secret_and_most_of_them_are_the_store() {
        let mut places = Places::default();
        let store = |kind| [("aws".to_owned(), kind)].into();
        for (secret, fault) in [("a", Some(Kind::Forbidden)), ("b", None), ("c", None)] {
            places.note("aws", secret, fault);
        }
        places.note("local", "a", None);
        let first = ("aws".to_owned(), "a".to_owned());
        assert_eq!(places.failing(), [(first, Kind::Forbidden)].into());
        assert_eq!(places.failing_stores(), BTreeMap::new());
        // Others that succeed do not make it look well.
        places.note("aws", "b", None);
        assert_eq!(places.failing().len(), 1);

        tokio::time::advance(Duration::from_secs(1)).await;
        places.note("aws", "b", Some(Kind::Unreachable));
        assert_eq!((places.failing().len(), places.failing_stores()), (2, store(Kind::Unreachable)));
        places.note("aws", "a", None);
        assert_eq!(places.failing_stores(), BTreeMap::new());

        tokio::time::advance(KNOWN_FOR).await;
        assert!(places.failing().is_empty(), "nobody knows any more");
        places.note("aws", "b", Some(Kind::TimedOut));
        assert_eq!(places.failing_stores(), store(Kind::TimedOut), "the only one that is known");
    }
}
