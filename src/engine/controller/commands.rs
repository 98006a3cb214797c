//! Queues commands for the reconciler that executes them.

use std::sync::Arc;

use crate::domain::ids::CredentialName;
use crate::engine::accounts::{self, AccountRequest};
use crate::engine::commands::{Command, CommandRequest};
use crate::engine::controller::{Controller, CredentialEntry, TaskResult};

impl Controller {
    /// By a task of the controller's: a requester that goes away cannot cut it in half.
    pub(super) fn create_account(&mut self, request: AccountRequest) {
        let context = Arc::clone(&self.context);
        self.tasks.spawn(async move {
            accounts::create(context, request).await;
            TaskResult::AccountRequested
        });
    }

    pub(super) fn queue_request(&mut self, name: &CredentialName, request: CommandRequest) {
        let refusal = match self.entries.get(name) {
            None => Some(format!("there is no credential `{name}`")),
            Some(CredentialEntry { damaged: Some(why), .. }) if request.command != Command::Repair => {
                Some(format!("`{name}` is left alone: {why}; to have it made anew: rekeyd repair {name}"))
            }
            Some(entry) if entry.damaged.is_some() && self.context.credential(name).is_none() => {
                Some(format!("`{name}` is not in the policy any more"))
            }
            Some(_) => None,
        };
        if let Some(refusal) = refusal {
            // The requester may be gone.
            drop(request.answer.send(Err(refusal)));
            return;
        }
        if let Some(entry) = self.entries.get_mut(name) {
            // A reconciler that cannot repair it leaves it alone again.
            entry.reread |= entry.damaged.take().is_some();
            entry.requests.push(request);
        }
        self.requeue_now(name);
    }

    /// A credential that has left the policy, and has no rotation under way: what it left behind is recorded, and what
    /// remains possible is done.
    pub(super) fn start_removed(&mut self, name: CredentialName) {
        let now = self.context.now();
        let Some(entry) = self.entries.get_mut(&name) else { return };
        let (possible, refused): (Vec<_>, Vec<_>) =
            entry.requests.drain(..).partition(|request| request.command.is_possible_without_a_policy());
        entry.requests = refused;
        let has_left = entry.record.with_left(&self.context.policy, now).is_some();
        self.refuse_requests(&name);
        if possible.is_empty() && !has_left {
            return;
        }
        if let Some(entry) = self.entries.get_mut(&name) {
            entry.requests = possible;
        }
        self.spawn_reconciler(name, None);
    }

    fn refuse_requests(&mut self, name: &CredentialName) {
        let Some(entry) = self.entries.get_mut(name) else { return };
        for request in entry.requests.drain(..) {
            // The requester may be gone.
            drop(request.answer.send(Err(format!("`{name}` is not in the policy any more"))));
        }
    }
}
