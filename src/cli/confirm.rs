//! The confirmation prompt before a destructive command: on a terminal only, never for a program.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::cli::daemon::{CallError, Output};
use crate::cli::paragraphs::Paragraphs;

const TRIES: usize = 3;

#[derive(clap::Args)]
pub(super) struct Confirmation {
    /// Skip the confirmation prompt; there is none without a terminal or with --output json. Then credentials that are not
    /// all named are left as they are without it
    #[arg(long)]
    yes: bool,
}

impl Confirmation {
    /// Whether the operator has said yes beforehand.
    pub(super) fn is_given(&self) -> bool {
        self.yes
    }

    /// Whether the command prompts first.
    pub(super) fn is_needed(&self, output: Output) -> bool {
        let is_interactive = io::stdin().is_terminal() && io::stderr().is_terminal();
        !self.yes && output == Output::Text && is_interactive
    }
}

/// Shows the consequences and prompts.
///
/// # Errors
/// The operator declined, or the terminal was closed.
pub(super) fn ask(what: &str) -> Result<(), CallError> {
    ask_about(&[what.to_owned()])
}

/// As [`ask`], about several lines; each may be indented.
///
/// # Errors
/// As of [`ask`].
pub(super) fn ask_about(lines: &[String]) -> Result<(), CallError> {
    let mut paragraphs = Paragraphs::default();
    for line in lines {
        let text = line.trim_start();
        paragraphs.line(line.len() - text.len(), text);
    }
    let mut prompt = paragraphs.finish();
    for _ in 0..TRIES {
        let written = write!(io::stderr(), "{prompt}Continue? [yes/no] ");
        let mut line = String::new();
        match written.and_then(|()| io::stdin().lock().read_line(&mut line)) {
            Ok(1..) => {}
            Ok(0) | Err(_) => break,
        }
        match line.trim().to_lowercase().as_str() {
            "y" | "yes" => return Ok(()),
            "n" | "no" => break,
            _ => prompt = String::new(),
        }
    }
    let message = "cancelled, nothing was changed; pass `--yes` to skip the prompt".to_owned();
    Err(CallError::Refused { code: "not_confirmed".to_owned(), message })
}
