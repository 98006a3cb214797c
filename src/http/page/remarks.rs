//! What there is to say beside the credentials: a notice each, with what to type.

use maud::{Markup, html};

use crate::domain::report::condition::{Condition, ConditionKind};
use crate::http::page::words::{self, command};

pub(super) fn notice(remark: &Condition) -> Markup {
    let group = match remark.kind {
        ConditionKind::JournalUnwritable => "bad",
        ConditionKind::StoreFailing => "warn",
        ConditionKind::OrphanDeleted => "",
    };
    html! {
        div class={ "notice " (group) } {
            h2 { (title(remark.kind)) }
            p { (words::said(&remark.message)) }
            (command(&remark.next_command))
        }
    }
}

pub(super) fn title(kind: ConditionKind) -> &'static str {
    match kind {
        ConditionKind::JournalUnwritable => "The journal cannot be written",
        ConditionKind::StoreFailing => "A store fails",
        ConditionKind::OrphanDeleted => "An orphan was found and deleted",
    }
}
