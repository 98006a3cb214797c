//! Each phase as one row: its label, the events that it takes, what is true in it, and its words. What depends on a
//! rotation's data is in [`crate::domain::phase::Phase`]; what an event leads to is in [`crate::domain::step`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::event::EventName as E;
use crate::domain::hold::HoldKind;
use crate::domain::notification::occurrences::Occurrence;
use crate::domain::phase::Phase;

/// What is true of a phase in every rotation.
#[derive(Debug, Clone, Copy)]
pub struct PhaseRow {
    pub label: &'static str,
    /// The events that are legal, or refused with a reason; those that every phase takes are not listed.
    pub takes: &'static [E],
    pub path: Path,
    /// Whether it waits for time or for consumers.
    pub waits: bool,
    /// Whether a phase that leads here did not end as planned.
    pub is_setback: bool,
    /// Whether destinations with a foreign value can be published to again from here.
    pub may_publish_again: bool,
    pub needs_old_key: NeedsOldKey,
    pub old_key: OldKey,
    pub quarantine: Quarantine,
    /// The hold that keeps its effect from being done.
    pub held_by: Option<HoldKind>,
    pub admin_key: AdminKeySide,
    /// For a phase that ends a rotation: what is reported once, and its words.
    pub ended: Option<(Occurrence, &'static str)>,
    /// What is going on, for `status`.
    pub summary: &'static str,
    /// What the phase is for, in a few words.
    pub meaning: &'static str,
    /// Whether consumers are affected.
    pub impact: &'static str,
}

/// The path on which a phase lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    Rotation,
    Rollback,
    /// Neither: a detour, or the end of one.
    Aside,
}

/// Whether the old key may still be in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeedsOldKey {
    Always,
    /// From the moment at which the first promotion may have happened: destinations may have been staged again.
    OncePromoted,
    Never,
}

/// What the rotation has done to the old key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldKey {
    Enabled,
    BeingDisabled,
    Disabled,
    Deleted,
}

/// Where the quarantine lies from here, if nothing but time is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quarantine {
    NotPlanned,
    AfterOverlap,
    Next,
    Running,
}

/// Which of its two keys the rotation of an admin key calls the provider with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdminKeySide {
    /// Whichever is in use: both work, or there is only one.
    Either,
    Old,
    New,
}

const UNTOUCHED: &str = "None. The old key works and is unchanged.";
const BOTH_WORK: &str = "None. Both keys work.";
const CAN_COME_BACK: &str =
    "None known. The new key works; the old key is disabled and can be enabled again.";
const ONE_STAYS: &str = "None known. The remaining key works; the other key is being deleted.";
const GOES_BACK: &str = "None known. The new key works until every destination serves the old key.";
pub const IN_SERVICE: &str = "None known. The key is in service.";

/// Names, labels and rows from one list: a variant of [`Phase`] without a row does not compile, nor the reverse.
macro_rules! phases {
    ($($name:ident: $row:expr,)*) => {
        /// A phase without its data: a label.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum PhaseName { $($name,)* }

        impl PhaseName {
            pub const ALL: [Self; [$(Self::$name,)*].len()] = [$(Self::$name,)*];

            #[must_use]
            pub fn row(self) -> &'static PhaseRow {
                match self { $(Self::$name => { const ROW: &PhaseRow = &$row; ROW })* }
            }
        }

        impl Phase {
            #[must_use]
            pub fn name(&self) -> PhaseName {
                match self { $(Self::$name { .. } => PhaseName::$name,)* }
            }
        }
    };
}

