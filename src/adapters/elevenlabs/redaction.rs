//! Makes a text of the provider's fit to be journalled and shown: no value, nothing unprintable, not endless.

use crate::domain::sanitize::is_unseen;

/// A text longer than this is cut before it is searched: no message for people needs more.
const SEARCHED_CHARACTERS_MAX: usize = 4096;
/// A run this long that also stands in a value in use is taken for a piece of it.
const PIECE_CHARACTERS: usize = 12;
/// `sk_` and this many letters, digits, `_` and `-` are taken for values, whole or not, one or several.
const MARKED_CHARACTERS: usize = 8;
/// Older values are bare hexadecimal digits; a run this long is taken for one.
const HEX_CHARACTERS: usize = 32;
const MARK: &str = "sk_";
const SHOWN_INSTEAD: &str = "[redacted]";

/// `text` in one printable line of at most `characters_max`, without anything that is, or may be, one of `values`
/// or another key's value.
pub(super) fn presentable(text: &str, values: &[&str], characters_max: usize) -> String {
    cut(&without_values(&in_one_line(text), values, true), characters_max)
}

/// As [`presentable`], for a text in which we stand by long hexadecimal words: ids and nonces.
pub(super) fn presentable_with_ids(text: &str, values: &[&str], characters_max: usize) -> String {
    cut(&without_values(&in_one_line(text), values, false), characters_max)
}

fn in_one_line(text: &str) -> Vec<char> {
    let mut line: Vec<char> = Vec::new();
    for character in text.chars().take(SEARCHED_CHARACTERS_MAX) {
        if character.is_whitespace() {
            if line.last().is_some_and(|last| *last != ' ') {
                line.push(' ');
            }
        } else if !is_unseen(character) {
            line.push(character);
        }
    }
    line
}

fn without_values(line: &[char], values: &[&str], hex_too: bool) -> String {
    let values: Vec<Vec<char>> = values.iter().map(|value| value.chars().collect()).collect();
    let mut shown = String::with_capacity(line.len());
    let mut rest = line;
    let mut word_begins = true;
    while let Some((first, after)) = rest.split_first() {
        let hidden = values
            .iter()
            .map(|value| shared_run(rest, value))
            .chain([marked_run(rest), if hex_too && word_begins { hex_run(rest) } else { 0 }])
            .max()
            .unwrap_or(0);
        if hidden > 0 {
            if !shown.ends_with(SHOWN_INSTEAD) {
                shown.push_str(SHOWN_INSTEAD);
            }
            rest = rest.get(hidden..).unwrap_or_default();
            word_begins = false;
        } else {
            shown.push(*first);
            word_begins = !first.is_ascii_alphanumeric();
            rest = after;
        }
    }
    shown
}

/// How many characters at the beginning of `text` are a piece of `value` that is long enough to matter.
fn shared_run(text: &[char], value: &[char]) -> usize {
    let enough = PIECE_CHARACTERS.min(value.len()).max(1);
    value
        .windows(enough)
        .enumerate()
        .filter(|(_, piece)| text.starts_with(piece))
        .map(|(at, _)| value.iter().skip(at).zip(text).take_while(|(a, b)| a == b).count())
        .max()
        .unwrap_or(0)
}

fn marked_run(text: &[char]) -> usize {
    let mark: Vec<char> = MARK.chars().collect();
    let Some(after) = text.strip_prefix(mark.as_slice()) else {
        return 0;
    };
    let run = after.iter().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).count();
    if run >= MARKED_CHARACTERS { mark.len() + run } else { 0 }
}

fn hex_run(text: &[char]) -> usize {
    let run = text.iter().take_while(|c| c.is_ascii_hexdigit()).count();
    if run >= HEX_CHARACTERS { run } else { 0 }
}

fn cut(text: &str, characters_max: usize) -> String {
    if text.chars().count() <= characters_max {
        return text.trim().to_owned();
    }
    let mut short: String = text.chars().take(characters_max.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &str = "sk_0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn no_piece_of_a_value_survives() {
        let odd = "Correct+Horse/Battery=Staple";
        for (text, shown) in [
            (format!("key {VALUE} is bad"), "key [redacted] is bad".to_owned()),
            (format!("{VALUE}{VALUE}"), "[redacted]".to_owned()),
            ("another one: sk_ffffffffffffffffffff.".to_owned(), "another one: [redacted].".to_owned()),
            (format!("value={odd}!"), "value=[redacted]!".to_owned()),
            (format!("ends in {}", &odd[10..]), "ends in [redacted]".to_owned()),
            ("old 0123456789abcdef0123456789abcdef".to_owned(), "old [redacted]".to_owned()),
            ("hidden Corr\u{200b}ect+Horse/Battery=Staple".to_owned(), "hidden [redacted]".to_owned()),
            ("sk_learn and a short word".to_owned(), "sk_learn and a short word".to_owned()),
        ] {
            assert_eq!(presentable(&text, &[odd], 200), shown);
        }
    }

    #[test]
    fn a_nonce_is_kept_in_a_text_of_ours() {
        let text = "tts rk-0190b8a0000070008000000000000001-1";
        assert_eq!(presentable_with_ids(text, &[VALUE], 200), text);
    }

    #[test]
    fn a_text_becomes_one_printable_line_of_bounded_length() {
        assert_eq!(presentable("a\u{1b}[31m\n\t b\u{202e}c", &[], 99), "a[31m bc");
        assert_eq!(presentable(&"ü".repeat(1_000_000), &[], 10), format!("{}…", "ü".repeat(9)));
    }

    proptest::proptest! {
        #[test]
        fn wherever_pieces_of_values_stand_they_are_gone(
            words in proptest::collection::vec("[a-f0-9sk_ ]{0,20}|(sk_)?[a-zA-Z0-9+/=-]{0,60}|.{0,9}", 1..8),
            value in "(sk_)?[a-zA-Z0-9+/=_-]{12,80}",
            cuts in proptest::collection::vec((0usize..80, 0usize..80), 8),
        ) {
            let mut text = String::new();
            for (word, (from, length)) in words.iter().zip(cuts) {
                text.push_str(word);
                text.extend(value.chars().skip(from).take(length));
            }
            let shown = presentable(&text, &[&value, VALUE], 600);
            for value in [value.as_str(), VALUE] {
                let whole: Vec<char> = value.chars().collect();
                for piece in whole.windows(PIECE_CHARACTERS) {
                    let piece: String = piece.iter().collect();
                    proptest::prop_assert!(!shown.contains(&piece), "{piece} stands in {shown}");
                }
            }
        }
    }
}
