//! Health, readiness, metrics and acknowledgements over HTTP; operator commands over a Unix socket.
