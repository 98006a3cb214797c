//! What an operator has to permit so that rekeyd can use a store: grants, which are merged over the stores of one kind, and
//! the document of that kind's service that they make up.

use std::collections::{BTreeMap, BTreeSet};

/// How `rekeyd doctor` prints the access policy of one kind of store.
#[derive(Debug)]
pub struct AccessPolicyForm {
    /// The flag that prints it, without its dashes.
    pub flag: &'static str,
    /// What the flag does.
    pub help: &'static str,
    /// What an operator calls the service.
    pub service: &'static str,
    /// What the policy file does not say about the place that the document is for.
    pub options: &'static [AccessOption],
    /// The document, as the service reads it. Every grant has a resource.
    pub document: fn(&[Grant]) -> String,
}

/// A flag beside [`AccessPolicyForm::flag`].
#[derive(Debug)]
pub struct AccessOption {
    pub flag: &'static str,
    pub value_name: &'static str,
    pub help: &'static str,
    pub is_repeatable: bool,
    /// What to pass instead of a value that cannot be used.
    pub accepts: fn(&str) -> Result<(), &'static str>,
}

/// The values of the options, by their flags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessScope(BTreeMap<&'static str, Vec<String>>);

impl AccessScope {
    pub fn add(&mut self, flag: &'static str, value: String) {
        self.0.entry(flag).or_default().push(value);
    }

    #[must_use]
    pub fn one(&self, flag: &str) -> Option<&str> {
        self.all(flag).first().map(String::as_str)
    }

    #[must_use]
    pub fn all(&self, flag: &str) -> &[String] {
        self.0.get(flag).map_or(&[], Vec::as_slice)
    }
}

/// Actions on resources. Grants of several stores that have the same `id` are merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub id: &'static str,
    pub actions: &'static [&'static str],
    /// A grant without resources is left out.
    pub resources: BTreeSet<String>,
    /// Services that alone may use the resources; any if empty.
    pub only_through: BTreeSet<String>,
}
