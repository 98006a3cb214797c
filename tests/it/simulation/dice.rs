//! Repeatable chance: everything that a simulation leaves open is decided by its seed.

fn number(variable: &str) -> Option<u64> {
    std::env::var_os(variable).and_then(|text| text.to_str()?.parse().ok())
}

/// The seeds of a test that plays `count` worlds, as the `part`-th of several such tests. `REKEYD_SEED=n` leaves that one,
/// `REKEYD_WORLDS=n` makes them n times as many.
pub(super) fn seeds(part: u64, count: u64) -> impl Iterator<Item = u64> {
    let count = count * number("REKEYD_WORLDS").unwrap_or(1);
    let only = number("REKEYD_SEED");
    (part * count..(part + 1) * count).filter(move |seed| only.is_none_or(|only| only == *seed))
}

/// Whether one seed was chosen.
pub(super) fn is_single() -> bool {
    number("REKEYD_SEED").is_some()
}

/// SplitMix64.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound.max(1)
    }

    /// True in `percent` of a hundred cases.
    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}
