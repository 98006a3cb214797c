//! Checks of the connection to a server: DNS, TLS and the certificate's expiry.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::Url;

use crate::adapters::endpoint::{CertificateError, addresses, certificate_expiry};
use crate::config_file::environment::{Environment, ProcessEnvironment};
use crate::domain::examination::{Check, CheckResult};
use crate::outgoing::may_be_proxied;

/// Automatic renewal happens well before this.
const EXPIRES_SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// The findings for the connection to `url`, and whether calls can be made.
pub async fn reach(
    about: &str,
    url: &Url,
    ca_pem: Option<&[u8]>,
    now: Timestamp,
    limit: Duration,
) -> (Vec<CheckResult>, bool) {
    let host = url.host_str().unwrap_or_default().to_owned();
    let mut findings = Vec::new();
    match addresses(url, limit).await {
        Ok(found) => {
            let what = format!("`{host}` resolves; addresses: {}", found.len());
            findings.push(CheckResult::ok(Check::Dns, about, what));
        }
        Err(_) if may_be_proxied(url) && is_proxied() => {
            let what = format!("cannot resolve `{host}` here; the proxy of the environment may");
            let fix = "check that HTTPS_PROXY is also set for the unit, in /etc/rekeyd/environment";
            findings.push(CheckResult::unknown(Check::Dns, about, what, fix));
        }
        Err(why) => {
            let what = format!("cannot resolve `{host}`: {why}");
            let fix =
                format!("correct the URL in the policy, or this machine's resolver: `getent hosts {host}`");
            findings.push(CheckResult::error(Check::Dns, about, what, fix));
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
) -> (CheckResult, bool) {
    let check = Check::Certificate;
    let seen = certificate_expiry(url, ca_pem, limit).await;
    let expiry = match seen {
        Ok(Some(expiry)) => expiry,
        Ok(None) => return (CheckResult::ok(check, about, "TLS connection established"), true),
        Err(error) => {
            let fix = match &error {
                CertificateError::NothingToTrust(_) => {
                    "install the system's certificate authorities (`apt-get install ca-certificates`, or copy \
                     /etc/ssl/certs/ca-certificates.crt into the image), or set `ca_file` to a PEM file"
                }
                CertificateError::CaFile => "put PEM certificates into the file that `ca_file` names",
                CertificateError::Refused(_) => {
                    "for a private certificate authority, set `ca_file` to its PEM file; otherwise check the firewall, the \
                     proxy, this machine's clock and the server's certificate"
                }
            };
            return (CheckResult::error(check, about, error.to_string(), fix), false);
        }
    };
    let left = expiry.duration_since(now);
    let what = format!("the certificate is trusted, and expires at {expiry:.0}");
    if left > EXPIRES_SOON {
        return (CheckResult::ok(check, about, what), true);
    }
    let fix = "renew the certificate of the server, or of the TLS-inspecting proxy";
    (CheckResult::warning(check, about, what, fix), true)
}
