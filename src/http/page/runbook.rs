//! The runbook entries, parsed from the document: the page shows the same text as the runbook.

use maud::{Markup, html};

const RUNBOOK: &str = include_str!("../../../docs/runbook.md");

/// The runbook entry of one state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) title: String,
    /// The paragraphs before the list.
    pub(super) meaning: Vec<String>,
    /// Who is affected.
    pub(super) impact: Option<String>,
    pub(super) action: Option<String>,
    pub(super) verify: Option<String>,
}

/// The entry with this heading: a label in backticks, or text.
pub(super) fn entry(title: &str) -> Option<Entry> {
    let heads = [format!("\n### `{title}`\n"), format!("\n### {title}\n")];
    let rest = heads.iter().find_map(|head| RUNBOOK.split_once(head.as_str()))?.1;
    let body = rest.split("\n#").next().unwrap_or(rest);
    let mut entry = Entry { title: title.to_owned(), ..Entry::default() };
    // Each list item is a block. Commands and the sentences that introduce them are left out: the page has commands for
    // the credential.
    for block in body.replace("\n- **", "\n\n- **").split("\n\n") {
        let text = block.split_whitespace().collect::<Vec<_>>().join(" ");
        let point = |name: &str| text.strip_prefix(&format!("- **{name}:** ")).map(capital);
        if let Some(impact) = point("Impact") {
            entry.impact = Some(impact);
        } else if let Some(action) = point("Action") {
            entry.action = Some(action);
        } else if let Some(verify) = point("Verify") {
            entry.verify = Some(verify);
        } else if !text.is_empty() && !text.starts_with("```") && !text.ends_with(':') {
            entry.meaning.push(text);
        }
    }
    Some(entry)
}

fn capital(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map(|first| first.to_uppercase().chain(rest).collect()).unwrap_or_default()
}

/// Renders a paragraph of the document: backticks become code, links become their text.
pub(super) fn prose(text: &str) -> Markup {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('[') {
        plain.push_str(before);
        let whole = link.split_once("](").and_then(|(shown, to)| Some((shown, to.split_once(')')?.1)));
        let (shown, after) = whole.unwrap_or(("[", link));
        plain.push_str(shown);
        rest = after;
    }
    plain.push_str(rest);
    let plain = plain.replace("**", "");
    html! {
        @for (index, part) in plain.split('`').enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_its_parts() {
        let entry = entry("foreign_value").unwrap();
        assert!(!entry.meaning.is_empty());
        for part in [&entry.impact, &entry.action, &entry.verify] {
            let part = part.as_deref().unwrap();
            let begins_well = |first: char| first.is_uppercase() || first == '`';
            assert!(part.starts_with(begins_well) && !part.contains("**"), "{part}");
        }
        assert_eq!(super::entry("no such state"), None);
        assert!(!super::entry("Key expired").unwrap().meaning.is_empty());
    }

    #[test]
    fn prose_is_escaped_and_has_code_and_no_links() {
        let rendered =
            prose("a `rekeyd <b>` of [leaks](leaks.md#x), [`mint`](#mint) **now** [and so on").into_string();
        assert_eq!(rendered, "a <code>rekeyd &lt;b&gt;</code> of leaks, <code>mint</code> now [and so on");
    }
}
