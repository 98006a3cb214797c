//! `rekeyd doctor` and `rekeyd init`: the real program against a sandbox, stores and directories, each finding provoked
//! for real.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what stands between tests fails by panicking too")]

mod aws;
mod documents;
mod harness;
mod iam;
mod init;
mod machine;
mod places;
mod tls;
mod workspace;
