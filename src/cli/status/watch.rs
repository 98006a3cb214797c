//! `rekeyd status --watch`: shows the status again and again, until it is interrupted or nobody reads any more.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use crate::cli::exit::CommandError;
use crate::cli::journal::Output;
use crate::cli::status::Shown;

/// To the upper left corner, then clears what is below. What was shown before can still be scrolled to.
const FROM_THE_TOP: &str = "\u{1b}[H\u{1b}[J";

/// A status that cannot be read now is said, and read again: the daemon may be starting.
pub(super) fn run(
    every: Duration,
    output: Output,
    shown: impl Fn() -> Result<Shown, CommandError>,
) -> ExitCode {
    if output == Output::Json {
        let why = "`--watch` is for a terminal: run `rekeyd status --output json` as often as you want";
        return CommandError::usage(why).report(true);
    }
    let is_terminal = io::stdout().is_terminal();
    loop {
        let text = match shown() {
            Ok((text, _)) => text,
            Err(failed) => format!("rekeyd: {failed}\n"),
        };
        let before = if is_terminal { FROM_THE_TOP } else { "" };
        let after = if is_terminal { "" } else { "\n" };
        let mut out = io::stdout().lock();
        if out.write_all(format!("{before}{text}{after}").as_bytes()).and_then(|()| out.flush()).is_err() {
            return ExitCode::SUCCESS;
        }
        drop(out);
        thread::sleep(every);
    }
}
