//! Parsers of single values: each reports problems with their position, and never shows the value.

use std::path::{Component, Path, PathBuf};

use jiff::SignedDuration;
use reqwest::Url;

use crate::config_file::duration;
use crate::config_file::findings::{Findings, listed, nearest};
use crate::config_file::kinds::{self as raw, At};
use crate::config_file::secret_source::SecretSource;
use crate::domain::ids::BadName;
use crate::domain::sanitize::is_unseen;
use crate::domain::schedule::brief;
use crate::loopback;

/// A declared name.
pub(crate) fn name<N>(
    written: &At<String>,
    findings: &mut Findings,
    parse: impl Fn(String) -> Result<N, BadName>,
) -> Option<N> {
    match parse(written.value().clone()) {
        Ok(name) => Some(name),
        Err(why) => {
            findings.error(&written.span(), format!("not a valid name: {why}"), "choose another name");
            None
        }
    }
}

/// A duration of at least `least`.
pub(crate) fn duration(
    written: Option<&At<raw::Duration>>,
    least: SignedDuration,
    findings: &mut Findings,
) -> Option<SignedDuration> {
    let written = written?;
    match duration::parse(written.value().as_str()) {
        Ok(duration) if duration < least => {
            let help = format!("use at least \"{}\"", brief(least));
            findings.error(&written.span(), "duration too short", help);
            None
        }
        Ok(duration) => Some(duration),
        Err(why) => {
            let help = "use for example \"30d\", \"12h\" or \"1h 30m\"; a day is 24 hours";
            findings.error(&written.span(), why.to_string(), help);
            None
        }
    }
}

/// The duration, else the default.
pub(crate) fn duration_or(
    written: Option<&At<raw::Duration>>,
    otherwise: &str,
    least: SignedDuration,
    findings: &mut Findings,
) -> SignedDuration {
    duration(written, least, findings).unwrap_or_else(|| default(otherwise))
}

pub(crate) fn default(written: &str) -> SignedDuration {
    duration::parse(written).unwrap_or(SignedDuration::ZERO)
}

pub(crate) fn path(written: Option<&At<raw::AbsolutePath>>, findings: &mut Findings) -> Option<PathBuf> {
    let written = written?;
    let text = written.value().as_str();
    if !text.starts_with('/') || text.contains('\0') {
        findings.error(&written.span(), "not an absolute path", "use a path that begins with `/`");
        return None;
    }
    Some(PathBuf::from(text))
}

/// The path without `.` and `..`, by its text alone: where links lead is not looked at.
pub(crate) fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) | Component::Normal(_) => plain.push(component),
        }
    }
    plain
}

/// A URL for calls with a secret: encrypted, unless it is on loopback.
pub(crate) fn url(written: Option<&At<raw::Url>>, findings: &mut Findings) -> Option<Url> {
    let written = written?;
    let span = written.span();
    let Ok(url) = Url::parse(written.value().as_str()) else {
        findings.error(&span, "not a URL", "use for example \"https://api.elevenlabs.io\"");
        return None;
    };
    let problem = if !url.username().is_empty() || url.password().is_some() {
        Some(("the URL contains a user or password", "remove it; a policy only refers to secrets"))
    } else if url.query().is_some() || url.fragment().is_some() {
        Some(("the URL has a query or fragment", "use only scheme, host and path"))
    } else if url.host_str().is_none() || !matches!(url.scheme(), "http" | "https") {
        Some(("not an HTTP URL", "use for example \"https://api.elevenlabs.io\""))
    } else if url.scheme() == "http" && !loopback::leads_to(&url) {
        Some(("keys would cross the network unencrypted", "use `https`; `http` is for loopback only"))
    } else {
        None
    };
    match problem {
        Some((rule, help)) => {
            findings.error(&span, rule, help);
            None
        }
        None => Some(url),
    }
}

/// A URL for calls without a secret.
pub(crate) fn plain_url(written: Option<&At<raw::Url>>, findings: &mut Findings) -> Option<Url> {
    let written = written?;
    let help = "use for example \"http://tts-api.internal:8080/healthz\"";
    match Url::parse(written.value().as_str()) {
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            let help = "remove it; a policy only refers to secrets";
            findings.error(&written.span(), "the URL contains a user or password", help);
            None
        }
        Ok(url) if url.host_str().is_some() && matches!(url.scheme(), "http" | "https") => Some(url),
        Ok(_) | Err(_) => {
            findings.error(&written.span(), "not an HTTP URL", help);
            None
        }
    }
}

