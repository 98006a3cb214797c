//! `POST /v1/leaks`: a scanner reports a leaked key by its SHA-256, never by its value.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::secret::Fingerprint;
use crate::engine::{LeakReportError, LeakReportOutcome};
use crate::http::access::Caller;
use crate::http::public::PublicState;
use crate::http::response::{Problem, read_json};

const BODY: &str = "JSON such as {\"sha256\": \"64 hex digits of the leaked value's SHA-256\", \"source\": \"github\", \"url\": \"https://…\"}; never the value itself";

const SOURCE_LENGTH_MAX: usize = 64;
const URL_LENGTH_MAX: usize = 512;
const FINGERPRINT_LENGTH: usize = 16;
/// How much is kept of a word that could be a key.
const KEPT_LENGTH: usize = 8;

/// A leaked key, and where it was found.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LeakReport {
    /// The whole SHA-256 of the value, in hex; never the value itself.
    #[schemars(regex(pattern = "^[0-9A-Fa-f]{64}$"))]
    sha256: String,
    /// The name of the scanner or person that found it.
    #[schemars(regex(pattern = "^[A-Za-z0-9 ._-]{1,64}$"))]
    source: String,
    /// Where it was found. The part after `?` or `#` is not stored.
    #[serde(default)]
    #[schemars(regex(pattern = r#"^https?://[!"$->A-~]{0,504}([?#][\s\S]*)?$"#))]
    url: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct LeakResponse {
    /// Whether it is the value of a key that rekeyd created, or of one that it replaced because of a leak.
    known: bool,
    credentials: Vec<LeakReportOutcome>,
}

/// Starts an emergency rotation, if the key is one that rekeyd created. May be repeated.
pub(super) async fn report(
    State(shared): State<Arc<PublicState>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<LeakResponse>, Problem> {
    let consumers = Arc::clone(&shared.consumers.borrow());
    shared.access.reporter(&consumers, &caller, &headers)?;
    let LeakReport { sha256, source, url } = read_json(body, BODY)?;
    let print = fingerprint(&sha256).ok_or_else(unusable)?;
    let by = finder(&source, url.as_deref()).ok_or_else(unusable)?;
    tracing::warn!(fingerprint = %print, %by, "leak reported");
    let credentials = shared.handle.report_leak(&print, &by).await.map_err(|error| not_stored(&error))?;
    Ok(Json(LeakResponse { known: !credentials.is_empty(), credentials }))
}

/// The part of the SHA-256 by which the journal identifies keys.
fn fingerprint(sha256: &str) -> Option<Fingerprint> {
    let whole = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
    let part = sha256.get(..FINGERPRINT_LENGTH).filter(|_| whole)?;
    Fingerprint::try_from(part.to_ascii_lowercase()).ok()
}

/// The finder and the place, for the journal: of an address only its path, because the rest may hold the value.
fn finder(source: &str, url: Option<&str>) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '.' | '_' | '-');
    let fits = !source.is_empty() && source.len() <= SOURCE_LENGTH_MAX && source.chars().all(plain);
    if !fits {
        return None;
    }
    let Some(url) = url else { return Some(format!("`{}`", shortened(source))) };
    let place = url.split(['?', '#']).next().unwrap_or(url);
    let is_address = place.starts_with("https://") || place.starts_with("http://");
    let fits = place.len() <= URL_LENGTH_MAX && place.bytes().all(|byte| byte.is_ascii_graphic());
    (is_address && fits && !place.contains('@'))
        .then(|| format!("`{}`, who found it at {}", shortened(source), shortened(place).replace('`', "%60")))
}

/// Shortens what could be a key: long words, and words of hex digits unless they are as long as a commit id.
fn shortened(text: &str) -> String {
    let mut kept = String::new();
    for piece in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let word = piece.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let rest = piece.get(word.len()..).unwrap_or("");
        let is_hex = word.bytes().all(|byte| byte.is_ascii_hexdigit());
        let could_be_a_key = word.len() > 40 || (is_hex && word.len() >= 32 && word.len() != 40);
        match word.get(..KEPT_LENGTH).filter(|_| could_be_a_key) {
            Some(beginning) => kept.push_str(&format!("{beginning}…{rest}")),
            None => kept.push_str(piece),
        }
    }
    kept
}

fn unusable() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "bad_request", format!("the body must be {BODY}"))
}

fn not_stored(error: &LeakReportError) -> Problem {
    let message = format!("cannot store the report: {error}; send it again");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_stored", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finder_is_named_without_anything_that_could_be_a_key() {
        let hex = "0123456789abcdef";
        let key = format!("sk_{}", hex.repeat(3));
        let commit = format!("https://github.com/a/b/blob/{}/c.py", &hex.repeat(3)[..40]);
        let gist = format!("https://gist.github.com/a/{}", hex.repeat(2));
        for (source, url, expected) in [
            ("github", None, Some("`github`".to_owned())),
            ("github", Some(commit.as_str()), Some(format!("`github`, who found it at {commit}"))),
            ("github", Some("http://a.b/c?k=v#f"), Some("`github`, who found it at http://a.b/c".to_owned())),
            ("me", Some(&gist), Some("`me`, who found it at https://gist.github.com/a/01234567…".to_owned())),
            (&key, None, Some("`sk_01234567…`".to_owned())),
            ("me", Some("https://user:word@a.b/"), None),
            ("me", Some("ftp://a.b/"), None),
            ("a\nb", None, None),
            ("", None, None),
        ] {
            assert_eq!(finder(source, url), expected, "{source} {url:?}");
        }
    }

    #[test]
    fn only_a_whole_sha256_is_one() {
        let hex = "0123456789abcdef".repeat(4);
        assert_eq!(fingerprint(&hex).unwrap().as_str(), "0123456789abcdef");
        assert_eq!(fingerprint(&hex.to_uppercase()).unwrap().as_str(), "0123456789abcdef");
        for wrong in [&hex[..16], &hex[1..], &format!("{}g", &hex[1..]), &format!("sk_{}", &hex[..61])] {
            assert!(fingerprint(wrong).is_none(), "{wrong}");
        }
    }
}
