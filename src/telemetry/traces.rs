//! Spans of rotations and calls, and the queue to the exporter. No caller waits for the queue: a span that does not fit is
//! dropped and counted.
//!
//! For a completed phase only its journal entry is queued. [`exporter`] reads the journal and creates the span from it,
//! and so does [`resend`] for what a killed process did not send: both create the same span.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

use crate::domain::ids::RotationId;
use crate::domain::trace::Span;
use crate::ports::clock::Clock;

pub(super) mod call;
mod exporter;
mod resend;
#[cfg(test)]
mod tests;

pub use exporter::Exporter;

/// The capacity of the queue. The span of a call is about a kilobyte.
const WAITING_MAX: usize = 2048;
/// How long the delivery of spans is retried.
const RETRY_FOR: SignedDuration = SignedDuration::from_mins(5);

/// Why spans were dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DropReason {
    /// The queue was full.
    QueueFull,
    /// The collector rejected them.
    Rejected,
    /// The collector did not accept them in time, or before the daemon stopped.
    Undelivered,
    /// The journal could not be read.
    JournalUnreadable,
}

impl DropReason {
    pub const ALL: [Self; 4] = [Self::QueueFull, Self::Rejected, Self::Undelivered, Self::JournalUnreadable];

    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Rejected => "rejected",
            Self::Undelivered => "undelivered",
            Self::JournalUnreadable => "journal_unreadable",
        }
    }
}

/// A queued item.
enum Item {
    /// The phase that this journal entry completed.
    Entry {
        rotation: RotationId,
        entry: u64,
    },
    /// The phases that a rotation completed since `from`.
    Since {
        rotation: RotationId,
        from: Timestamp,
    },
    Call(Box<Span>),
}

/// The sending end of the queue.
pub struct Traces {
    queue: mpsc::Sender<Item>,
    clock: Arc<dyn Clock>,
}

/// The receiving end of the queue, for an [`Exporter`].
pub struct Queue(mpsc::Receiver<Item>);

impl Traces {
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> (Self, Queue) {
        let (queue, waiting) = mpsc::channel(WAITING_MAX);
        (Self { queue, clock }, Queue(waiting))
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Queues the span of a completed phase, whose last entry is durable.
    ///
    /// # Errors
    /// The span is dropped.
    pub(super) fn phase_completed(&self, rotation: RotationId, entry: u64) -> Result<(), DropReason> {
        self.put(Item::Entry { rotation, entry })
    }

    /// Queues the span of a call.
    ///
    /// # Errors
    /// The span is dropped.
    pub(super) fn call_completed(&self, span: Span) -> Result<(), DropReason> {
        self.put(Item::Call(Box::new(span)))
    }

    fn put(&self, item: Item) -> Result<(), DropReason> {
        self.queue.try_send(item).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => DropReason::QueueFull,
            mpsc::error::TrySendError::Closed(_) => DropReason::Undelivered,
        })
    }
}
