//! What is waited for beside the provider's evidence: whether consumers' endpoints answer, and programs are there.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::Access;
use tokio::task::JoinSet;

use crate::adapters::prober::NetworkProber;
use crate::doctor::Case;
use crate::domain::examination::{Check, Finding};
use crate::domain::gate::Gate;
use crate::domain::gate::probe::Probe;
use crate::ports::prober::Prober as _;

pub(super) async fn examine(case: Arc<Case>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut asked = JoinSet::new();
    for credential in case.config.policy.credentials.values() {
        for gate in &credential.terms.gates {
            match gate {
                Gate::Probes(probes) => {
                    for probe in probes {
                        let about = format!("probe `{}` of `{}`", probe.name, credential.name);
                        asked.spawn(endpoint(about, probe.clone()));
                    }
                }
                Gate::Command(gate) => {
                    let program = gate.command.first().map_or("", String::as_str);
                    findings.push(command(&format!("command of `{}`", credential.name), program));
                }
                Gate::Acks(_) | Gate::Idle(_) | Gate::NewKeyUsed => {}
            }
        }
    }
    while let Some(answered) = asked.join_next().await {
        findings.extend(answered.ok());
    }
    findings
}

async fn endpoint(about: String, probe: Probe) -> Finding {
    let answers = NetworkProber.probe(&probe).await;
    let silent: BTreeMap<&str, &str> = answers
        .iter()
        .filter_map(|answer| Some((answer.address.as_str(), answer.text.as_ref().err()?.as_str())))
        .collect();
    let fix =
        format!("try it from this machine: `curl -i {}`; until it answers, the gate stays shut", probe.url);
    match (answers.len(), silent.iter().next()) {
        (0, _) => Finding::doubtful(Check::Probe, about, "no address is behind its name", fix),
        (all, None) => Finding::fine(Check::Probe, about, format!("answers; instances: {all}")),
        (all, Some((address, why))) => {
            let what = format!("{} of {all} instances say nothing of use; `{address}`: {why}", silent.len());
            Finding::doubtful(Check::Probe, about, what, fix)
        }
    }
}

fn command(about: &str, program: &str) -> Finding {
    let is_there = Path::new(program).is_file() && rustix::fs::access(program, Access::EXEC_OK).is_ok();
    if is_there {
        return Finding::fine(Check::Command, about, format!("`{program}` can be run; it was not"));
    }
    let fix = format!("install it, or mend the policy: `ls -l {program}`; until then the gate stays shut");
    Finding::doubtful(Check::Command, about, format!("`{program}` cannot be run"), fix)
}
