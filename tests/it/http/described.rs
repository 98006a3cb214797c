//! The OpenAPI document: it is the committed one, it names whatever is served, and the real program keeps to it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rekeyd::http::openapi;
use reqwest::Method;
use serde_json::Value;
use tokio::process::Command;

use super::harness::Harness;
use crate::support::blessed;
use crate::support::served::{READER, REPORTER, Served, TOKENS, stage};

/// Of each operation, beside those that cover every rule of the document: as many as take half a minute on two cores.
const EXAMPLES: &str = "15";
const LIMIT: Duration = Duration::from_secs(150);

fn document() -> Value {
    serde_json::from_str(openapi::text()).unwrap()
}

#[test]
fn the_committed_document_is_the_one_that_is_served() {
    blessed::compare("docs/openapi.json", openapi::text());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_described_and_every_description_is_a_route() {
    let routes =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/public.rs")).unwrap();
    let routed: BTreeSet<String> =
        routes.split(".route(").skip(1).map(|rest| rest.split('"').nth(1).unwrap().to_owned()).collect();
    let document = document();
    let described: BTreeSet<String> = document["paths"].as_object().unwrap().keys().cloned().collect();
    // The page for people is no part of what programs are promised.
    let undescribed: Vec<_> = routed.difference(&described).filter(|it| is_for_programs(it)).collect();
    assert!(undescribed.is_empty(), "docs/openapi.json does not name {undescribed:?}");
    let harness = Harness::open().await;
    assert_eq!(harness.get("/openapi.json").await.json(), document);
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let answer = harness.send(harness.request(method, &path.replace("{name}", "tts"))).await;
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.contains_key(&answer.status.to_string()), "{path}: {}", answer.status);
        }
    }
}

fn is_for_programs(path: &str) -> bool {
    path.starts_with("/v1") || path.ends_with('z') || path.ends_with(".json")
}

/// What schemathesis is told beside the document: who speaks, and of what. Wrong and missing tokens it makes up itself.
fn configuration(served: &Served) -> String {
    let consumer = served.token("tts-api");
    format!(
        "[auth.openapi]\nconsumer = {{ bearer = \"{consumer}\" }}\nreporter = {{ bearer = \"{REPORTER}\" }}\nreader = {{ \
         bearer = \"{READER}\" }}\n\n[warnings]\nfail-on = true\n\n[parameters]\n\"path.name\" = \"tts-backend\"\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_program_keeps_to_its_description() {
    let served = Served::start(stage(41).await, "", TOKENS).await;
    let root = served.stage.root();
    fs::write(root.join("schemathesis.toml"), configuration(&served)).unwrap();
    let mut command = Command::new("schemathesis");
    command.arg("--config-file").arg(root.join("schemathesis.toml"));
    command.arg("run").arg(served.url("/openapi.json"));
    // The same requests in every run.
    command.args(["--checks", "all", "--max-examples", EXAMPLES, "--generation-deterministic"]);
    command.args(["--no-color", "--workers", "1", "--request-timeout", "20"]);
    command.current_dir(root).stdin(Stdio::null()).kill_on_drop(true);
    let Ok(run) = tokio::time::timeout(LIMIT, command.output()).await else {
        panic!("schemathesis does not end");
    };
    let run = run.unwrap_or_else(|error| {
        panic!("cannot start `schemathesis`: {error}\nhint: `make test` installs it and puts it on the PATH")
    });
    let said = String::from_utf8_lossy(&run.stdout) + String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}");
    // Every operation but the one that it takes the document from.
    let tried = document()["paths"].as_object().unwrap().len() - 1;
    assert!(said.contains(&format!("Tested: {tried}\n")), "{said}");
    let log = fs::read_to_string(served.stage.log()).unwrap();
    assert!(!log.contains("panicked"), "{log}");
    assert!(served.stage.secrets().iter().all(|secret| !log.contains(secret)), "a value was logged");
    served.daemon.stop().await.unwrap();
}
