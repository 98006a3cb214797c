//! Who asks: by a token, or by the certificate of the connection. Wrong tokens are counted, and too many of them from one
//! place are refused for what they are; a right one always passes, since others may share its address.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, header};

use crate::domain::ids::ConsumerName;
use crate::domain::secret::SecretValue;
use crate::http::consumers::{Consumers, Readers};
use crate::http::rates::Rates;
use crate::http::response::{self, Problem};

/// Wrong tokens at once, from one address.
const WRONG_MAX: u32 = 60;
const WRONG_AGAIN: Duration = Duration::from_secs(1);
/// Enough for the agent of a host with a thousand credentials to say all of it at once.
const WORDS_MAX: u32 = 1000;
const WORDS_AGAIN: Duration = Duration::from_millis(50);

/// Who is at the other end of a connection.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) address: IpAddr,
    /// The DNS names in its certificate, if it has one that our authority vouches for.
    pub(super) names: Arc<[String]>,
}

/// Who may do what, and how often.
pub(super) struct Access {
    wrong: Rates<IpAddr>,
    words: Rates<String>,
}

impl Default for Access {
    fn default() -> Self {
        Self { wrong: Rates::new(WRONG_MAX, WRONG_AGAIN), words: Rates::new(WORDS_MAX, WORDS_AGAIN) }
    }
}

impl Access {
    /// Whose token or certificate the request comes with. Does not tell what is wrong with one that is refused.
    pub(super) fn consumer(
        &self,
        consumers: &Consumers,
        caller: &Caller,
        headers: &HeaderMap,
    ) -> Result<ConsumerName, Problem> {
        let found = self.proven(
            caller,
            headers,
            |token| consumers.identify(token).cloned(),
            |names| consumers.certified(names).cloned(),
        )?;
        let consumer = found.ok_or_else(|| unauthenticated(consumers.needed_of_consumers()))?;
        self.word(consumer.to_string())?;
        Ok(consumer)
    }

    pub(super) fn reporter(
        &self,
        consumers: &Consumers,
        caller: &Caller,
        headers: &HeaderMap,
    ) -> Result<(), Problem> {
        let found =
            self.proven(caller, headers, |token| consumers.may_report(token).then_some(()), |_| None)?;
        found.ok_or_else(|| unauthenticated(consumers.needed_of_reporters()))?;
        // No consumer's name has a space.
        self.word("who reports leaks".to_owned())
    }

    pub(super) fn reader(
        &self,
        consumers: &Consumers,
        caller: &Caller,
        headers: &HeaderMap,
    ) -> Result<(), Problem> {
        let (token, certificate) = match consumers.readers() {
            Readers::Anybody => return named_as_this_machine(headers),
            Readers::Known { token, certificate } => (token.as_ref(), certificate.as_ref()),
            Readers::Nobody => return Err(unauthenticated(consumers.readers().needed())),
        };
        let found = self.proven(
            caller,
            headers,
            |said| token.is_some_and(|own| own.matches(said)).then_some(()),
            |names| certificate.filter(|own| names.iter().any(|it| it.eq_ignore_ascii_case(own))).map(|_| ()),
        )?;
        found.ok_or_else(|| unauthenticated(consumers.readers().needed()))
    }

    /// What the token proves, or where there is none, the certificate.
    fn proven<T>(
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
                let message = "too many wrong tokens came from this address; wait before the next try";
                Problem::too_many("too_many_failures", message, wait)
            })?;
        }
        Ok(found)
    }

    fn word(&self, who: String) -> Result<(), Problem> {
        self.words.count(who).map_err(|wait| {
            Problem::too_many("too_many_requests", "this is said too often; wait before the next time", wait)
        })
    }
}

/// Whoever has one address of such a network has all of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// Where everybody on this machine may read, a page of the web must not: its name can be made to lead here, but the browser
/// says the name.
fn named_as_this_machine(headers: &HeaderMap) -> Result<(), Problem> {
    let mut said = headers.get_all(header::HOST).iter();
    let is_here = said.all(|host| host.to_str().is_ok_and(is_no_name_of_the_web));
    is_here.then_some(()).ok_or_else(|| {
        let message =
            "this is told under `localhost` or an address only; say in `[readers]` who may read it otherwise";
        Problem::new(StatusCode::MISDIRECTED_REQUEST, "wrong_host", message)
    })
}

/// An address, or `localhost`; with a port or without.
fn is_no_name_of_the_web(host: &str) -> bool {
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
    fn only_an_address_or_localhost_is_no_name_of_the_web() {
        for host in ["localhost", "LOCALHOST:9809", "127.0.0.1:9809", "127.0.0.1", "[::1]:9809", "10.0.0.1:1"]
        {
            assert!(is_no_name_of_the_web(host), "{host}");
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
            assert!(!is_no_name_of_the_web(host), "{host}");
        }
    }
}
