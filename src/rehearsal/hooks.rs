//! What happens around each call to the imagined outside: it is logged, it fails, it is watched, or the process dies in it.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::SignedDuration;
use tokio::sync::Notify;

use crate::domain::failure::Failure;
use crate::domain::ids::{ServiceAccountId, WorkspaceName};
use crate::domain::key::{Key, KeyAttributes};
use crate::domain::plan::Destination;
use crate::domain::secret::SecretValue;
use crate::ports::clock::Clock as _;
use crate::rehearsal::call_log::CallLog;
use crate::rehearsal::clock::VirtualClock;
use crate::rehearsal::crash_point::CrashPoint;

/// A call, as the engine makes it.
#[derive(Clone, Copy)]
pub enum Operation<'a> {
    Provider(&'a WorkspaceName, ProviderCall<'a>),
    /// With the names of the requests that the store would be sent.
    Store(&'a Destination, StoreCall, &'a [&'static str]),
}

#[derive(Clone, Copy)]
pub enum ProviderCall<'a> {
    List,
    /// With the account's name.
    CreateAccount(&'a str),
    /// `made` is known after the effect.
    Create {
        account: &'a ServiceAccountId,
        made: Option<&'a Key>,
    },
    Authenticate(&'a SecretValue),
    ProveAdmin(&'a SecretValue),
    Disable(&'a Key),
    Enable(&'a Key),
    SetExpiry(&'a Key),
    Delete(&'a Key),
    Usage,
    Canary(&'a SecretValue, &'a str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreCall {
    Check,
    Stage,
    Read,
    Promote,
    Discard,
}

impl Operation<'_> {
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Provider(_, call) => match call {
                ProviderCall::List => "list",
                ProviderCall::CreateAccount(_) => "create account",
                ProviderCall::Create { .. } => "create",
                ProviderCall::Authenticate(_) => "authenticate",
                ProviderCall::ProveAdmin(_) => "prove admin",
                ProviderCall::Disable(_) => "disable",
                ProviderCall::Enable(_) => "enable",
                ProviderCall::SetExpiry(_) => "set expiry",
                ProviderCall::Delete(_) => "delete",
                ProviderCall::Usage => "usage",
                ProviderCall::Canary(..) => "canary",
            },
            Self::Store(_, call, _) => call.name(),
        }
    }
}

impl StoreCall {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Stage => "stage",
            Self::Read => "read",
            Self::Promote => "promote",
            Self::Discard => "discard",
        }
    }
}

/// Every call passes its hooks twice. A hook that never returns is a process that died.
#[async_trait]
pub trait Hooks: Send + Sync {
    /// Before the effect.
    ///
    /// # Errors
    /// What the caller gets instead of the effect.
    async fn before(&self, operation: Operation<'_>) -> Result<(), Failure>;

    /// After the effect, unless the provider refused the call.
    ///
    /// # Errors
    /// What the caller gets although there was an effect.
    async fn after(&self, operation: Operation<'_>) -> Result<(), Failure>;

    /// May change what the next key, `name`, is granted, and returns for how long it is refused.
    fn on_create(&self, _name: &str, _attributes: &mut KeyAttributes) -> SignedDuration {
        SignedDuration::ZERO
    }

    /// How old the listing is that is shown next.
    fn listing_lag(&self) -> SignedDuration {
        SignedDuration::ZERO
    }

    /// How old the store's answer is about what is current, for the next call.
    fn store_lag(&self) -> SignedDuration {
        SignedDuration::ZERO
    }

    /// Whether the caller sees the use of keys.
    ///
    /// # Errors
    /// The analytics give no answer.
    fn usage_is_visible(&self) -> Result<bool, String> {
        Ok(true)
    }
}

/// The hooks of a rehearsal: they log each call, and let the process die in the middle of one.
#[derive(Clone)]
pub(super) struct Recorder {
    pub(super) clock: VirtualClock,
    pub(super) log: CallLog,
    pub(super) crash_point: CrashPoint,
    /// A store serves something else than before.
    pub(super) changed: Arc<Notify>,
}

impl Recorder {
    pub(super) fn new(clock: &VirtualClock) -> Self {
        Self {
            clock: clock.clone(),
            log: CallLog::default(),
            crash_point: CrashPoint::default(),
            changed: Arc::default(),
        }
    }
}

#[async_trait]
impl Hooks for Recorder {
    async fn before(&self, operation: Operation<'_>) -> Result<(), Failure> {
        self.crash_point.before(self.clock.now()).await;
        self.log.called(self.clock.now(), operation);
        Ok(())
    }

    async fn after(&self, operation: Operation<'_>) -> Result<(), Failure> {
        let (crashes, serves) = match operation {
            Operation::Provider(_, call) => {
                use ProviderCall::{Create, CreateAccount, Delete, Disable};
                (matches!(call, CreateAccount(_) | Create { .. } | Disable(_) | Delete(_)), false)
            }
            Operation::Store(_, call, _) => {
                (matches!(call, StoreCall::Stage | StoreCall::Promote), call == StoreCall::Promote)
            }
        };
        if serves {
            self.changed.notify_one();
        }
        if crashes {
            self.crash_point.after(self.clock.now()).await;
        }
        Ok(())
    }
}
