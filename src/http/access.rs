//! Authentication by token or client certificate, and rate limits. Too many wrong tokens from one address are refused; a
//! right token always passes, because clients may share an address.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, header};

use crate::domain::ids::ConsumerName;
use crate::domain::secret::SecretValue;
use crate::http::consumers::{Consumers, Readers};
use crate::http::rate_limit::RateLimiter;
use crate::http::response::{self, Problem};

/// Burst of wrong tokens from one address.
const WRONG_MAX: u32 = 60;
const WRONG_INTERVAL: Duration = Duration::from_secs(1);
/// Burst of requests of one consumer: enough for one agent with a thousand credentials.
const REQUESTS_MAX: u32 = 1000;
const REQUEST_INTERVAL: Duration = Duration::from_millis(50);

/// The client of a connection.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) address: IpAddr,
    /// The DNS names in its certificate, if it has one by an authority of `client_ca`.
    pub(super) names: Arc<[String]>,
}

/// Authentication and rate limits of the public listener.
pub(super) struct Access {
    wrong: RateLimiter<IpAddr>,
    requests: RateLimiter<String>,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            wrong: RateLimiter::new(WRONG_MAX, WRONG_INTERVAL),
            requests: RateLimiter::new(REQUESTS_MAX, REQUEST_INTERVAL),
        }
    }
}

impl Access {
    /// The consumer that a request authenticates as. An error does not reveal what is wrong with the token.
    pub(super) fn consumer(
        &self,
        consumers: &Consumers,
        caller: &Caller,
        headers: &HeaderMap,
    ) -> Result<ConsumerName, Problem> {
        let found = self.authenticate(
            caller,
            headers,
            |token| consumers.identify(token).cloned(),
            |names| consumers.certified(names).cloned(),
        )?;
        let consumer = found.ok_or_else(|| unauthenticated(consumers.needed_of_consumers()))?;
        self.count_request(consumer.to_string())?;
        Ok(consumer)
    }

    pub(super) fn reporter(
        &self,
        consumers: &Consumers,
        caller: &Caller,
        headers: &HeaderMap,
    ) -> Result<(), Problem> {
        let found =
            self.authenticate(caller, headers, |token| consumers.may_report(token).then_some(()), |_| None)?;
        found.ok_or_else(|| unauthenticated(consumers.needed_of_reporters()))?;
        // No consumer can have this name: it has a space.
        self.count_request("leak reporter".to_owned())
    }

    pub(super) fn reader(
        &self,
        consumers: &Consumers,
        caller: &Caller,
        headers: &HeaderMap,
    ) -> Result<(), Problem> {
        let (token, certificate) = match consumers.readers() {
            Readers::Anybody => return require_local_host(headers),
            Readers::Known { token, certificate } => (token.as_ref(), certificate.as_ref()),
            Readers::Nobody => return Err(unauthenticated(consumers.readers().needed())),
        };
        let found = self.authenticate(
            caller,
            headers,
            |sent| token.is_some_and(|own| own.matches(sent)).then_some(()),
            |names| certificate.filter(|own| names.iter().any(|it| it.eq_ignore_ascii_case(own))).map(|_| ()),
        )?;
        found.ok_or_else(|| unauthenticated(consumers.readers().needed()))
    }

    /// The identity by the token or, without one, by the certificate.
    fn authenticate<T>(
        &self,
        caller: &Caller,
        headers: &HeaderMap,
        by_token: impl FnOnce(&SecretValue) -> Option<T>,
        by_names: impl FnOnce(&[String]) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        if !headers.contains_key(header::AUTHORIZATION) {
            return Ok(by_names(&caller.names));
        }
        let found = response::bearer(headers).and_then(|token| by_token(&token));
        if found.is_none() {
            self.wrong.count(network(caller.address)).map_err(|wait| {
                let message = "too many wrong tokens from this address; wait before the next attempt";
                Problem::too_many("too_many_failures", message, wait)
            })?;
        }
        Ok(found)
    }

    fn count_request(&self, who: String) -> Result<(), Problem> {
        self.requests.count(who).map_err(|wait| {
            Problem::too_many("too_many_requests", "too many requests; wait before the next one", wait)
        })
    }
}

/// An IPv6 client has a whole /64, so that network counts as one address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// Guards against DNS rebinding where everybody on this machine may read: a web page's name can resolve to this machine,
/// but the browser sends that name as `Host`.
fn require_local_host(headers: &HeaderMap) -> Result<(), Problem> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let is_local = hosts.all(|host| host.to_str().is_ok_and(is_local_name));
    is_local.then_some(()).ok_or_else(|| {
        let message = "use `localhost` or an IP address as the host, or name the readers in `[readers]`";
        Problem::new(StatusCode::MISDIRECTED_REQUEST, "wrong_host", message)
    })
}

/// An address, or `localhost`; with a port or without.
fn is_local_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

fn unauthenticated(message: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthenticated", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_or_localhost_is_local_name() {
        for host in ["localhost", "LOCALHOST:9809", "127.0.0.1:9809", "127.0.0.1", "[::1]:9809", "10.0.0.1:1"]
        {
            assert!(is_local_name(host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:9809",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "",
            "[",
            ":",
        ] {
            assert!(!is_local_name(host), "{host}");
        }
    }
}
