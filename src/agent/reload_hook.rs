//! Notifies the application of a changed secret: its name, fingerprint and path, never its value.

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

    /// May be repeated. If this is cancelled, the application may have been notified.
    ///
    /// # Errors
    /// The application was not notified, or did not confirm; the message says why.
    pub(super) async fn notify(&self, change: &Change, path: Option<&Path>) -> Result<(), String> {
        let path = path.map(|path| path.display().to_string()).unwrap_or_default();
        let limit = self.on_change.time_limit;
        match &self.on_change.how {
            ReloadMethod::Command(command_line) => {
                let variables = [
                    ("REKEYD_SECRET", change.name.as_str()),
                    ("REKEYD_FINGERPRINT", change.fingerprint.as_str()),
                    ("REKEYD_PATH", path.as_str()),
                ];
                command::run(command_line, &variables, &self.withheld, limit).await
            }
            ReloadMethod::Signal { pid_file, signal } => send(pid_file, *signal),
            ReloadMethod::Url(url) => {
                let body = json!({ "secret": change.name, "fingerprint": change.fingerprint, "path": path });
                let request =
                    HttpRequest { method: Method::POST, url, token: None, body: Some(&body), limit };
                let response = HttpClient::PLAIN.send(request).await?;
                if response.status.is_success() {
                    Ok(())
                } else {
                    Err(format!("`{url}` answered {}", response.status))
                }
            }
        }
    }
}

fn send(pid_file: &Path, signal: agent::Signal) -> Result<(), String> {
    let shown = pid_file.display();
    let text = fs::read_to_string(pid_file).map_err(|error| format!("cannot read `{shown}`: {error}"))?;
    // 0 and negative numbers address process groups, 1 is init.
    let number = text.trim().parse().ok().filter(|number: &i32| *number > 1);
    let pid = number.and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| format!("`{shown}` holds no process id"))?;
    kill_process(pid, of(signal)).map_err(|error| format!("cannot signal the process in `{shown}`: {error}"))
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
