//! Networks of addresses, for `allowed_ips`.

use std::net::IpAddr;

/// A network of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cidr {
    address: IpAddr,
    prefix: u32,
}

impl Cidr {
    #[must_use]
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, prefix) =
            text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().ok()?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Some(bits), |prefix| prefix.parse().ok())?;
        (prefix <= bits).then_some(Self { address, prefix })
    }

    #[must_use]
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let kept = u32::MAX.checked_shl(32 - self.prefix).unwrap_or(0);
                own.to_bits() & kept == other.to_bits() & kept
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let kept = u128::MAX.checked_shl(128 - self.prefix).unwrap_or(0);
                own.to_bits() & kept == other.to_bits() & kept
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    /// Whether the network begins in a range that the provider does not take.
    #[must_use]
    pub(super) fn is_private(&self) -> bool {
        match self.address {
            IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local(),
            IpAddr::V6(v6) => v6.is_unique_local() || v6.is_loopback() || v6.is_unicast_link_local(),
        }
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_addresses_and_no_others() {
        for (network, address, inside) in [
            ("203.0.113.7", "203.0.113.7", true),
            ("203.0.113.7", "203.0.113.8", false),
            ("203.0.113.0/24", "203.0.113.255", true),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("127.0.0.0/8", "::ffff:127.0.0.1", true),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "203.0.113.7", false),
        ] {
            let network = Cidr::parse(network).unwrap();
            assert_eq!(network.contains(address.parse().unwrap()), inside, "{network} {address}");
        }
        for wrong in ["", "office", "203.0.113.0/33", "203.0.113.0/x", "1.2.3"] {
            assert_eq!(Cidr::parse(wrong), None, "{wrong}");
        }
    }
}
