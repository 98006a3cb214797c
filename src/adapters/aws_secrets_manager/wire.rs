//! The calls of AWS's API that each of the store's operations amounts to where nothing goes wrong, for those who tell
//! them without making them; compared with what is called in `what_plan_says_is_what_is_then_called`.

/// What there is of a secret when it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum There {
    Nothing,
    /// The secret, and a current version of it.
    Version,
}

const LOOK: &str = "GetSecretValue";
const DESCRIBE: &str = "DescribeSecret";
const MOVE: &str = "UpdateSecretVersionStage";

#[must_use]
pub fn preflight(there: There) -> &'static [&'static str] {
    match there {
        There::Nothing => &[LOOK, DESCRIBE],
        There::Version => &[LOOK],
    }
}

/// `looked`: what is current is known from a [`preflight`] that nothing came after.
#[must_use]
pub fn stage(there: There, looked: bool) -> Vec<&'static str> {
    let look = if looked { &[][..] } else { preflight(there) };
    let write = match there {
        There::Nothing => "CreateSecret",
        There::Version => "PutSecretValue",
    };
    look.iter().copied().chain([write]).collect()
}

#[must_use]
pub fn read() -> &'static [&'static str] {
    &[LOOK]
}

/// A secret that was created with its first version serves it already: that is what AWS refuses, and then tells.
#[must_use]
pub fn promote(is_current: bool) -> &'static [&'static str] {
    if is_current { &[MOVE, DESCRIBE] } else { &[MOVE] }
}

#[must_use]
pub fn discard() -> &'static [&'static str] {
    &[MOVE]
}
