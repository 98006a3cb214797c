//! The policy, through the library and through `rekeyd check` and `rekeyd schema`.

mod broken;
mod command;
mod documents;
mod meaning;
mod mutations;
