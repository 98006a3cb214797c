//! The admin key in use, which a rotation of its own may exchange while calls are under way.

use std::sync::{PoisonError, RwLock};

use reqwest::header::HeaderValue;

use crate::adapters::elevenlabs::transport::header;
use crate::domain::secret::SecretValue;

pub(super) struct AdminKey {
    in_use: RwLock<InUse>,
}

#[derive(Clone)]
struct InUse {
    value: SecretValue,
    header: HeaderValue,
    /// Calls that were sent with it may still come back, and say it.
    before: Option<SecretValue>,
}

impl AdminKey {
    /// `None` if the value cannot be sent as a header.
    pub(super) fn new(value: SecretValue) -> Option<Self> {
        let header = header(&value)?;
        Some(Self { in_use: RwLock::new(InUse { value, header, before: None }) })
    }

    pub(super) fn value(&self) -> SecretValue {
        self.now().value
    }

    pub(super) fn header(&self) -> HeaderValue {
        self.now().header
    }

    /// Every value that an answer could tell.
    pub(super) fn values(&self) -> Vec<SecretValue> {
        let InUse { value, before, .. } = self.now();
        std::iter::once(value).chain(before).collect()
    }

    /// Calls that are sent from here on are made with `value`. `false`, and nothing happens, if it cannot be sent.
    pub(super) fn replace(&self, value: &SecretValue) -> bool {
        let Some(header) = header(value) else { return false };
        let mut in_use = self.in_use.write().unwrap_or_else(PoisonError::into_inner);
        let before = Some(in_use.value.clone());
        *in_use = InUse { value: value.clone(), header, before };
        true
    }

    fn now(&self) -> InUse {
        self.in_use.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
