//! The live timeline: one line per event, with the time since the start.

use std::io::{self, Write};
use std::time::Instant;

use crate::domain::sanitize::one_line;

/// What kind of thing happened: its sign, and its colour where there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Of the rehearsal itself.
    Scene,
    Begin,
    Good,
    Quiet,
    Switch,
    Gone,
    Done,
    Trouble,
}

impl Mood {
    fn sign(self) -> &'static str {
        match self {
            Self::Scene => "*",
            Self::Begin => ">",
            Self::Good => "+",
            Self::Quiet => " ",
            Self::Switch => "~",
            Self::Gone => "-",
            Self::Done => "=",
            Self::Trouble => "!",
        }
    }

    fn colour(self) -> &'static str {
        match self {
            Self::Scene => "1",
            Self::Begin => "36",
            Self::Good => "32",
            Self::Quiet => "2",
            Self::Switch => "34",
            Self::Gone => "33",
            Self::Done => "1;32",
            Self::Trouble => "1;31",
        }
    }
}

/// Where the timeline is written.
pub struct Timeline {
    begun: Instant,
    colours: bool,
}

impl Timeline {
    #[must_use]
    pub fn unroll(colours: bool) -> Self {
        Self { begun: Instant::now(), colours }
    }

    /// Writes a line about `who`.
    pub fn tell(&self, who: &str, mood: Mood, text: &str) {
        let seconds = self.begun.elapsed().as_secs_f64();
        // What outside systems say must not move the cursor.
        let text = one_line(text);
        let (sign, colour) = (mood.sign(), mood.colour());
        self.write(&if self.colours {
            format!(
                "\x1b[2m{seconds:6.1}s\x1b[0m  \x1b[1m{who:<12}\x1b[0m \x1b[{colour}m{sign} {text}\x1b[0m\n"
            )
        } else {
            format!("{seconds:6.1}s  {who:<12} {sign} {text}\n")
        });
    }

    /// Writes text as it is, in bold where there are colours.
    pub fn title(&self, text: &str) {
        self.write(&if self.colours { format!("\x1b[1m{text}\x1b[0m\n") } else { format!("{text}\n") });
    }

    /// Writes text as it is.
    pub fn write(&self, text: &str) {
        let mut out = io::stdout().lock();
        // Whoever stopped reading does not need the rest; how it went is said by the exit code.
        drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
    }

    #[must_use]
    pub fn elapsed(&self) -> std::time::Duration {
        self.begun.elapsed()
    }
}
