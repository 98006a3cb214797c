//! Rebuilds a credential's damaged record from its rotations' events, by an operator's command.

use serde_json::json;

use crate::domain::account_creation::{AccountCreation, CreationState};
use crate::domain::audit::changes::Accepted;
use crate::domain::audit::{Act, changes};
use crate::domain::record::Record;
use crate::domain::replay::{self, ReplayedRotation};
use crate::engine::commands::CommandRequest;
use crate::engine::commit::ReconcileError;
use crate::engine::reconciler::Reconciler;
use crate::ports::journal::{CredentialState, Error, RotationHistory, records_where};

/// Rotations that are read at a time: the newest has mostly settled everything.
const AT_A_TIME: usize = 8;

impl Reconciler {
    /// Answers when the record is rebuilt, or why it cannot be: then the credential is left alone as before.
    pub(super) async fn repair(&mut self, request: CommandRequest) -> Result<(), ReconcileError> {
        self.actor = request.actor();
        let name = self.record.credential.clone();
        let damage = match self.context.journal.load_one(&name).await {
            Err(damage @ Error::Corrupt { .. }) => damage,
            Err(error) => {
                drop(request.answer.send(Err(error.to_string())));
                return Err(ReconcileError::reading(error));
            }
            Ok(known) => {
                if let Some(CredentialState { record, rotation }) = known {
                    self.record = record;
                    self.work.replace(rotation);
                    self.publish();
                }
                drop(request.answer.send(Ok(format!("the rows of `{name}` are sound: it goes on"))));
                return Ok(());
            }
        };
        match self.rebuild().await {
            Ok((mut record, newest)) => {
                record.account_creation = self.doubted_creation(&record);
                let kept = self.keep_what_was_accepted(&mut record).await;
                let details =
                    json!({ "why": damage.to_string(), "key": record.current.as_ref().map(|it| &it.key) });
                let at = self.context.now();
                let act = Act::new(at, self.actor.clone(), changes::REPAIRED, details);
                // The revision that follows the damaged one is the one that every later change is compared with.
                self.record.revision = record.revision;
                self.save_acting(record, vec![Act { credential: Some(name.clone()), ..act }]).await?;
                self.work.replace(newest.map(|it| it.rotation).filter(|rotation| !rotation.is_over()));
                self.publish();
                if let Some(rotation) = self.work.rotation() {
                    self.shared.count(rotation);
                }
                tracing::warn!(credential = %name, %damage, by = %self.actor, "its damaged record was made anew from its events");
                let done = format!(
                    "the record of `{name}` is made anew from its rotations' events, and it goes on; {kept}"
                );
                drop(request.answer.send(Ok(done)));
                Ok(())
            }
            Err(error) => {
                let advice = "only a backup of the journal has them: see `Damaged` in the runbook";
                let why = format!("the record of `{name}` cannot be made anew, because {error}; {advice}");
                drop(request.answer.send(Err(why)));
                Err(ReconcileError::reading(error))
            }
        }
    }

    /// What an operator accepted last, from the audit log; returns what is to be accepted anew.
    async fn keep_what_was_accepted(&self, record: &mut Record) -> String {
        let name = &record.credential;
        let is_its = |act: &Act| act.credential.as_ref() == Some(name);
        let told = records_where(self.context.journal.as_ref(), is_its).await;
        let is_whole = told.is_ok();
        let told = told.unwrap_or_else(|error| {
            tracing::warn!(credential = %name, %error, "what was accepted cannot be read from the audit log");
            Vec::new()
        });
        let mut accepted = Accepted::default();
        told.iter().for_each(|chained| accepted.note(&chained.act));
        let other_keys = accepted.other_keys.len();
        record.accepted = accepted.other_keys;
        record.sharing_groups = accepted.sharing_groups;
        let again = format!(
            "what was changed of its key's permissions since has to be accepted anew: `rekeyd accept {name}`"
        );
        if is_whole {
            format!("{other_keys} other keys of its account stay accepted, and {again}")
        } else {
            format!(
                "the audit log could not be read, so that other keys and sharing groups of its account have to be accepted anew too, and {again}"
            )
        }
    }

    /// The damaged record may have known of a creation under way: it is looked for before another one.
    fn doubted_creation(&self, record: &Record) -> Option<AccountCreation> {
        let credential = self.policy().filter(|_| record.account.is_none())?;
        let groups = credential.create_account.as_ref()?;
        let now = self.context.now();
        let why = "the credential's record was damaged";
        let doubted = AccountCreation::intended(&credential.service_account, groups, now);
        Some(doubted.turn(CreationState::InDoubt, why, now))
    }

    /// The record as the events have it, with the revision that is stored, and the newest rotation.
    async fn rebuild(&self) -> Result<(Record, Option<ReplayedRotation>), Error> {
        let (journal, name) = (&self.context.journal, &self.record.credential);
        let revision = journal.revision(name).await?.unwrap_or_default();
        let mut newest_first: Vec<ReplayedRotation> = Vec::new();
        let mut before = None;
        'all: loop {
            let page = journal.rotations(Some(name), before, AT_A_TIME).await?;
            for (rotation, _) in &page {
                let entries = journal.entries(*rotation).await?;
                let replayed = replay(RotationHistory { rotation: *rotation, entries })?;
                let settled = replayed.settles_everything();
                newest_first.push(replayed);
                if settled {
                    break 'all;
                }
            }
            let Some((last, _)) = page.last().filter(|_| page.len() == AT_A_TIME) else { break };
            before = Some(*last);
        }
        newest_first.reverse();
        let record = Record { revision, ..replay::record(name, &newest_first) };
        Ok((record, newest_first.pop()))
    }
}

fn replay(history: RotationHistory) -> Result<ReplayedRotation, Error> {
    let RotationHistory { rotation, entries } = history;
    let events = entries.into_iter().map(|entry| (entry.at, entry.event)).collect();
    ReplayedRotation::new(events).map_err(|history| Error::from((rotation, history)))
}
