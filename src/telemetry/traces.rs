//! What is told of rotations and calls as spans, and the queue in which it waits to be sent. Nobody waits for that: what
//! finds no room is counted and gone.
//!
//! Of a phase that was left only the entry is queued; [`exporter`] reads the journal and tells what it says, so that the
//! same is told by [`unsaid`], which makes up for a process that was killed.

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

/// What may wait. A span of a call is about a kilobyte.
const WAITING_MAX: usize = 2048;
/// So long is tried to have spans taken.
const GIVEN_UP_AFTER: SignedDuration = SignedDuration::from_mins(5);

/// What became of spans that nobody will see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// Too many waited already.
    QueueFull,
    /// The collector will not have them.
    Refused,
    /// The collector did not take them for too long, or not before the daemon ended.
    GivenUp,
    /// The journal could not be read.
    Unread,
}

impl Loss {
    pub const ALL: [Self; 4] = [Self::QueueFull, Self::Refused, Self::GivenUp, Self::Unread];

    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Refused => "refused",
            Self::GivenUp => "given_up",
            Self::Unread => "unread",
        }
    }
}

/// What is to be told.
enum Item {
    /// What this entry of a rotation completed.
    Entry {
        rotation: RotationId,
        entry: u64,
    },
    /// What a rotation completed since then.
    Since {
        rotation: RotationId,
        from: Timestamp,
    },
    Call(Box<Span>),
}

/// The near end of the queue.
pub struct Traces {
    queue: mpsc::Sender<Item>,
    clock: Arc<dyn Clock>,
}

/// Its far end, for an [`Exporter`].
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

    /// An entry by which a rotation left a phase is durable.
    ///
    /// # Errors
    /// It is not told.
    pub(super) fn moved(&self, rotation: RotationId, entry: u64) -> Result<(), Loss> {
        self.put(Item::Entry { rotation, entry })
    }

    /// # Errors
    /// It is not told.
    pub(super) fn called(&self, span: Span) -> Result<(), Loss> {
        self.put(Item::Call(Box::new(span)))
    }

    fn put(&self, item: Item) -> Result<(), Loss> {
        self.queue.try_send(item).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Loss::QueueFull,
            mpsc::error::TrySendError::Closed(_) => Loss::GivenUp,
        })
    }
}
