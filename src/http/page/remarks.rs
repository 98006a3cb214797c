//! What there is to say beside the credentials: a notice each, with what to type.

use maud::{Markup, html};

use crate::domain::report::remark::{Remark, RemarkKind};
use crate::http::page::words::{self, command};

pub(super) fn notice(remark: &Remark) -> Markup {
    let group = match remark.kind {
        RemarkKind::JournalUnwritable => "bad",
        RemarkKind::StoreFailing => "warn",
        RemarkKind::OrphanDeleted => "",
    };
    html! {
        div class={ "notice " (group) } {
            h2 { (title(remark.kind)) }
            p { (words::said(&remark.message)) }
            (command(&remark.next_command))
        }
    }
}

pub(super) fn title(kind: RemarkKind) -> &'static str {
    match kind {
        RemarkKind::JournalUnwritable => "The journal cannot be written",
        RemarkKind::StoreFailing => "A store fails",
        RemarkKind::OrphanDeleted => "An orphan was found and deleted",
    }
}