/// File permissions in octal digits.
pub(crate) fn mode(written: Option<&At<raw::Mode>>, otherwise: &str, findings: &mut Findings) -> u32 {
    let otherwise = u32::from_str_radix(otherwise, 8).unwrap_or(0o400);
    let Some(written) = written else { return otherwise };
    let text = written.value().as_str();
    let octal = (3..=4).contains(&text.len()) && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    match u32::from_str_radix(text, 8).ok().filter(|mode| octal && *mode <= 0o777) {
        Some(mode) => mode,
        None => {
            let help = "use a zero and three octal digits in quotes, such as \"0440\"";
            findings.error(&written.span(), "not a file mode", help);
            otherwise
        }
    }
}

/// A name of an outside system: not empty, bounded, on one line.
pub(crate) fn text(written: Option<&At<raw::Text>>, findings: &mut Findings) -> Option<String> {
    const CHARACTERS_MAX: usize = 512;
    let written = written?;
    let text = written.value().as_str();
    let help = "use its name in the outside system";
    let (rule, help) = if text.trim().is_empty() {
        ("empty", help)
    } else if text.len() > CHARACTERS_MAX {
        ("longer than 512 characters", help)
    } else if text.chars().any(is_unseen) {
        ("contains invisible characters", "remove them; a service account can be named by its ID")
    } else {
        return Some(text.to_owned());
    };
    findings.error(&written.span(), rule, help);
    None
}

/// A secret reference. The schema guarantees that at most one kind is set.
pub(crate) fn secret(written: Option<&raw::Secret>, findings: &mut Findings) -> Option<SecretSource> {
    let raw::Secret { systemd_credential, file, env } = written?;
    secret_reference(systemd_credential.as_ref(), file.as_ref(), env.as_ref(), findings)
}

/// The reference; several kinds were reported.
pub(crate) fn secret_reference(
    systemd_credential: Option<&At<raw::Text>>,
    file: Option<&At<raw::AbsolutePath>>,
    env: Option<&At<raw::Text>>,
    findings: &mut Findings,
) -> Option<SecretSource> {
    if let Some(credential) = systemd_credential {
        let text = credential.value().as_str();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if text.is_empty() || text.len() > 255 || text.starts_with('.') || !text.chars().all(plain) {
            let help = "use the name in `LoadCredential=NAME:…` of the unit";
            findings.error(&credential.span(), "not the name of a systemd credential", help);
            return None;
        }
        return Some(SecretSource::SystemdCredential(text.to_owned()));
    }
    if let Some(variable) = env {
        let text = variable.value().as_str();
        let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        if text.is_empty() || text.starts_with(|c: char| c.is_ascii_digit()) || !text.chars().all(plain) {
            let rule = "not the name of an environment variable";
            let help = "use its name in capitals, such as \"ELEVENLABS_ADMIN_KEY\"; never the secret itself";
            findings.error(&variable.span(), rule, help);
            return None;
        }
        return Some(SecretSource::EnvironmentVariable(text.to_owned()));
    }
    path(file, findings).map(SecretSource::File)
}

/// Resolves a reference to a declared name; `declared` is every name of its section, as written.
pub(crate) fn reference<N>(
    written: &At<raw::Reference>,
    what: &str,
    declared: &[&str],
    parse: impl Fn(String) -> Result<N, BadName>,
    findings: &mut Findings,
) -> Option<N> {
    let text = written.value().as_str();
    if declared.contains(&text) {
        // An invalid name was reported at its declaration.
        return parse(text.to_owned()).ok();
    }
    let help = match (nearest(text, declared.iter().copied()), declared) {
        (_, []) => format!("add a table `[{what}s.NAME]`, and use its name here"),
        (Some(meant), _) => format!("did you mean `{meant}`?"),
        (None, _) => format!("declared: {}", listed(declared.iter().copied())),
    };
    findings.error(&written.span(), format!("no {what} with this name is declared"), help);
    None
}
