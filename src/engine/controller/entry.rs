//! What the controller holds of one credential.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::domain::ids::KeyId;
use crate::domain::record::Record;
use crate::domain::rotation::Rotation;
use crate::engine::commands::CommandRequest;
use crate::engine::inspect::InspectionHint;
use crate::engine::look::Look;
use crate::engine::work::Memory;

/// One credential's state. While it is reconciled, the state that the reconciler began with.
pub(super) struct CredentialEntry {
    pub(super) record: Record,
    /// Most credentials have none, and it is large.
    pub(super) rotation: Option<Box<Rotation>>,
    pub(super) memory: Memory,
    /// Set while the credential is reconciled; cancelled to have the reconciler return at its next journalled point.
    pub(super) running: Option<CancellationToken>,
    /// The state may be stale: the next reconciliation reads the journal first.
    pub(super) reread: bool,
    pub(super) damaged: Option<String>,
    pub(super) requests: Vec<CommandRequest>,
    /// A listing showed something new: the next reconciliation lists again.
    pub(super) hint: Option<InspectionHint>,
    /// What was seen of a key that is not rotated yet: the next reconciliation puts it on record.
    pub(super) look: Option<Look>,
    /// When it was last looked at by the timer, and with which key on record.
    pub(super) looked: Option<(Duration, Option<KeyId>)>,
    /// An inspection is under way: the next reconciliation looks at what its rotation put into service.
    pub(super) inspects_in_service: bool,
    /// The running reconciler may begin an emergency.
    pub(super) may_begin_emergency: bool,
}

impl CredentialEntry {
    pub(super) fn new(record: Record) -> Self {
        Self {
            record,
            rotation: None,
            memory: Memory::default(),
            running: None,
            reread: false,
            damaged: None,
            requests: Vec::new(),
            hint: None,
            look: None,
            looked: None,
            inspects_in_service: false,
            may_begin_emergency: false,
        }
    }
}
