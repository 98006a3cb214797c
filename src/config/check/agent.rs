//! Checks the agent's configuration.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use reqwest::Url;

use crate::config::agent::{
    AgentConfig, ClientIdentity, Exec, Health, HealthMethod, Mode, OnChange, OutputFileConfig, RekeydConfig,
    ReloadMethod, Restart, SecretConfig, Signal, defaults,
};
use crate::config::raw::agent as raw;
use crate::config::raw::{At, Duration as Written, Text};
use crate::config_file::diagnostic::Diagnostics;
use crate::config_file::findings::Findings;
use crate::config_file::values;
use crate::domain::ids::{ConsumerName, CredentialName};

const SECOND: SignedDuration = SignedDuration::from_secs(1);
/// Shorter intervals are for tests only.
const MOMENT: SignedDuration = SignedDuration::from_millis(20);

/// `None` only where a problem was found.
pub(in crate::config) fn check(raw: &raw::Agent, mode: Mode, findings: &mut Findings) -> Option<AgentConfig> {
    if raw.secrets.is_empty() && !findings.has_errors() {
        let help =
            "add a table such as `[secrets.tts-backend]`, by the name of the credential in rekeyd's policy";
        findings.error_of_file("no secret to follow", help);
    }
    let secrets: Vec<SecretConfig> =
        raw.secrets.iter().filter_map(|(name, it)| secret(name, it, raw, mode, findings)).collect();
    let env_file = raw.env_file.as_ref().map(|it| place(it, findings));
    let on_change = raw.on_change.as_ref().map(|it| on_change(it, findings));
    let health = raw.health.as_ref().map(|it| health(it, findings));
    let rekeyd = raw.rekeyd.as_ref().map(|it| rekeyd(it, findings));
    let exec = exec(raw.exec.as_ref(), findings);
    if mode == Mode::Exec && raw.on_change.is_some() {
        findings.error_of_file(
            "`on_change` conflicts with `--exec`, which restarts the application itself",
            "remove `on_change`, or run the agent without `--exec`",
        );
    }
    if raw.env_file.is_some() && secrets.iter().all(|it| it.variable.is_none()) && !findings.has_errors() {
        findings.error_of_file("`env_file` would be empty", "set `variable` on a secret");
    }
    written_twice(raw, &secrets, findings);
    known_in_use(raw, mode, findings);
    let config = AgentConfig {
        secrets,
        env_file: settled(env_file)?,
        on_change: settled(on_change)?,
        health: settled(health)?,
        rekeyd: settled(rekeyd)?,
        exec,
        warnings: Diagnostics { path: String::new(), problems: Vec::new() },
    };
    Some(config)
}

/// What is written and good, or not written; `None` for what is written and bad.
fn settled<T>(checked: Option<Option<T>>) -> Option<Option<T>> {
    match checked {
        None => Some(None),
        Some(Some(good)) => Some(Some(good)),
        Some(None) => None,
    }
}

fn secret(
    name: &At<String>,
    raw: &raw::Followed,
    agent: &raw::Agent,
    mode: Mode,
    findings: &mut Findings,
) -> Option<SecretConfig> {
    let at = name.span();
    let source = raw.from.check(findings);
    let otherwise = source.as_ref().map_or("1s", |source| source.default_interval());
    let every = plain(values::duration_or(raw.every.as_ref(), otherwise, MOMENT, findings));
    let to = raw.to.as_ref().map(|it| place(it, findings));
    let variable = variable(raw.variable.as_ref(), findings);
    let path_variable = self::variable(raw.path_variable.as_ref(), findings);
    let reaches = mode == Mode::Exec && raw.variable.is_some();
    if raw.to.is_none() && !reaches {
        let rule = "the application would not receive this secret";
        let help = "set an output, such as `to = { path = \"/run/tts-api/elevenlabs-key\" }`";
        findings.error(&at, rule, help);
    }
    if raw.path_variable.is_some() && (raw.to.is_none() || mode == Mode::Beside) {
        let rule = "`path_variable` needs an output file and an application";
        findings.error(&at, rule, "set `to`, and run the agent with `--exec`");
    }
    if raw.variable.is_some() && mode == Mode::Beside && agent.env_file.is_none() {
        let rule = "`variable` has no effect";
        findings.error(&at, rule, "set `env_file`, or run the agent with `--exec`");
    }
    Some(SecretConfig {
        name: values::name(name, findings, CredentialName::new)?,
        source: source?,
        json_field: values::text(raw.json_field.as_ref(), findings),
        every,
        to: settled(to)?,
        variable,
        path_variable,
    })
}

