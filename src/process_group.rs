//! The process group of a program that was started with `process_group(0)`: killed as a whole, so that nothing that the
//! program started is left behind.

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::Child;

/// Killed when it is dropped. Its number stays taken while any process of the group is there.
pub(crate) struct ProcessGroup(Pid);

impl ProcessGroup {
    /// The group that `child` leads; `None` if it has been waited for already.
    pub(crate) fn led_by(child: &Child) -> Option<Self> {
        child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).map(Self)
    }

    /// Sends SIGKILL to every process of the group; returns whether there was any.
    pub(crate) fn kill(&self) -> bool {
        kill_process_group(self.0, Signal::KILL).is_ok()
    }

    /// Sends the leader a signal. It may have ended already.
    pub(crate) fn signal_leader(&self, signal: Signal) {
        kill_process(self.0, signal).ok();
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if self.kill() {
            tracing::debug!("killed the processes that a program had left behind");
        }
    }
}
