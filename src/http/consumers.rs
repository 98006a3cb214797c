//! The tokens and certificates of consumers, of readers and of those who report leaks.

use std::collections::BTreeMap;

use crate::domain::ids::ConsumerName;
use crate::domain::secret::SecretValue;

/// Every identity that the public listener knows.
#[derive(Default)]
pub struct Consumers {
    tokens: Vec<(ConsumerName, SecretValue)>,
    /// By a DNS name in their certificate.
    certificates: BTreeMap<String, ConsumerName>,
    reporter: Option<SecretValue>,
    readers: Readers,
}

/// Who may read the state of the credentials.
#[derive(Default)]
pub enum Readers {
    /// Everybody who can connect.
    Anybody,
    /// Clients with this token, or with a certificate of this name.
    Known { token: Option<SecretValue>, certificate: Option<String> },
    #[default]
    Nobody,
}

impl Readers {
    /// The message for a request that may not read.
    pub(super) fn needed(&self) -> &'static str {
        match self {
            Self::Known { token: Some(_), certificate: None } => {
                "send the token of `[readers]` as `Authorization: Bearer TOKEN`"
            }
            Self::Known { token: Some(_), certificate: Some(_) } => {
                "send the token of `[readers]` as `Authorization: Bearer TOKEN`, or use the client certificate named there"
            }
            Self::Known { token: None, certificate: Some(_) } => {
                "use the client certificate named in `[readers]`; there is no token"
            }
            Self::Anybody | Self::Nobody | Self::Known { token: None, certificate: None } => {
                "reading from other machines needs `[readers]` in the policy"
            }
        }
    }
}

/// Two identities have the same token, so each could act as the other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SharedToken {
    #[error("the consumers `{0}` and `{1}` have the same token; give each its own")]
    OfConsumers(ConsumerName, ConsumerName),
    #[error("the consumer `{0}` and `[readers]` have the same token; give each its own")]
    WithReaders(ConsumerName),
    #[error("the consumer `{0}` and `[leaks]` have the same token; give each its own")]
    WithReporter(ConsumerName),
    #[error("`[readers]` and `[leaks]` have the same token; give each its own")]
    OfReadersAndReporter,
}

impl Consumers {
    /// # Errors
    /// Two consumers have the same token.
    pub fn new(tokens: impl IntoIterator<Item = (ConsumerName, SecretValue)>) -> Result<Self, SharedToken> {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let mut seen: BTreeMap<_, &ConsumerName> = BTreeMap::new();
        for (name, token) in &tokens {
            if let Some(other) = seen.insert(token.fingerprint(), name) {
                return Err(SharedToken::OfConsumers(other.clone(), name.clone()));
            }
        }
        Ok(Self { tokens, ..Self::default() })
    }

    /// Adds consumers that authenticate with a client certificate, by a DNS name in it.
    #[must_use]
    pub fn with_certificates(self, certificates: BTreeMap<String, ConsumerName>) -> Self {
        Self { certificates, ..self }
    }

    /// Adds the readers.
    ///
    /// # Errors
    /// A consumer or the leak reporter has the same token.
    pub fn with_readers(self, readers: Readers) -> Result<Self, SharedToken> {
        if let Readers::Known { token: Some(token), .. } = &readers {
            if let Some(consumer) = self.identify(token) {
                return Err(SharedToken::WithReaders(consumer.clone()));
            }
            if self.may_report(token) {
                return Err(SharedToken::OfReadersAndReporter);
            }
        }
        Ok(Self { readers, ..self })
    }

    /// Adds the token for leak reports.
    ///
    /// # Errors
    /// A consumer or a reader has the same token.
    pub fn with_reporter(self, token: Option<SecretValue>) -> Result<Self, SharedToken> {
        if let Some(token) = &token {
            if let Some(consumer) = self.identify(token) {
                return Err(SharedToken::WithReporter(consumer.clone()));
            }
            if matches!(&self.readers, Readers::Known { token: Some(own), .. } if own.matches(token)) {
                return Err(SharedToken::OfReadersAndReporter);
            }
        }
        Ok(Self { reporter: token, ..self })
    }

    /// Whether this is the token for leak reports.
    pub(super) fn may_report(&self, token: &SecretValue) -> bool {
        self.reporter.as_ref().is_some_and(|own| own.matches(token))
    }

    pub(super) fn readers(&self) -> &Readers {
        &self.readers
    }

