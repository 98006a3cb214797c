//! Whether a server can be reached: its name, an encrypted connection, and how long its certificate is valid.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::Url;

use crate::adapters::endpoint::{Unseen, addresses, certificate_expiry};
use crate::config_file::environment::{Environment, ProcessEnvironment};
use crate::domain::examination::{Check, Finding};

/// Certificates that renew by themselves do so long before.
const EXPIRES_SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// What an examination finds on the way to `url`, and whether calls to it can succeed.
pub async fn reach(
    about: &str,
    url: &Url,
    ca_pem: Option<&[u8]>,
    now: Timestamp,
    limit: Duration,
) -> (Vec<Finding>, bool) {
    let host = url.host_str().unwrap_or_default().to_owned();
    let mut findings = Vec::new();
    match addresses(url, limit).await {
        Ok(found) => {
            let what = format!("`{host}` is known; addresses: {}", found.len());
            findings.push(Finding::fine(Check::Name, about, what));
        }
        Err(_) if is_proxied() => {
            let what = format!("`{host}` cannot be looked up here; the proxy of the environment may know it");
            let fix = "see that HTTPS_PROXY is set for the unit as well, in /etc/rekeyd/environment";
            findings.push(Finding::unproven(Check::Name, about, what, fix));
        }
        Err(why) => {
            let what = format!("`{host}` cannot be looked up: {why}");
            let fix = format!(
                "mend the address in the policy, or the resolver of this machine: `getent hosts {host}`"
            );
            findings.push(Finding::broken(Check::Name, about, what, fix));
            return (findings, false);
        }
    }
    if url.scheme() != "https" {
        return (findings, true);
    }
    let (finding, goes_on) = certificate(about, url, ca_pem, now, limit).await;
    findings.push(finding);
    (findings, goes_on)
}

fn is_proxied() -> bool {
    ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
        .iter()
        .any(|name| ProcessEnvironment.read(name).is_some_and(|proxy| !proxy.is_empty()))
}

async fn certificate(
    about: &str,
    url: &Url,
    ca_pem: Option<&[u8]>,
    now: Timestamp,
    limit: Duration,
) -> (Finding, bool) {
    let check = Check::Certificate;
    let seen = certificate_expiry(url, ca_pem, limit).await;
    let expiry = match seen {
        Ok(Some(expiry)) => expiry,
        Ok(None) => return (Finding::fine(check, about, "an encrypted connection can be made"), true),
        Err(error) => {
            let fix = match &error {
                Unseen::NothingToTrust(_) => {
                    "install the system's certificate authorities (`apt-get install ca-certificates`, or copy \
                     /etc/ssl/certs/ca-certificates.crt into the image), or name a PEM file as `ca_file`"
                }
                Unseen::CaFile => "write PEM certificates into the file that `ca_file` names",
                Unseen::Refused(_) => {
                    "if its certificate is signed by an authority of your own, name that one's PEM file as `ca_file`; \
                     otherwise mend the way there (firewall, proxy), this machine's clock, or the server's certificate"
                }
            };
            return (Finding::broken(check, about, error.to_string(), fix), false);
        }
    };
    let left = expiry.duration_since(now);
    let what = format!("the certificate is trusted and holds until {expiry}");
    if left > EXPIRES_SOON {
        return (Finding::fine(check, about, what), true);
    }
    let fix = "have the server's certificate renewed; if it is inspected on the way, that machine's";
    (Finding::doubtful(check, about, what, fix), true)
}
