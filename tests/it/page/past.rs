//! Credentials as a journal remembers them: idle, parked, leaked, blocked, rotated long ago.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rekeyd::domain::audit::Actor;
use rekeyd::domain::event::Event;
use rekeyd::domain::finding::{Finding, FindingKind};
use rekeyd::domain::gate::confirm::ConfirmWhen;
use rekeyd::domain::gate::{Gate, GateName, Verdict};
use rekeyd::domain::ids::{
    ConsumerName, CredentialName, KeyId, RotationId, ServiceAccountId, StoreName, VersionId, WorkspaceName,
};
use rekeyd::domain::key::{KeyAttributes, KeyRequest, Permissions};
use rekeyd::domain::phase::PhaseName;
use rekeyd::domain::plan::{AfterDeadline, Destination, Plan, Reason, RevocationPolicy};
use rekeyd::domain::record::{Current, Due, LastRotation, Obstacle, ObstacleKind, PublishedVersion, Record};
use rekeyd::domain::rotation::ParkReason;
use rekeyd::domain::secret::Fingerprint;
use rekeyd::domain::successor::{KeyFacts, Served};
use rekeyd::ports::journal::{Entry, Journal};
use tokio::task::JoinSet;

const DAY: i64 = 24 * 3600;

/// A journal being filled, as of a moment.
pub(super) struct Past {
    pub(super) journal: Arc<dyn Journal>,
    pub(super) now: Timestamp,
    pub(super) rotations: u64,
}

fn version(text: &str) -> VersionId {
    VersionId::new(text).unwrap()
}

fn print(text: &str) -> Fingerprint {
    Fingerprint::of(text.as_bytes())
}

fn destination(credential: &str) -> Destination {
    Destination {
        store: StoreName::new("aws").unwrap(),
        secret: format!("prod/{credential}"),
        json_field: None,
        create: false,
        create_field: false,
    }
}

fn terms() -> RevocationPolicy {
    RevocationPolicy {
        at_least: SignedDuration::from_hours(2),
        at_most: SignedDuration::from_hours(24),
        then: AfterDeadline::Hold,
        gates: vec![Gate::Acks([ConsumerName::new("voice-api").unwrap()].into())],
        confirm: ConfirmWhen::Never,
        acks_valid_for: None,
        canary: None,
        quarantine: SignedDuration::from_hours(24),
    }
}

impl Past {
    fn ago(&self, seconds: i64) -> Timestamp {
        self.now - SignedDuration::from_secs(seconds)
    }

    pub(super) fn record(&self, credential: &str, days_old: i64) -> Record {
        Record {
            revision: 1,
            account: Some(ServiceAccountId::new(format!("sa_{credential}")).unwrap()),
            current: Some(Current {
                key: KeyId::new(format!("key_of_{credential}")).unwrap(),
                fingerprint: Some(print(credential)),
                since: self.ago(days_old * DAY + 4 * 3600),
                expires_at: Some(self.ago((days_old - 60) * DAY)),
                usage_hash: None,
                attributes: None,
            }),
            published: vec![PublishedVersion {
                destination: destination(credential),
                version: version("v7"),
            }],
            due: Some(Due { at: self.ago((days_old - 30) * DAY), schedule: "every 30d".to_owned() }),
            ..Record::new(CredentialName::new(credential).unwrap())
        }
    }

    pub(super) async fn idle(&self, credential: &str, days_old: i64) {
        self.journal.save(&self.record(credential, days_old), &[]).await.unwrap();
    }

    /// So many that nothing is to be said of, written together.
    pub(super) async fn crowd(&self, count: i64) {
        let mut writes = JoinSet::new();
        for number in 0..count {
            let record = self.record(&format!("service-{number:04}"), number % 29);
            let journal = Arc::clone(&self.journal);
            writes.spawn(async move { journal.save(&record, &[]).await.unwrap() });
        }
        writes.join_all().await;
    }

    /// Its key was found in public.
    pub(super) async fn leaked(&self, credential: &str, detail: &str) {
        let mut record = self.record(credential, 12);
        record.findings = vec![Finding {
            kind: FindingKind::ExposedPublicly,
            key: record.current.as_ref().map(|current| current.key.clone()),
            detail: detail.to_owned(),
            since: self.ago(140),
        }];
        self.journal.save(&record, &[]).await.unwrap();
    }

