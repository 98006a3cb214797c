//! The runbook's entries, out of the document itself: what the page says of a state is what the runbook says.

use maud::{Markup, html};

const RUNBOOK: &str = include_str!("../../../docs/runbook.md");

/// What the runbook says of one state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) title: String,
    /// Paragraphs that say what it means.
    pub(super) meaning: Vec<String>,
    /// Whether anyone is hurt, what to do, how to see that it worked: not every entry says each apart.
    pub(super) hurt: Option<String>,
    pub(super) to_do: Option<String>,
    pub(super) verify: Option<String>,
}

/// The entry below this heading, which is a label in backticks, or words.
pub(super) fn entry(title: &str) -> Option<Entry> {
    let heads = [format!("\n### `{title}`\n"), format!("\n### {title}\n")];
    let rest = heads.iter().find_map(|head| RUNBOOK.split_once(head.as_str()))?.1;
    let body = rest.split("\n#").next().unwrap_or(rest);
    let mut entry = Entry { title: title.to_owned(), ..Entry::default() };
    // A list may follow its paragraph or stand apart: each point is a block of its own. What only leads to commands is
    // left out with them: those of the page are made for the credential.
    for block in body.replace("\n- **", "\n\n- **").split("\n\n") {
        let text = block.split_whitespace().collect::<Vec<_>>().join(" ");
        let point = |name: &str| text.strip_prefix(&format!("- **{name}:** ")).map(capital);
        if let Some(hurt) = point("Hurt") {
            entry.hurt = Some(hurt);
        } else if let Some(to_do) = point("Do") {
            entry.to_do = Some(to_do);
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

/// A paragraph of the document: what stands in backticks is code, of a link its text stays.
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
    fn an_entry_is_taken_apart() {
        let entry = entry("foreign_value").unwrap();
        assert!(!entry.meaning.is_empty());
        for part in [&entry.hurt, &entry.to_do, &entry.verify] {
            let part = part.as_deref().unwrap();
            let begins_well = |first: char| first.is_uppercase() || first == '`';
            assert!(part.starts_with(begins_well) && !part.contains("**"), "{part}");
        }
        assert_eq!(super::entry("no such state"), None);
        assert!(!super::entry("Its key has expired").unwrap().meaning.is_empty());
    }

    #[test]
    fn prose_is_escaped_and_has_code_and_no_links() {
        let told =
            prose("a `rekeyd <b>` of [leaks](leaks.md#x), [`mint`](#mint) **now** [and so on").into_string();
        assert_eq!(told, "a <code>rekeyd &lt;b&gt;</code> of leaks, <code>mint</code> now [and so on");
    }
}
