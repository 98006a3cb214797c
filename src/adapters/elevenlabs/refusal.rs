//! What the provider says when it refuses: an object, a list, a text or nothing, all under `detail`.

use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::Value;

use crate::adapters::elevenlabs::headers::asked_wait;
use crate::adapters::elevenlabs::redaction::{presentable, presentable_with_ids};

const REQUEST_ID_CHARACTERS_MAX: usize = 128;
const TOKEN_CHARACTERS_MAX: usize = 64;
const MESSAGE_CHARACTERS_MAX: usize = 300;
const PROBLEM_CHARACTERS_MAX: usize = 160;
const PROBLEMS_SHOWN_MAX: usize = 5;

/// In what form the reasons came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The API's own error.
    Object,
    /// The request's validation.
    List,
    /// The router: it does not know the call.
    Text,
    /// A page for people, not of the API but of something in front of it.
    Page,
    Absent,
}

/// An answer with another status than 2xx, in words that may be shown.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) form: Form,
    /// `code`, `status` and `type` of the detail, as far as there are any, in the order in which they decide.
    pub(super) tokens: Vec<String>,
    pub(super) message: String,
    /// The fields that the request lacked.
    pub(super) missing: Vec<String>,
    pub(super) request_id: Option<String>,
    pub(super) retry_after: Option<SignedDuration>,
}

impl Refusal {
    pub(super) fn new(
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
        values: &[&str],
    ) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let detail = body.get("detail");
        let asks_to_wait = matches!(status.as_u16(), 429 | 503);
        let mut refusal = Self {
            status,
            form: if is_page(headers) { Form::Page } else { Form::Absent },
            tokens: Vec::new(),
            message: String::new(),
            missing: Vec::new(),
            request_id: request_id(headers, detail, values),
            retry_after: if asks_to_wait { asked_wait(headers, now) } else { None },
        };
        match detail {
            Some(Value::Object(detail)) => {
                refusal.form = Form::Object;
                let text = |name: &str| detail.get(name).and_then(Value::as_str);
                refusal.tokens = ["code", "status", "type"].into_iter().filter_map(text).map(token).collect();
                refusal.message = presentable(text("message").unwrap_or(""), values, MESSAGE_CHARACTERS_MAX);
            }
            Some(Value::Array(problems)) => {
                refusal.form = Form::List;
                refusal.missing = problems.iter().filter_map(missing_field).collect();
                refusal.message = problems
                    .iter()
                    .take(PROBLEMS_SHOWN_MAX)
                    .map(|problem| presentable(&described(problem), values, PROBLEM_CHARACTERS_MAX))
                    .collect::<Vec<_>>()
                    .join("; ");
            }
            Some(Value::String(text)) => {
                refusal.form = Form::Text;
                refusal.message = presentable(text, values, MESSAGE_CHARACTERS_MAX);
            }
            Some(Value::Null | Value::Bool(_) | Value::Number(_)) | None => {}
        }
        refusal
    }
}

/// The provider's own id of a request: what its support asks for.
pub(super) fn request_id(headers: &HeaderMap, detail: Option<&Value>, values: &[&str]) -> Option<String> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let id = detail
        .and_then(|detail| detail.get("request_id")?.as_str())
        .or_else(|| header("request-id"))
        .or_else(|| header("x-trace-id"))?;
    let id = presentable_with_ids(
        &id.replace(|c: char| !c.is_ascii_graphic(), ""),
        values,
        REQUEST_ID_CHARACTERS_MAX,
    );
    Some(id).filter(|id| !id.is_empty())
}

fn token(text: &str) -> String {
    text.chars().take(TOKEN_CHARACTERS_MAX).collect::<String>().to_ascii_lowercase()
}

fn is_page(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.trim_start().to_ascii_lowercase().starts_with("text/html"))
}

/// Where and what, of one problem of a validation; never the input that it may quote.
fn described(problem: &Value) -> String {
    let place: Vec<String> = place(problem).collect();
    let what = problem.get("msg").and_then(Value::as_str).unwrap_or("refused");
    if place.is_empty() { what.to_owned() } else { format!("`{}`: {what}", place.join(".")) }
}

fn place(problem: &Value) -> impl Iterator<Item = String> + '_ {
    let steps = problem.get("loc").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    steps.iter().enumerate().filter_map(|(at, step)| match step {
        Value::String(name) if at == 0 && name == "body" => None,
        Value::String(name) => Some(name.clone()),
        Value::Number(index) => Some(index.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    })
}

fn missing_field(problem: &Value) -> Option<String> {
    let kind = problem.get("type")?.as_str()?;
    // `missing` in today's validation, `value_error.missing` in that of 2025.
    if kind.rsplit('.').next() == Some("missing") { place(problem).last() } else { None }
}
