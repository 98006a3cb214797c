//! A call to the workspace and its answer, without HTTP.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::Value;

use crate::sandbox::route::Target;

/// One call of the API.
pub struct Call {
    pub target: Target,
    /// The `xi-api-key` header.
    pub key: Option<String>,
    /// From which address; `None` passes every list of allowed addresses.
    pub from: Option<IpAddr>,
    /// The parameters of the query.
    pub query: BTreeMap<String, String>,
    /// What the caller says that it is: `x-request-source`, else the name in its `user-agent`.
    pub source: String,
    pub body: Body,
}

/// The body of a call.
pub enum Body {
    None,
    Json(Value),
    /// Something that is not JSON.
    Broken,
}

/// What the provider answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub content: Content,
}

/// The body of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    Json(Value),
    Raw { media_type: &'static str, bytes: Vec<u8> },
}

impl Answer {
    #[must_use]
    pub fn json(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), content: Content::Json(body) }
    }

    #[must_use]
    pub fn raw(status: u16, media_type: &'static str, bytes: Vec<u8>) -> Self {
        Self { status, headers: Vec::new(), content: Content::Raw { media_type, bytes } }
    }

    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

impl Content {
    /// The media type and the bytes that go over the wire.
    #[must_use]
    pub fn into_bytes(self) -> (&'static str, Vec<u8>) {
        match self {
            Self::Json(body) => ("application/json", body.to_string().into_bytes()),
            Self::Raw { media_type, bytes } => (media_type, bytes),
        }
    }
}
