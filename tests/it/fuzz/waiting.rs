//! How targets, which are plain functions, await.

use std::sync::OnceLock;

use tokio::runtime::Runtime;

/// The runtime that targets await on.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
    })
}
