//! What others can ask of the daemon: probes, metrics and acknowledgements over TCP, orders over a Unix socket.
//!
//! [`public`] and [`operator`] are the two surfaces, [`serve`] the bounded loop beneath both. Nothing here decides
//! anything: orders and acknowledgements go to the engine, and what is told is observed.

mod acks;
mod answer;
mod consumers;
mod holds;
mod leaks;
mod operator;
mod page;
mod peer;
mod probes;
mod public;
mod serve;
mod socket;

pub use crate::telemetry::observation::Status;
pub use consumers::{Consumers, SharedToken, SharedWithReporter};
pub use operator::{Operator, OperatorSocket, Reload};
pub use public::{Public, PublicListener};
pub use socket::BindError;
