//! The secret store port over a local directory, for tmpfs and sidecars.
