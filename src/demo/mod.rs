//! A rehearsal on this machine: a sandbox, consumers that use their keys all the time, and the real daemon as a process
//! that can be killed. `rekeyd demo` plays it for people, and the tests of the real program play it for themselves.
//!
//! [`fixture`] is what there is before the daemon starts, [`daemon`] the process, [`consumer`] those who must never
//! notice anything, [`journal_watch`] what the journal says meanwhile, [`result`] whether the invariants held, and
//! [`play`] the whole of it, with [`timeline`] telling people about it.

pub mod consumer;
pub mod daemon;
pub mod fixture;
pub mod journal_watch;
pub mod play;
pub mod result;
pub mod timeline;
mod words;
