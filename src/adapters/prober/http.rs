//! One round of a probe: every address behind its name, or whichever answers.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use serde_json::Value;

use crate::domain::gate::probe::{Probe, Reads};
use crate::ports::prober::Answer;

const TIME_LIMIT: Duration = Duration::from_secs(5);
const BODY_BYTES_MAX: usize = 64 * 1024;
/// More instances than this are asked about in part, which counts as an answer that is missing.
const ADDRESSES_MAX: usize = 256;

pub(super) async fn ask(probe: &Probe) -> Vec<Answer> {
    let Ok(url) = Url::parse(&probe.url) else {
        return vec![unanswered(&probe.url, "its URL cannot be read".to_owned())];
    };
    if !probe.every_address {
        let host = url.host_str().unwrap_or_default().to_owned();
        let text = fetch(&url, None, &probe.reads).await;
        return vec![Answer { address: host, text }];
    }
    let addresses = match addresses(&url).await {
        Ok(addresses) => addresses,
        Err(why) => return vec![unanswered(url.host_str().unwrap_or_default(), why)],
    };
    let mut answers = Vec::new();
    for address in addresses.iter().take(ADDRESSES_MAX) {
        let text = fetch(&url, Some(*address), &probe.reads).await;
        answers.push(Answer { address: address.ip().to_string(), text });
    }
    if addresses.len() > ADDRESSES_MAX {
        answers.push(unanswered("further addresses", format!("only {ADDRESSES_MAX} are asked")));
    }
    answers
}

fn unanswered(address: &str, why: String) -> Answer {
    Answer { address: address.to_owned(), text: Err(why) }
}

/// Every address behind the name, once, in order.
async fn addresses(url: &Url) -> Result<Vec<SocketAddr>, String> {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or(80);
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = plain.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let found = tokio::time::timeout(TIME_LIMIT, tokio::net::lookup_host((host, port))).await;
    let found = found.map_err(|_| "its name could not be looked up in time".to_owned())?;
    let found = found.map_err(|error| format!("its name could not be looked up: {error}"))?;
    let mut addresses: Vec<SocketAddr> = found.collect();
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}

async fn fetch(url: &Url, at: Option<SocketAddr>, reads: &Reads) -> Result<String, String> {
    let host = url.host_str().unwrap_or_default();
    let mut builder =
        Client::builder().redirect(Policy::none()).timeout(TIME_LIMIT).pool_max_idle_per_host(0);
    if url.scheme() == "http" {
        builder = builder.no_proxy().tls_certs_only([]);
    }
    if let Some(at) = at {
        builder = builder.resolve(host, at);
    }
    let client = builder.build().map_err(|_| "no HTTP client could be made for it".to_owned())?;
    let mut response = client.get(url.clone()).send().await.map_err(|error| why(&error))?;
    if !response.status().is_success() {
        return Err(format!("it answers with HTTP {}", response.status().as_u16()));
    }
    if let Reads::Header(name) = reads {
        let value = response.headers().get(name).ok_or("its answer lacks the header")?;
        return value.to_str().map(str::to_owned).map_err(|_| "its header is no text".to_owned());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| why(&error))? {
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(format!("its answer is longer than {BODY_BYTES_MAX} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    let Reads::JsonPointer(pointer) = reads else {
        return String::from_utf8(body).map_err(|_| "its answer is no text".to_owned());
    };
    let body: Value = serde_json::from_slice(&body).map_err(|_| "its answer is no JSON".to_owned())?;
    match body.pointer(pointer) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(_) => Err("its answer has no text at the JSON pointer".to_owned()),
        None => Err("its answer has nothing at the JSON pointer".to_owned()),
    }
}

/// Without the address, which the reader knows, and without anything of the answer.
fn why(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        "it did not answer in time".to_owned()
    } else if error.is_connect() {
        "it cannot be connected to".to_owned()
    } else {
        "its answer broke off".to_owned()
    }
}