fn place(raw: &raw::OutputFile, findings: &mut Findings) -> Option<OutputFileConfig> {
    let mode = values::mode(raw.mode.as_ref(), defaults::MODE, findings);
    if let Some(written) = &raw.mode {
        if mode & 0o400 == 0 {
            let rule = "the agent could not read the file that it writes";
            findings.error(&written.span(), rule, "make it readable for the owner, such as \"0400\"");
        } else if mode & 0o022 != 0 {
            let rule = "other users could replace the key";
            findings.error(&written.span(), rule, "make it writable for the owner only, such as \"0440\"");
        } else if mode & 0o004 != 0 {
            let rule = "every user of this machine could read the key";
            findings.warning(&written.span(), rule, "share a group with the application, and use \"0440\"");
        }
    }
    let (owner, group) =
        (values::text(raw.owner.as_ref(), findings), values::text(raw.group.as_ref(), findings));
    let path = values::path(raw.path.as_ref(), findings)?;
    if let Some(written) = raw.path.as_ref().filter(|_| path.file_name().is_none()) {
        findings.error(&written.span(), "not the path of a file", "use the path of a file in a directory");
        return None;
    }
    Some(OutputFileConfig { path, mode, owner, group })
}

/// Two secrets in one file would replace each other for ever, and so would a secret that is written where it is read.
fn written_twice(raw: &raw::Agent, secrets: &[SecretConfig], findings: &mut Findings) {
    let read = secrets.iter().filter_map(|secret| secret.source.file());
    let mut taken: BTreeMap<PathBuf, &'static str> =
        read.map(|file| (file.to_owned(), "a secret is read from this file")).collect();
    let places = raw.secrets.values().filter_map(|it| it.to.as_ref()).chain(raw.env_file.as_ref());
    for path in places.filter_map(|it| it.path.as_ref()) {
        if let Some(what) =
            taken.insert(PathBuf::from(path.value().as_str()), "another secret is written to this file")
        {
            findings.error(&path.span(), what, "use a separate file for each");
        }
    }
}

/// An acknowledgement states that the application uses the key, so that has to be observable.
fn known_in_use(raw: &raw::Agent, mode: Mode, findings: &mut Findings) {
    if raw.rekeyd.is_none() || raw.on_change.is_some() || mode == Mode::Exec {
        return;
    }
    if raw.health.is_none() {
        let rule = "keys would be acknowledged without knowing whether the application uses them";
        let help = "set `on_change` to reload the application, or `health` with a command that \
                    compares the key in use with $REKEYD_FINGERPRINT";
        findings.error_of_file(rule, help);
    } else {
        let rule =
            "nothing reloads the application after a change, so only `health` can confirm the key in use";
        let help = "make its command compare the key in use with $REKEYD_FINGERPRINT, or set `on_change`";
        findings.warning_of_file(rule, help);
    }
}

fn variable(written: Option<&At<Text>>, findings: &mut Findings) -> Option<String> {
    let written = written?;
    let text = written.value().as_str();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.is_empty() || text.starts_with(|c: char| c.is_ascii_digit()) || !text.chars().all(plain) {
        let help = "use a name such as \"ELEVENLABS_API_KEY\"";
        findings.error(&written.span(), "not the name of an environment variable", help);
        return None;
    }
    Some(text.to_owned())
}

fn on_change(raw: &raw::OnChange, findings: &mut Findings) -> Option<OnChange> {
    let limit = values::duration_or(raw.time_limit.as_ref(), defaults::RELOAD_LIMIT, SECOND, findings);
    let how = match (&raw.command, &raw.signal, &raw.url) {
        (Some(words), None, None) => command("on_change.command", words, findings).map(ReloadMethod::Command),
        (None, Some(signal), None) => values::path(signal.pid_file.as_ref(), findings)
            .map(|pid_file| ReloadMethod::Signal { pid_file, signal: signal_of(signal) }),
        (None, None, Some(url)) => local(url, findings).map(ReloadMethod::Url),
        (_, _, _) => {
            let rule = "`on_change`: exactly one method is needed";
            findings.error_of_file(rule, "set one of `command`, `signal`, `url`");
            None
        }
    };
    Some(OnChange { how: how?, time_limit: plain(limit) })
}

fn signal_of(raw: &raw::Signal) -> Signal {
    match raw.send.as_ref().map_or(raw::SignalName::Hup, |written| *written.value()) {
        raw::SignalName::Hup => Signal::Hup,
        raw::SignalName::Usr1 => Signal::Usr1,
        raw::SignalName::Usr2 => Signal::Usr2,
        raw::SignalName::Int => Signal::Int,
        raw::SignalName::Term => Signal::Term,
    }
}

fn health(raw: &raw::Health, findings: &mut Findings) -> Option<Health> {
    let mut duration = |written: &Option<At<Written>>, otherwise| {
        plain(values::duration_or(written.as_ref(), otherwise, MOMENT, findings))
    };
    let after = duration(&raw.after, defaults::HEALTH_AFTER);
    let every = duration(&raw.every, defaults::HEALTH_EVERY);
    let time_limit = duration(&raw.time_limit, defaults::HEALTH_LIMIT);
    let deadline = duration(&raw.deadline, defaults::HEALTH_DEADLINE);
    let misses = raw.misses.as_ref().and_then(|it| u32::try_from(*it.value()).ok());
    let how = match (&raw.command, &raw.url) {
        (Some(words), None) => command("health.command", words, findings).map(HealthMethod::Command),
        (None, Some(url)) => local(url, findings).map(HealthMethod::Url),
        (_, _) => {
            findings.error_of_file("`health`: exactly one method is needed", "set one of `command`, `url`");
            None
        }
    };
    let misses = misses.unwrap_or(defaults::HEALTH_MISSES);
    Some(Health { how: how?, after, every, time_limit, deadline, misses })
}

