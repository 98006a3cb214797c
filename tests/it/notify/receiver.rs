//! A receiver of notices on loopback, that answers as it is told to and remembers what it was sent.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Response};
use axum::routing::post;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// One request: to which path, with which signature, and what.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) to: String,
    pub(crate) signature: Option<String>,
    pub(crate) raw: Vec<u8>,
    pub(crate) body: Value,
}

/// How it answers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Mood {
    Well,
    Status(u16),
    Busy {
        seconds: u64,
    },
    /// Takes what it is sent, and does not say so.
    Mute,
    /// Well, with so many bytes.
    Huge(usize),
}

pub(crate) struct Receiver {
    pub(crate) url: String,
    state: Arc<Inside>,
    _task: JoinSet<()>,
}

struct Inside {
    sent: Mutex<Vec<Sent>>,
    mood: Mutex<Mood>,
    /// To whom it answers otherwise.
    otherwise: Mutex<Option<(String, Mood)>>,
}

impl Receiver {
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Inside {
            sent: Mutex::default(),
            mood: Mutex::new(Mood::Well),
            otherwise: Mutex::default(),
        });
        let routes = Router::new().route("/{to}", post(take)).with_state(Arc::clone(&state));
        let mut task = JoinSet::new();
        task.spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { url, state, _task: task }
    }

    pub(crate) fn is(&self, mood: Mood) {
        *self.state.mood.lock().unwrap() = mood;
    }

    pub(crate) fn is_at(&self, to: &str, mood: Mood) {
        *self.state.otherwise.lock().unwrap() = Some((to.to_owned(), mood));
    }

    pub(crate) fn sent(&self, to: &str) -> Vec<Sent> {
        self.state.sent.lock().unwrap().iter().filter(|sent| sent.to == to).cloned().collect()
    }
}

async fn take(
    State(inside): State<Arc<Inside>>,
    Path(to): Path<String>,
    headers: HeaderMap,
    raw: Bytes,
) -> Response<Body> {
    let signature = headers.get("x-rekeyd-signature").map(|it| it.to_str().unwrap().to_owned());
    let body = serde_json::from_slice(&raw).unwrap();
    inside.sent.lock().unwrap().push(Sent { to: to.clone(), signature, raw: raw.to_vec(), body });
    let otherwise = inside.otherwise.lock().unwrap().clone().filter(|(whom, _)| *whom == to);
    let mood = otherwise.map_or_else(|| inside.mood.lock().unwrap().clone(), |(_, mood)| mood);
    let well = if to == "pagerduty" { 202 } else { 200 };
    let answer = |status| Response::builder().status(status);
    match mood {
        Mood::Well => answer(well).body(Body::from("ok")).unwrap(),
        Mood::Status(status) => answer(status).header("location", "/elsewhere").body(Body::empty()).unwrap(),
        Mood::Busy { seconds } => answer(429).header("retry-after", seconds).body(Body::empty()).unwrap(),
        Mood::Mute => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            answer(well).body(Body::empty()).unwrap()
        }
        Mood::Huge(bytes) => answer(well).body(Body::from("x".repeat(bytes))).unwrap(),
    }
}
