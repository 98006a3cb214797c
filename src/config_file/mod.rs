//! What every configuration file of rekeyd is made of: values with their positions ([`kinds`]), the checks of single
//! values ([`values`]), problems with line, column, key and rule ([`findings`]), and references to secrets.
//!
//! The policy and the agent's configuration are built from it in [`crate::config`], the stores' own tables in the
//! folders of their adapters.

pub mod diagnostic;
pub mod duration;
pub mod environment;
pub(crate) mod findings;
pub(crate) mod kinds;
pub mod secret_source;
pub(crate) mod values;
