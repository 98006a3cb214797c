//! The loop's heartbeat, and its orderly end.

use std::sync::Arc;

use crate::domain::ids::CredentialName;
use crate::engine::controller::{Controller, ControllerError, CredentialEntry};
use crate::ports::meter::Meter;

impl Controller {
    /// With a meter that counts what is done.
    #[must_use]
    pub fn metered_by(mut self, meter: Arc<dyn Meter>) -> Self {
        self.meter = meter;
        self
    }

    pub(super) async fn drain(mut self, drain: std::time::Duration) -> Result<(), ControllerError> {
        for entry in self.entries.values() {
            if let Some(pause) = &entry.running {
                pause.cancel();
            }
        }
        let quit = self.quit.clone();
        let mut result = Ok(());
        let emptied = async {
            // The heartbeat goes on: a watchdog that is shorter than the drain must not kill the process.
            loop {
                self.beat();
                tokio::select! {
                    finished = self.tasks.join_next_with_id() => match finished {
                        Some(finished) => result = self.on_task_result(finished),
                        None => break,
                    },
                    () = self.tick.notified() => {}
                }
                if result.is_err() {
                    break;
                }
            }
        };
        if tokio::time::timeout(drain, emptied).await.is_err() {
            tracing::warn!(
                reconcilers = self.tasks.len(),
                "stopping before every rotation reached its next journalled point"
            );
        }
        quit.cancel();
        self.tasks.shutdown().await;
        result
    }

    pub(super) fn on_tick(&self) {
        self.heartbeat.send_modify(|heartbeat| heartbeat.tick = Some(self.context.now()));
    }

    pub(super) fn beat(&self) {
        self.heartbeat.send_modify(|heartbeat| {
            heartbeat.beat = Some(self.context.now());
            heartbeat.looks = Some(self.timer.looks);
            heartbeat.credentials = self.entries.len();
            heartbeat.reconciling = self.reconcilers.len();
            let damaged = |(name, entry): (&CredentialName, &CredentialEntry)| {
                Some((name.clone(), entry.damaged.clone()?))
            };
            if self.entries.values().filter(|entry| entry.damaged.is_some()).count()
                != heartbeat.damaged.len()
            {
                heartbeat.damaged = self.entries.iter().filter_map(damaged).collect();
            }
        });
    }
}
