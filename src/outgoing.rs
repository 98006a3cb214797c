//! How rekeyd makes HTTP clients: which requests may go through the proxy of the environment.

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Url};

use crate::loopback;

/// Whether a request may go through a proxy: only an encrypted one to another machine. The proxy would read any other
/// request, and would look for this machine's servers on its own.
pub(crate) fn may_be_proxied(url: &Url) -> bool {
    url.scheme() == "https" && !loopback::may_lead_to(url)
}

/// Whether nobody on the network reads a request.
pub(crate) fn is_private(url: &Url) -> bool {
    url.scheme() == "https" || url.scheme() == "http" && loopback::leads_to(url)
}

/// A client for requests to the host of `url`: directly unless it may be proxied, and without redirects, which would
/// take secrets along.
pub(crate) fn client_to(url: &Url) -> ClientBuilder {
    let builder = Client::builder().redirect(Policy::none());
    match url.scheme() {
        // Plain HTTP needs no CA certificates.
        "http" => builder.no_proxy().tls_certs_only([]),
        _ if may_be_proxied(url) => builder,
        _ => builder.no_proxy(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_encrypted_requests_to_other_machines_may_be_proxied() {
        let may = |url: &str| may_be_proxied(&Url::parse(url).unwrap());
        for direct in [
            "http://api.elevenlabs.io",
            "http://169.254.169.254/latest/api/token",
            "http://127.0.0.1:4566",
            "https://127.0.0.1:4566",
            "https://127.1:4566",
            "https://127.0.0.9",
            "https://[::1]:4566",
            "https://[::ffff:127.0.0.1]",
            "https://LocalHost",
            "https://localhost.",
            "https://moto.localhost:4566",
        ] {
            assert!(!may(direct), "{direct}");
        }
        for other in [
            "https://api.elevenlabs.io",
            "https://localhost.example",
            "https://notlocalhost",
            "https://[2001:db8::1]",
        ] {
            assert!(may(other), "{other}");
        }
    }
}
