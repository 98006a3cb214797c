//! How faults change answers: what replaces an answer, and what damages one.

use serde_json::{Map, Value};

use crate::sandbox::answer::{Answer, Content};
use crate::sandbox::faults::{Moment, What};

/// How an answer gets to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    Whole,
    /// The connection is closed first.
    Never,
    /// The head and half of the body, then the connection is closed.
    Half,
    /// The head and half of the body, then silence.
    StallsHalfway,
}

impl What {
    /// What the caller gets if the workspace is never asked; `None` if it is.
    #[must_use]
    pub(super) fn instead(&self) -> Option<(Answer, Delivery)> {
        let nothing = Answer::json(500, Value::Null);
        match self {
            Self::Refuse(refused) if refused.moment == Moment::Before => {
                Some((refused.answer(), Delivery::Whole))
            }
            Self::LostReply(Moment::Before) => Some((nothing, Delivery::Never)),
            Self::HtmlPage { status } => {
                let page = "<!DOCTYPE html><html><head><title>Attention Required!</title></head></html>";
                Some((Answer::raw(*status, "text/html; charset=UTF-8", page.into()), Delivery::Whole))
            }
            Self::Redirect { to } => Some((nothing.redirected(to), Delivery::Whole)),
            Self::Delay { .. }
            | Self::Refuse(_)
            | Self::LostReply(_)
            | Self::CutBody
            | Self::StalledBody
            | Self::GarbledBody
            | Self::EmptyBody
            | Self::WrongTypes
            | Self::HugeBody { .. }
            | Self::Alter { .. } => None,
        }
    }

    /// What the caller gets instead of the workspace's answer.
    #[must_use]
    pub(super) fn spoil(&self, answer: Answer) -> (Answer, Delivery) {
        match self {
            Self::Refuse(refused) => (refused.answer(), Delivery::Whole),
            Self::LostReply(_) => (answer, Delivery::Never),
            Self::CutBody => (answer, Delivery::Half),
            Self::StalledBody => (answer, Delivery::StallsHalfway),
            Self::GarbledBody => (answer.with_bytes(garble), Delivery::Whole),
            Self::EmptyBody => (answer.with_bytes(|_| Vec::new()), Delivery::Whole),
            Self::HugeBody { bytes } => (answer.with_bytes(|body| pad(*bytes, &body)), Delivery::Whole),
            Self::WrongTypes => (answer.with_json(confuse), Delivery::Whole),
            Self::Alter { set, remove } => {
                (answer.with_json(|body| alter(body, set, remove)), Delivery::Whole)
            }
            Self::Delay { .. } | Self::HtmlPage { .. } | Self::Redirect { .. } => (answer, Delivery::Whole),
        }
    }
}

impl Answer {
    fn redirected(self, to: &str) -> Self {
        Self { status: 307, ..self }.with_header("location", to)
    }

    fn with_json(self, change: impl FnOnce(Value) -> Value) -> Self {
        let content = match self.content {
            Content::Json(body) => Content::Json(change(body)),
            raw @ Content::Raw { .. } => raw,
        };
        Self { content, ..self }
    }

    fn with_bytes(self, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Self {
        let (media_type, bytes) = self.content.into_bytes();
        Self { content: Content::Raw { media_type, bytes: change(bytes) }, ..self }
    }
}

fn garble(mut body: Vec<u8>) -> Vec<u8> {
    let middle = body.len() / 2;
    for byte in body.iter_mut().skip(middle) {
        *byte = 0xff;
    }
    body
}

fn pad(bytes: usize, body: &[u8]) -> Vec<u8> {
    let mut padded = vec![b' '; bytes];
    padded.extend_from_slice(body);
    padded
}

fn confuse(body: Value) -> Value {
    match body {
        Value::Null => Value::Null,
        Value::Bool(_) | Value::Number(_) => Value::String("seven".to_owned()),
        Value::String(_) => Value::from(7),
        Value::Array(items) => items.into_iter().map(confuse).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, confuse(value))).collect(),
    }
}

fn alter(mut body: Value, set: &Map<String, Value>, remove: &[String]) -> Value {
    if let Some(fields) = body.as_object_mut() {
        fields.retain(|name, _| !remove.contains(name));
        fields.extend(set.clone());
    }
    body
}
