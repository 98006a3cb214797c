//! What a directory declares about itself as a kind of store.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use crate::adapters::directory::{Directory, Settings, doctor, follow};
use crate::config_file::values;
use crate::domain::examination::CheckResult;
use crate::domain::failure::Failure;
use crate::domain::ids::CredentialName;
use crate::domain::place::Place;
use crate::ports::followed::{FollowFlag, FollowForm};
use crate::ports::secret_store::SecretStore;
use crate::ports::store_kind::{Examination, InitForm, NameRule, StoreConfig, StoreKind, StoreOperation};

pub static KIND: StoreKind = StoreKind {
    key: "directory",
    title: "a directory store",
    followed: Some(FollowForm {
        key: "file",
        flags: &[FollowFlag {
            flag: "file",
            value_name: "PATH",
            help: "File to follow: a secret of rekeyd's directory store, or any other file",
            key: None,
        }],
        every: follow::EVERY,
    }),
    name_rule: NameRule {
        accepts: is_secret_name,
        rule: "not a valid file name for a directory store",
        help: "use a name of at most 64 letters, digits, `-`, `_` and `.`, without `/`",
    },
    is_filled_by_rekeyd: true,
    version_quota: None,
    serves_first_version: false,
    calls,
    checks: &doctor::CHECKS,
    write_probe: "create and remove a file in directories",
    access_policy: None,
    init: Some(InitForm {
        scheme: "dir",
        value: "PATH",
        accepts: is_absolute,
        help: "pass an absolute path, such as `dir:/run/rekeyd/secrets`",
        store_name: "local",
        key: "path",
        is_prefixed: false,
    }),
};

#[async_trait]
impl StoreConfig for Settings {
    fn kind(&self) -> &'static StoreKind {
        &KIND
    }

    fn directory(&self) -> Option<&Path> {
        Some(&self.path)
    }

    fn place(&self, secret: &str) -> Place {
        Place {
            kind: KIND.key,
            name: secret.to_owned(),
            or_name: None,
            region: None,
            account: None,
            through: values::plain(&self.path).display().to_string(),
        }
    }

    async fn open(&self) -> Result<Arc<dyn SecretStore>, Failure> {
        Ok(Arc::new(Directory::open_alone(self)?))
    }

    async fn open_read_only(&self) -> Result<Arc<dyn SecretStore>, Failure> {
        Ok(Arc::new(Directory::open_read_only(self)?))
    }

    async fn examine(&self, examination: &Examination) -> Vec<CheckResult> {
        doctor::examine(self, examination).await
    }
}

fn is_secret_name(text: &str) -> bool {
    CredentialName::new(text).is_ok()
}

fn is_absolute(path: &str) -> bool {
    path.starts_with('/')
}

fn calls(operation: StoreOperation) -> Vec<&'static str> {
    vec![match operation {
        StoreOperation::Preflight { .. } => "check",
        StoreOperation::Stage { .. } => "stage",
        StoreOperation::Read => "read",
        StoreOperation::Promote { .. } => "promote",
        StoreOperation::Discard => "discard",
    }]
}
