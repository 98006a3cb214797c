//! Every call and every journal entry of a rehearsal, in their order.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;

use crate::adapters::elevenlabs::wire::{self, RequestKind};
use crate::domain::ids::WorkspaceName;
use crate::domain::plan::Destination;
use crate::ports::journal::Entry;
use crate::rehearsal::hooks::{Operation, ProviderCall};

/// One imagined call to the outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "to", rename_all = "snake_case")]
pub enum Call {
    Provider {
        workspace: WorkspaceName,
        method: &'static str,
        path: String,
    },
    Store {
        destination: Destination,
        operation: &'static str,
    },
    /// A consumer's endpoint, or a command of the policy's.
    Consumer {
        what: String,
    },
}

#[derive(Debug, Clone)]
pub enum LogLine {
    Called(Timestamp, Call),
    Journalled(Box<Entry>),
}

/// A clone is the same log.
#[derive(Clone, Default)]
pub struct CallLog(Arc<Mutex<Vec<LogLine>>>);

impl CallLog {
    pub(super) fn called(&self, at: Timestamp, operation: Operation<'_>) {
        match operation {
            Operation::Provider(workspace, call) => {
                for (method, path) in wire::requests(request_kind(call)) {
                    self.note(LogLine::Called(
                        at,
                        Call::Provider { workspace: workspace.clone(), method, path },
                    ));
                }
            }
            Operation::Store(to, _, requests) => {
                for &operation in requests {
                    self.note(LogLine::Called(at, Call::Store { destination: to.clone(), operation }));
                }
            }
        }
    }

    pub(super) fn consumed(&self, at: Timestamp, what: String) {
        self.note(LogLine::Called(at, Call::Consumer { what }));
    }

    pub(super) fn journalled(&self, entry: &Entry) {
        self.note(LogLine::Journalled(Box::new(entry.clone())));
    }

    /// Everything since the last call.
    pub(super) fn take(&self) -> Vec<LogLine> {
        std::mem::take(&mut *self.lines())
    }

    fn note(&self, line: LogLine) {
        self.lines().push(line);
    }

    fn lines(&self) -> MutexGuard<'_, Vec<LogLine>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn request_kind(call: ProviderCall<'_>) -> RequestKind<'_> {
    match call {
        ProviderCall::List => RequestKind::List,
        ProviderCall::CreateAccount(_) => RequestKind::CreateAccount,
        ProviderCall::Create { account, .. } => RequestKind::Create { account: account.as_str() },
        ProviderCall::Authenticate(_) => RequestKind::Authenticate,
        ProviderCall::ProveAdmin(_) => RequestKind::ProveAdmin,
        ProviderCall::Disable(key) => {
            RequestKind::Disable { account: key.account.as_str(), key: key.id.as_str() }
        }
        ProviderCall::Enable(key) => {
            RequestKind::Enable { account: key.account.as_str(), key: key.id.as_str() }
        }
        ProviderCall::SetExpiry(key) => {
            RequestKind::SetExpiry { account: key.account.as_str(), key: key.id.as_str() }
        }
        ProviderCall::Delete(key) => {
            RequestKind::Delete { account: key.account.as_str(), key: key.id.as_str() }
        }
        ProviderCall::Usage => RequestKind::Usage,
        ProviderCall::Canary(_, voice) => RequestKind::Canary { voice },
    }
}
