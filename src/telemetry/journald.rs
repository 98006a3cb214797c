//! The native protocol of the systemd journal: each field of a log line is a field of the entry, as in
//! `journalctl CREDENTIAL=tts-backend`.

use std::fmt;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::telemetry::logging::queue::{Line, LogQueue};

/// The socket of the systemd journal.
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";
const IDENTIFIER: &str = "rekeyd";
const NAME_LENGTH_MAX: usize = 64;

/// Queues lines for the journal, each with a text for the case that the journal rejects it.
pub(super) struct Journald(LogQueue);

impl Journald {
    pub(super) fn new(queue: LogQueue) -> Self {
        Self(queue)
    }
}

/// Where the journal listens.
pub(super) struct Socket {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Socket {
    /// # Errors
    /// No journal listens there.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        // A journal that is there and takes nothing at the moment must not keep the program from starting.
        socket.set_nonblocking(true)?;
        // An empty datagram creates no entry.
        match socket.send_to(&[], path) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            Ok(_) | Err(_) => {}
        }
        socket.set_nonblocking(false)?;
        Ok(Self { socket, path: path.to_owned() })
    }

    /// Whether the journal has accepted the line; waits for a journal that takes nothing at the moment.
    pub(super) fn sends(&self, line: &Line) -> bool {
        line.entry.as_ref().is_some_and(|entry| self.socket.send_to(entry, &self.path).is_ok())
    }
}

/// The syslog priority of a level.
pub(super) fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

/// The fields of an event or a span, in order.
#[derive(Default)]
struct Fields {
    message: String,
    named: Vec<(&'static str, String)>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: String) {
        if field.name() == "message" {
            self.message = value;
        } else {
            self.named.push((field.name(), value));
        }
    }

    /// Adds the fields of `others` that are missing here.
    fn complete(&mut self, others: &Self) {
        for (name, value) in &others.named {
            if !self.named.iter().any(|(known, _)| known == name) {
                self.named.push((name, value.clone()));
            }
        }
    }

    /// The fields as one line of text.
    fn line(&self) -> String {
        let mut line = self.message.clone();
        for (name, value) in &self.named {
            line += &format!(" {name}={value}");
        }
        line.replace(['\n', '\r'], " ")
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

impl<S> Layer<S> for Journald
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(outer) = span.extensions().get::<Fields>() {
                fields.complete(outer);
            }
        }
        let metadata = event.metadata();
        let (priority, line) = (priority(*metadata.level()), fields.line());
        let entry = entry(priority, metadata.target(), &line, &fields);
        self.0.put(Line { text: format!("<{priority}>{line}\n").into_bytes(), entry: Some(entry) });
    }
}

fn entry(priority: u8, target: &str, line: &str, fields: &Fields) -> Vec<u8> {
    let mut entry = Vec::new();
    put(&mut entry, "MESSAGE", line);
    put(&mut entry, "PRIORITY", &priority.to_string());
    put(&mut entry, "SYSLOG_IDENTIFIER", IDENTIFIER);
    put(&mut entry, "TARGET", target);
    for (name, value) in &fields.named {
        if let Some(name) = field_name(name) {
            put(&mut entry, &name, value);
        }
    }
    entry
}

