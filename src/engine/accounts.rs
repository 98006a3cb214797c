//! Creates service accounts: for a credential whose policy says so, and by an operator's command. The intent is journalled
//! before the call, which is sent once; after a lost answer the account is looked for by its name.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::oneshot;

use crate::domain::account_creation::{self, AccountCreation, CreationState, NextStep};
use crate::domain::audit::{Act, Actor, changes};
use crate::domain::failure::{Certainty, Failure};
use crate::domain::ids::{ServiceAccountId, WorkspaceName};
use crate::domain::policy::Credential;
use crate::domain::record::{Obstacle, ObstacleKind, Record};
use crate::domain::sanitize::quoted;
use crate::domain::sharing::SharingGroups;
use crate::domain::time::{earlier, later};
use crate::engine::commit::ReconcileError;
use crate::engine::context::Context;
use crate::engine::reconciler::{Action, Reconciler};
use crate::engine::workspace_client::WorkspaceClient;
use crate::ports::journal;

/// How soon a refused creation is looked at again; the back-off decides whether it is repeated.
const AFTER_REFUSAL: SignedDuration = SignedDuration::from_mins(1);
/// How long a command looks for an account whose answer was lost; shorter than the socket's time limit.
const COMMAND_LOOKS_FOR: SignedDuration = SignedDuration::from_secs(45);
const BETWEEN_LOOKS: SignedDuration = SignedDuration::from_secs(2);
/// Audit records read at a time, from the newest back.
const ACTS_AT_A_TIME: u64 = 500;

/// An operator's command to create a service account.
pub(super) struct AccountRequest {
    pub(super) workspace: WorkspaceName,
    pub(super) name: String,
    pub(super) groups: SharingGroups,
    pub(super) by: String,
    pub(super) answer: oneshot::Sender<Result<String, String>>,
}

impl Reconciler {
    /// One step towards the credential's service account, which a listing does not show. `None` if it is not to be created;
    /// `Some(None)` if something was journalled.
    pub(super) async fn create_missing_account(
        &mut self,
        credential: &Credential,
    ) -> Result<Option<Option<Action>>, ReconcileError> {
        if credential.create_account.is_none() {
            return Ok(None);
        }
        let context = Arc::clone(&self.context);
        let Ok(client) = context.workspace_client(&credential.workspace) else { return Ok(None) };
        // Nobody else creates one of this name between the listing and the intent.
        let _turn = client.account_turn().await;
        let Ok(inventory) = client.inventory(context.now()).await else { return Ok(None) };
        let (wanted, settle, now) = (&credential.service_account, context.timing.settle, context.now());
        let tried_at =
            last_tried(&context, &credential.workspace, wanted).await.map_err(ReconcileError::reading)?;
        let step = account_creation::next_step(credential, &self.record, &inventory, tried_at, settle, now);
        match step {
            NextStep::Leave => Ok(None),
            NextStep::Wait(until) => {
                self.release_slot();
                Ok(Some(Some(Action::RequeueAt(until))))
            }
            NextStep::Doubt(doubted) => {
                self.save(Record { account_creation: Some(doubted), ..self.record.clone() }).await?;
                Ok(Some(None))
            }
            NextStep::Create(intent) => self.carry_out(client, intent).await.map(Some),
        }
    }

    async fn carry_out(
        &mut self,
        client: &WorkspaceClient,
        intent: AccountCreation,
    ) -> Result<Option<Action>, ReconcileError> {
        self.save(Record { account_creation: Some(intent.clone()), ..self.record.clone() }).await?;
        let outcome = client.issuer.create_account(&intent.name, &intent.groups).await;
        let now = self.context.now();
        let mut next = self.record.clone();
        let mut action = None;
        match outcome {
            Ok(account) => {
                tracing::info!(credential = %next.credential, %account, "created the service account");
                next.obstacle = None;
                next.account = Some(account);
                next.sharing_groups = Some(intent.groups.clone());
                next.account_creation = Some(intent.turn(CreationState::Created, "", now));
            }
            Err(failure) if failure.certainty == Certainty::Unknown => {
                let doubted = intent.turn(CreationState::InDoubt, failure.to_string(), now);
                next.account_creation = Some(doubted);
            }
            Err(failure) => {
                let known =
                    next.obstacle.take().filter(|known| known.kind == ObstacleKind::AccountNotCreated);
                let since = known.map_or(now, |known| known.since);
                let (kind, detail) = (ObstacleKind::AccountNotCreated, failure.to_string());
                next.obstacle = Some(Obstacle { kind, detail, since });
                next.asked = false;
                next.account_creation = Some(intent.turn(CreationState::Refused, failure.to_string(), now));
                action = Some(Action::RequeueAt(later(now, AFTER_REFUSAL)));
            }
        }
        self.save(next).await?;
        if action.is_some() {
            self.release_slot();
        }
        Ok(action)
    }
}

/// When an account of this name was last tried to be created within the settling time, by the audit log: whoever did it,
/// and whether or not their process has died.
async fn last_tried(
    context: &Context,
    workspace: &WorkspaceName,
    name: &str,
) -> Result<Option<Timestamp>, journal::Error> {
    let since = earlier(context.now(), context.timing.settle);
    let mut end = context.journal.audit_head().await?.sequence;
    let mut newest_first: Vec<Vec<Act>> = Vec::new();
    while end > 0 {
        let begin = end.saturating_sub(ACTS_AT_A_TIME);
        let limit = usize::try_from(end - begin).unwrap_or(usize::MAX);
        let page = context.journal.audit(begin, limit).await?;
        let is_old = page.first().is_none_or(|oldest| oldest.act.at < since);
        newest_first.push(page.into_iter().map(|chained| chained.act).collect());
        if is_old {
            break;
        }
        end = begin;
    }
    let acts = newest_first.iter().rev().flatten();
    Ok(account_creation::last_tried(acts, workspace, name).filter(|at| *at >= since))
}

