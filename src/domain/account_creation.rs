//! A service account that the policy has created: what comes next, from what is on record and what a listing shows.
//!
//! The call is never repeated while it may have been carried out. An account that a credential once had is not replaced.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::domain::audit::Act;
use crate::domain::audit::changes::{
    ACCOUNT_CREATED, ACCOUNT_CREATION_IN_DOUBT, ACCOUNT_CREATION_INTENDED, ACCOUNT_CREATION_REFUSED,
};
use crate::domain::backoff;
use crate::domain::ids::WorkspaceName;
use crate::domain::key::{Account, Inventory};
use crate::domain::policy::Credential;
use crate::domain::record::Record;
use crate::domain::sanitize::one_line;
use crate::domain::sharing::SharingGroups;
use crate::domain::time::later;

/// Between two looks for an account that a listing may not show yet.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(2);
/// The details of audit records that name the account.
pub const NAME: &str = "name";

/// How far the creation of a credential's service account has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountCreation {
    pub name: String,
    pub groups: SharingGroups,
    pub state: CreationState,
    /// When it came to that state.
    pub at: Timestamp,
    /// Why it was refused, or is in doubt.
    #[serde(default)]
    pub why: String,
    /// Refusals in a row.
    #[serde(default)]
    pub refusals: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CreationState {
    /// The call is about to be made, or its process died.
    Intended,
    /// The call may have been carried out: a listing tells.
    InDoubt,
    /// It certainly was not.
    Refused,
    /// It was; a listing may not show the account yet.
    Created,
}

impl CreationState {
    /// What the audit log calls it.
    #[must_use]
    pub fn act(self) -> &'static str {
        match self {
            Self::Intended => ACCOUNT_CREATION_INTENDED,
            Self::InDoubt => ACCOUNT_CREATION_IN_DOUBT,
            Self::Refused => ACCOUNT_CREATION_REFUSED,
            Self::Created => ACCOUNT_CREATED,
        }
    }
}

impl AccountCreation {
    #[must_use]
    pub fn intended(name: &str, groups: &SharingGroups, at: Timestamp) -> Self {
        let (name, groups, state) = (name.to_owned(), groups.clone(), CreationState::Intended);
        Self { name, groups, state, at, why: String::new(), refusals: 0 }
    }

    /// The same in another state.
    #[must_use]
    pub fn turn(self, state: CreationState, why: impl Into<String>, at: Timestamp) -> Self {
        let refusals = self.refusals + u32::from(state == CreationState::Refused);
        Self { state, why: why.into(), at, refusals, ..self }
    }
}

/// What to do about an account that the listing does not show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextStep {
    /// Journal this intent, and make the call.
    Create(AccountCreation),
    /// Journal that the call may have been carried out.
    Doubt(AccountCreation),
    Wait(Timestamp),
    /// It is not to be created: the obstacle stands.
    Leave,
}

/// Every account of the listing that the policy could mean by `wanted`.
pub fn named<'a>(inventory: &'a Inventory, wanted: &'a str) -> impl Iterator<Item = &'a Account> {
    inventory.accounts.iter().filter(move |account| account.name == wanted || account.id.as_str() == wanted)
}

/// `tried_at` is when anybody last tried to create an account of this name, unless that was refused.
#[must_use]
pub fn next_step(
    credential: &Credential,
    record: &Record,
    inventory: &Inventory,
    tried_at: Option<Timestamp>,
    settle: SignedDuration,
    now: Timestamp,
) -> NextStep {
    let wanted = &credential.service_account;
    let Some(groups) = credential.create_account.as_ref() else { return NextStep::Leave };
    if record.current.is_some() || named(inventory, wanted).next().is_some() {
        return NextStep::Leave;
    }
    let known = record.account_creation.as_ref().filter(|known| known.name == *wanted);
    let intent = AccountCreation {
        refusals: known.map_or(0, |known| known.refusals),
        ..AccountCreation::intended(wanted, groups, now)
    };
    let settled_at = |at: Timestamp| later(at, settle);
    let wait_until = |until: Timestamp| NextStep::Wait(until.min(later(now, LOOK_AGAIN)));
    match known.map(|known| (known.state, known)) {
        Some((CreationState::Intended, known)) => {
            let why = "rekeyd stopped while the account was being created";
            return NextStep::Doubt(known.clone().turn(CreationState::InDoubt, why, now));
        }
        Some((CreationState::InDoubt, known)) if now < settled_at(known.at) => {
            return wait_until(settled_at(known.at));
        }
        Some((CreationState::Created, known)) if now < settled_at(known.at) => {
            return wait_until(settled_at(known.at));
        }
        Some((CreationState::Created, _)) => return NextStep::Leave,
        Some((CreationState::Refused, known)) => {
            let until = later(known.at, backoff::ROTATIONS.wait(known.refusals, None, &credential.name));
            if now < until && known.groups == *groups && !record.asked {
                return NextStep::Wait(until);
            }
        }
        // It had an account, which is gone: what was shared with it cannot be restored.
        None if record.account.is_some() => return NextStep::Leave,
        Some((CreationState::InDoubt, _)) | None => {}
    }
    match tried_at.map(settled_at).filter(|settled| now < *settled) {
        Some(settled) => wait_until(settled),
        None => NextStep::Create(intent),
    }
}

/// When an account of this name was last tried to be created, by these audit records of a workspace; `None` if it was not,
/// or was refused. Newest last.
pub fn last_tried<'a>(
    acts: impl IntoIterator<Item = &'a Act>,
    workspace: &WorkspaceName,
    name: &str,
) -> Option<Timestamp> {
    let name = one_line(name);
    let is_about = |act: &&Act| {
        act.workspace.as_ref() == Some(workspace)
            && act.details.get(NAME).and_then(serde_json::Value::as_str) == Some(&name)
    };
    acts.into_iter().filter(is_about).fold(None, |tried, act| match act.what.as_str() {
        ACCOUNT_CREATION_INTENDED | ACCOUNT_CREATION_IN_DOUBT | ACCOUNT_CREATED => Some(act.at),
        ACCOUNT_CREATION_REFUSED => None,
        _ => tried,
    })
}
