//! Checks of gates: whether consumers' endpoints answer, and whether the gates' programs exist.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::Access;
use tokio::task::JoinSet;

use crate::adapters::prober::NetworkProber;
use crate::doctor::Subject;
use crate::domain::examination::{Check, CheckResult};
use crate::domain::gate::EvidenceNeed;
use crate::domain::gate::probes::Probe;
use crate::ports::prober::Prober as _;

pub(super) async fn examine(subject: Arc<Subject>) -> Vec<CheckResult> {
    let mut findings = Vec::new();
    let mut running = JoinSet::new();
    for credential in subject.config.policy.credentials.values() {
        for gate in &credential.terms.gates {
            match gate.needs() {
                EvidenceNeed::Probes(probes) => {
                    for probe in probes {
                        let about = format!("probe `{}` of `{}`", probe.name, credential.name);
                        running.spawn(endpoint(about, probe.clone()));
                    }
                }
                EvidenceNeed::Command(gate) => {
                    let program = gate.command.first().map_or("", String::as_str);
                    findings.push(command(&format!("command of `{}`", credential.name), program));
                }
                EvidenceNeed::Nothing | EvidenceNeed::Usage { .. } => {}
            }
        }
    }
    while let Some(finding) = running.join_next().await {
        findings.extend(finding.ok());
    }
    findings
}

async fn endpoint(about: String, probe: Probe) -> CheckResult {
    let answers = NetworkProber::default().probe(&probe).await;
    let silent: BTreeMap<&str, &str> = answers
        .iter()
        .filter_map(|answer| Some((answer.address.as_str(), answer.text.as_ref().err()?.as_str())))
        .collect();
    let fix = format!("test it from this machine: `curl -i {}`; until it answers, the gate waits", probe.url);
    match (answers.len(), silent.iter().next()) {
        (0, _) => CheckResult::warning(Check::Probe, about, "its host name has no address", fix),
        (all, None) => CheckResult::ok(Check::Probe, about, format!("responds; instances: {all}")),
        (all, Some((address, why))) => {
            let what =
                format!("{} of {all} instances give no usable response; `{address}`: {why}", silent.len());
            CheckResult::warning(Check::Probe, about, what, fix)
        }
    }
}

fn command(about: &str, program: &str) -> CheckResult {
    let is_there = Path::new(program).is_file() && rustix::fs::access(program, Access::EXEC_OK).is_ok();
    if is_there {
        return CheckResult::ok(Check::Command, about, format!("`{program}` is executable (not run)"));
    }
    let fix = format!("install it, or correct the policy: `ls -l {program}`; until then, the gate waits");
    CheckResult::warning(Check::Command, about, format!("`{program}` is not executable"), fix)
}
