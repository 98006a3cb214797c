//! The prober port: plain HTTP calls to consumers' endpoints, and programs of the operator's.

mod command;
mod http;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use crate::contained::SELF_EXE;
use crate::domain::gate::command::CommandGate;
use crate::domain::gate::probes::Probe;
use crate::ports::prober::{ProbeResponse, Prober};

/// Sends requests over the network and runs programs, both within time limits.
#[derive(Debug)]
pub struct NetworkProber {
    /// The executable of rekeyd, below which programs run.
    pub rekeyd: PathBuf,
}

impl Default for NetworkProber {
    fn default() -> Self {
        Self { rekeyd: SELF_EXE.into() }
    }
}

/// The same, with every name resolving to these addresses, whatever the system's resolver says.
#[derive(Debug, Default)]
pub struct ResolvedProber(pub Vec<IpAddr>);

#[async_trait]
impl Prober for NetworkProber {
    async fn probe(&self, probe: &Probe) -> Vec<ProbeResponse> {
        http::probe(probe, http::Lookup::System).await
    }

    async fn run(&self, gate: &CommandGate, about: &BTreeMap<String, String>) -> Result<(), String> {
        command::run(&self.rekeyd, gate, about).await
    }
}

#[async_trait]
impl Prober for ResolvedProber {
    async fn probe(&self, probe: &Probe) -> Vec<ProbeResponse> {
        http::probe(probe, http::Lookup::Known(&self.0)).await
    }

    async fn run(&self, gate: &CommandGate, about: &BTreeMap<String, String>) -> Result<(), String> {
        command::run(Path::new(SELF_EXE), gate, about).await
    }
}
