//! What the documents show after a prompt is typed, beside a daemon at rest, and does what a person would expect.

use std::process::Output;

use rekeyd::demo::fixture::Pace;

use super::{Block, blocks};
use crate::support::rehearsal::Rehearsal;

/// Documents that are typed under a booted systemd (`tests/system`), or where there is something to mend (`game_day`).
const ELSEWHERE_AS_A_WHOLE: [&str; 2] = ["docs/deploy-systemd.md", "docs/runbook.md"];

/// What is not typed here, and where it is tried.
const ELSEWHERE: &[(&str, &str)] = &[
    ("make", "CI itself"),
    ("bash", "CI itself"),
    ("cargo", "CI itself"),
    ("REKEYD_MOTO_SERVER=", "CI itself"),
    ("sudo apt", "tests/system/package.rs"),
    ("sudo systemctl", "tests/system/service.rs, tests/it/game_day"),
    ("sudo systemd-run", "tests/system/handbook.rs has the unit that it imitates"),
    ("sudo install", "tests/system/handbook.rs"),
    ("sudo rekeyd init", "tests/it/doctor/init.rs"),
    ("sudo CREDENTIALS_DIRECTORY=", "tests/it/doctor"),
    ("sudoedit", "an editor; tests/it/game_day"),
    ("timedatectl", "the machine's clock; tests/it/game_day"),
    ("journalctl", "tests/it/logs.rs"),
    ("fingerprint=", "tests/it/http/acks.rs"),
    ("curl --fail-with-body", "tests/it/http/acks.rs"),
    ("curl --silent --cacert", "tests/it/http/encrypted.rs"),
    ("rekeyd agent", "tests/it/agent"),
    (
        "docker",
        "no registry of images is reached: tests/system/container.rs does the same with buildah and podman",
    ),
    ("cd deploy/compose", "tests/system/container.rs reads the file"),
    ("mkdir", "tests/system/container.rs"),
    ("install", "tests/system/container.rs"),
    ("head -c 32", "tests/system/container.rs"),
    ("kubectl", "no cluster: tests/it/deploy.rs holds the manifests against its schemas"),
    ("aws iam", "no account: tests/it/deploy.rs reads the policies"),
];

/// Orders that a daemon at rest refuses, since there is nothing that they could lead on.
const REFUSED_AT_REST: [&str; 6] = ["retry", "abort", "rollback", "reinstate", "resume", "accept"];
/// Those whose answer may be no: a channel that is not there, a workspace without an audit log.
const MAY_SAY_NO: [&str; 4] = ["notify", "audit compare", "doctor", "rehearse"];

/// Each line after a prompt, with those that continue it.
fn lines(block: &Block) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut is_open = false;
    for line in block.text.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            found.push(command.to_owned());
        } else if is_open {
            let last = found.last_mut().unwrap();
            *last = format!("{}{}", last.trim_end_matches('\\'), line.trim_start());
        }
        is_open = line.ends_with('\\');
    }
    found
}

fn is_tried_elsewhere(place: &str, command: &str) -> bool {
    ELSEWHERE_AS_A_WHOLE.iter().any(|document| place.starts_with(document))
        || ELSEWHERE.iter().any(|(beginning, _)| command.starts_with(beginning))
}

fn typed(rehearsal: &Rehearsal, command: &str) -> Output {
    let mut prompt = rehearsal.prompt(command);
    prompt.env("REKEYD_POLICY", rehearsal.stage.policy()).output().unwrap()
}

/// What a person who typed it on a machine where all is well would accept.
fn is_as_expected(command: &str, code: Option<i32>) -> bool {
    let words = command.trim_start_matches("sudo ").trim_start_matches("rekeyd ");
    let is_one_of = |of: &[&str]| of.iter().any(|it| words.starts_with(it));
    match code {
        Some(0) => true,
        Some(1) => is_one_of(&REFUSED_AT_REST) || is_one_of(&MAY_SAY_NO),
        Some(4) => command.contains("--exit-code"),
        Some(_) | None => false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_of_the_documents_can_be_typed() {
    let rehearsal = Rehearsal::set(71, &Pace::new("365d", "1s", "200ms")).await;
    let daemon = rehearsal.launcher.start().await.unwrap();
    rehearsal.rests().await;
    let (mut wrong, mut typed_count) = (Vec::new(), 0);
    for block in blocks("console") {
        for command in lines(&block).into_iter().filter(|it| !is_tried_elsewhere(&block.place, it)) {
            let output = typed(&rehearsal, &command);
            typed_count += 1;
            if !is_as_expected(&command, output.status.code()) {
                let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
                wrong.push(format!("{}: `{command}` ends with {}: {said}", block.place, output.status));
            }
            // It may have begun something: the next one finds a daemon at rest again.
            if command.contains("rotate") {
                rehearsal.rests().await;
            }
        }
    }
    daemon.stop().await.unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(typed_count > 20, "only {typed_count} commands were typed: the test no longer reads them");
}
