//! What an operator has to permit so that rekeyd can use a store: the statements of an IAM policy, before they are merged.

use std::collections::BTreeSet;

/// What the policy file does not say about the account that the permissions are for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PermissionScope {
    /// The account's number; any account if `None`.
    pub account: Option<String>,
    /// For stores that name no region; any region if `None`.
    pub region: Option<String>,
    /// ARNs of customer-managed KMS keys that encrypt the secrets.
    pub kms_keys: Vec<String>,
}

/// Actions on resources. Statements of several stores that have the same `id` are merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    pub id: &'static str,
    pub actions: &'static [&'static str],
    /// A statement without resources is left out.
    pub resources: BTreeSet<String>,
    /// Services that alone may use the resources; any if empty.
    pub via_services: BTreeSet<String>,
}
