//! The real program against real servers on loopback. One binary, a module per behaviour.
#![expect(clippy::unwrap_used, reason = "test helpers fail by panicking")]
