//! Tells people what needs them: looks at what is observed, journals what of it is news, and has it delivered.
//!
//! [`watch`] looks, [`courier`] delivers to one channel. Nothing here holds the engine up, and what was journalled is
//! delivered at least once, whatever dies: a notice that comes twice has the same id and belongs to the same trouble.

mod delivery;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::ids::ChannelName;
use crate::domain::notification::Interest;
use crate::ports::notifier::Notifier;

pub use watch::Announcer;

/// A channel as the policy in force has it.
#[derive(Clone)]
pub struct Channel {
    pub interest: Interest,
    pub notifier: Arc<dyn Notifier>,
}

pub type Channels = BTreeMap<ChannelName, Channel>;
