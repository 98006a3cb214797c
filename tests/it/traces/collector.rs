//! A collector of traces on loopback, that answers as it is told to and remembers what it was sent.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::support::rehearsal::Rehearsal;

pub(super) const HEADER: &str = "token-for-the-collector";

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Mood {
    Well,
    Status(u16),
    /// Takes what it is sent, and does not say so.
    Mute,
    /// Refuses one span of each request for good.
    Picky,
}

pub(crate) struct Collector {
    url: String,
    inside: Arc<Inside>,
    _task: JoinSet<()>,
}

struct Inside {
    requests: Mutex<Vec<Vec<u8>>>,
    mood: Mutex<Mood>,
}

impl Collector {
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let inside = Arc::new(Inside { requests: Mutex::default(), mood: Mutex::new(Mood::Well) });
        let routes = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&inside));
        let mut task = JoinSet::new();
        task.spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { url, inside, _task: task }
    }

    pub(super) fn is(&self, mood: Mood) {
        *self.inside.mood.lock().unwrap() = mood;
    }

    /// Has the daemon of a rehearsal send its traces here.
    pub(crate) fn listens_to(&self, rehearsal: &mut Rehearsal) {
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", self.url.clone()),
            ("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization=Bearer%20{HEADER}")),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test".to_owned()),
        ];
        rehearsal.launcher.program = with_variables(rehearsal, &variables);
    }

    /// Every body that it was sent.
    pub(crate) fn requests(&self) -> Vec<Vec<u8>> {
        self.inside.requests.lock().unwrap().clone()
    }

    /// Everything that it was told, in the order in which it was.
    pub(super) fn spans(&self) -> Vec<Span> {
        let requests = self.requests();
        let decoded = requests.iter().map(|body| ExportTraceServiceRequest::decode(body.as_slice()).unwrap());
        let of_resources = decoded.flat_map(|request| request.resource_spans);
        of_resources
            .flat_map(|from| {
                let resource = attributes(&from.resource.unwrap().attributes);
                assert_eq!(resource["service.name"], "rekeyd");
                assert_eq!(resource["service.version"], env!("CARGO_PKG_VERSION"));
                assert_eq!(resource["deployment.environment.name"], "test");
                from.scope_spans.into_iter().flat_map(|scope| scope.spans)
            })
            .collect()
    }

    /// The spans of a trace, each once. One that was told twice was told the same.
    pub(super) fn trace(&self, rotation: &str) -> Vec<Span> {
        let mut once: BTreeMap<Vec<u8>, Span> = BTreeMap::new();
        for span in self.spans().into_iter().filter(|span| hex(&span.trace_id) == rotation.replace('-', "")) {
            let before = once.insert(span.span_id.clone(), span.clone());
            assert!(before.as_ref().is_none_or(|before| *before == span), "{before:?} and {span:?}");
        }
        once.into_values().collect()
    }
}

/// A program that is ours, with more in its environment.
pub(super) fn with_variables(rehearsal: &Rehearsal, variables: &[(&str, String)]) -> PathBuf {
    let exports: String =
        variables.iter().map(|(name, value)| format!("export {name}='{value}'\n")).collect();
    let script = format!("#!/bin/sh\n{exports}exec '{}' \"$@\"\n", env!("CARGO_BIN_EXE_rekeyd"));
    let path = rehearsal.stage.root().join("rekeyd-with-traces");
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    path
}

async fn take(State(inside): State<Arc<Inside>>, headers: HeaderMap, body: Bytes) -> Response<Body> {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    assert_eq!(headers["authorization"], format!("Bearer {HEADER}"));
    let mood = *inside.mood.lock().unwrap();
    if matches!(mood, Mood::Well | Mood::Picky) {
        inside.requests.lock().unwrap().push(body.to_vec());
    }
    let answer = |status| Response::builder().status(status);
    match mood {
        Mood::Well => answer(200).body(Body::empty()).unwrap(),
        Mood::Status(status) => answer(status).body(Body::empty()).unwrap(),
        Mood::Mute => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            answer(200).body(Body::empty()).unwrap()
        }
        Mood::Picky => {
            let partial_success =
                Some(ExportTracePartialSuccess { rejected_spans: 1, error_message: "old".to_owned() });
            let said = ExportTraceServiceResponse { partial_success }.encode_to_vec();
            answer(200).body(Body::from(said)).unwrap()
        }
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Attributes by name, as texts.
pub(super) fn attributes(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |pair: &KeyValue| match pair.value.as_ref().unwrap().value.as_ref().unwrap() {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::BoolValue(flag) => flag.to_string(),
        Value::DoubleValue(_)
        | Value::ArrayValue(_)
        | Value::KvlistValue(_)
        | Value::BytesValue(_)
        | Value::StringValueStrindex(_) => panic!("{pair:?}"),
    };
    pairs.iter().map(|pair| (pair.key.clone(), text(pair))).collect()
}
