//! Sends one request and says what came of it: accepted, refused, or failed with what is certain about it.
//!
//! Redirects are not followed (the key would travel along), nothing is retried, no cookies are kept, and HTTP/1.1 is
//! spoken so that a call that hangs takes no other with it. What reads a body gives a limit.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::header::{ACCEPT, CACHE_CONTROL, HeaderMap, HeaderValue};
use reqwest::{Certificate, Client, ClientBuilder, Method, Response, StatusCode, Url};
use serde_json::Value;

use crate::adapters::elevenlabs::classify::Meaning;
use crate::adapters::elevenlabs::rate_limit::{NoPermit, Permit, RateLimiter};
use crate::adapters::elevenlabs::redaction::{presentable, presentable_with_ids};
use crate::adapters::elevenlabs::refusal::{self, Refusal};
use crate::adapters::elevenlabs::{BuildError, Settings};
use crate::call_context;
use crate::domain::failure::{Certainty, Failure, Kind};
use crate::domain::secret::SecretValue;
use crate::domain::time::later;
use crate::outgoing::client_to;
use crate::ports::clock::Clock;
use crate::ports::issuer::AdminKey;

/// What any body but a listing may have: more than any answer or error that we know.
pub(super) const BODY_BYTES_MAX: usize = 64 * 1024;
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(10);
/// Shorter than any load balancer's own limit, so that a kept connection is ours to close.
const IDLE_CONNECTION_MAX: Duration = Duration::from_secs(20);
/// How long we keep quiet when we were asked to slow down and not told for how long.
const SILENCE_UNASKED: Duration = Duration::from_secs(1);
const MESSAGE_CHARACTERS_MAX: usize = 700;
const CAUSE_CHARACTERS_MAX: usize = 300;
const KEY_HEADER: &str = "xi-api-key";

/// Whether a request changes anything at the provider: decides what is certain when its answer is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mutability {
    ReadOnly,
    Mutating,
}

/// One request.
pub(super) struct Call<'a> {
    /// What is attempted and on what, for messages.
    pub(super) attempt: String,
    pub(super) mutability: Mutability,
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) body: Option<Value>,
    /// The key that authenticates the call; `None` is the admin key.
    pub(super) key: Option<&'a SecretValue>,
    /// Over a connection of its own: for a call that must not meet a connection just being closed, or that is to
    /// learn what a new connection meets.
    pub(super) fresh: bool,
}

impl Call<'_> {
    pub(super) fn new(attempt: String, mutability: Mutability, method: Method, url: Url) -> Self {
        Self { attempt, mutability, method, url, body: None, key: None, fresh: false }
    }
}

pub(super) enum Reply<'a> {
    Accepted(Accepted<'a>),
    Refused(Refusal),
}

/// An answer with a status of 2xx, its body still to be read.
pub(super) struct Accepted<'a> {
    response: Response,
    pub(super) request_id: Option<String>,
    pub(super) asked_at: Timestamp,
    pub(super) answered_at: Timestamp,
    _turn: Permit<'a>,
}

/// Why a body was not read whole.
pub(super) enum Shortfall {
    TooLong { bytes_max: usize },
    Broken(reqwest::Error),
}

impl Accepted<'_> {
    pub(super) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Appends the body to `buffer`, which never holds more than `bytes_max` and, with that capacity, never moves.
    pub(super) async fn read(&mut self, bytes_max: usize, buffer: &mut Vec<u8>) -> Result<(), Shortfall> {
        read(&mut self.response, bytes_max, buffer).await
    }
}

async fn read(response: &mut Response, bytes_max: usize, buffer: &mut Vec<u8>) -> Result<(), Shortfall> {
    let announced = response.content_length().unwrap_or(0);
    if usize::try_from(announced).map_or(true, |announced| announced > bytes_max) {
        return Err(Shortfall::TooLong { bytes_max });
    }
    while let Some(chunk) = response.chunk().await.map_err(Shortfall::Broken)? {
        if chunk.len() > bytes_max.saturating_sub(buffer.len()) {
            return Err(Shortfall::TooLong { bytes_max });
        }
        buffer.extend_from_slice(&chunk);
    }
    Ok(())
}

pub(super) struct Transport {
    /// Connections are kept for a while.
    kept: Client,
    /// Each request has a connection of its own.
    fresh: Client,
    admin_key: Arc<AdminKey>,
    rate_limiter: RateLimiter,
    clock: Arc<dyn Clock>,
}

