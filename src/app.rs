//! Config -> build -> App -> run until shutdown: the only place that names adapters.
