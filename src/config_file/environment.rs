//! The process environment behind a trait, so that tests can use a map.

/// Where environment variables are read.
pub trait Environment: Send + Sync {
    /// The variable's value; `None` if it is not set or is not Unicode.
    fn read(&self, name: &str) -> Option<String>;
}

/// The environment of this process: the only place that reads it.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    fn read(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

impl Environment for std::collections::BTreeMap<String, String> {
    fn read(&self, name: &str) -> Option<String> {
        self.get(name).cloned()
    }
}