    pub(super) async fn blocked(&self, credential: &str) {
        let detail = "the service account has 3 keys; say which one is in use with `adopt`".to_owned();
        let obstacle = Obstacle { kind: ObstacleKind::AdoptionUnclear, detail, since: self.ago(5 * 3600) };
        let record = Record { obstacle: Some(obstacle), ..self.record(credential, 41) };
        self.journal.save(&record, &[]).await.unwrap();
    }

    fn begun(&self, credential: &str, id: RotationId, ago: i64) -> Event {
        Event::Begun(Box::new(Plan {
            rotation: id,
            credential: CredentialName::new(credential).unwrap(),
            workspace: WorkspaceName::new("prod").unwrap(),
            account: ServiceAccountId::new(format!("sa_{credential}")).unwrap(),
            reason: Reason::Schedule,
            begun_at: self.ago(ago),
            old: Some(KeyId::new(format!("key_of_{credential}")).unwrap()),
            adopted: false,
            first: None,
            key_lifetime: None,
            allow_unrestricted: false,
            destinations: vec![destination(credential)],
            terms: terms(),
            expire_old_key: None,
            emergency: false,
            urgency: None,
        }))
    }

    async fn write(
        &mut self,
        credential: &str,
        from: i64,
        events: Vec<(i64, Event)>,
        record: &Record,
    ) -> RotationId {
        self.rotations += 1;
        let id: RotationId = format!("019ab8a0-0000-7000-8000-{:012x}", self.rotations).parse().unwrap();
        let first = (0, self.begun(credential, id, from));
        for (sequence, (after, event)) in (0..).zip(std::iter::once(first).chain(events)) {
            let entry = Entry {
                rotation: id,
                sequence,
                at: self.ago(from - after),
                credential: CredentialName::new(credential).unwrap(),
                workspace: WorkspaceName::new("prod").unwrap(),
                actor: Actor::Policy,
                key: None,
                event,
            };
            let open = Record { open: Some(id), ..record.clone() };
            self.journal.append(&entry, (sequence == 0).then_some(&open)).await.unwrap();
        }
        id
    }

    fn course() -> Vec<(i64, Event)> {
        let permissions = Permissions::Only(["text_to_speech".to_owned()].into());
        let request = KeyRequest { attributes: KeyAttributes::of(permissions), expires_at: None };
        let before = Served { version: Some(version("v7")), fingerprint: None };
        let key = KeyId::new("key_new").unwrap();
        let facts = KeyFacts {
            created_at: None,
            expires_at: None,
            usage_hash: None,
            hint: "…c04f".to_owned(),
            attributes: None,
        };
        vec![
            (1, Event::MintIntended { request, before: vec![before] }),
            (2, Event::Minted { key, fingerprint: print("new") }),
            (
                3,
                Event::Staged {
                    destination: 0,
                    version: version("v8"),
                    over: Some(version("v7")),
                    before: None,
                },
            ),
            (5, Event::Verified { facts }),
            (6, Event::Promoted { destination: 0, displaced: Some(version("v7")) }),
        ]
    }

    /// It stopped in quarantine: a consumer fails since the old key is disabled.
    pub(super) async fn parked(&mut self, credential: &str, detail: &str) {
        let mut events = Self::course();
        let verdict = Verdict {
            gate: GateName::Acks,
            satisfied: true,
            reason: "acknowledged by voice-api".to_owned(),
            waiting_on: vec![],
        };
        events.extend([
            (7300, Event::Released { verdicts: vec![verdict], forced: false }),
            (7301, Event::OldKeyDisabled),
            (7700, Event::Parked { reason: ParkReason::ForeignValue, detail: detail.to_owned() }),
        ]);
        let record = self.record(credential, 33);
        self.write(credential, 9000, events, &record).await;
    }

    /// It was rotated some days ago, and all went well.
    pub(super) async fn rotated(&mut self, credential: &str, days: i64) {
        let mut events = Self::course();
        events.extend([
            (7300, Event::Released { verdicts: vec![], forced: false }),
            (7301, Event::OldKeyDisabled),
            (7301 + DAY, Event::QuarantinePassed),
            (7303 + DAY, Event::OldKeyGone),
        ]);
        let from = days * DAY + 2 * DAY;
        let record = self.record(credential, days + 2);
        let id = self.write(credential, from, events, &record).await;
        let last = LastRotation {
            rotation: id,
            outcome: PhaseName::Done,
            at: self.ago(from - 7303 - DAY),
            why: None,
        };
        let over = Record { revision: 2, open: None, last: Some(last), ..record };
        self.journal.save(&over, &[]).await.unwrap();
    }
}