/// A valid field name of the journal: capitals, digits and underscores, starting with a letter.
fn field_name(name: &str) -> Option<String> {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let name: String = name.trim_start_matches('_').chars().map(plain).take(NAME_LENGTH_MAX).collect();
    let is_reserved = ["MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "TARGET"].contains(&name.as_str());
    (name.starts_with(|c: char| c.is_ascii_uppercase()) && !is_reserved).then_some(name)
}

/// A value of several lines is sent with its length.
fn put(entry: &mut Vec<u8>, name: &str, value: &str) {
    entry.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        let length = u64::try_from(value.len()).unwrap_or(u64::MAX);
        entry.push(b'\n');
        entry.extend_from_slice(&length.to_le_bytes());
    } else {
        entry.push(b'=');
    }
    entry.extend_from_slice(value.as_bytes());
    entry.push(b'\n');
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// Decodes an entry like the systemd journal.
    fn read(mut bytes: &[u8]) -> BTreeMap<String, String> {
        let mut fields = BTreeMap::new();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        while !bytes.is_empty() {
            let end = bytes.iter().position(|byte| *byte == b'\n').unwrap();
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            if let Some(equals) = line.iter().position(|byte| *byte == b'=') {
                fields.insert(text(&line[..equals]), text(&line[equals + 1..]));
                bytes = rest;
            } else {
                let length = usize::try_from(u64::from_le_bytes(rest[..8].try_into().unwrap())).unwrap();
                fields.insert(text(line), text(&rest[8..8 + length]));
                assert_eq!(rest[8 + length], b'\n');
                bytes = &rest[9 + length..];
            }
        }
        fields
    }

    #[test]
    fn each_line_is_an_entry_with_its_fields_and_those_around_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let journal = UnixDatagram::bind(&path).unwrap();
        journal.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let receive = || {
            let mut bytes = vec![0; 65536];
            let length = journal.recv(&mut bytes).unwrap();
            read(&bytes[..length])
        };
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (writer, socket) = (Arc::clone(&lines), Socket::at(&path).unwrap());
        let write = move |line: &Line| {
            if !socket.sends(line) {
                writer.lock().unwrap().extend_from_slice(&line.text);
            }
            Ok(())
        };
        let queue = LogQueue::start(write, |_| ()).unwrap();
        let layer = Journald::new(queue.clone());
        assert_eq!(receive().len(), 0, "the socket accepts datagrams");
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("effect", credential = "tts", rotation = %"r1", effect = "mint");
            let _entered = span.enter();
            tracing::warn!(why = %"first\nsecond\n", credential = "other", status = 503, message_ = 1, "failed");
            let entry = receive();
            let field = |name: &str| entry.get(name).map(String::as_str);
            assert_eq!((field("PRIORITY"), field("SYSLOG_IDENTIFIER")), (Some("4"), Some("rekeyd")));
            assert_eq!(field("TARGET"), Some("rekeyd::telemetry::journald::tests"));
            assert_eq!((field("WHY"), field("STATUS")), (Some("first\nsecond\n"), Some("503")));
            assert_eq!((field("CREDENTIAL"), field("ROTATION")), (Some("other"), Some("r1")));
            let message =
                "failed why=first second  credential=other status=503 message_=1 rotation=r1 effect=mint";
            assert_eq!(field("MESSAGE"), Some(message));
            tracing::error!(long = %"x".repeat(8 << 20), "too long for a datagram");
            queue.flush(Duration::from_secs(20));
            drop(std::fs::remove_file(&path));
            tracing::info!("no journal listens");
            queue.flush(Duration::from_secs(20));
        });
        let written = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
        let written: Vec<&str> = written.lines().collect();
        assert_eq!(written.len(), 2, "nothing is lost");
        assert!(written[0].starts_with("<3>too long for a datagram long=xxx"));
        assert!(written[1].starts_with("<6>no journal listens"), "{}", written[1]);
        assert_eq!(queue.dropped(), 0);
        assert!(Socket::at(&path).is_err(), "no journal listens");
    }

    #[test]
    fn a_journal_that_takes_nothing_keeps_nobody_from_starting_and_from_logging() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let journal = UnixDatagram::bind(&path).unwrap();
        let other = UnixDatagram::unbound().unwrap();
        other.set_nonblocking(true).unwrap();
        while other.send_to(&[], &path).is_ok() {}
        let socket = Socket::at(&path).unwrap();
        let queue = LogQueue::start(
            move |line| socket.sends(line).then_some(()).ok_or_else(|| io::ErrorKind::Other.into()),
            |_| (),
        )
        .unwrap();
        let subscriber = tracing_subscriber::registry().with(Journald::new(queue.clone()));
        tracing::subscriber::with_default(subscriber, || tracing::info!("waits"));
        queue.flush(Duration::from_millis(1));
        journal.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut bytes = vec![0; 65536];
        let entry = std::iter::repeat_with(|| journal.recv(&mut bytes).unwrap()).find(|length| *length > 0);
        let entry = entry.unwrap();
        assert_eq!(read(&bytes[..entry]).get("MESSAGE").map(String::as_str), Some("waits"));
    }

    #[test]
    fn field_names_are_valid_in_the_journal() {
        for (name, expected) in [
            ("credential", Some("CREDENTIAL")),
            ("key.id", Some("KEY_ID")),
            ("_hidden", Some("HIDDEN")),
            ("1st", None),
            ("message", None),
            ("", None),
        ] {
            assert_eq!(field_name(name).as_deref(), expected, "{name}");
        }
    }
}
