//! Builds the trace exporter from the environment, if the environment configures one.

use std::sync::Arc;

use crate::adapters::otlp::{self, Otlp};
use crate::app::assembly::Base;
use crate::app::with_causes;
use crate::config::traces::{TracesConfig, Unusable};
use crate::config_file::environment::Environment;
use crate::plain_file;
use crate::telemetry::meter::Meter;
use crate::telemetry::traces::{Exporter, Traces};

/// Why traces cannot be sent as the environment says.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Environment(#[from] Unusable),
    #[error("traces cannot be sent: the CA file that the environment names cannot be read")]
    CaFile(#[source] std::io::Error),
    #[error("traces cannot be sent")]
    Collector(#[from] otlp::BuildError),
}

/// Exports everything that is metered from here on as traces too, if the environment names a collector. To be called
/// before anything is written. Rotations do not depend on traces: settings that cannot be used are warned of.
pub(super) async fn begin(base: Base, environment: &dyn Environment) -> (Base, Option<Exporter>) {
    let collector = match collector(environment) {
        Ok(Some(collector)) => collector,
        Ok(None) => return (base, None),
        Err(error) => {
            tracing::warn!(error = %with_causes(&error), "the daemon runs without traces");
            return (base, None);
        }
    };
    let (traces, queue) = Traces::new(Arc::clone(&base.clock));
    let meter = Arc::new(Meter::tracing(traces));
    let (journal, counting) = (Arc::clone(&base.journal), Arc::clone(&meter));
    let mut exporter = Exporter::new(queue, Arc::new(collector), journal, counting);
    exporter.take_up().await;
    (Base { meter, ..base }, Some(exporter))
}

fn collector(environment: &dyn Environment) -> Result<Option<Otlp>, Error> {
    let Some(config) = TracesConfig::read(environment)? else { return Ok(None) };
    let TracesConfig { endpoint, headers, time_limit, ca_file, resource } = config;
    let ca_pem = ca_file.as_deref().map(plain_file::certificates).transpose().map_err(Error::CaFile)?;
    let host = endpoint.host_str().unwrap_or_default().to_owned();
    let collector = Otlp::new(otlp::Settings { endpoint, headers, time_limit, ca_pem, resource })?;
    tracing::info!(collector = host, "traces are sent");
    Ok(Some(collector))
}