fn rekeyd(raw: &raw::Rekeyd, findings: &mut Findings) -> Option<RekeydConfig> {
    let may_be_plain = raw.allow_plaintext_beyond_loopback.as_ref().is_some_and(|allowed| *allowed.value());
    let url = match &raw.url {
        None => Url::parse(defaults::REKEYD).ok(),
        Some(written) => {
            let parsed = Url::parse(written.value().as_str()).ok();
            let plain = |url: &Url| {
                let is_bare = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
                url.scheme() == "http" && url.has_host() && is_bare && url.password().is_none()
            };
            match parsed.filter(|url| may_be_plain && plain(url)) {
                Some(url) => Some(url),
                None => values::url(Some(written), findings),
            }
        }
    };
    let token = values::secret(raw.token.as_ref(), findings);
    let heartbeat = values::duration_or(raw.heartbeat.as_ref(), defaults::HEARTBEAT, MOMENT, findings);
    let ca_file = values::path(raw.ca_file.as_ref(), findings);
    let identity = identity(raw, url.as_ref(), findings);
    let written = raw.consumer.as_ref()?;
    let consumer = match ConsumerName::new(written.value().as_str()) {
        Ok(consumer) => Some(consumer),
        Err(why) => {
            let help = "use the name of the table `[consumers.NAME]` in rekeyd's policy";
            findings.error(&written.span(), format!("not a consumer's name: {why}"), help);
            None
        }
    };
    let heartbeat = plain(heartbeat);
    Some(RekeydConfig { url: url?, consumer: consumer?, token, ca_file, identity, heartbeat })
}

/// The client certificate, if there is one.
fn identity(raw: &raw::Rekeyd, url: Option<&Url>, findings: &mut Findings) -> Option<ClientIdentity> {
    let certificate = values::path(raw.certificate.as_ref(), findings);
    let key = values::path(raw.key.as_ref(), findings);
    match (&raw.certificate, &raw.key) {
        (None, None) if raw.token.is_none() => {
            let rule = "`rekeyd`: no authentication is configured";
            findings.error_of_file(rule, "set `token`, or `certificate` and `key`");
        }
        (Some(written), None) => {
            findings.error(&written.span(), "`certificate` needs `key`", "set `key`");
        }
        (None, Some(written)) => {
            findings.error(&written.span(), "`key` needs `certificate`", "set `certificate`");
        }
        (Some(written), Some(_)) if url.is_some_and(|url| url.scheme() != "https") => {
            let rule = "client certificates need `https`";
            findings.error(&written.span(), rule, "use `url = \"https://…\"`, or a `token`");
        }
        (_, _) => {}
    }
    Some(ClientIdentity { certificate: certificate?, key: key? })
}

fn exec(raw: Option<&raw::Exec>, findings: &mut Findings) -> Exec {
    let stop_within = raw.and_then(|raw| raw.stop_within.as_ref());
    let stop_within = values::duration_or(stop_within, defaults::STOP_WITHIN, MOMENT, findings);
    let restart = match raw.and_then(|raw| raw.restart.as_ref()).map(|written| *written.value()) {
        Some(raw::Restart::OnFailure) => Restart::OnFailure,
        Some(raw::Restart::Always) => Restart::Always,
        Some(raw::Restart::Never) | None => Restart::Never,
    };
    Exec { stop_within: plain(stop_within), restart }
}

fn command(key: &str, words: &[At<Text>], findings: &mut Findings) -> Option<Vec<String>> {
    let Some(program) = words.first().filter(|word| !word.value().as_str().is_empty()) else {
        let help =
            "set the program and its arguments, such as [\"/usr/bin/systemctl\", \"reload\", \"tts-api\"]";
        findings.error_of_file(format!("`{key}`: the command is empty"), help);
        return None;
    };
    if let Some(bad) = words.iter().find(|word| word.value().as_str().contains('\0')) {
        findings.error(&bad.span(), "a word of a command cannot contain this character", "remove it");
        return None;
    }
    if program.value().as_str().contains(char::is_whitespace) {
        let help = "write each word of the command as a separate string; no shell is used";
        findings.warning(&program.span(), "the program's name contains white space", help);
    }
    Some(words.iter().map(|word| word.value().as_str().to_owned()).collect())
}

/// A loopback URL of the application.
fn local(written: &At<crate::config::raw::Url>, findings: &mut Findings) -> Option<Url> {
    let url = values::url(Some(written), findings)?;
    if url.scheme() != "http" {
        let rule = "the application is called on loopback, with `http`";
        findings.error(&written.span(), rule, "use for example \"http://127.0.0.1:8080/healthz\"");
        return None;
    }
    Some(url)
}

fn plain(duration: SignedDuration) -> Duration {
    duration.unsigned_abs()
}