impl Transport {
    /// `base` is where every call goes.
    pub(super) fn new(settings: Settings, base: &Url) -> Result<Self, BuildError> {
        if settings.request_timeout.is_zero() {
            return Err(BuildError::Timeout);
        }
        if header(&settings.admin_key.value()).is_none() {
            return Err(BuildError::AdminKey);
        }
        let certificates = settings.ca_pem.as_deref().map(certificates).transpose()?;
        let configured = || {
            let builder = client(base, settings.request_timeout);
            match &certificates {
                Some(certificates) => builder.tls_certs_only(certificates.iter().cloned()),
                None => builder,
            }
        };
        let built =
            |builder: ClientBuilder| builder.build().map_err(|error| BuildError::Tls(cause(&error, &[])));
        Ok(Self {
            kept: built(configured().pool_idle_timeout(IDLE_CONNECTION_MAX))?,
            fresh: built(configured().pool_max_idle_per_host(0))?,
            admin_key: settings.admin_key,
            rate_limiter: RateLimiter::new(
                settings.in_flight,
                settings.requests_per_second,
                settings.request_timeout,
            ),
            clock: settings.clock,
        })
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn silent_until(&self) -> Option<Timestamp> {
        let left = SignedDuration::try_from(self.rate_limiter.silent_for()?).ok()?;
        Some(later(self.clock.now(), left))
    }

    /// Sends `call` once and reads its answer up to the body; the body too, as far as possible, if it is a refusal.
    pub(super) async fn send(&self, call: &Call<'_>) -> Result<Reply<'_>, Failure> {
        let turn = self
            .rate_limiter
            .turn(call_context::lane())
            .await
            .map_err(|no_turn| self.not_sent(call, no_turn))?;
        let header = match call.key {
            None => header(&self.admin_key.value()),
            Some(value) => header(value),
        };
        let header = header.ok_or_else(|| {
            self.failure(call, Certainty::Rejected, Kind::Invalid, "the key cannot be sent as a header")
        })?;
        let client = if call.fresh { &self.fresh } else { &self.kept };
        let mut request = client
            .request(call.method.clone(), call.url.clone())
            .header(KEY_HEADER, header)
            .header(ACCEPT, "application/json")
            .header(CACHE_CONTROL, "no-cache");
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        let asked_at = self.clock.now();
        let mut response = request.send().await.map_err(|error| self.broken(call, &error))?;
        let answered_at = self.clock.now();
        let secrets = self.secrets(call);
        let values = exposed(&secrets);
        let status = response.status();
        if status.is_success() {
            let request_id = refusal::request_id(response.headers(), None, &values);
            tell_answer(call, status, request_id.as_deref());
            return Ok(Reply::Accepted(Accepted {
                response,
                request_id,
                asked_at,
                answered_at,
                _turn: turn,
            }));
        }
        let mut body = Vec::new();
        // A refusal is a refusal, with or without the whole of its reasons.
        let complete = read(&mut response, BODY_BYTES_MAX, &mut body).await.is_ok();
        let body = if complete { body.as_slice() } else { &[] };
        let refusal = Refusal::new(status, response.headers(), body, answered_at, &values);
        tell_answer(call, status, refusal.request_id.as_deref());
        if refusal.meaning() == Meaning::Throttled {
            let asked = refusal.retry_after.and_then(|wait| wait.try_into().ok());
            self.rate_limiter.silence(asked.unwrap_or(SILENCE_UNASKED));
        }
        Ok(Reply::Refused(refusal))
    }

    /// Sends a call of the admin key, for which a refusal is a failure.
    pub(super) async fn ask(&self, call: &Call<'_>) -> Result<Accepted<'_>, Failure> {
        match self.send(call).await? {
            Reply::Accepted(accepted) => Ok(accepted),
            Reply::Refused(refusal) => Err(self.refused(call, &refusal)),
        }
    }

    /// The failure that a refusal of a call of the admin key is.
    pub(super) fn refused(&self, call: &Call<'_>, refusal: &Refusal) -> Failure {
        let meaning = refusal.meaning();
        let certainty = match call.mutability {
            Mutability::Mutating if refusal.may_have_happened() => Certainty::Unknown,
            Mutability::Mutating | Mutability::ReadOnly => Certainty::Rejected,
        };
        self.refused_as(call, refusal, certainty, meaning.kind(), meaning.explanation())
    }

    pub(super) fn refused_as(
        &self,
        call: &Call<'_>,
        refusal: &Refusal,
        certainty: Certainty,
        kind: Kind,
        explanation: &str,
    ) -> Failure {
        let status = refusal.status.as_u16();
        let why = match refusal.message.as_str() {
            "" => format!("{explanation} (HTTP {status})"),
            message => format!("{explanation} (HTTP {status}: {message})"),
        };
        Failure {
            retry_after: refusal.retry_after,
            request_id: refusal.request_id.clone(),
            ..self.failure(call, certainty, kind, &why)
        }
    }

    /// The failure that a body is that could not be read whole, in an answer that says 2xx.
    pub(super) fn cut_short(&self, call: &Call<'_>, shortfall: &Shortfall) -> Failure {
        match shortfall {
            Shortfall::TooLong { bytes_max } => {
                self.senseless(call, &format!("the answer is longer than {bytes_max} bytes"))
            }
            Shortfall::Broken(error) => self.broken(call, error),
        }
    }

    /// The failure that an answer of status 2xx is that cannot be understood.
    pub(super) fn senseless(&self, call: &Call<'_>, why: &str) -> Failure {
        self.failure(call, lost(call.mutability), Kind::Garbled, why)
    }

    pub(super) fn failure(&self, call: &Call<'_>, certainty: Certainty, kind: Kind, why: &str) -> Failure {
        let message = format!("{}: {why}", call.attempt);
        let message = presentable_with_ids(&message, &exposed(&self.secrets(call)), MESSAGE_CHARACTERS_MAX);
        Failure { certainty, ..Failure::rejected(kind, message) }
    }

    fn not_sent(&self, call: &Call<'_>, no_turn: NoPermit) -> Failure {
        match no_turn {
            NoPermit::Crowded(waited) => {
                let why = format!(
                    "not sent: for {} s too many earlier calls were waiting for the provider",
                    waited.as_secs()
                );
                self.failure(call, Certainty::Rejected, Kind::TimedOut, &why)
            }
            NoPermit::Throttled(left) => Failure {
                retry_after: SignedDuration::try_from(left).ok(),
                ..self.failure(
                    call,
                    Certainty::Rejected,
                    Kind::Throttled,
                    "not sent: the provider asked to slow down",
                )
            },
        }
    }

    /// What a request is that got no answer, or lost it on the way.
    fn broken(&self, call: &Call<'_>, error: &reqwest::Error) -> Failure {
        let cause = cause(error, &exposed(&self.secrets(call)));
        if error.is_builder() {
            let why = format!("not sent: {cause}");
            return self.failure(call, Certainty::Rejected, Kind::Invalid, &why);
        }
        // Name resolution, connection, proxy and TLS handshake all come before the request's first byte.
        if error.is_connect() {
            let why = format!("no connection to the provider: {cause}");
            return self.failure(call, Certainty::Rejected, Kind::Unreachable, &why);
        }
        let (kind, what) = if error.is_timeout() {
            (Kind::TimedOut, "no whole answer within the time allowed")
        } else if makes_no_sense(error) {
            (Kind::Garbled, "the answer is not HTTP")
        } else {
            (Kind::Unreachable, "the connection broke before the whole answer was here")
        };
        self.failure(call, lost(call.mutability), kind, &format!("{what}: {cause}"))
    }

    /// What must not be told of an answer to `call`.
    fn secrets(&self, call: &Call<'_>) -> Vec<SecretValue> {
        self.admin_key.values().into_iter().chain(call.key.cloned()).collect()
    }
}

/// In the log and in traces, under the id that a failure will have too.
fn tell_answer(call: &Call<'_>, status: StatusCode, request_id: Option<&str>) {
    let status = status.as_u16();
    match call.mutability {
        Mutability::ReadOnly => tracing::debug!(status, request_id, "answer to {}", call.attempt),
        Mutability::Mutating => tracing::info!(status, request_id, "answer to {}", call.attempt),
    }
    call_context::record_response(status, request_id);
}

fn exposed(secrets: &[SecretValue]) -> Vec<&str> {
    secrets.iter().map(SecretValue::expose).collect()
}

/// What is certain when a request went out and no answer can be relied on.
fn lost(mutability: Mutability) -> Certainty {
    match mutability {
        Mutability::Mutating => Certainty::Unknown,
        Mutability::ReadOnly => Certainty::Rejected,
    }
}

fn client(base: &Url, request_timeout: Duration) -> ClientBuilder {
    client_to(base)
        .user_agent(concat!("rekeyd/", env!("CARGO_PKG_VERSION")))
        .referer(false)
        .retry(reqwest::retry::never())
        .http1_only()
        .timeout(request_timeout)
        .connect_timeout((request_timeout / 2).min(CONNECT_TIMEOUT_MAX))
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate>, BuildError> {
    match Certificate::from_pem_bundle(pem) {
        Ok(certificates) if certificates.is_empty() => {
            Err(BuildError::CaFile("there is none in it".to_owned()))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(BuildError::CaFile(cause(&error, &[]))),
    }
}

pub(super) fn header(value: &SecretValue) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_str(value.expose()).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// What lies beneath an error of the HTTP library, whose own text would only name the address.
fn cause(error: &reqwest::Error, values: &[&str]) -> String {
    let beneath: Vec<String> = beneath(error).map(ToString::to_string).collect();
    let text = if beneath.is_empty() { "no reason is known".to_owned() } else { beneath.join(": ") };
    presentable(&text, values, CAUSE_CHARACTERS_MAX)
}

fn makes_no_sense(error: &reqwest::Error) -> bool {
    beneath(error).any(|error| {
        error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse)
            || error.downcast_ref::<std::io::Error>().is_some_and(|error| {
                matches!(error.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::InvalidInput)
            })
    })
}

fn beneath(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |error| (**error).source())
}