phases! {
    Due: PhaseRow {
        label: "due",
        takes: &[E::MintIntended, E::Parked, E::AbortRequested],
        path: Path::Rotation, waits: false, is_setback: false, may_publish_again: false,
        needs_old_key: NeedsOldKey::Never, old_key: OldKey::Enabled, quarantine: Quarantine::NotPlanned,
        held_by: Some(HoldKind::Minting), admin_key: AdminKeySide::Either,
        ended: None,
        summary: "a rotation has started; nothing has changed yet",
        meaning: "checks the preconditions",
        impact: UNTOUCHED,
    },
    Minting: PhaseRow {
        label: "minting",
        takes: &[E::Minted, E::MintRefused, E::MintOutcomeUnknown, E::LostKeySettled, E::AbortRequested],
        path: Path::Rotation, waits: false, is_setback: false, may_publish_again: false,
        needs_old_key: NeedsOldKey::Never, old_key: OldKey::Enabled, quarantine: Quarantine::NotPlanned,
        held_by: None, admin_key: AdminKeySide::Either,
        ended: None,
        summary: "a new key is being created",
        meaning: "creates the new key",
        impact: UNTOUCHED,
    },
    Staging: PhaseRow {
        label: "staging",
        takes: &[
            E::Staged, E::ValueLost, E::VerificationFailed, E::DestinationChanged, E::ExpirySettled, E::RollbackBegun,
            E::Parked, E::AbortRequested,
        ],
        path: Path::Rotation, waits: false, is_setback: false, may_publish_again: true,
        needs_old_key: NeedsOldKey::OncePromoted, old_key: OldKey::Enabled, quarantine: Quarantine::NotPlanned,
        held_by: None, admin_key: AdminKeySide::Either,
        ended: None,
        summary: "the new key is being written to its destinations",
        meaning: "writes the new key to every destination",
        impact: UNTOUCHED,
    },
    Verifying: PhaseRow {
        label: "verifying",
        takes: &[
            E::ValueLost, E::Verified, E::VerificationFailed, E::ExpirySettled, E::RollbackBegun, E::Parked,
            E::AbortRequested,
        ],
        path: Path::Rotation, waits: false, is_setback: false, may_publish_again: true,
        needs_old_key: NeedsOldKey::OncePromoted, old_key: OldKey::Enabled, quarantine: Quarantine::NotPlanned,
        held_by: None, admin_key: AdminKeySide::Either,
        ended: None,
        summary: "the new key is being checked",
        meaning: "verifies the new key",
        impact: UNTOUCHED,
    },
    Promoting: PhaseRow {
        label: "promoting",
        takes: &[E::Promoted, E::DestinationChanged, E::ExpirySettled, E::RollbackBegun, E::Parked, E::AbortRequested],
        path: Path::Rotation, waits: false, is_setback: false, may_publish_again: true,
        needs_old_key: NeedsOldKey::Always, old_key: OldKey::Enabled, quarantine: Quarantine::NotPlanned,
        held_by: None, admin_key: AdminKeySide::Either,
        ended: None,
        summary: "the new key is being promoted",
        meaning: "makes the new key current",
        impact: BOTH_WORK,
    },
    Overlap: PhaseRow {
        label: "overlap",
        takes: &[
            E::Released, E::Confirmed, E::ClockAgreed, E::ExpiryIntended, E::ExpirySettled, E::RollbackBegun, E::Parked,
            E::AbortRequested,
        ],
        path: Path::Rotation, waits: true, is_setback: false, may_publish_again: true,
        needs_old_key: NeedsOldKey::Always, old_key: OldKey::Enabled, quarantine: Quarantine::AfterOverlap,
        held_by: Some(HoldKind::Revoking), admin_key: AdminKeySide::New,
        ended: None,
        summary: "both keys work while consumers switch",
        meaning: "both keys work while consumers switch",
        impact: BOTH_WORK,
    },
    Disabling: PhaseRow {
        label: "disabling",
        takes: &[
            E::ReleaseWithdrawn, E::OldKeyDisabled, E::Alarmed, E::ExpirySettled, E::RollbackBegun, E::Parked,
            E::AbortRequested,
        ],
        path: Path::Rotation, waits: false, is_setback: false, may_publish_again: true,
        needs_old_key: NeedsOldKey::Always, old_key: OldKey::BeingDisabled, quarantine: Quarantine::Next,
        held_by: Some(HoldKind::Revoking), admin_key: AdminKeySide::New,
        ended: None,
        summary: "the old key is being disabled",
        meaning: "disables the old key",
        impact: CAN_COME_BACK,
    },
    Quarantine: PhaseRow {
        label: "quarantine",
        takes: &[
            E::ClockAgreed, E::QuarantinePassed, E::Alarmed, E::ExpiryIntended, E::ExpirySettled,
            E::RollbackBegun, E::Parked, E::AbortRequested,
        ],
        path: Path::Rotation, waits: true, is_setback: false, may_publish_again: true,
        needs_old_key: NeedsOldKey::Always, old_key: OldKey::Disabled, quarantine: Quarantine::Running,
        held_by: Some(HoldKind::Revoking), admin_key: AdminKeySide::New,
        ended: None,
        summary: "the old key is disabled and will be deleted",
        meaning: "keeps the old key disabled",
        impact: CAN_COME_BACK,
    },
    Revoking: PhaseRow {
        label: "revoking",
        takes: &[E::OldKeyGone, E::Alarmed, E::ExpirySettled, E::RollbackBegun, E::Parked, E::AbortRequested],
        path: Path::Rotation, waits: false, is_setback: false, may_publish_again: true,
        needs_old_key: NeedsOldKey::Always, old_key: OldKey::Disabled, quarantine: Quarantine::NotPlanned,
        held_by: Some(HoldKind::Revoking), admin_key: AdminKeySide::New,
        ended: None,
        summary: "the old key is being deleted",
        meaning: "deletes the old key",
        impact: ONE_STAYS,
    },
    Reinstating: PhaseRow {
        label: "reinstating",
        takes: &[E::OldKeyEnabled, E::ExpirySettled, E::RollbackBegun, E::Parked, E::AbortRequested],
        path: Path::Aside, waits: false, is_setback: true, may_publish_again: true,
        needs_old_key: NeedsOldKey::Always, old_key: OldKey::Disabled, quarantine: Quarantine::NotPlanned,
        held_by: None, admin_key: AdminKeySide::New,
        ended: None,
        summary: "the old key is being enabled again",
        meaning: "enables the old key",
        impact: CAN_COME_BACK,
    },
    Discarding: PhaseRow {
        label: "discarding",
        takes: &[E::Discarded, E::Parked],
        path: Path::Aside, waits: false, is_setback: true, may_publish_again: false,
        needs_old_key: NeedsOldKey::Never, old_key: OldKey::Enabled, quarantine: Quarantine::NotPlanned,
        held_by: None, admin_key: AdminKeySide::Either,
        ended: None,
        summary: "the new key is being discarded",
        meaning: "deletes the unused new key",
        impact: UNTOUCHED,
    },
    RollingBack: PhaseRow {
        label: "rolling_back",
        takes: &[E::OldKeyEnabled, E::Restored, E::ExpirySettled, E::OverwriteRequested, E::Parked],
        path: Path::Rollback, waits: false, is_setback: true, may_publish_again: true,
        needs_old_key: NeedsOldKey::Always, old_key: OldKey::Disabled, quarantine: Quarantine::NotPlanned,
        held_by: None, admin_key: AdminKeySide::Old,
        ended: None,
        summary: "the old key is being promoted again",
        meaning: "makes the old key current",
        impact: GOES_BACK,
    },
    Returning: PhaseRow {
        label: "returning",
        takes: &[E::ClockAgreed, E::ReturnPassed, E::OverwriteRequested, E::Parked],
        path: Path::Rollback, waits: true, is_setback: false, may_publish_again: true,
        needs_old_key: NeedsOldKey::Never, old_key: OldKey::Enabled, quarantine: Quarantine::NotPlanned,
        held_by: Some(HoldKind::Revoking), admin_key: AdminKeySide::Old,
        ended: None,
        summary: "rolled back; consumers are switching to the old key",
        meaning: "consumers switch back",
        impact: BOTH_WORK,
    },
    Withdrawing: PhaseRow {
        label: "withdrawing",
        takes: &[E::NewKeyGone, E::OverwriteRequested, E::Parked],
        path: Path::Rollback, waits: false, is_setback: false, may_publish_again: true,
        needs_old_key: NeedsOldKey::Never, old_key: OldKey::Enabled, quarantine: Quarantine::NotPlanned,
        held_by: Some(HoldKind::Revoking), admin_key: AdminKeySide::Old,
        ended: None,
        summary: "rolled back; the new key is being deleted",
        meaning: "deletes the new key",
        impact: ONE_STAYS,
    },
    Parked: PhaseRow {
        label: "parked",
        takes: &[E::Retried, E::OverwriteRequested, E::ExpirySettled, E::RollbackBegun, E::AbortRequested],
        path: Path::Aside, waits: false, is_setback: true, may_publish_again: false,
        needs_old_key: NeedsOldKey::Never, old_key: OldKey::Enabled, quarantine: Quarantine::NotPlanned,
        held_by: None, admin_key: AdminKeySide::Either,
        ended: None,
        summary: "the rotation waits for an operator",
        meaning: "waits for an operator",
        impact: "None by itself. The reason says what is wrong.",
    },
    Done: PhaseRow {
        label: "done",
        takes: &[],
        path: Path::Rotation, waits: false, is_setback: false, may_publish_again: false,
        needs_old_key: NeedsOldKey::Never, old_key: OldKey::Deleted, quarantine: Quarantine::NotPlanned,
        held_by: None, admin_key: AdminKeySide::Either,
        ended: Some((Occurrence::Rotated, "has a new key; the old key is deleted")),
        summary: "the rotation has ended",
        meaning: "the new key is in service",
        impact: IN_SERVICE,
    },
    Aborted: PhaseRow {
        label: "aborted",
        takes: &[],
        path: Path::Aside, waits: false, is_setback: true, may_publish_again: false,
        needs_old_key: NeedsOldKey::Never, old_key: OldKey::Enabled, quarantine: Quarantine::NotPlanned,
        held_by: None, admin_key: AdminKeySide::Either,
        ended: Some((Occurrence::Aborted, "keeps its key; the rotation was aborted")),
        summary: "the rotation has ended",
        meaning: "the old key stays in service",
        impact: IN_SERVICE,
    },
    RolledBack: PhaseRow {
        label: "rolled_back",
        takes: &[],
        path: Path::Rollback, waits: false, is_setback: false, may_publish_again: false,
        needs_old_key: NeedsOldKey::Never, old_key: OldKey::Enabled, quarantine: Quarantine::NotPlanned,
        held_by: None, admin_key: AdminKeySide::Either,
        ended: Some((Occurrence::RolledBack, "was rolled back to its old key")),
        summary: "the rotation has ended",
        meaning: "the old key is in service",
        impact: IN_SERVICE,
    },
}

impl PhaseName {
    #[must_use]
    pub fn label(self) -> &'static str {
        self.row().label
    }

    /// Whether a rotation that comes here is over.
    #[must_use]
    pub fn is_end(self) -> bool {
        self.row().ended.is_some()
    }
}
