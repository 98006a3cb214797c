//! The trace collector, from OpenTelemetry's own environment variables.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::config_file::environment::Environment;
use crate::loopback;

mod pairs;
#[cfg(test)]
mod tests;

const PATH: &str = "v1/traces";
const SERVICE: &str = "rekeyd";
const TIME_LIMIT: Duration = Duration::from_secs(10);

const DISABLED: &str = "OTEL_SDK_DISABLED";
const EXPORTER: &str = "OTEL_TRACES_EXPORTER";
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
const TRACES_PROTOCOL: &str = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL";
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const TRACES_HEADERS: &str = "OTEL_EXPORTER_OTLP_TRACES_HEADERS";
const TIMEOUT: &str = "OTEL_EXPORTER_OTLP_TIMEOUT";
const TRACES_TIMEOUT: &str = "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT";
const CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";
const TRACES_CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE";
const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
const RESOURCE_ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";

/// A collector, and the resource attributes of this daemon.
#[derive(Debug, Clone, PartialEq)]
pub struct TracesConfig {
    pub endpoint: Url,
    /// Marked as sensitive: they are never shown.
    pub headers: HeaderMap,
    pub time_limit: Duration,
    pub ca_file: Option<PathBuf>,
    /// What the spans come from.
    pub resource: Vec<(String, String)>,
}

/// A variable that cannot be followed. Never holds its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("traces are misconfigured in `{variable}`: {why}; {help}")]
pub struct Unusable {
    pub variable: &'static str,
    pub why: &'static str,
    pub help: &'static str,
}

impl TracesConfig {
    /// `None` if no endpoint is set, or traces are switched off.
    ///
    /// # Errors
    /// The first variable that cannot be followed.
    pub fn read(environment: &dyn Environment) -> Result<Option<Self>, Unusable> {
        let first = |names: [&'static str; 2]| {
            names.into_iter().find_map(|name| Some((name, variable(environment, name)?)))
        };
        if variable(environment, DISABLED).is_some_and(|it| it.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let Some(endpoint) = endpoint(environment)? else { return Ok(None) };
        match variable(environment, EXPORTER).as_deref() {
            Some("none") => return Ok(None),
            None | Some("otlp") => {}
            Some(_) => {
                let help = "set it to `otlp`, or to `none` for no traces";
                return Err(Unusable { variable: EXPORTER, why: "unsupported exporter", help });
            }
        }
        if let Some((variable, protocol)) = first([TRACES_PROTOCOL, PROTOCOL])
            && protocol != "http/protobuf"
        {
            let help = "set it to `http/protobuf`, and the endpoint to the collector's port for that, by custom 4318";
            return Err(Unusable { variable, why: "unsupported protocol", help });
        }
        let (named, headers) = match first([TRACES_HEADERS, HEADERS]) {
            Some((variable, text)) => (variable, headers(variable, &text)?),
            None => (HEADERS, HeaderMap::new()),
        };
        if !headers.is_empty() && endpoint.scheme() == "http" && !loopback::leads_to(&endpoint) {
            let help = "use an `https://` endpoint, or a collector on this machine";
            let why = "the headers would be sent unencrypted over a network";
            return Err(Unusable { variable: named, why, help });
        }
        let time_limit = match first([TRACES_TIMEOUT, TIMEOUT]) {
            Some((variable, text)) => milliseconds(variable, &text)?,
            None => TIME_LIMIT,
        };
        let ca_file = first([TRACES_CERTIFICATE, CERTIFICATE]).map(|(_, path)| PathBuf::from(path));
        Ok(Some(Self { endpoint, headers, time_limit, ca_file, resource: resource(environment)? }))
    }
}

/// One that is empty is as good as none.
fn variable(environment: &dyn Environment, name: &str) -> Option<String> {
    environment.read(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn endpoint(environment: &dyn Environment) -> Result<Option<Url>, Unusable> {
    if let Some(text) = variable(environment, TRACES_ENDPOINT) {
        return url(TRACES_ENDPOINT, &text).map(Some);
    }
    let Some(text) = variable(environment, ENDPOINT) else { return Ok(None) };
    let mut base = url(ENDPOINT, &text)?;
    let path = format!("{}/{PATH}", base.path().trim_end_matches('/'));
    base.set_path(&path);
    Ok(Some(base))
}

fn url(variable: &'static str, text: &str) -> Result<Url, Unusable> {
    let help = "use the collector's URL, such as `http://127.0.0.1:4318`";
    let url = Url::parse(text).ok().filter(|url| url.has_host() && matches!(url.scheme(), "http" | "https"));
    let url = url.ok_or(Unusable { variable, why: "it is no `http` or `https` URL", help })?;
    if url.username().is_empty() && url.password().is_none() {
        return Ok(url);
    }
    let help = "take them out of it, and use OTEL_EXPORTER_OTLP_HEADERS";
    Err(Unusable { variable, why: "a name or a password stands in the URL", help })
}

fn headers(variable: &'static str, text: &str) -> Result<HeaderMap, Unusable> {
    let help = "write `name=value`, with commas between, and whatever is special in a value as `%` and two hex digits";
    let unusable = |why| Unusable { variable, why, help };
    let mut headers = HeaderMap::new();
    for (name, value) in pairs::read(text).ok_or_else(|| unusable("it is no list of `name=value`"))? {
        let name = HeaderName::from_bytes(name.as_bytes());
        let name = name.map_err(|_| unusable("a name in it cannot be a header's"))?;
        let mut value =
            HeaderValue::from_str(&value).map_err(|_| unusable("a value in it cannot be a header's"))?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

fn milliseconds(variable: &'static str, text: &str) -> Result<Duration, Unusable> {
    let limit = text.parse().ok().filter(|limit| *limit > 0).map(Duration::from_millis);
    let help = "give a time in milliseconds, such as `10000`";
    limit.ok_or(Unusable { variable, why: "it is no number above zero", help })
}

/// `OTEL_SERVICE_NAME` wins over a name among the attributes.
fn resource(environment: &dyn Environment) -> Result<Vec<(String, String)>, Unusable> {
    let help = "write `key=value`, with commas between, and whatever is special in a value as `%` and two hex digits";
    let text = variable(environment, RESOURCE_ATTRIBUTES).unwrap_or_default();
    let why = "it is no list of `key=value`";
    let mut resource = pairs::read(&text).ok_or(Unusable { variable: RESOURCE_ATTRIBUTES, why, help })?;
    let mut put = |key: &str, value: String, wins: bool| match resource.iter_mut().find(|(it, _)| it == key) {
        Some((_, there)) if wins => *there = value,
        Some(_) => {}
        None => resource.push((key.to_owned(), value)),
    };
    if let Some(name) = variable(environment, SERVICE_NAME) {
        put("service.name", name, true);
    }
    put("service.name", SERVICE.to_owned(), false);
    put("service.version", env!("CARGO_PKG_VERSION").to_owned(), false);
    Ok(resource)
}
