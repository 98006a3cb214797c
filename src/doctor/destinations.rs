//! Checks that no two destinations are one secret under two names, as far as only the stores know.

use std::sync::Arc;

use crate::app::assembly;
use crate::doctor::Subject;
use crate::domain::examination::{Check, CheckResult};
use crate::domain::failure::Failure;
use crate::domain::place::{self, Rival};
use crate::domain::plan::Destination;

const APART: &str = "publish each credential to a secret of its own";

pub(super) async fn examine(subject: Arc<Subject>) -> Vec<CheckResult> {
    let mut findings = Vec::new();
    if let Err(error) = assembly::separate_directories(&subject.config) {
        let fix = "use a separate directory for each store, or a single store";
        findings.push(CheckResult::error(Check::Destinations, "stores", error.to_string(), fix));
    }
    for (name, rivals) in &subject.config.policy.rivals {
        let about = format!("credential `{name}`");
        // Each pair is listed with both.
        for rival in rivals.iter().filter(|rival| (name, &rival.own) < (&rival.credential, &rival.its)) {
            findings.push(match is_one_secret(&subject, rival).await {
                Ok(true) => CheckResult::error(Check::Destinations, &about, place::told(name, rival), APART),
                Ok(false) => {
                    let (own, other, its) = (&rival.own, &rival.credential, &rival.its);
                    let what = format!("`{own}` and `{its}` of `{other}` are two secrets");
                    CheckResult::ok(Check::Destinations, &about, what)
                }
                Err(failure) => {
                    let (own, its) = (&rival.own, &rival.its);
                    let what =
                        format!("cannot tell whether `{own}` and `{its}` are the same secret: {failure}");
                    CheckResult::unknown(Check::Destinations, &about, what, "allow both to be described")
                }
            });
        }
    }
    findings
}

async fn is_one_secret(subject: &Subject, rival: &Rival) -> Result<bool, Failure> {
    Ok(identity(subject, &rival.own).await? == identity(subject, &rival.its).await?)
}

async fn identity(subject: &Subject, destination: &Destination) -> Result<Option<String>, Failure> {
    let Some(store) = subject.config.stores.get(&destination.store) else { return Ok(None) };
    store.open_read_only().await?.identity(destination).await.map(Some)
}
