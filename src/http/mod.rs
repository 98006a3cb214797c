//! The daemon's HTTP interfaces: probes, metrics, reads and acknowledgements over TCP, operators' commands over a Unix
//! socket.
//!
//! [`public`] and [`operator`] are the two interfaces, [`serve`] is the bounded server beneath both. No decision is made
//! here: commands and acknowledgements go to the engine, and reads come from observations.

mod access;
mod accounts;
mod acks;
mod consumers;
mod credentials;
mod forget;
mod holds;
mod leaks;
pub mod openapi;
mod operator;
mod page;
mod peer;
mod probes;
mod public;
mod rate_limit;
mod response;
mod rotations;
mod serve;
mod socket;
mod tls;

pub use crate::telemetry::observation::Status;
pub use consumers::{Consumers, Readers, SharedToken};
pub use operator::{Operator, OperatorSocket, Reload};
pub use public::{Public, PublicListener};
pub use socket::BindError;
pub use tls::{Tls, TlsError, TlsFiles};
