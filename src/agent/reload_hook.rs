//! Tells the application that a secret changed: names, fingerprint and path, never the value.

use std::fs;
use std::path::Path;

use axum::http::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::agent::command;
use crate::agent::follow::Change;
use crate::agent::http_client::{HttpClient, HttpRequest};
use crate::config::agent;
use crate::config::agent::{OnChange, ReloadMethod};

pub(super) struct ReloadHook {
    on_change: OnChange,
    withheld: Vec<String>,
}

impl ReloadHook {
    pub(super) fn new(on_change: OnChange, withheld: Vec<String>) -> Self {
        Self { on_change, withheld }
    }

    /// May be repeated. When it is cancelled, the application may have been told.
    ///
    /// # Errors
    /// Says why the application has not been told, or does not say that it heard.
    pub(super) async fn tell(&self, change: &Change, path: Option<&Path>) -> Result<(), String> {
        let path = path.map(|path| path.display().to_string()).unwrap_or_default();
        let limit = self.on_change.time_limit;
        match &self.on_change.how {
            ReloadMethod::Command(words) => {
                let told = [
                    ("REKEYD_SECRET", change.name.as_str()),
                    ("REKEYD_FINGERPRINT", change.fingerprint.as_str()),
                    ("REKEYD_PATH", path.as_str()),
                ];
                command::run(words, &told, &self.withheld, limit).await
            }
            ReloadMethod::Signal { pid_file, signal } => send(pid_file, *signal),
            ReloadMethod::Url(url) => {
                let body = json!({ "secret": change.name, "fingerprint": change.fingerprint, "path": path });
                let parcel = HttpRequest { method: Method::POST, url, token: None, body: Some(&body), limit };
                let reply = HttpClient::PLAIN.carry(parcel).await?;
                if reply.status.is_success() {
                    Ok(())
                } else {
                    Err(format!("`{url}` answered with {}", reply.status))
                }
            }
        }
    }
}

fn send(pid_file: &Path, signal: agent::Signal) -> Result<(), String> {
    let shown = pid_file.display();
    let text = fs::read_to_string(pid_file).map_err(|error| format!("cannot read `{shown}`: {error}"))?;
    // 0 and what is negative would be whole groups of processes, 1 is init.
    let number = text.trim().parse().ok().filter(|number: &i32| *number > 1);
    let pid = number.and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| format!("there is no number of a process in `{shown}`"))?;
    kill_process(pid, of(signal)).map_err(|error| format!("cannot signal the process of `{shown}`: {error}"))
}

fn of(signal: agent::Signal) -> Signal {
    match signal {
        agent::Signal::Hup => Signal::HUP,
        agent::Signal::Usr1 => Signal::USR1,
        agent::Signal::Usr2 => Signal::USR2,
        agent::Signal::Int => Signal::INT,
        agent::Signal::Term => Signal::TERM,
    }
}
