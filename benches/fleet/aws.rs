//! AWS as moto understands it, behind a proxy that counts the calls by their names.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::http::Message;
use crate::process::{Process, Says};

const READY: Duration = Duration::from_secs(60);

type Counts = Arc<Mutex<BTreeMap<String, u64>>>;

/// A moto server and the proxy before it. The proxy's threads end with the bench.
pub(crate) struct Aws {
    _moto: Process,
    pub(crate) url: String,
    counts: Counts,
}

impl Aws {
    pub(crate) fn start(moto_server: &str) -> Result<Self> {
        let mut command = Command::new(moto_server);
        command.args(["-H", "127.0.0.1", "-p", "0"]);
        let moto = Process::start("moto_server", Says::Err, &mut command)?;
        let url = |line: &str| line.split_once("Running on http://").map(|(_, url)| url.trim().to_owned());
        let target: SocketAddr = moto.until(READY, |_, line| url(line))?.parse()?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let counts = Counts::default();
        let counting = Arc::clone(&counts);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let counts = Arc::clone(&counting);
                // A connection that breaks is the caller's to notice.
                std::thread::spawn(move || drop(pass_on(stream, target, &counts)));
            }
        });
        Ok(Self { _moto: moto, url: format!("http://{address}"), counts })
    }

    /// The calls since the last time that this was asked.
    pub(crate) fn calls(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Takes calls until the caller hangs up. Each is passed on over a connection of its own.
fn pass_on(mut caller: TcpStream, target: SocketAddr, counts: &Counts) -> Result<()> {
    let mut calls = BufReader::new(caller.try_clone()?);
    while let Some(mut call) = Message::read(&mut calls)? {
        let name = call.header("x-amz-target").and_then(|target| target.split('.').nth(1));
        let name = name.unwrap_or("other").to_owned();
        *counts.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default() += 1;
        call.headers.retain(|header| !header.to_ascii_lowercase().starts_with("connection:"));
        call.headers.push("connection: close".to_owned());
        let mut server = TcpStream::connect(target)?;
        call.write(&mut server)?;
        let mut answer = Message::read(&mut BufReader::new(server))?.context("no answer")?;
        answer.headers.retain(|header| !header.to_ascii_lowercase().starts_with("connection:"));
        answer.write(&mut caller)?;
    }
    Ok(())
}
