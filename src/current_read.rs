//! What a thread is reading, told to somebody else: a read of a file system that hangs never returns to say so itself.

use std::cell::RefCell;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// What the watched thread is reading, or read last.
#[derive(Debug, Clone, Default)]
pub(crate) struct CurrentRead(Arc<Mutex<Option<String>>>);

thread_local! {
    static WATCHED: RefCell<Option<CurrentRead>> = const { RefCell::new(None) };
}

impl CurrentRead {
    /// Follows what this thread reads while `work` runs.
    pub(crate) fn watch<T>(&self, work: impl FnOnce() -> T) -> T {
        let before = WATCHED.replace(Some(self.clone()));
        let done = work();
        WATCHED.set(before);
        done
    }

    pub(crate) fn what(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// This thread begins to read `what`.
pub(crate) fn reading(what: impl FnOnce() -> String) {
    WATCHED.with_borrow(|watched| {
        if let Some(CurrentRead(current)) = watched {
            *current.lock().unwrap_or_else(PoisonError::into_inner) = Some(what());
        }
    });
}

/// This thread begins to read a file.
pub(crate) fn reading_file(path: &Path) {
    reading(|| format!("the file {}", path.display()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_what_the_watched_thread_reads_and_nothing_of_others() {
        let current = CurrentRead::default();
        reading_file(Path::new("/before"));
        assert_eq!(current.what(), None);
        current.watch(|| {
            reading_file(Path::new("/a"));
            std::thread::spawn(|| reading_file(Path::new("/of another"))).join().unwrap();
        });
        reading_file(Path::new("/after"));
        assert_eq!(current.what().as_deref(), Some("the file /a"));
    }
}
