//! Wires the daemon together. Beside the CLI, the only module that names adapters.

pub(crate) mod admin_key;
pub mod assembly;
pub mod channels;
mod comparisons;
pub mod daemon;
mod journal;
mod lifecycle;
mod notify;
mod parts;
mod reload;
mod reloads;
mod renames;
pub mod signals;
mod traces;

/// An error with its causes, in one line.
#[must_use]
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(": ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    text
}
