//! One round of a probe: every address of its name, or whichever responds.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Response, Url};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use zeroize::Zeroizing;

use crate::domain::gate::probes::{Probe, Reads};
use crate::outgoing::client_to;
use crate::ports::prober::ProbeResponse;

/// For one response, and for resolving the name.
const TIME_LIMIT: Duration = Duration::from_secs(3);
/// For the whole round: a consumer that fails in the quarantine must be noticed soon.
const ROUND_LIMIT: Duration = Duration::from_secs(4);
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Further addresses are not requested, which counts as a missing response.
const ADDRESSES_MAX: usize = 256;
const AT_ONCE: usize = 32;

/// Where the addresses of a name come from.
pub(super) enum Lookup<'a> {
    System,
    Known(&'a [IpAddr]),
}

pub(super) async fn probe(probe: &Probe, lookup: Lookup<'_>) -> Vec<ProbeResponse> {
    let round_ends = Instant::now() + ROUND_LIMIT;
    let Ok(url) = Url::parse(&probe.url) else {
        return vec![unanswered(&probe.name, "its URL cannot be read")];
    };
    let host = url.host_str().unwrap_or_default().to_owned();
    if !probe.every_address {
        let text = fetch(&url, None, &probe.reads).await;
        return vec![ProbeResponse { address: host, text }];
    }
    match addresses(&url, lookup).await {
        Ok(addresses) => probe_each(&url, &probe.reads, &addresses, round_ends).await,
        Err(why) => vec![unanswered(&host, why)],
    }
}

fn unanswered(address: &str, why: impl Into<String>) -> ProbeResponse {
    ProbeResponse { address: address.to_owned(), text: Err(why.into()) }
}

/// Every address of the name, once, in order.
async fn addresses(url: &Url, lookup: Lookup<'_>) -> Result<Vec<SocketAddr>, String> {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or(80);
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let mut addresses: Vec<SocketAddr> = match (literal, lookup) {
        (Ok(address), _) => vec![SocketAddr::new(address, port)],
        (Err(_), Lookup::Known(known)) => known.iter().map(|it| SocketAddr::new(*it, port)).collect(),
        (Err(_), Lookup::System) => {
            let found = timeout(TIME_LIMIT, tokio::net::lookup_host((host, port))).await;
            let found = found.map_err(|_| "its name could not be looked up in time".to_owned())?;
            found.map_err(|error| format!("its name could not be looked up: {error}"))?.collect()
        }
    };
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}

/// Requests so many addresses at once, until the round ends: one that has not responded by then counts as silent.
async fn probe_each(
    url: &Url,
    reads: &Reads,
    addresses: &[SocketAddr],
    round_ends: Instant,
) -> Vec<ProbeResponse> {
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    let mut requests = JoinSet::new();
    for (index, address) in addresses.iter().copied().take(ADDRESSES_MAX).enumerate() {
        let (url, reads, slots) = (url.clone(), reads.clone(), Arc::clone(&slots));
        requests.spawn(async move {
            // Never closed.
            let _slot = slots.acquire().await;
            let text = fetch(&url, Some(address), &reads).await;
            (index, ProbeResponse { address: address.ip().to_string(), text })
        });
    }
    let late = |address: &SocketAddr| {
        unanswered(&address.ip().to_string(), "it was not reached before the round ended")
    };
    let mut answers: Vec<ProbeResponse> = addresses.iter().take(ADDRESSES_MAX).map(late).collect();
    while let Ok(Some(answered)) = timeout_at(round_ends, requests.join_next()).await {
        let Ok((index, answer)) = answered else { continue };
        if let Some(place) = answers.get_mut(index) {
            *place = answer;
        }
    }
    if addresses.len() > ADDRESSES_MAX {
        answers.push(unanswered("further addresses", format!("only {ADDRESSES_MAX} are asked")));
    }
    answers
}

/// One request, to `at` if given, with the URL's own name in it. Never through a proxy, which would choose the address
/// by itself, and in HTTP/1.1, whose buffers are small.
async fn fetch(url: &Url, at: Option<SocketAddr>, reads: &Reads) -> Result<String, String> {
    let mut builder = client_to(url).timeout(TIME_LIMIT).pool_max_idle_per_host(0).no_proxy().http1_only();
    if let Some(at) = at {
        builder = builder.resolve(url.host_str().unwrap_or_default(), at);
    }
    let client = builder.build().map_err(|_| "no HTTP client could be made for it".to_owned())?;
    let response = client.get(url.clone()).send().await.map_err(|error| why(&error))?;
    if !response.status().is_success() {
        return Err(format!("it answers with HTTP {}", response.status().as_u16()));
    }
    read(response, reads).await
}

/// The text that the probe selects. The rest of the response is wiped: it could contain the key.
async fn read(mut response: Response, reads: &Reads) -> Result<String, String> {
    if let Reads::Header(name) = reads {
        let value = response.headers().get(name).ok_or("its answer lacks the header")?;
        return value.to_str().map(str::to_owned).map_err(|_| "its header is no text".to_owned());
    }
    let mut body = Zeroizing::new(Vec::with_capacity(BODY_BYTES_MAX));
    while let Some(chunk) = response.chunk().await.map_err(|error| why(&error))? {
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(format!("its answer is longer than {BODY_BYTES_MAX} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    let Reads::JsonPointer(pointer) = reads else {
        let text = str::from_utf8(&body).map_err(|_| "its answer is no text".to_owned())?;
        return Ok(text.to_owned());
    };
    let body: Value = serde_json::from_slice(&body).map_err(|_| "its answer is no JSON".to_owned())?;
    match body.pointer(pointer) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err("its answer has no text at the JSON pointer".to_owned()),
        None => Err("its answer has nothing at the JSON pointer".to_owned()),
    }
}

/// Without the address, which the reader knows, and without anything of the response.
fn why(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        "it did not answer in time".to_owned()
    } else if error.is_connect() {
        "it cannot be connected to".to_owned()
    } else {
        "its answer broke off, or is no HTTP".to_owned()
    }
}
