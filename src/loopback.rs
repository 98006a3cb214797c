//! Whether a URL leads to this machine.

use std::net::IpAddr;

use reqwest::Url;

/// Certainly: enough to allow what would not be safe on a network.
pub(crate) fn leads_to(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    host == "localhost" || address(host).is_some_and(|address| address.is_loopback())
}

/// As far as can be known without resolving a name: also by the other forms of the address, and by the names that RFC
/// 6761 reserves, which a resolver may still send elsewhere.
pub(crate) fn may_lead_to(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let name = host.strip_suffix('.').unwrap_or(host);
    let is_named = name == "localhost" || name.ends_with(".localhost");
    is_named || address(host).is_some_and(|address| address.to_canonical().is_loopback())
}

fn address(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}
