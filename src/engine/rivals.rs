//! One secret under two names: the stores are asked before anything is created.

use jiff::Timestamp;

use crate::domain::failure::Failure;
use crate::domain::place::{self, Rival};
use crate::domain::record::{Obstacle, ObstacleKind};
use crate::engine::reconciler::Reconciler;

impl Reconciler {
    /// A destination that is another one of the policy under another name. Both credentials are held: only an operator
    /// knows whose the secret is. An emergency waits only for what is certain.
    pub(super) async fn shared_destination(&self, now: Timestamp) -> Option<Obstacle> {
        let name = &self.record.credential;
        for rival in self.context.policy.rivals.get(name).into_iter().flatten() {
            let detail = match self.is_one_secret(rival).await {
                Ok(false) => continue,
                Ok(true) => format!(
                    "{}, so that each would overwrite the other's key; publish one of them to another secret, then reload",
                    place::told(name, rival)
                ),
                Err(_) if self.policy().is_some_and(|it| self.record.urgency(it).is_some()) => continue,
                Err(failure) => format!(
                    "cannot tell whether `{}` and `{}` of `{}` are the same secret: {failure}; make it readable, or write both as ARNs",
                    rival.own, rival.its, rival.credential
                ),
            };
            return Some(Obstacle { kind: ObstacleKind::SharedDestination, detail, since: now });
        }
        None
    }

    async fn is_one_secret(&self, rival: &Rival) -> Result<bool, Failure> {
        let own = self.context.store(&rival.own.store)?.identity(&rival.own).await?;
        Ok(own == self.context.store(&rival.its.store)?.identity(&rival.its).await?)
    }
}
