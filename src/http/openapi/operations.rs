//! What the public listener can be asked, and everything that it may answer.

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
    /// The credential's, in the path.
    pub(super) name: Option<Value>,
    pub(super) query: Option<Value>,
    pub(super) body: Option<Value>,
    pub(super) needs: Needs,
    pub(super) answers: Vec<Answer>,
    /// Refusals of its own, beside those of every operation.
    refusals: &'static [(u16, &'static str)],
}

/// What a request has to come with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    Nothing,
    Consumer,
    Reporter,
    /// Or nothing, as the policy says.
    Reader,
}

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) about: &'static str,
    /// By media type.
    pub(super) content: Vec<(&'static str, Value)>,
}

impl Operation {
    /// The codes of its refusals by status.
    pub(super) fn problems(&self) -> BTreeMap<u16, Vec<&'static str>> {
        let always: &[(u16, &str)] =
            &[(400, "bad_request"), (408, "too_slow"), (413, "too_large"), (504, "too_late")];
        let proving: &[(u16, &str)] = &[(401, "unauthenticated"), (429, "too_many_failures")];
        let speaking: &[(u16, &str)] = &[(429, "too_many_requests")];
        let of_need: &[&[(u16, &str)]] = match self.needs {
            Needs::Nothing => &[],
            Needs::Reader => &[proving, &[(421, "wrong_host")]],
            Needs::Consumer | Needs::Reporter => &[proving, speaking],
        };
        let mut codes: BTreeMap<u16, Vec<&'static str>> = BTreeMap::new();
        for (status, code) in always.iter().chain(of_need.iter().copied().flatten()).chain(self.refusals) {
            codes.entry(*status).or_default().push(code);
        }
        codes
    }
}

pub(super) fn operations(schemas: &mut Schemas) -> Vec<Operation> {
    let mut all = probes(schemas);
    all.extend(reads(schemas));
    all.extend(words(schemas));
    all
}

fn get(path: &'static str, id: &'static str, summary: &'static str, answers: Vec<Answer>) -> Operation {
    Operation {
        method: "get",
        path,
        id,
        summary,
        name: None,
        query: None,
        body: None,
        needs: Needs::Nothing,
        answers,
        refusals: &[],
    }
}

fn ok(about: &'static str, schema: Value) -> Answer {
    Answer { status: 200, about, content: vec![(JSON, schema)] }
}

fn probes(schemas: &mut Schemas) -> Vec<Operation> {
    let problem = schemas.answer::<ErrorBody>();
    let alive = schemas.answer::<Alive>();
    let ready = schemas.answer::<Readiness>();
    let version = schemas.answer::<Version>();
    let standing = || {
        let dead = "`error.code` is `not_alive`: restart the daemon";
        let dead = Answer { status: 503, about: dead, content: vec![(JSON, problem.clone())] };
        vec![ok("The engine goes round", alive.clone()), dead]
    };
    let text = json!({ "type": "string" });
    let expositions = [Exposition::OpenMetrics, Exposition::Prometheus];
    let told = expositions.map(|it| (it.content_type(), text.clone())).into();
    let told = Answer { status: 200, about: "As `Accept` prefers", content: told };
    let unready = Answer { status: 503, about: "It cannot", content: vec![(JSON, ready.clone())] };
    vec![
        get("/livez", "livez", "Is the daemon alive, whatever others do?", standing()),
        get("/healthz", "healthz", "The same as `/livez`", standing()),
        get(
            "/readyz",
            "readyz",
            "Can it do its work, and if not, why not?",
            vec![ok("It can", ready), unready],
        ),
        get("/version", "version", "Which program it is", vec![ok("This one", version)]),
        Operation {
            refusals: &[(500, "defect")],
            ..get("/metrics", "metrics", "Metrics for Prometheus", vec![told])
        },
        get(
            "/openapi.json",
            "openapi",
            "This document",
            vec![ok("It", json!({ "type": "object", "required": ["openapi", "info", "paths"] }))],
        ),
    ]
}

fn reads(schemas: &mut Schemas) -> Vec<Operation> {
    let credentials = schemas.answer::<CredentialsPage>();
    let credential = schemas.answer::<CredentialReport>();
    let rotations = schemas.answer::<RotationsPage>();
    vec![
        Operation {
            query: Some(schemas.question::<credentials::Asked>()),
            needs: Needs::Reader,
            refusals: &[(503, "journal_unreadable")],
            ..get(
                "/v1/credentials",
                "credentials",
                "Every credential, page by page",
                vec![ok("A page", credentials)],
            )
        },
        Operation {
            name: Some(schemas.question::<CredentialName>()),
            needs: Needs::Reader,
            refusals: &[(404, "no_such_credential"), (503, "journal_unreadable")],
            ..get(
                "/v1/credentials/{name}",
                "credential",
                "One credential",
                vec![ok("What is known of it", credential)],
            )
        },
        Operation {
            query: Some(schemas.question::<rotations::Asked>()),
            needs: Needs::Reader,
            refusals: &[(503, "journal_unreadable")],
            ..get(
                "/v1/rotations",
                "rotations",
                "Rotations under way and past, the newest first",
                vec![ok("A page", rotations)],
            )
        },
    ]
}

fn words(schemas: &mut Schemas) -> Vec<Operation> {
    let kept = schemas.answer::<acks::AckResponse>();
    let taken = schemas.answer::<leaks::Taken>();
    vec![
        Operation {
            method: "post",
            name: Some(schemas.question::<CredentialName>()),
            body: Some(schemas.question::<acks::AckRequest>()),
            needs: Needs::Consumer,
            refusals: &[
                (403, "not_your_name"),
                (403, "not_awaited"),
                (404, "no_such_credential"),
                (503, "not_kept"),
            ],
            ..get(
                "/v1/credentials/{name}/acks",
                "acknowledge",
                "A consumer says which key it uses; may be repeated",
                vec![ok("It is kept", kept)],
            )
        },
        Operation {
            method: "post",
            body: Some(schemas.question::<leaks::Report>()),
            needs: Needs::Reporter,
            refusals: &[(503, "not_kept")],
            ..get(
                "/v1/leaks",
                "report_leak",
                "Somebody found a key where it should not be; may be repeated",
                vec![ok("It is taken", taken)],
            )
        },
    ]
}
