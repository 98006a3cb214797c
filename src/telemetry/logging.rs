//! The log: readable lines on a terminal, systemd's own protocol under systemd, and JSON elsewhere. Lines are written by a
//! thread of their own, from a bounded [`queue`].

use std::any::Any;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::panic::{self, PanicHookInfo};
use std::path::Path;

use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{EnvFilter, ParseError, Targets};
use tracing_subscriber::fmt::format::{Compact, DefaultFields, Format as Lines, Writer};
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, MakeWriter};
use tracing_subscriber::layer::{Layered, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::telemetry::journald::{self, Journald, priority};

mod output;
pub(in crate::telemetry) mod queue;
mod readable;

pub use crate::telemetry::logging::output::{Logging, flush, lines_dropped};
use crate::telemetry::logging::queue::Line;
use crate::telemetry::logging::readable::TimeOfDay;

/// The filter that applies by default.
const DEFAULT: &str = "info";

/// Libraries that log headers and bodies at lower levels than these; the filter cannot lower the caps.
const CAPPED: [(&str, LevelFilter); 7] = [
    ("aws_", LevelFilter::INFO),
    ("h2", LevelFilter::INFO),
    ("hyper", LevelFilter::DEBUG),
    ("reqwest", LevelFilter::DEBUG),
    ("rustls", LevelFilter::DEBUG),
    ("tokio_cron_scheduler", LevelFilter::WARN), // its info lines are noise
    ("tower", LevelFilter::DEBUG),
];

/// The format of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Readable lines for a terminal.
    Human { colours: bool },
    /// One JSON object per line.
    Json,
    /// Entries of systemd's journal with the event's fields; lines with a priority where the journal does not listen.
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

/// Whether a stream, such as the standard error, leads to systemd's journal: `journal_stream` is `$JOURNAL_STREAM`,
/// which stays set when the stream is redirected.
#[must_use]
pub fn leads_to_journal(journal_stream: Option<&str>, stream: impl AsFd) -> bool {
    let metadata = stream.as_fd().try_clone_to_owned().and_then(|stream| File::from(stream).metadata());
    metadata.is_ok_and(|it| journal_stream == Some(format!("{}:{}", it.dev(), it.ino()).as_str()))
}

/// Why logging could not begin.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    #[error("cannot use the log filter: {0}; write a list such as `info,rekeyd=debug`")]
    Filter(#[from] ParseError),
    #[error("logging has begun already")]
    Begun(#[from] TryInitError),
    #[error("cannot start the thread that writes the log")]
    Thread(#[source] io::Error),
}

/// Logs to the standard error from now on, panics included, and never waits for it. `filter` is a list of `target=level`;
/// `None` is `info`.
///
/// # Errors
/// The filter cannot be understood, this was called before, or no thread can be started.
pub fn init(format: Format, filter: Option<&str>) -> Result<Logging, LoggingError> {
    let base = base(filter)?;
    let is_journal = format == Format::Systemd;
    let thread = LoggingError::Thread;
    let logging = match is_journal.then(|| journald::Socket::at(Path::new(journald::SOCKET))) {
        Some(Ok(socket)) => {
            let send = move |line: &Line| if socket.sends(line) { Ok(()) } else { output::text(line) };
            let (queue, logging) = output::start(send).map_err(thread)?;
            base.with(Journald::new(queue)).try_init()?;
            logging
        }
        Some(Err(_)) | None => {
            let (queue, logging) = output::start(output::text).map_err(thread)?;
            subscriber(format, filter, queue)?.try_init()?;
            logging
        }
    };
    panic::set_hook(Box::new(log_panic));
    Ok(logging)
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
    let base = base(filter)?;
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    Ok(match format {
        Format::Human { colours } => {
            let lines =
                Lines::default().with_timer(TimeOfDay).with_target(false).with_ansi(colours).compact();
            let lines = OneLine { lines, style: Style::Terminal { colours } };
            Box::new(base.with(layer.with_ansi(colours).event_format(lines)))
        }
        Format::Json => Box::new(base.with(layer.json().flatten_event(true).with_span_list(false))),
        Format::Systemd => {
            let lines = OneLine { lines: Lines::default().compact().without_time(), style: Style::Priority };
            Box::new(base.with(layer.with_ansi(false).event_format(lines)))
        }
    })
}

type Base = Layered<Targets, Layered<EnvFilter, Registry>>;

/// What decides which lines there are.
fn base(filter: Option<&str>) -> Result<Base, ParseError> {
    let filter = filter.map(str::trim).filter(|filter| !filter.is_empty()).unwrap_or(DEFAULT);
    let caps = Targets::new().with_default(LevelFilter::TRACE).with_targets(CAPPED);
    Ok(tracing_subscriber::registry().with(EnvFilter::try_new(filter)?).with(caps))
}

/// One event is one line, whatever outside systems put into its fields.
struct OneLine<T> {
    lines: Lines<Compact, T>,
    style: Style,
}

enum Style {
    /// With the syslog priority before the line.
    Priority,
    /// With transitions as [`readable::transition`] writes them.
    Terminal { colours: bool },
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
        match self.style {
            Style::Terminal { colours } => {
                if let Some(transition) = readable::transition(event, colours) {
                    TimeOfDay.format_time(&mut writer)?;
                    return writeln!(writer, " {transition}");
                }
            }
            Style::Priority => write!(writer, "<{}>", priority(*event.metadata().level()))?,
        }
        self.lines.format_event(context, Writer::new(&mut line), event)?;
        writeln!(writer, "{}", line.trim_end().replace(['\n', '\r'], " "))
    }
}

fn log_panic(info: &PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(%place, words = words_of(info.payload()), "panicked");
}

/// A message that was put together while running may hold anything; one from the source is only what the source says.
fn words_of(payload: &(dyn Any + Send)) -> &'static str {
    payload.downcast_ref::<&'static str>().copied().unwrap_or("(message withheld)")
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format, filter: Option<&str>, say: impl FnOnce()) -> String {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = subscriber(format, filter, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, say);
        String::from_utf8(log.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn the_standard_error_decides_the_format() {
        assert_eq!(Format::fitting(true, true, true), Format::Human { colours: true });
        assert_eq!(Format::fitting(false, true, true), Format::Systemd);
        assert_eq!(Format::fitting(false, true, false), Format::Json);
    }

    #[test]
    fn a_stream_that_somebody_redirected_does_not_lead_to_the_journal() {
        let (journal, other) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        let it = journal.metadata().unwrap();
        let stream = format!("{}:{}", it.dev(), it.ino());
        assert!(leads_to_journal(Some(&stream), &journal));
        assert!(!leads_to_journal(Some(&stream), &other));
        assert!(!leads_to_journal(None, &journal));
    }

    #[test]
    fn systemd_gets_priorities_and_single_lines() {
        let log = logged(Format::Systemd, Some("debug"), || {
            tracing::error!(why = %"first\n<0>second", "failed");
            tracing::warn!("careful");
            tracing::info!(credential = %"tts", "transition");
            tracing::debug!("detail");
        });
        let lines: Vec<&str> = log.lines().collect();
        assert_eq!(lines.len(), 4, "{log}");
        for (line, (priority, word)) in
            lines.iter().zip([("<3>", "failed"), ("<4>", "careful"), ("<6>", "tts"), ("<7>", "detail")])
        {
            assert!(line.starts_with(priority) && line.contains(word), "{line}");
            assert!(!line.contains("20") || !line.contains('Z'), "a time: {line}");
        }
    }

    #[test]
    fn machines_get_an_object_a_line_and_people_a_line() {
        let say = || tracing::info!(credential = %"tts\nx", "transition");
        let json: serde_json::Value = serde_json::from_str(&logged(Format::Json, None, say)).unwrap();
        assert_eq!((json["level"].as_str(), json["message"].as_str()), (Some("INFO"), Some("transition")));
        assert_eq!(json["credential"], "tts\nx");
        let plain = logged(Format::Human { colours: false }, None, say);
        assert!(plain.lines().count() == 1 && plain.contains("INFO") && !plain.contains('\u{1b}'), "{plain}");
        assert!(logged(Format::Human { colours: true }, None, say).contains('\u{1b}'));
    }

    #[test]
    fn a_transition_is_one_readable_line_on_a_terminal() {
        let log = |colours| {
            logged(Format::Human { colours }, None, || {
                let (credential, rotation, entry) = ("tts-backend", "0190b8a0", 4);
                tracing::info!(
                    credential,
                    rotation,
                    entry,
                    event = "verified",
                    from = "staging",
                    to = "verifying"
                );
                tracing::info!(
                    credential,
                    rotation,
                    entry,
                    event = "staged",
                    from = "staging",
                    to = "staging"
                );
                tracing::warn!(credential, rotation, event = "hindered", from = "due", to = "due", failure = %"no\nway");
                let (reason, detail) = ("mint_refused", "the account is full");
                tracing::error!(
                    credential,
                    rotation,
                    event = "parked",
                    from = "minting",
                    to = "parked",
                    reason,
                    detail
                );
            })
        };
        let plain = log(false);
        let lines = plain.lines().map(|line| line.split_once(' ').unwrap());
        let (times, texts): (Vec<&str>, Vec<&str>) = lines.unzip();
        assert!(times.iter().all(|time| time.len() == "10:32:07".len()), "{times:?}");
        assert_eq!(
            texts,
            [
                "tts-backend  staging -> verifying (rotation 0190b8a0)",
                "tts-backend  staging: staged (rotation 0190b8a0)",
                "tts-backend  due: failed, will retry: no way (rotation 0190b8a0)",
                "tts-backend  minting -> parked: mint_refused: the account is full (rotation 0190b8a0)",
            ]
        );
        assert!(!plain.contains('\u{1b}') && log(true).contains("\u{1b}[32mstaging -> verifying\u{1b}[0m"));
    }

    #[test]
    fn libraries_that_show_bodies_stay_silent_whatever_the_filter_says() {
        for filter in ["trace", "aws_smithy_runtime=trace,aws_sdk_secretsmanager=trace,hyper=trace,h2=trace"]
        {
            let log = logged(Format::Json, Some(filter), || {
                tracing::trace!(target: "aws_smithy_runtime::client::orchestrator", "planted");
                tracing::debug!(target: "aws_smithy_runtime::client::orchestrator", "planted");
                tracing::debug!(target: "aws_sdk_secretsmanager", "planted");
                tracing::trace!(target: "hyper::proto", "planted");
                tracing::trace!(target: "hyper_util::client", "planted");
                tracing::trace!(target: "reqwest::connect", "planted");
                tracing::debug!(target: "h2::codec", "planted");
                tracing::trace!(target: "rustls::client", "planted");
            });
            assert_eq!(log, "");
        }
        let own = logged(Format::Json, Some("rekeyd=trace"), || tracing::trace!("ours"));
        assert!(own.contains("ours"));
    }

    #[test]
    fn the_default_is_info_and_nonsense_is_an_error() {
        for filter in [None, Some(""), Some(" ")] {
            let log = logged(Format::Json, filter, || {
                tracing::debug!("detail");
                tracing::info!("said");
            });
            assert!(log.contains("said") && !log.contains("detail"), "{filter:?}");
        }
        assert!(subscriber(Format::Json, Some("rekeyd=loud"), io::sink).is_err());
    }

    #[test]
    fn a_panic_tells_its_place_and_only_words_from_the_source() {
        let literal: &(dyn Any + Send) = &"a literal";
        let composed: &(dyn Any + Send) = &format!("sk_{}", "planted");
        assert_eq!(words_of(literal), "a literal");
        assert_eq!(words_of(composed), "(message withheld)");
    }
}