/// Carries out an operator's command. The answer is sent when its outcome is journalled.
pub(super) async fn create(context: Arc<Context>, request: AccountRequest) {
    let AccountRequest { workspace, name, groups, by, answer } = request;
    let command = AccountCommand { context: &context, workspace, name, groups, by };
    let outcome = command.run().await;
    if let Err(why) = &outcome {
        tracing::warn!(workspace = %command.workspace, by = %command.by, %why, "the service account was not created");
    }
    // The requester may be gone.
    drop(answer.send(outcome));
}

struct AccountCommand<'a> {
    context: &'a Context,
    workspace: WorkspaceName,
    name: String,
    groups: SharingGroups,
    by: String,
}

impl AccountCommand<'_> {
    async fn run(&self) -> Result<String, String> {
        let (context, name) = (self.context, quoted(&self.name));
        let is_the_daemons = |credential: &&Credential| {
            credential.workspace == self.workspace
                && credential.create_account.is_some()
                && credential.service_account == self.name
        };
        if let Some(credential) = context.policy.credentials.values().find(is_the_daemons) {
            let credential = &credential.name;
            return Err(format!(
                "the policy has rekeyd create {name} for `{credential}`: see `rekeyd status {credential}`"
            ));
        }
        let client = context.workspace_client(&self.workspace).map_err(|failure| failure.to_string())?;
        let _turn = client.account_turn().await;
        if let Some(id) = self.find(client).await.map_err(|failure| failure.to_string())? {
            return Ok(format!(
                "the service account {name} is there already, as `{id}`; nothing was created or changed"
            ));
        }
        let unreadable = |error: journal::Error| format!("nothing was created, because {error}");
        let tried = last_tried(context, &self.workspace, &self.name).await.map_err(unreadable)?;
        if let Some(at) = tried {
            let until = later(at, context.timing.settle);
            return Err(format!(
                "{name} was tried to be created at {at:.0} and is not listed yet: run the command again after {until:.0}, it looks for the name first"
            ));
        }
        self.journal(CreationState::Intended, None, "").await.map_err(unreadable)?;
        match client.issuer.create_account(&self.name, &self.groups).await {
            Ok(id) => self.created(&id).await,
            Err(failure) if failure.certainty == Certainty::Unknown => self.search(client, &failure).await,
            Err(failure) => {
                let journalled = self.journal(CreationState::Refused, None, &failure.to_string()).await;
                Err(with_journal(format!("{failure}; nothing was created"), journalled))
            }
        }
    }

    /// The answer was lost: what the listing shows decides.
    async fn search(&self, client: &WorkspaceClient, failure: &Failure) -> Result<String, String> {
        let context = self.context;
        let journalled = self.journal(CreationState::InDoubt, None, &failure.to_string()).await;
        let until = context.clock.uptime() + context.timing.settle.min(COMMAND_LOOKS_FOR).unsigned_abs();
        loop {
            if let Ok(Some(id)) = self.find(client).await {
                return self
                    .created(&id)
                    .await
                    .map(|told| format!("{told}; the answer was lost ({failure})"));
            }
            let left = until.saturating_sub(context.clock.uptime());
            if left.is_zero() {
                break;
            }
            context
                .clock
                .sleep(SignedDuration::try_from(left).unwrap_or(BETWEEN_LOOKS).min(BETWEEN_LOOKS))
                .await;
        }
        let (name, again) = (quoted(&self.name), later(context.now(), context.timing.settle));
        let told = format!(
            "{failure}; no service account {name} is listed so far: run the command again after {again:.0}, it looks for the name first"
        );
        Err(with_journal(told, journalled))
    }

    async fn created(&self, id: &ServiceAccountId) -> Result<String, String> {
        let journalled = self.journal(CreationState::Created, Some(id), "").await;
        let (name, groups) = (quoted(&self.name), &self.groups);
        Ok(with_journal(
            format!("created the service account {name} as `{id}`, sharing groups: {groups}"),
            journalled,
        ))
    }

    async fn find(&self, client: &WorkspaceClient) -> Result<Option<ServiceAccountId>, Failure> {
        let inventory = client.inventory(self.context.now()).await?;
        let mut found = account_creation::named(&inventory, &self.name);
        Ok(found.next().map(|account| account.id.clone()))
    }

    async fn journal(
        &self,
        state: CreationState,
        id: Option<&ServiceAccountId>,
        why: &str,
    ) -> Result<(), journal::Error> {
        let at = self.context.now();
        let creation = AccountCreation::intended(&self.name, &self.groups, at).turn(state, why, at);
        let act = Act::new(
            at,
            Actor::Operator(self.by.clone()),
            state.act(),
            changes::account_creation(&creation, id),
        );
        self.context.journal.record(&Act { workspace: Some(self.workspace.clone()), ..act }).await
    }
}

/// An outcome that is not in the audit log is told all the same.
fn with_journal(told: String, journalled: Result<(), journal::Error>) -> String {
    match journalled {
        Ok(()) => told,
        Err(error) => format!("{told}; the audit log lacks this outcome, because {error}"),
    }
}
