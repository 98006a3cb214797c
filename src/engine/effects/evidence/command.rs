//! Runs the operator's program.

use std::collections::BTreeMap;

use crate::domain::gate::command::{CommandGate, CommandRun};
use crate::engine::effects::NewKeyEffects;

impl NewKeyEffects<'_> {
    pub(super) async fn run_command(&self, gate: &CommandGate) -> CommandRun {
        let plan = self.plan();
        let way_back = self.rotation.phase.is_rollback();
        let mut about = BTreeMap::from([
            ("REKEYD_CREDENTIAL".to_owned(), plan.credential.to_string()),
            ("REKEYD_WORKSPACE".to_owned(), plan.workspace.to_string()),
            ("REKEYD_ROTATION".to_owned(), plan.rotation.to_string()),
            ("REKEYD_DIRECTION".to_owned(), if way_back { "back" } else { "forward" }.to_owned()),
            ("REKEYD_NEW_FINGERPRINT".to_owned(), self.successor.fingerprint.to_string()),
            ("REKEYD_NEW_KEY_ID".to_owned(), self.successor.key.to_string()),
        ]);
        if let Some(old) = &plan.old {
            about.insert("REKEYD_OLD_KEY_ID".to_owned(), old.to_string());
        }
        let outcome = self.context.prober.run(gate, &about).await;
        let how = outcome.as_ref().err().cloned().unwrap_or_else(|| "exit code 0".to_owned());
        CommandRun { at: self.context.now(), agreed: outcome.is_ok(), how }
    }
}
