//! One HTTP exchange: a request becomes a call, faults are applied, and the answer becomes a response.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use axum::body::{Body as HttpBody, Bytes};
use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::Response;
use jiff::SignedDuration;
use jiff::tz::TimeZone;

use crate::domain::time::later;
use crate::sandbox::analytics::REGION;
use crate::sandbox::answer::{Answer, Body, Call};
use crate::sandbox::fault_effects::Delivery;
use crate::sandbox::faults;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::route::{Route, Target};
use crate::sandbox::server::Shared;
use crate::sandbox::wire::Peer;

/// Answers a request to the API.
pub(super) async fn exchange(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Query(query): Query<BTreeMap<String, String>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let api_version = shared.workspace().rules.api_version;
    let target = match Target::find(api_version, method.as_str(), uri.path()) {
        Ok(target) => target,
        Err(refusal) => return refuse(&shared, &peer, &refusal),
    };
    let _in_flight = InFlight::begin(&shared, target.route);
    let call = Call {
        key: headers.get("xi-api-key").and_then(|value| value.to_str().ok()).map(str::to_owned),
        from: Some(forwarded(&headers).unwrap_or_else(|| peer.address.ip())),
        source: source(&headers),
        query,
        body: read_body(&body),
        target,
    };
    let (answer, delivery) = tokio::select! {
        answered = answer(&shared, &call) => answered,
        // Only a delay is cut short here: the effect itself does not await.
        () = shared.shutdown.cancelled() => (Answer::json(503, serde_json::Value::Null), Delivery::Never),
    };
    respond(&shared, &peer, answer, delivery)
}

fn refuse(shared: &Shared, peer: &Peer, refusal: &Refusal) -> Response {
    let answer = shared.workspace().refuse(refusal);
    respond(shared, peer, answer, Delivery::Whole)
}

async fn answer(shared: &Shared, call: &Call) -> (Answer, Delivery) {
    let plan = {
        let mut workspace = shared.workspace();
        faults::draw(&mut shared.faults(), call.target.route, &mut workspace.random)
    };
    wait(shared, plan.delay_before).await;
    let answered = if let Some(instead) = plan.what.as_ref().and_then(faults::What::instead) {
        shared.workspace().count_request(call.target.route);
        instead
    } else {
        let answer = shared.workspace().answer(call, shared.now());
        match plan.what {
            Some(what) => what.spoil(answer),
            None => (answer, Delivery::Whole),
        }
    };
    wait(shared, plan.delay_after).await;
    answered
}

async fn wait(shared: &Shared, lasts: SignedDuration) {
    shared.clock.sleep(lasts).await;
}

/// Counts an administrative call for as long as it lasts, also if the client goes away.
struct InFlight<'a>(Option<&'a Shared>);

impl<'a> InFlight<'a> {
    fn begin(shared: &'a Shared, route: Route) -> Self {
        let counted = route.is_administration().then_some(shared);
        if let Some(shared) = counted {
            shared.workspace().administration.begin();
        }
        Self(counted)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if let Some(shared) = self.0 {
            shared.workspace().administration.end();
        }
    }
}

/// The first address of `X-Forwarded-For`, so that a test can call from anywhere.
fn forwarded(headers: &HeaderMap) -> Option<IpAddr> {
    headers.get("x-forwarded-for")?.to_str().ok()?.split(',').next()?.trim().parse().ok()
}

/// What the caller says that it is, without its version.
fn source(headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let agent = || text("user-agent").map(|agent| agent.split('/').next().unwrap_or(agent));
    text("x-request-source").or_else(agent).unwrap_or("api").to_owned()
}

fn read_body(bytes: &Bytes) -> Body {
    match serde_json::from_slice(bytes) {
        _ if bytes.is_empty() => Body::None,
        Ok(body) => Body::Json(body),
        Err(_) => Body::Broken,
    }
}

/// Writes the answer with the headers that every answer has.
fn respond(shared: &Shared, peer: &Peer, answer: Answer, delivery: Delivery) -> Response {
    let (date, trace) = {
        let mut workspace = shared.workspace();
        (later(shared.now(), workspace.rules.date_skew), workspace.random.hex(32))
    };
    let date = date.to_zoned(TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let (media_type, bytes) = answer.content.into_bytes();
    peer.deliver(delivery, bytes.len());
    let mut response = Response::new(HttpBody::from(bytes));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let usual = [
        (header::DATE, date),
        (header::CONTENT_TYPE, media_type.to_owned()),
        (HeaderName::from_static("x-trace-id"), trace),
        (HeaderName::from_static("x-region"), REGION.to_owned()),
    ];
    let own = answer.headers.into_iter().filter_map(|(name, value)| Some((name.parse().ok()?, value)));
    for (name, value) in usual.into_iter().chain(own) {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
