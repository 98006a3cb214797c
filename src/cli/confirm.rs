//! The question before an order that cannot be taken back, or that hurts somebody: asked of a person at a terminal, never
//! of a program.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::cli::daemon::{Output, Unmet};
use crate::cli::paragraphs::Paragraphs;

const TRIES: usize = 3;

#[derive(clap::Args)]
pub(super) struct Sure {
    /// Do it without asking; without a terminal, and with --output json, nobody is asked anyway
    #[arg(long)]
    yes: bool,
}

impl Sure {
    /// Whether somebody is there who has to be asked.
    pub(super) fn has_to_be_asked(&self, output: Output) -> bool {
        let is_person = io::stdin().is_terminal() && io::stderr().is_terminal();
        !self.yes && output == Output::Text && is_person
    }
}

/// Says what will happen, and asks.
///
/// # Errors
/// It is not wanted, or nobody answers.
pub(super) fn ask(what: &str) -> Result<(), Unmet> {
    let mut said = Paragraphs::default();
    said.line(0, what);
    let mut said = said.finish();
    for _ in 0..TRIES {
        let asked = write!(io::stderr(), "{said}Go on? [yes/no] ");
        let mut line = String::new();
        match asked.and_then(|()| io::stdin().lock().read_line(&mut line)) {
            Ok(1..) => {}
            Ok(0) | Err(_) => break,
        }
        match line.trim().to_lowercase().as_str() {
            "y" | "yes" => return Ok(()),
            "n" | "no" => break,
            _ => said = String::new(),
        }
    }
    let message = "nothing was done: `--yes` does it without asking".to_owned();
    Err(Unmet::Refused { code: "not_confirmed".to_owned(), message })
}
