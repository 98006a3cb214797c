//! Who may acknowledge, who may report leaks and who may read: by which tokens and certificates.

use std::collections::BTreeMap;

use crate::domain::ids::ConsumerName;
use crate::domain::secret::SecretValue;

/// The tokens of all consumers that have one.
#[derive(Default)]
pub struct Consumers {
    tokens: Vec<(ConsumerName, SecretValue)>,
    /// By a name in their certificate.
    certificates: BTreeMap<String, ConsumerName>,
    reporter: Option<SecretValue>,
    readers: Readers,
}

/// Who may read what is known of the credentials.
#[derive(Default)]
pub enum Readers {
    /// Everybody who can connect.
    Anybody,
    /// Who has this token, or a certificate with this name.
    Known { token: Option<SecretValue>, certificate: Option<String> },
    #[default]
    Nobody,
}

impl Readers {
    /// What somebody has to come with who wants to read.
    pub(super) fn needed(&self) -> &'static str {
        match self {
            Self::Known { token: Some(_), certificate: None } => {
                "this needs the token of `[readers]`, as in `Authorization: Bearer TOKEN`"
            }
            Self::Known { token: Some(_), certificate: Some(_) } => {
                "this needs the token of `[readers]`, as in `Authorization: Bearer TOKEN`, or the client certificate that is named there"
            }
            Self::Known { token: None, certificate: Some(_) } => {
                "this needs the client certificate that is named in `[readers]`: there is no token for it"
            }
            Self::Anybody | Self::Nobody | Self::Known { token: None, certificate: None } => {
                "other machines may read this only if the policy says who: see `[readers]`"
            }
        }
    }
}

/// Whoever has the token for one thing could do another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SharedToken {
    /// They could speak for each other.
    #[error("the consumers `{0}` and `{1}` have the same token; give each its own")]
    OfConsumers(ConsumerName, ConsumerName),
    /// Whoever reads could acknowledge.
    #[error("the consumer `{0}` and `[readers]` have the same token; give each its own")]
    WithReaders(ConsumerName),
    /// It could have any credential's key replaced.
    #[error("the consumer `{0}` and `[leaks]` have the same token; give each its own")]
    WithReporter(ConsumerName),
    /// Whoever reads could have any credential's key replaced.
    #[error("`[readers]` and `[leaks]` have the same token; give each its own")]
    OfReadersAndReporter,
}

impl Consumers {
    /// # Errors
    /// Two consumers have the same token: who acknowledges could not be told.
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

    /// With consumers who prove by a certificate who they are: by a DNS name in it.
    #[must_use]
    pub fn with_certificates(self, certificates: BTreeMap<String, ConsumerName>) -> Self {
        Self { certificates, ..self }
    }

    /// With those who may read.
    ///
    /// # Errors
    /// A consumer has the same token, or whoever reports leaks.
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

    /// With somebody who may report leaks.
    ///
    /// # Errors
    /// A consumer has the same token, or whoever may read.
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

    /// Whether it is the token that reports of leaks carry.
    pub(super) fn may_report(&self, token: &SecretValue) -> bool {
        self.reporter.as_ref().is_some_and(|own| own.matches(token))
    }

    pub(super) fn readers(&self) -> &Readers {
        &self.readers
    }

    /// What somebody has to come with who wants to acknowledge.
    pub(super) fn needed_of_consumers(&self) -> &'static str {
        match (self.tokens.is_empty(), self.certificates.is_empty()) {
            (false, true) => "this needs a consumer's token, as in `Authorization: Bearer TOKEN`",
            (false, false) => {
                "this needs a consumer's token, as in `Authorization: Bearer TOKEN`, or a consumer's client certificate"
            }
            (true, false) => "this needs the client certificate of a consumer: the policy gives none a token",
            (true, true) => "nobody may say this: the policy has no consumer, see `[consumers]`",
        }
    }

    /// What somebody has to come with who found a key.
    pub(super) fn needed_of_reporters(&self) -> &'static str {
        match self.reporter {
            Some(_) => "this needs the token of `[leaks]`, as in `Authorization: Bearer TOKEN`",
            None => "nobody may say this: the policy has no token for it, see `[leaks]`",
        }
    }

    /// Whose certificate has these names; nobody's if it has the names of several.
    pub(super) fn certified(&self, names: &[String]) -> Option<&ConsumerName> {
        let mut found = names.iter().filter_map(|name| self.certificates.get(&name.to_ascii_lowercase()));
        let first = found.next()?;
        found.all(|other| other == first).then_some(first)
    }

    /// Whose token it is. Every token is compared, so that the time taken does not tell which one matched.
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
        let told = |consumers: Consumers| {
            let said = consumers.needed_of_consumers();
            (said.contains("token, as in"), said.contains("client certificate"))
        };
        assert_eq!(told(Consumers::default()), (false, false));
        assert_eq!(told(Consumers::new([pair("a", "one")]).unwrap()), (true, false));
        assert_eq!(told(Consumers::default().with_certificates(certificate())), (false, true));
        let both = Consumers::new([pair("b", "two")]).unwrap().with_certificates(certificate());
        assert_eq!(told(both), (true, true));
        for (token, certificate) in
            [(token(), None), (None, Some("a".to_owned())), (token(), Some("a".to_owned()))]
        {
            let expected = (token.is_some(), certificate.is_some());
            let said = Readers::Known { token, certificate }.needed();
            assert_eq!(
                (said.contains("Bearer TOKEN"), said.contains("client certificate")),
                expected,
                "{said}"
            );
        }
        assert!(Readers::Nobody.needed().contains("`[readers]`"));
        assert!(Consumers::default().needed_of_reporters().starts_with("nobody may say this"));
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
