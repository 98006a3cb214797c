//! What others can ask of the daemon: probes, metrics, what is known and acknowledgements over TCP, orders over a Unix
//! socket.
//!
//! [`public`] and [`operator`] are the two surfaces, [`serve`] the bounded loop beneath both. Nothing here decides
//! anything: orders and acknowledgements go to the engine, and what is told is observed.

mod access;
mod acks;
mod consumers;
mod credentials;
mod holds;
mod leaks;
pub mod openapi;
mod operator;
mod page;
mod peer;
mod probes;
mod public;
mod rates;
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
