//! `GET /openapi.json`: the OpenAPI description of the public listener, generated from the types that it reads and writes.
//! `docs/openapi.json` is the same document.

mod operations;

use std::sync::LazyLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use crate::http::openapi::operations::{Authentication, Operation, ResponseSpec, operations};
use crate::http::response::ErrorBody;
use crate::telemetry::metrics;

static TEXT: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", value()));

const ABOUT: &str = "State of the credentials that rekeyd rotates, and reports by consumers and scanners. No response holds \
                     a key or a token. Commands are given over the operators' socket, not here.";

pub(super) async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], TEXT.as_str()).into_response()
}

/// The document as a file: what `docs/openapi.json` holds.
#[must_use]
pub fn text() -> &'static str {
    &TEXT
}

fn value() -> Value {
    let mut schemas = Schemas::new();
    let problem = schemas.response::<ErrorBody>();
    let mut paths = Map::new();
    for operation in operations(&mut schemas) {
        let described = describe(&operation, &problem);
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Some(methods) = path.as_object_mut() {
            methods.insert(operation.method.to_owned(), described);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "rekeyd",
            "version": metrics::VERSION,
            "description": ABOUT,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas.all(),
            "securitySchemes": {
                "consumer": bearer("Token of a consumer; its client certificate may be used instead."),
                "reporter": bearer("Token of `[leaks]`."),
                "reader": bearer("Token of `[readers]`; the client certificate named there may be used instead."),
            },
        },
    })
}

fn bearer(about: &str) -> Value {
    json!({ "type": "http", "scheme": "bearer", "description": about })
}

/// The schemas of types, as they are read and as they are written.
pub(super) struct Schemas {
    read: SchemaGenerator,
    written: SchemaGenerator,
}

impl Schemas {
    fn new() -> Self {
        let settings = || SchemaSettings::draft2020_12().with(|it| it.meta_schema = None);
        let read = settings().for_deserialize().with(|it| it.inline_subschemas = true);
        let written =
            settings().for_serialize().with(|it| it.definitions_path = "/components/schemas".into());
        Self { read: read.into_generator(), written: written.into_generator() }
    }

    /// The schema of a request.
    pub(super) fn request<T: JsonSchema>(&mut self) -> Value {
        self.read.subschema_for::<T>().to_value()
    }

    /// The schema of a response.
    pub(super) fn response<T: JsonSchema>(&mut self) -> Value {
        self.written.subschema_for::<T>().to_value()
    }

    fn all(&mut self) -> Map<String, Value> {
        self.written.take_definitions(true).into_iter().map(|(name, it)| (name, without_format(it))).collect()
    }
}

/// Removes formats that exist only in Rust.
fn without_format(value: Value) -> Value {
    let is_rusts =
        |value: &Value| value.as_str().is_some_and(|it| it.starts_with(['u', 'i']) && it != "uuid");
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(name, value)| name != "format" || !is_rusts(value));
            Value::Object(kept.map(|(name, value)| (name, without_format(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_format).collect()),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other,
    }
}

fn describe(operation: &Operation, problem: &Value) -> Value {
    let mut described = Map::new();
    described.insert("operationId".to_owned(), operation.id.into());
    described.insert("summary".to_owned(), operation.summary.into());
    let mut parameters: Vec<Value> = Vec::new();
    if let Some(name) = &operation.name {
        parameters.push(json!({ "name": "name", "in": "path", "required": true, "schema": name }));
    }
    parameters.extend(operation.query.iter().flat_map(query));
    if !parameters.is_empty() {
        described.insert("parameters".to_owned(), parameters.into());
    }
    if let Some(body) = &operation.body {
        let content = json!({ "application/json": { "schema": body } });
        described.insert("requestBody".to_owned(), json!({ "required": true, "content": content }));
    }
    let mut responses: Map<String, Value> =
        operation.responses.iter().map(|it| (it.status.to_string(), response(it))).collect();
    for (status, codes) in operation.problems() {
        responses.insert(status.to_string(), error_response(status, &codes, problem));
    }
    described.insert("responses".to_owned(), responses.into());
    let security = match operation.authentication {
        Authentication::None => json!([]),
        Authentication::Consumer => json!([{ "consumer": [] }]),
        Authentication::Reporter => json!([{ "reporter": [] }]),
        Authentication::Reader => json!([{ "reader": [] }, {}]),
    };
    described.insert("security".to_owned(), security);
    Value::Object(described)
}

/// One parameter per field of a query.
fn query(table: &Value) -> Vec<Value> {
    let fields = table.get("properties").and_then(Value::as_object);
    let parameter = |(name, schema): (&String, &Value)| {
        let mut schema = Schema::try_from(schema.clone()).unwrap_or_default();
        let about = schema.remove("description").unwrap_or_default();
        // An optional parameter is left out, never null.
        if let Some(Value::Array(types)) = schema.get_mut("type") {
            types.retain(|it| it != "null");
        }
        if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
            choices.retain(|it| it.get("type") != Some(&Value::from("null")));
        }
        json!({ "name": name, "in": "query", "description": about, "schema": without_format(schema.to_value()) })
    };
    fields.into_iter().flatten().map(parameter).collect()
}

fn response(response: &ResponseSpec) -> Value {
    let content: Map<String, Value> = response
        .content
        .iter()
        .map(|(kind, schema)| (kind.to_string(), json!({ "schema": schema })))
        .collect();
    json!({ "description": response.about, "content": content })
}

fn error_response(status: u16, codes: &[&str], problem: &Value) -> Value {
    let named: Vec<String> = codes.iter().map(|code| format!("`{code}`")).collect();
    let mut response = json!({
        "description": format!("`error.code` is {}", named.join(" or ")),
        "content": { "application/json": { "schema": problem } },
    });
    let header = match status {
        401 => Some(("WWW-Authenticate", json!({ "type": "string", "const": "Bearer" }))),
        429 => Some(("Retry-After", json!({ "type": "integer", "minimum": 1 }))),
        _ => None,
    };
    if let (Some((name, schema)), Some(response)) = (header, response.as_object_mut()) {
        response.insert("headers".to_owned(), json!({ name: { "required": true, "schema": schema } }));
    }
    response
}
