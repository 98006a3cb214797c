//! The log: for people on a terminal, JSON for machines, and systemd's own form under systemd.

use std::fmt;
use std::io;
use std::panic::{self, PanicHookInfo};

use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{EnvFilter, ParseError, Targets};
use tracing_subscriber::fmt::format::{Compact, DefaultFields, Format as Lines, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// What is logged if nobody says otherwise.
const DEFAULT: &str = "info";

/// Libraries that show headers and bodies when they are let talk: never below these levels, whatever the filter says.
const CAPPED: [(&str, LevelFilter); 6] = [
    ("aws_", LevelFilter::INFO),
    ("h2", LevelFilter::INFO),
    ("hyper", LevelFilter::DEBUG),
    ("reqwest", LevelFilter::DEBUG),
    ("rustls", LevelFilter::DEBUG),
    ("tower", LevelFilter::DEBUG),
];

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For a person, with colours if the terminal has them.
    Human { colours: bool },
    /// One JSON object a line.
    Json,
    /// For systemd's journal, which has the time and wants the priority.
    Systemd,
}

impl Format {
    /// The format that fits the standard error: a terminal, systemd's journal, or anything else.
    #[must_use]
    pub fn fitting(is_terminal: bool, colours: bool, is_systemd_journal: bool) -> Self {
        match (is_terminal, is_systemd_journal) {
            (true, _) => Self::Human { colours },
            (false, true) => Self::Systemd,
            (false, false) => Self::Json,
        }
    }
}

/// Why logging could not begin.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    #[error("the log filter cannot be used: {0}; it is a list such as `info,rekeyd=debug`")]
    Filter(#[from] ParseError),
    #[error("logging has begun already")]
    Begun(#[from] TryInitError),
}

/// Logs to the standard error from now on, panics included. `filter` is a list of `target=level`; `None` is `info`.
///
/// # Errors
/// The filter cannot be understood, or this was called before.
pub fn init(format: Format, filter: Option<&str>) -> Result<(), Failed> {
    subscriber(format, filter, io::stderr)?.try_init()?;
    panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// What [`init`] makes the global subscriber, for any writer.
///
/// # Errors
/// The filter cannot be understood.
pub fn subscriber<W>(
    format: Format,
    filter: Option<&str>,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, ParseError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = filter.map(str::trim).filter(|filter| !filter.is_empty()).unwrap_or(DEFAULT);
    let caps = Targets::new().with_default(LevelFilter::TRACE).with_targets(CAPPED);
    let base = tracing_subscriber::registry().with(EnvFilter::try_new(filter)?).with(caps);
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    Ok(match format {
        Format::Human { colours } => {
            let lines = OneLine { lines: Lines::default().with_ansi(colours).compact(), priority: false };
            Box::new(base.with(layer.with_ansi(colours).event_format(lines)))
        }
        Format::Json => Box::new(base.with(layer.json().flatten_event(true))),
        Format::Systemd => {
            let lines = OneLine { lines: Lines::default().compact().without_time(), priority: true };
            Box::new(base.with(layer.with_ansi(false).event_format(lines)))
        }
    })
}

/// One event is one line, whatever outside systems said in it, with the priority before it if wanted.
struct OneLine<T> {
    lines: Lines<Compact, T>,
    priority: bool,
}

impl<S, T> FormatEvent<S, DefaultFields> for OneLine<T>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    Lines<Compact, T>: FormatEvent<S, DefaultFields>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, DefaultFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        let mut inner = Writer::new(&mut line);
        self.lines.format_event(context, inner.by_ref(), event)?;
        if self.priority {
            write!(writer, "<{}>", priority(*event.metadata().level()))?;
        }
        writeln!(writer, "{}", line.trim_end().replace(['\n', '\r'], " "))
    }
}

/// As syslog counts.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

/// A message that was put together while running may hold anything; one from the source is only what the source says.
fn log_panic(info: &PanicHookInfo<'_>) {
    let message = info.payload().downcast_ref::<&'static str>().copied().unwrap_or("(message withheld)");
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(%place, message, "panicked");
}
