//! Who may acknowledge, and who may report leaks: their tokens.

use crate::domain::ids::ConsumerName;
use crate::domain::secret::SecretValue;

/// The tokens of all consumers that have one.
#[derive(Default)]
pub struct Consumers {
    tokens: Vec<(ConsumerName, SecretValue)>,
    reporter: Option<SecretValue>,
}

/// Two consumers that could speak for each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the consumers `{0}` and `{1}` have the same token; give each its own")]
pub struct SharedToken(pub ConsumerName, pub ConsumerName);

/// A consumer that could report leaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the consumer `{0}` and `[leaks]` have the same token; give each its own")]
pub struct SharedWithReporter(pub ConsumerName);

impl Consumers {
    /// # Errors
    /// Two consumers have the same token: who acknowledges could not be told.
    pub fn new(tokens: impl IntoIterator<Item = (ConsumerName, SecretValue)>) -> Result<Self, SharedToken> {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let mut seen: std::collections::BTreeMap<_, &ConsumerName> = std::collections::BTreeMap::new();
        for (name, token) in &tokens {
            if let Some(other) = seen.insert(token.fingerprint(), name) {
                return Err(SharedToken(other.clone(), name.clone()));
            }
        }
        Ok(Self { tokens, reporter: None })
    }

    /// With somebody who may report leaks.
    ///
    /// # Errors
    /// A consumer has the same token: it could have any credential's key replaced.
    pub fn with_reporter(self, token: Option<SecretValue>) -> Result<Self, SharedWithReporter> {
        if let Some(consumer) = token.as_ref().and_then(|token| self.identify(token)) {
            return Err(SharedWithReporter(consumer.clone()));
        }
        Ok(Self { reporter: token, ..self })
    }

    /// Whether it is the token that reports of leaks carry.
    pub(super) fn may_report(&self, token: &SecretValue) -> bool {
        self.reporter.as_ref().is_some_and(|own| own.matches(token))
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
    fn a_shared_token_is_refused_by_the_names_of_those_who_share_it() {
        let Err(shared) = Consumers::new([pair("a", "one"), pair("b", "one")]) else { panic!("accepted") };
        assert_eq!(shared.to_string(), "the consumers `a` and `b` have the same token; give each its own");
    }
}
