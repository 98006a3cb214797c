//! Whether a URL leads to this machine.

use std::net::IpAddr;

use reqwest::Url;

pub(crate) fn leads_to(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address: Option<IpAddr> = host.trim_start_matches('[').trim_end_matches(']').parse().ok();
    host == "localhost" || address.is_some_and(|address| address.is_loopback())
}
