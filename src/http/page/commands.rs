//! The commands that are possible now for a credential, each with what it does: what the daemon would refuse is left out.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::domain::event::Event;
use crate::domain::finding::FindingKind;
use crate::domain::gate::GateName;
use crate::domain::phase::{Alarm, AlarmKind, Phase};
use crate::domain::policy::{Credential, Mode};
use crate::domain::report::{CredentialReport, RotationReport};
use crate::domain::rotation::{ParkReason, RollbackCause, Rotation};
use crate::domain::step;
use crate::http::page::format::command;

/// A command with what it does.
pub(super) struct Possible {
    command: String,
    effect: String,
}

/// What `rekeyd accept` accepts.
const ACCEPTABLE: [FindingKind; 3] =
    [FindingKind::PermissionsChanged, FindingKind::SharingGroupsChanged, FindingKind::ForeignKeys];

/// `credential` is that of the policy.
pub(super) fn possible(
    report: &CredentialReport,
    rotation: Option<&Rotation>,
    credential: Option<&Credential>,
    now: Timestamp,
) -> Vec<Possible> {
    let mut all = Vec::new();
    let mut put = |words: &str, effect: &str| {
        all.push(Possible { command: format!("rekeyd {words}"), effect: effect.to_owned() });
    };
    let name = &report.credential;
    if report.damage.is_some() {
        put(&format!("repair {name}"), "Rebuilds the record from the events of its rotations.");
    } else {
        match (rotation, &report.rotation) {
            (Some(rotation), Some(current)) => under_way(current, rotation, now, |verb, effect| {
                put(&verb.replace("NAME", name.as_str()), effect);
            }),
            (_, _) => at_rest(report, credential, |verb, effect| {
                put(&verb.replace("NAME", name.as_str()), effect);
            }),
        }
        if report.held.iter().all(|hold| hold.scope != "credential") {
            let effect = "Pauses the credential: no key is created and none revoked until it is resumed.";
            put(&format!("pause {name}"), effect);
        }
    }
    put(
        &format!("status {name} --why"),
        "Shows gates, evidence, lagging consumers and the way back. Changes nothing.",
    );
    put(&format!("history {name}"), "Shows its rotations, event by event. Changes nothing.");
    put(&format!("audit --credential {name}"), "Shows who did what. Changes nothing.");
    let holds = report.held.iter().map(|hold| {
        let effect = format!("Lifts the hold by {} on the {}.", hold.by, hold.place());
        Possible { command: hold.next_command.clone(), effect }
    });
    let mut every: Vec<Possible> = holds.collect();
    for possible in all {
        if every.iter().all(|other| other.command != possible.command) {
            every.push(possible);
        }
    }
    every
}

fn at_rest(report: &CredentialReport, credential: Option<&Credential>, mut put: impl FnMut(&str, &str)) {
    if credential.is_some_and(|credential| credential.mode == Mode::Rotate) {
        if !report.requested {
            put("rotate NAME", "Rotates now, whatever its schedule and its window say.");
        }
        if report.key_id.is_some() {
            put(
                "rotate NAME --emergency",
                "For a leaked key: rotates now, waits for no consumer, and revokes the old key at once.",
            );
        }
    }
    if report.findings.iter().any(|finding| ACCEPTABLE.contains(&finding.kind)) {
        put(
            "accept NAME",
            "Accepts the key's permissions, its account's sharing groups and its other keys as they are now.",
        );
    }
}

fn under_way(current: &RotationReport, rotation: &Rotation, now: Timestamp, mut put: impl FnMut(&str, &str)) {
    let takes = |event: Event| step::step(rotation, &event, now).is_ok();
    let is_back = rotation.phase.is_rollback();
    if let Phase::Parked { reason, .. } = &rotation.phase {
        if takes(Event::Retried { overwrite: false, restore: Vec::new() }) {
            put("retry NAME", "Resumes the rotation where it stopped.");
        }
        if *reason == ParkReason::ForeignValue {
            put(
                "retry NAME --overwrite",
                "Overwrites what another writer put into the destinations, and resumes.",
            );
        }
    }
    let unconfirmed = current.gates.iter().any(|gate| gate.gate == GateName::Confirm && !gate.satisfied);
    if unconfirmed {
        put(
            "confirm NAME",
            "Says that every consumer uses the new key: the old one is revoked when every other gate is satisfied.",
        );
    }
    if is_back {
        put("abort NAME", "Cancels the rollback: the new key becomes current again.");
    } else if takes(Event::AbortRequested { by: String::new() }) {
        put("abort NAME", "Cancels the rotation: the new key is deleted, and the old one stays in use.");
    }
    if rotation.can_roll_back() && takes(Event::RollbackBegun { cause: RollbackCause::Operator }) {
        put(
            "rollback NAME",
            "Makes the old key current again, and deletes the new one when consumers are back.",
        );
    }
    let alarm = Alarm { kind: AlarmKind::Operator, detail: String::new() };
    if takes(Event::Alarmed { alarm }) {
        put("reinstate NAME", "Enables the disabled old key again at once, and parks the rotation.");
    }
    if !rotation.plan.emergency && rotation.plan.old.is_some() && !is_back {
        put(
            "rotate NAME --emergency",
            "For a leaked old key: skips all waits, and revokes it as soon as the new one is current.",
        );
    }
}

/// Without `next`, which has a section of its own.
pub(super) fn section(commands: &[Possible], next: Option<&str>) -> Markup {
    html! {
        section aria-labelledby="commands" {
            h2 #commands { (if next.is_some() { "Other commands" } else { "Commands" }) }
            ul.choices {
                @for possible in commands.iter().filter(|possible| Some(possible.command.as_str()) != next) {
                    li { (command(&possible.command)) p.where { (super::format::inline(&possible.effect)) } }
                }
            }
        }
    }
}

/// What the suggested command does, if it is one of them.
pub(super) fn effect<'a>(commands: &'a [Possible], next: &str) -> Option<&'a str> {
    commands.iter().find(|possible| possible.command == next).map(|possible| possible.effect.as_str())
}
