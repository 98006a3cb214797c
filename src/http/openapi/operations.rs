//! The operations of the public listener, with every possible response.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::domain::ids::CredentialName;
use crate::domain::report::CredentialReport;
use crate::http::acks;
use crate::http::credentials::{self, CredentialsPage};
use crate::http::leaks;
use crate::http::openapi::Schemas;
use crate::http::probes::{Alive, Readiness, Version};
use crate::http::response::ErrorBody;
use crate::http::rotations::{self, RotationsPage};
use crate::telemetry::metrics::Exposition;

const JSON: &str = "application/json";

pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    /// The credential's name in the path.
    pub(super) name: Option<Value>,
    pub(super) query: Option<Value>,
    pub(super) body: Option<Value>,
    pub(super) authentication: Authentication,
    pub(super) responses: Vec<ResponseSpec>,
    /// Errors of this operation, in addition to those of every operation.
    errors: &'static [(u16, &'static str)],
}

/// What a request has to authenticate with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Authentication {
    None,
    Consumer,
    Reporter,
    /// Optional, depending on the policy.
    Reader,
}

pub(super) struct ResponseSpec {
    pub(super) status: u16,
    pub(super) about: &'static str,
    /// By media type.
    pub(super) content: Vec<(&'static str, Value)>,
}

impl Operation {
    /// The codes of its errors by status.
    pub(super) fn problems(&self) -> BTreeMap<u16, Vec<&'static str>> {
        let always: &[(u16, &str)] = &[
            (400, "bad_request"),
            (408, "request_timeout"),
            (413, "payload_too_large"),
            (504, "response_timeout"),
        ];
        let authenticating: &[(u16, &str)] = &[(401, "unauthenticated"), (429, "too_many_failures")];
        let limiting: &[(u16, &str)] = &[(429, "too_many_requests")];
        let of_authentication: &[&[(u16, &str)]] = match self.authentication {
            Authentication::None => &[],
            Authentication::Reader => &[authenticating, &[(421, "wrong_host")]],
            Authentication::Consumer | Authentication::Reporter => &[authenticating, limiting],
        };
        let mut codes: BTreeMap<u16, Vec<&'static str>> = BTreeMap::new();
        for (status, code) in
            always.iter().chain(of_authentication.iter().copied().flatten()).chain(self.errors)
        {
            codes.entry(*status).or_default().push(code);
        }
        codes
    }
}

pub(super) fn operations(schemas: &mut Schemas) -> Vec<Operation> {
    let mut all = probes(schemas);
    all.extend(reads(schemas));
    all.extend(posts(schemas));
    all
}

fn get(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    responses: Vec<ResponseSpec>,
) -> Operation {
    Operation {
        method: "get",
        path,
        id,
        summary,
        name: None,
        query: None,
        body: None,
        authentication: Authentication::None,
        responses,
        errors: &[],
    }
}

fn ok(about: &'static str, schema: Value) -> ResponseSpec {
    ResponseSpec { status: 200, about, content: vec![(JSON, schema)] }
}

fn probes(schemas: &mut Schemas) -> Vec<Operation> {
    let problem = schemas.response::<ErrorBody>();
    let alive = schemas.response::<Alive>();
    let ready = schemas.response::<Readiness>();
    let version = schemas.response::<Version>();
    let liveness = || {
        let dead = "`error.code` is `not_alive`; restart the daemon";
        let dead = ResponseSpec { status: 503, about: dead, content: vec![(JSON, problem.clone())] };
        vec![ok("The engine is running", alive.clone()), dead]
    };
    let text = json!({ "type": "string" });
    let expositions = [Exposition::OpenMetrics, Exposition::Prometheus];
    let content = expositions.map(|it| (it.content_type(), text.clone())).into();
    let metrics = ResponseSpec { status: 200, about: "In the format that `Accept` prefers", content };
    let unready = ResponseSpec { status: 503, about: "Not ready", content: vec![(JSON, ready.clone())] };
    vec![
        get("/livez", "livez", "Liveness", liveness()),
        get("/healthz", "healthz", "Alias of `/livez`", liveness()),
        get("/readyz", "readyz", "Readiness, with reasons", vec![ok("Ready", ready), unready]),
        get("/version", "version", "Name, version and revision", vec![ok("Version", version)]),
        Operation {
            errors: &[(500, "internal_error")],
            ..get("/metrics", "metrics", "Prometheus metrics", vec![metrics])
        },
        get(
            "/openapi.json",
            "openapi",
            "This document",
            vec![ok(
                "OpenAPI document",
                json!({ "type": "object", "required": ["openapi", "info", "paths"] }),
            )],
        ),
    ]
}

fn reads(schemas: &mut Schemas) -> Vec<Operation> {
    let credentials = schemas.response::<CredentialsPage>();
    let credential = schemas.response::<CredentialReport>();
    let rotations = schemas.response::<RotationsPage>();
    vec![
        Operation {
            query: Some(schemas.request::<credentials::CredentialsQuery>()),
            authentication: Authentication::Reader,
            errors: &[(503, "journal_unreadable")],
            ..get("/v1/credentials", "credentials", "List credentials", vec![ok("A page", credentials)])
        },
        Operation {
            name: Some(schemas.request::<CredentialName>()),
            authentication: Authentication::Reader,
            errors: &[(404, "no_such_credential"), (503, "journal_unreadable")],
            ..get(
                "/v1/credentials/{name}",
                "credential",
                "Get a credential",
                vec![ok("Credential", credential)],
            )
        },
        Operation {
            query: Some(schemas.request::<rotations::RotationsQuery>()),
            authentication: Authentication::Reader,
            errors: &[(503, "journal_unreadable")],
            ..get(
                "/v1/rotations",
                "rotations",
                "List current and past rotations, newest first",
                vec![ok("A page", rotations)],
            )
        },
    ]
}

fn posts(schemas: &mut Schemas) -> Vec<Operation> {
    let ack = schemas.response::<acks::AckResponse>();
    let leak = schemas.response::<leaks::LeakResponse>();
    vec![
        Operation {
            method: "post",
            name: Some(schemas.request::<CredentialName>()),
            body: Some(schemas.request::<acks::AckRequest>()),
            authentication: Authentication::Consumer,
            errors: &[
                (403, "consumer_mismatch"),
                (403, "not_required"),
                (404, "no_such_credential"),
                (503, "not_stored"),
            ],
            ..get(
                "/v1/credentials/{name}/acks",
                "acknowledge",
                "Acknowledge the key in use; may be repeated",
                vec![ok("Stored", ack)],
            )
        },
        Operation {
            method: "post",
            body: Some(schemas.request::<leaks::LeakReport>()),
            authentication: Authentication::Reporter,
            errors: &[(503, "not_stored")],
            ..get(
                "/v1/leaks",
                "report_leak",
                "Report a leaked key; may be repeated",
                vec![ok("Stored", leak)],
            )
        },
    ]
}
