//! Text for a terminal of eighty columns, or of fewer: headings, lines and labelled rows, broken between words.

use std::io::{self, IsTerminal};

use rustix::termios::tcgetwinsize;

use crate::config_file::environment::{Environment, ProcessEnvironment};
use crate::domain::sanitize::one_line;

const WIDTH: usize = 80;
/// Narrower text would be unreadable.
const WIDTH_MIN: usize = 40;
/// Where the text of a labelled row begins.
const COLUMN: usize = 18;

pub(super) struct Paragraphs {
    text: String,
    width: usize,
}

impl Default for Paragraphs {
    fn default() -> Self {
        Self { text: String::new(), width: columns().map_or(WIDTH, |it| it.clamp(WIDTH_MIN, WIDTH)) }
    }
}

/// How wide the terminal is, if it is one.
fn columns() -> Option<usize> {
    let out = io::stdout();
    if !out.is_terminal() {
        return None;
    }
    let declared = ProcessEnvironment.read("COLUMNS").and_then(|columns| columns.parse().ok());
    let measured = || tcgetwinsize(&out).ok().map(|size| usize::from(size.ws_col));
    declared.or_else(measured).filter(|columns| *columns > 0)
}

impl Paragraphs {
    pub(super) fn heading(&mut self, heading: &str) {
        self.text += &format!("\n{heading}\n");
    }

    /// Continuation lines are indented by two more.
    pub(super) fn line(&mut self, indent: usize, line: &str) {
        self.put(&" ".repeat(indent), indent + 2, line);
    }

    /// A label with its text beside it; continuation lines align with the text.
    pub(super) fn row(&mut self, label: &str, text: &str) {
        let label = format!("  {:<width$}", one_line(label), width = COLUMN - 2);
        let label = if label.chars().count() > COLUMN { format!("{label} ") } else { label };
        self.put(&label, COLUMN, text);
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    fn put(&mut self, before: &str, indent: usize, text: &str) {
        let mut line = before.to_owned();
        let mut is_empty = true;
        for word in one_line(text).split_whitespace() {
            let length = line.chars().count() + usize::from(!is_empty) + word.chars().count();
            if length > self.width && !(is_empty && line.trim().is_empty()) {
                self.text += line.trim_end();
                self.text.push('\n');
                line = " ".repeat(indent);
                is_empty = true;
            }
            if !is_empty {
                line.push(' ');
            }
            line += word;
            is_empty = false;
        }
        self.text += line.trim_end();
        self.text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_wider_than_the_terminal_unless_a_word_is() {
        let mut paragraphs = Paragraphs::default();
        paragraphs.line(2, &"seven ".repeat(40));
        paragraphs.row("label", &"seven ".repeat(40));
        paragraphs.row("a label that is longer than its column", "and its text");
        paragraphs.line(0, &format!("before {} after", "x".repeat(100)));
        let text = paragraphs.finish();
        assert!(text.lines().all(|line| line.len() <= WIDTH || line.contains("xxx")), "{text}");
        assert_eq!(text.matches("seven").count(), 80);
        assert!(text.contains("\n                  seven"), "{text}");
        assert!(text.ends_with("after\n") && text.contains("its column and its text"), "{text}");
    }
}
