//! Waits for an operator to say that consumers have switched: where the policy asks for it, where nothing but time could show
//! it, and after an alarm. Not even a deadline overrules it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::gate::GateName;
use crate::domain::gate::verdict::{Judgement, Verdict};
use crate::domain::plan::RevocationPolicy;

/// When the policy asks for an operator's confirmation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfirmWhen {
    Always,
    /// In the first rotation of a key that rekeyd did not create, if there is no gate.
    #[default]
    FirstWithoutGates,
    /// After an alarm only.
    Never,
}

/// Whether an operator has to confirm a rotation, and whether one did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Confirmation {
    /// A consumer failed, or an operator had the old key enabled again.
    pub after_an_alarm: bool,
    pub given: Option<Confirmed>,
}

/// What an operator said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmed {
    pub by: String,
    pub at: Timestamp,
}

impl Confirmation {
    /// Why the old key is not disabled before an operator confirms; `None` if that is not waited for.
    #[must_use]
    pub fn cause(&self, is_adopted: bool, terms: &RevocationPolicy) -> Option<&'static str> {
        if self.after_an_alarm {
            return Some("the old key was enabled again after it had been disabled");
        }
        match terms.confirm {
            ConfirmWhen::Always => Some("the policy asks for it"),
            ConfirmWhen::FirstWithoutGates if is_adopted && terms.gates.is_empty() => {
                Some("rekeyd did not create the old key, and the policy has no gate that shows who uses it")
            }
            ConfirmWhen::FirstWithoutGates | ConfirmWhen::Never => None,
        }
    }
}

/// The verdict, if a confirmation is waited for.
pub(super) fn judge(
    confirmation: &Confirmation,
    is_adopted: bool,
    terms: &RevocationPolicy,
) -> Option<Verdict> {
    let cause = confirmation.cause(is_adopted, terms)?;
    let judgement = match &confirmation.given {
        Some(Confirmed { by, at }) => Judgement::open(format!("confirmed by {by} at {at:.0}")),
        None => {
            let reason = format!("an operator has to `confirm` that consumers have switched: {cause}");
            Judgement::shut(reason, Vec::new())
        }
    };
    Some(judgement.of(GateName::Confirm))
}

/// Whether a confirmation is missing: then not even a deadline revokes the old key.
#[must_use]
pub fn is_missing(verdicts: &[Verdict]) -> bool {
    verdicts.iter().any(|verdict| verdict.gate == GateName::Confirm && !verdict.satisfied)
}
