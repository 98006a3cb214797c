//! Links from the status page to other systems: templates of URLs, filled with names and ids.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::domain::ids::StoreName;

/// The templates of a policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Links {
    /// A credential's workspace or service account at ElevenLabs.
    pub workspace: Option<LinkTemplate>,
    /// A credential's dashboard.
    pub grafana: Option<LinkTemplate>,
    /// A destination in its store's console.
    pub secrets: BTreeMap<StoreName, LinkTemplate>,
}

/// What a template is filled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placeholder {
    Credential,
    Workspace,
    Account,
    Key,
    Store,
    Secret,
}

impl Placeholder {
    /// Of every template.
    pub const OF_A_CREDENTIAL: [Self; 4] = [Self::Credential, Self::Workspace, Self::Account, Self::Key];
    /// Of the templates of destinations.
    pub const OF_A_SECRET: [Self; 6] =
        [Self::Credential, Self::Workspace, Self::Account, Self::Key, Self::Store, Self::Secret];

    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Credential => "credential",
            Self::Workspace => "workspace",
            Self::Account => "account",
            Self::Key => "key",
            Self::Store => "store",
            Self::Secret => "secret",
        }
    }
}

/// A URL with placeholders behind its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkTemplate(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(Placeholder),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadTemplate {
    #[error("not an HTTP URL")]
    NoUrl,
    #[error("a placeholder in the scheme or host")]
    PlaceholderInHost,
    #[error("a brace without its partner")]
    UnpairedBrace,
    #[error("an unknown placeholder")]
    UnknownPlaceholder,
}

impl LinkTemplate {
    /// # Errors
    /// It is not a URL with `known` placeholders behind its host. The error does not repeat the text.
    pub fn parse(text: &str, known: &[Placeholder]) -> Result<Self, BadTemplate> {
        let is_http = text.starts_with("https://") || text.starts_with("http://");
        let rest = text.split_once("://").filter(|_| is_http).ok_or(BadTemplate::NoUrl)?.1;
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if host.contains(['{', '}']) {
            return Err(BadTemplate::PlaceholderInHost);
        }
        let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '<' | '>' | '\\' | '`');
        if host.is_empty() || host.contains('@') || !text.chars().all(is_plain) {
            return Err(BadTemplate::NoUrl);
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or(BadTemplate::UnpairedBrace)?;
            let found = known.iter().find(|known| known.label() == name);
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(Piece::Value(*found.ok_or(BadTemplate::UnknownPlaceholder)?));
            rest = after;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        let is_unpaired = |piece: &Piece| matches!(piece, Piece::Text(text) if text.contains('}'));
        if pieces.iter().any(is_unpaired) { Err(BadTemplate::UnpairedBrace) } else { Ok(Self(pieces)) }
    }

    /// The URL; `None` if one of its values is unknown.
    pub fn fill<'a>(&self, value: impl Fn(Placeholder) -> Option<&'a str>) -> Option<String> {
        let mut url = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => url.push_str(text),
                Piece::Value(placeholder) => encode(value(*placeholder)?, &mut url),
            }
        }
        Some(url)
    }
}

/// Percent-encodes all but unreserved characters, so that a value stays within its part of the URL.
fn encode(value: &str, url: &mut String) {
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => url.push(char::from(byte)),
            other => drop(write!(url, "%{other:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_and_no_value_leaves_its_place() {
        let text = "https://grafana.example.com/d/rekeyd?var-credential={credential}&at={workspace}#x";
        let template = LinkTemplate::parse(text, &Placeholder::OF_A_CREDENTIAL).unwrap();
        let value = |placeholder| match placeholder {
            Placeholder::Credential => Some("a/../b?c=\"d\"&e#é"),
            Placeholder::Workspace => Some("prod"),
            Placeholder::Account | Placeholder::Key | Placeholder::Store | Placeholder::Secret => None,
        };
        assert_eq!(
            template.fill(value).unwrap(),
            "https://grafana.example.com/d/rekeyd?var-credential=a%2F..%2Fb%3Fc%3D%22d%22%26e%23%C3%A9&at=prod#x"
        );
        assert_eq!(template.fill(|_| None), None);
        let fixed = LinkTemplate::parse("https://example.com", &[]).unwrap();
        assert_eq!(fixed.fill(|_| None).unwrap(), "https://example.com");
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for (text, why) in [
            ("javascript:alert(1)//https://x/", BadTemplate::NoUrl),
            ("data:text/html,x", BadTemplate::NoUrl),
            ("example.com/{credential}", BadTemplate::NoUrl),
            ("https:///{credential}", BadTemplate::NoUrl),
            ("https://user:password@example.com/", BadTemplate::NoUrl),
            ("https://example.com/ {credential}", BadTemplate::NoUrl),
            ("https://example.com/\"{credential}", BadTemplate::NoUrl),
            ("https://{workspace}.example.com/", BadTemplate::PlaceholderInHost),
            ("https://example.com/{secret}", BadTemplate::UnknownPlaceholder),
            ("https://example.com/{credential", BadTemplate::UnpairedBrace),
            ("https://example.com/credential}", BadTemplate::UnpairedBrace),
        ] {
            assert_eq!(LinkTemplate::parse(text, &Placeholder::OF_A_CREDENTIAL), Err(why), "{text}");
        }
    }
}
