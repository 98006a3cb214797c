//! Just enough of an HTTP client: one connection, one call at a time, nothing that could pass for the daemon's work.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// Longer than any call here takes, orders that wait for the journal included.
const PATIENCE: Duration = Duration::from_secs(100);

trait Stream: Read + Write + Send {}
impl<S: Read + Write + Send> Stream for S {}

/// A message: its first line, its header lines, its body.
pub(crate) struct Message {
    pub(crate) first_line: String,
    pub(crate) headers: Vec<String>,
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// Reads one; `None` at the end of the connection.
    pub(crate) fn read(from: &mut impl BufRead) -> Result<Option<Self>> {
        let Some(first_line) = line(from)? else { return Ok(None) };
        let mut headers = Vec::new();
        while let Some(header) = line(from)?.filter(|header| !header.is_empty()) {
            headers.push(header);
        }
        let mut message = Self { first_line, headers, body: Vec::new() };
        let length = message.header("content-length").map_or(Ok(0), str::parse)?;
        message.body.resize(length, 0);
        from.read_exact(&mut message.body)?;
        Ok(Some(message))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let split = self.headers.iter().filter_map(|header| header.split_once(':'));
        split.into_iter().find_map(|(known, value)| known.eq_ignore_ascii_case(name).then_some(value.trim()))
    }

    pub(crate) fn write(&self, to: &mut impl Write) -> Result<()> {
        let mut head = self.first_line.clone();
        for header in &self.headers {
            head.push_str("\r\n");
            head.push_str(header);
        }
        head.push_str("\r\n\r\n");
        let whole = [head.as_bytes(), &self.body].concat();
        Ok(to.write_all(&whole)?)
    }
}

fn line(from: &mut impl BufRead) -> Result<Option<String>> {
    let mut line = String::new();
    let read = from.read_line(&mut line)?;
    Ok((read > 0).then(|| line.trim_end().to_owned()))
}

/// A connection that is kept.
pub(crate) struct Client {
    stream: BufReader<Box<dyn Stream>>,
    key: Option<String>,
}

impl Client {
    pub(crate) fn tcp(address: SocketAddr, key: Option<&str>) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(Box::new(stream)), key: key.map(str::to_owned) })
    }

    pub(crate) fn unix(path: &Path) -> Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(Box::new(stream)), key: None })
    }

    /// Makes a call.
    ///
    /// # Errors
    /// The answer is not a 2xx: says what it is.
    pub(crate) fn call(&mut self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let body = body.map(ToString::to_string).unwrap_or_default().into_bytes();
        let mut headers = vec!["host: loopback".to_owned(), format!("content-length: {}", body.len())];
        if !body.is_empty() {
            headers.push("content-type: application/json".to_owned());
        }
        headers.extend(self.key.as_ref().map(|key| format!("xi-api-key: {key}")));
        Message { first_line: format!("{method} {path} HTTP/1.1"), headers, body }
            .write(self.stream.get_mut())
            .with_context(|| format!("{method} {path}"))?;
        let answer =
            Message::read(&mut self.stream)?.with_context(|| format!("{method} {path}: no answer"))?;
        let status = answer.first_line.split(' ').nth(1).unwrap_or_default();
        let text = String::from_utf8_lossy(&answer.body);
        ensure!(status.starts_with('2'), "{method} {path}: {status} {text}");
        if answer.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&answer.body).with_context(|| format!("{method} {path}: {text}"))
    }
}
