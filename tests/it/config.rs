//! The policy, through the library and through `rekeyd check` and `rekeyd schema`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "test helpers fail by panicking")]

mod broken;
mod command;
mod documents;
mod meaning;
mod mutations;
