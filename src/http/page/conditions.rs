//! The conditions of the daemon: a banner for each, with the next command.

use maud::{Markup, html};

use crate::domain::report::condition::{Condition, ConditionKind};
use crate::http::page::format::{self, command};

pub(super) fn banner(condition: &Condition) -> Markup {
    let group = match condition.kind {
        ConditionKind::JournalUnwritable
        | ConditionKind::FindingUnsaved
        | ConditionKind::AdminKeyRejected => "bad",
        ConditionKind::StoreFailing
        | ConditionKind::WorkspaceFailing
        | ConditionKind::WorkspaceSilent
        | ConditionKind::WorkspaceUnlisted
        | ConditionKind::NoDaemon => "warn",
        ConditionKind::OrphanDeleted | ConditionKind::KeyChangedByOthers => "",
    };
    html! {
        div class={ "notice " (group) } {
            h2 { (title(condition.kind)) }
            p { (format::inline(&condition.message)) }
            (command(&condition.next_command))
        }
    }
}

pub(super) fn title(kind: ConditionKind) -> &'static str {
    match kind {
        ConditionKind::JournalUnwritable => "Cannot write the journal",
        ConditionKind::FindingUnsaved => "Finding not recorded",
        ConditionKind::StoreFailing => "Store failing",
        ConditionKind::AdminKeyRejected => "Admin key rejected",
        ConditionKind::WorkspaceFailing => "Workspace not answering",
        ConditionKind::WorkspaceSilent => "Workspace silent",
        ConditionKind::WorkspaceUnlisted => "Workspace not listed yet",
        ConditionKind::NoDaemon => "No daemon running",
        ConditionKind::OrphanDeleted => "Orphaned key deleted",
        ConditionKind::KeyChangedByOthers => "Key changed by others",
    }
}
