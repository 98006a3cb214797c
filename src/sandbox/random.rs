//! Randomness for ids, values and chances: from the operating system, or repeatable from a seed.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// SHA-256 in counter mode. One seed gives one sequence, for ever.
pub struct Random {
    seed: [u8; 32],
    drawn: u64,
}

impl Random {
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self { seed: Sha256::digest(seed.to_be_bytes()).into(), drawn: 0 }
    }

    /// A sequence that nobody can repeat: four version 7 UUIDs bring almost 300 random bits.
    #[must_use]
    pub fn from_system() -> Self {
        let entropy = (0..4).fold(Sha256::new(), |hash, _| hash.chain_update(Uuid::now_v7().as_bytes()));
        Self { seed: entropy.finalize().into(), drawn: 0 }
    }

    fn block(&mut self) -> [u8; 32] {
        self.drawn += 1;
        Sha256::new().chain_update(self.seed).chain_update(self.drawn.to_be_bytes()).finalize().into()
    }

    /// At most 64 lower-case hex digits.
    pub fn hex(&mut self, digits: usize) -> String {
        let mut text = String::with_capacity(64);
        for byte in self.block() {
            // Writing to a String cannot fail.
            let _written = write!(text, "{byte:02x}");
        }
        text.truncate(digits);
        text
    }

    /// A value in the provider's current format.
    pub fn key_value(&mut self) -> String {
        format!("sk_{}", self.hex(48))
    }

    /// True with the given probability, from 0 to 1.
    pub fn chance(&mut self, probability: f64) -> bool {
        let [first, second, third, fourth, ..] = self.block();
        f64::from(u32::from_be_bytes([first, second, third, fourth]))
            < probability * (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_itself_and_the_system_does_not() {
        assert_eq!(Random::seeded(7).key_value(), Random::seeded(7).key_value());
        assert_ne!(Random::seeded(7).key_value(), Random::seeded(8).key_value());
        assert_ne!(Random::from_system().key_value(), Random::from_system().key_value());
        let value = Random::from_system().key_value();
        assert_eq!((value.len(), &value[..3]), (51, "sk_"));
    }

    #[test]
    fn chances_are_what_they_say() {
        let mut random = Random::seeded(1);
        let hits = (0..4000).filter(|_| random.chance(0.25)).count();
        assert!((900..1100).contains(&hits), "{hits}");
        assert!((0..100).all(|_| random.chance(1.0)));
        assert!(!(0..100).any(|_| random.chance(0.0)));
    }
}
