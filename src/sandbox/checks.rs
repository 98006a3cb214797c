//! What the provider does not want of a new key, or of a change of one.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;

use crate::sandbox::key::StoredKey;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::settings::{ALLOWED_IPS, EXPIRY, Settings};
use crate::sandbox::workspace::Workspace;

const EXPIRY_SECONDS: std::ops::RangeInclusive<i64> = 15 * 60..=90 * 24 * 60 * 60;

impl Workspace {
    pub(super) fn check_room(&self, account: &str) -> Result<(), Refusal> {
        let exists = |key: &&StoredKey| key.settings().is_some();
        let count = self.keys_of(self.account(account)?).filter(exists).count();
        match self.rules.keys_per_account {
            Some(most) if count >= most => Err(Refusal::KeyLimit),
            Some(_) | None => Ok(()),
        }
    }

    /// Checks what may not be set; what stays as it was is not checked again.
    pub(super) fn check_settings(
        &self,
        new: &Settings,
        old: Option<&Settings>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if let Some(field) = new.enterprise_field().filter(|_| !self.rules.enterprise) {
            return Err(Refusal::NeedsEnterprise(field));
        }
        let networks = new.networks();
        if old.is_none_or(|old| old.networks() != networks)
            && !self.rules.private_addresses_allowed
            && let Some(network) = networks.iter().flatten().find(|network| is_private(network))
        {
            let message = format!("{network} is a private range");
            return Err(Refusal::Unwanted { parameter: ALLOWED_IPS, message });
        }
        if old.is_some_and(|old| old.expires_at == new.expires_at) {
            return Ok(());
        }
        let message = match new.expires_at {
            None if self.rules.never_expiring_forbidden => "this workspace forbids keys that never expire",
            Some(expiry) if !EXPIRY_SECONDS.contains(&(expiry - now.as_second())) => {
                "the expiry must be at least 15 minutes and at most 90 days ahead"
            }
            Some(_) | None => return Ok(()),
        };
        Err(Refusal::Unwanted { parameter: EXPIRY, message: message.to_owned() })
    }
}

/// Whether the network begins in a range that the provider does not take.
fn is_private(network: &IpNet) -> bool {
    match network.addr() {
        IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_loopback() || v6.is_unicast_link_local(),
    }
}