    /// The message for an acknowledgement without valid credentials.
    pub(super) fn needed_of_consumers(&self) -> &'static str {
        match (self.tokens.is_empty(), self.certificates.is_empty()) {
            (false, true) => "send a consumer's token as `Authorization: Bearer TOKEN`",
            (false, false) => {
                "send a consumer's token as `Authorization: Bearer TOKEN`, or use a consumer's client certificate"
            }
            (true, false) => "use a consumer's client certificate; no consumer has a token",
            (true, true) => "acknowledgements need `[consumers]` in the policy",
        }
    }

    /// The message for a leak report without a valid token.
    pub(super) fn needed_of_reporters(&self) -> &'static str {
        match self.reporter {
            Some(_) => "send the token of `[leaks]` as `Authorization: Bearer TOKEN`",
            None => "leak reports need `[leaks]` in the policy",
        }
    }

    /// The consumer whose certificate has these names; none if the names are those of several consumers.
    pub(super) fn certified(&self, names: &[String]) -> Option<&ConsumerName> {
        let mut found = names.iter().filter_map(|name| self.certificates.get(&name.to_ascii_lowercase()));
        let first = found.next()?;
        found.all(|other| other == first).then_some(first)
    }

    /// The consumer with this token. Every token is compared, so that the time taken does not reveal which one matched.
    pub(super) fn identify(&self, token: &SecretValue) -> Option<&ConsumerName> {
        self.tokens
            .iter()
            .fold(None, |found, (name, own)| if own.matches(token) { Some(name) } else { found })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, token: &str) -> (ConsumerName, SecretValue) {
        (ConsumerName::new(name).unwrap(), SecretValue::new(token.to_owned()).unwrap())
    }

    #[test]
    fn a_token_is_of_one_consumer() {
        let consumers = Consumers::new([pair("a", "one"), pair("b", "two"), pair("c", "three")]).unwrap();
        for (name, token) in [pair("a", "one"), pair("b", "two"), pair("c", "three")] {
            assert_eq!(consumers.identify(&token), Some(&name));
        }
        assert_eq!(consumers.identify(&pair("x", "four").1), None);
    }

    #[test]
    fn a_certificate_is_of_one_consumer_or_nobodys() {
        let [one, other] = ["a", "b"].map(|name| ConsumerName::new(name).unwrap());
        let certificates = [("one.internal", &one), ("uno.internal", &one), ("two.internal", &other)];
        let certificates = certificates.map(|(name, consumer)| (name.to_owned(), consumer.clone())).into();
        let consumers = Consumers::default().with_certificates(certificates);
        for (names, expected) in [
            (&["one.internal"][..], Some(&one)),
            (&["else.internal", "ONE.internal", "uno.internal"], Some(&one)),
            (&["one.internal", "two.internal"], None),
            (&["*.internal", "xone.internal", ""], None),
            (&[], None),
        ] {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            assert_eq!(consumers.certified(&names), expected, "{names:?}");
        }
    }

    #[test]
    fn what_is_asked_for_is_what_the_policy_has() {
        let token = || SecretValue::new("four".to_owned()).ok();
        let certificate = || BTreeMap::from([("a.internal".to_owned(), pair("a", "one").0)]);
        let needed = |consumers: Consumers| {
            let message = consumers.needed_of_consumers();
            (message.contains("Bearer TOKEN"), message.contains("client certificate"))
        };
        assert_eq!(needed(Consumers::default()), (false, false));
        assert_eq!(needed(Consumers::new([pair("a", "one")]).unwrap()), (true, false));
        assert_eq!(needed(Consumers::default().with_certificates(certificate())), (false, true));
        let both = Consumers::new([pair("b", "two")]).unwrap().with_certificates(certificate());
        assert_eq!(needed(both), (true, true));
        for (token, certificate) in
            [(token(), None), (None, Some("a".to_owned())), (token(), Some("a".to_owned()))]
        {
            let expected = (token.is_some(), certificate.is_some());
            let message = Readers::Known { token, certificate }.needed();
            assert_eq!(
                (message.contains("Bearer TOKEN"), message.contains("client certificate")),
                expected,
                "{message}"
            );
        }
        assert!(Readers::Nobody.needed().contains("`[readers]`"));
        assert!(Consumers::default().needed_of_reporters().starts_with("leak reports need"));
    }

    #[test]
    fn a_shared_token_is_refused_by_the_names_of_those_who_share_it() {
        let Err(shared) = Consumers::new([pair("a", "one"), pair("b", "one")]) else { panic!("accepted") };
        assert_eq!(shared.to_string(), "the consumers `a` and `b` have the same token; give each its own");
    }

    #[test]
    fn readers_and_whoever_reports_leaks_have_tokens_of_their_own() {
        let [one, other] = ["one", "two"].map(|token| pair("x", token).1);
        let readers = |token: &SecretValue| Readers::Known { token: Some(token.clone()), certificate: None };
        let reporting = || Consumers::default().with_reporter(Some(one.clone())).unwrap();
        let read = || Consumers::default().with_readers(readers(&one)).unwrap();
        assert_eq!(reporting().with_readers(readers(&one)).err(), Some(SharedToken::OfReadersAndReporter));
        assert_eq!(read().with_reporter(Some(one.clone())).err(), Some(SharedToken::OfReadersAndReporter));
        assert!(reporting().with_readers(readers(&other)).is_ok());
        assert!(read().with_reporter(Some(other)).is_ok());
    }
}
