//! A directory as a secret store, as consumers and other writers see it; and the store in memory beside it.
#![expect(clippy::unwrap_used, reason = "a test ends where it is wrong")]

mod consumers;
mod hostile;

use std::path::PathBuf;

use async_trait::async_trait;
use rekeyd::adapters::directory::{Directory, Settings};
use rekeyd::adapters::memory::store::{FirstVersion, MemoryStore};
use rekeyd::ports::secret_store::SecretStore;
use tempfile::TempDir;

use crate::support::store_conformance::{Harness, conforms};

pub(crate) struct Local {
    _root: TempDir,
    pub(crate) path: PathBuf,
    pub(crate) store: Directory,
}

impl Local {
    pub(crate) fn new() -> Self {
        let root = TempDir::new().unwrap();
        let path = root.path().join("secrets");
        let store = Directory::open(&Settings::new(&path)).unwrap();
        Self { _root: root, path, store }
    }
}

#[async_trait]
impl Harness for Local {
    fn store(&self) -> &dyn SecretStore {
        &self.store
    }

    async fn write_by_hand(&self, secret: &str, text: &str) {
        let path = self.path.join(secret);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path.with_extension("new"), text).unwrap();
        std::fs::rename(path.with_extension("new"), path).unwrap();
    }

    async fn make_empty(&self, _: &str) -> bool {
        false
    }

    async fn served(&self, secret: &str) -> Option<String> {
        std::fs::read_to_string(self.path.join(secret)).ok()
    }
}

#[tokio::test]
async fn a_directory_conforms() {
    conforms(&Local::new()).await;
}

struct Memory(MemoryStore);

#[async_trait]
impl Harness for Memory {
    fn store(&self) -> &dyn SecretStore {
        &self.0
    }

    async fn write_by_hand(&self, secret: &str, text: &str) {
        self.0.write_as_somebody_else(secret, text);
    }

    async fn make_empty(&self, secret: &str) -> bool {
        self.0.make(secret);
        true
    }

    async fn served(&self, secret: &str) -> Option<String> {
        self.0.text(secret).map(|text| text.to_string())
    }
}

#[tokio::test]
async fn the_store_in_memory_conforms() {
    for first in [FirstVersion::Pending, FirstVersion::Current] {
        conforms(&Memory(MemoryStore::new(first))).await;
    }
}
