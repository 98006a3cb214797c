//! `rekeyd check` and `rekeyd schema` as a person or a pipeline runs them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const SMALL: &str = include_str!("../../../config/small.toml");

fn rekeyd(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rekeyd")).args(arguments).output().unwrap()
}

fn texts(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn written(directory: &Path, text: &str) -> String {
    let path = directory.join("policy.toml");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_valid_policy_is_summed_up_on_standard_output() {
    let reference = concat!(env!("CARGO_MANIFEST_DIR"), "/config/rekeyd.toml");
    let (code, standard, beside) = texts(&rekeyd(&["check", reference]));
    assert_eq!((code, beside.as_str()), (Some(0), ""));
    insta::assert_snapshot!("summary", standard.replace(reference, "rekeyd.toml"));
}

#[test]
fn warnings_are_beside_the_summary_and_do_not_fail() {
    let directory = tempfile::tempdir().unwrap();
    let path = written(directory.path(), &format!("{SMALL}quarantine = \"0s\"\n"));
    let (code, standard, beside) = texts(&rekeyd(&["check", &path]));
    assert_eq!(code, Some(0));
    assert!(standard.contains("tts-backend") && !standard.contains("warning"), "{standard}");
    assert!(beside.contains("warning: `credentials.tts-backend.quarantine`"), "{beside}");
}

#[test]
fn an_environment_that_traces_cannot_follow_is_warned_of_and_does_not_fail() {
    let directory = tempfile::tempdir().unwrap();
    let path = written(directory.path(), SMALL);
    for output in ["text", "json"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rekeyd"));
        command.args(["check", &path, "--output", output]);
        let said = command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "collector.planted:4318").output().unwrap();
        let (code, _, beside) = texts(&said);
        assert_eq!(code, Some(0));
        assert!(
            beside.starts_with("warning: traces are misconfigured in `OTEL_EXPORTER_OTLP_ENDPOINT`: ")
                && !beside.contains("planted"),
            "{beside}"
        );
    }
}

#[test]
fn an_invalid_policy_is_exit_code_3_and_nothing_on_standard_output() {
    let directory = tempfile::tempdir().unwrap();
    let path = written(directory.path(), &format!("{SMALL}evry = \"30d\"\n"));
    let (code, standard, beside) = texts(&rekeyd(&["check", &path]));
    assert_eq!((code, standard.as_str()), (Some(3), ""));
    assert!(beside.contains("did you mean `every`?"), "{beside}");
    let (code, _, beside) = texts(&rekeyd(&["check", &format!("{path}.missing")]));
    assert_eq!(code, Some(3));
    assert!(beside.contains("cannot read the policy: No such file"), "{beside}");
}

#[test]
fn usage_errors_are_exit_code_2() {
    assert_eq!(rekeyd(&["check", "a", "b"]).status.code(), Some(2));
    assert_eq!(rekeyd(&["check", "a", "--output", "xml"]).status.code(), Some(2));
}

#[test]
fn json_output_holds_what_the_text_holds() {
    let directory = tempfile::tempdir().unwrap();
    let path = written(directory.path(), &format!("{SMALL}evry = \"30d\"\n"));
    let (code, standard, beside) = texts(&rekeyd(&["check", &path, "--output", "json"]));
    assert_eq!((code, beside.as_str()), (Some(3), ""));
    let json: Value = serde_json::from_str(&standard).unwrap();
    assert_eq!(json["schema_version"], 1);
    assert_eq!(json["valid"], false);
    let problem = &json["problems"][0];
    assert_eq!(problem["key"], "credentials.tts-backend.evry");
    assert_eq!((&problem["line"], &problem["column"]), (&Value::from(15), &Value::from(1)));
    let path = written(directory.path(), SMALL);
    let (code, standard, _) = texts(&rekeyd(&["check", &path, "--output", "json"]));
    let json: Value = serde_json::from_str(&standard).unwrap();
    assert_eq!((code, &json["valid"]), (Some(0), &Value::from(true)));
    assert_eq!(json["credentials"][0]["due"], "every 30d");
    assert_eq!(json["credentials"][0]["publish_to"][0]["create"], true);
}

#[test]
fn a_secret_file_that_others_may_read_is_found_out() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("admin-key");
    fs::write(&key, "sk_planted_in_the_file").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let policy = SMALL.replace("/etc/rekeyd/credentials/elevenlabs-admin-key", key.to_str().unwrap());
    let path = written(directory.path(), &policy);
    let (code, _, beside) = texts(&rekeyd(&["check", &path]));
    assert_eq!(code, Some(0));
    assert!(
        beside.contains("`workspaces.main.admin_key.file`: this file is accessible to other users"),
        "{beside}"
    );
    assert!(!beside.contains("sk_planted"), "{beside}");
}

#[test]
fn the_schema_is_printed() {
    let (code, standard, beside) = texts(&rekeyd(&["schema"]));
    assert_eq!((code, beside.as_str()), (Some(0), ""));
    assert_eq!(standard, rekeyd::config::schema::text());
}
