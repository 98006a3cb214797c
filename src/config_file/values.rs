//! Single values: each parser reports what is wrong with the value where it stands, and never shows it.

use std::path::PathBuf;

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

/// A name that the policy declares.
pub(crate) fn name<N>(
    written: &At<String>,
    findings: &mut Findings,
    parse: impl Fn(String) -> Result<N, BadName>,
) -> Option<N> {
    match parse(written.value().clone()) {
        Ok(name) => Some(name),
        Err(why) => {
            findings.error(&written.span(), format!("this cannot be a name: {why}"), "choose another name");
            None
        }
    }
}

/// The duration as written, if it is one of at least `least`.
pub(crate) fn duration(
    written: Option<&At<raw::Duration>>,
    least: SignedDuration,
    findings: &mut Findings,
) -> Option<SignedDuration> {
    let written = written?;
    match duration::parse(written.value().as_str()) {
        Ok(duration) if duration < least => {
            let help = format!("write at least \"{}\"", brief(least));
            findings.error(&written.span(), "this duration is too short", help);
            None
        }
        Ok(duration) => Some(duration),
        Err(why) => {
            let help = "write for example \"30d\", \"12h\" or \"1h 30m\"; a day is 24 hours";
            findings.error(&written.span(), why.to_string(), help);
            None
        }
    }
}

/// The duration as written, else the default, which is written like one.
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
        findings.error(&written.span(), "this is not an absolute path", "write a path that begins with `/`");
        return None;
    }
    Some(PathBuf::from(text))
}

/// A URL that may be called with a secret: encrypted, unless the call does not leave this machine.
pub(crate) fn url(written: Option<&At<raw::Url>>, findings: &mut Findings) -> Option<Url> {
    let written = written?;
    let span = written.span();
    let Ok(url) = Url::parse(written.value().as_str()) else {
        findings.error(&span, "this is not a URL", "write for example \"https://api.elevenlabs.io\"");
        return None;
    };
    let problem = if !url.username().is_empty() || url.password().is_some() {
        Some(("this URL holds a user or a password", "write it without; secrets are only ever referred to"))
    } else if url.query().is_some() || url.fragment().is_some() {
        Some(("this URL has a query or a fragment", "write only the scheme, the host and the path"))
    } else if url.host_str().is_none() || !matches!(url.scheme(), "http" | "https") {
        Some(("this is not the URL of a web server", "write for example \"https://api.elevenlabs.io\""))
    } else if url.scheme() == "http" && !loopback::leads_to(&url) {
        Some(("keys would cross the network in the clear", "write `https`; `http` is only for this machine"))
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

/// A URL that is called without any secret.
pub(crate) fn plain_url(written: Option<&At<raw::Url>>, findings: &mut Findings) -> Option<Url> {
    let written = written?;
    let help = "write for example \"http://tts-api.internal:8080/healthz\"";
    match Url::parse(written.value().as_str()) {
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            let help = "write it without: secrets are only ever referred to";
            findings.error(&written.span(), "this URL holds a user or a password", help);
            None
        }
        Ok(url) if url.host_str().is_some() && matches!(url.scheme(), "http" | "https") => Some(url),
        Ok(_) | Err(_) => {
            findings.error(&written.span(), "this is not the URL of a web server", help);
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
            let help = "write three octal digits after a zero, in quotes, such as \"0440\"";
            findings.error(&written.span(), "this is not a file mode", help);
            otherwise
        }
    }
}

/// A text that an outside system gave meaning to: not empty, not endless, on one line.
pub(crate) fn text(written: Option<&At<raw::Text>>, findings: &mut Findings) -> Option<String> {
    const CHARACTERS_MAX: usize = 512;
    let written = written?;
    let text = written.value().as_str();
    let help = "write what it is called where it is";
    let (rule, help) = if text.trim().is_empty() {
        ("this text is empty", help)
    } else if text.len() > CHARACTERS_MAX {
        ("this text is longer than 512 characters", help)
    } else if text.chars().any(is_unseen) {
        (
            "this text holds characters that are not seen",
            "write it without them; a service account may be named by its id",
        )
    } else {
        return Some(text.to_owned());
    };
    findings.error(&written.span(), rule, help);
    None
}

/// Where a secret is. Its shape guarantees that exactly one way is written, if any.
pub(crate) fn secret(written: Option<&raw::Secret>, findings: &mut Findings) -> Option<SecretSource> {
    let raw::Secret { systemd_credential, file, env } = written?;
    secret_reference(systemd_credential.as_ref(), file.as_ref(), env.as_ref(), findings)
}

/// The one reference that is given; where several are, that was reported.
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
            let help = "write the name that stands in `LoadCredential=NAME:…` of the unit";
            findings.error(&credential.span(), "this cannot be the name of a systemd credential", help);
            return None;
        }
        return Some(SecretSource::SystemdCredential(text.to_owned()));
    }
    if let Some(variable) = env {
        let text = variable.value().as_str();
        let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        if text.is_empty() || text.starts_with(|c: char| c.is_ascii_digit()) || !text.chars().all(plain) {
            let rule = "this cannot be the name of an environment variable";
            let help =
                "write its name, in capitals, such as \"ELEVENLABS_ADMIN_KEY\"; never the secret itself";
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
        // A name that breaks the rules was reported where it is declared.
        return parse(text.to_owned()).ok();
    }
    let help = match (nearest(text, declared.iter().copied()), declared) {
        (_, []) => format!("add a table `[{what}s.NAME]` and write its name here"),
        (Some(meant), _) => format!("did you mean `{meant}`?"),
        (None, _) => format!("declared: {}", listed(declared.iter().copied())),
    };
    findings.error(&written.span(), format!("no {what} of this name is declared"), help);
    None
}
