//! A credential's record: its current key, and why and when it is rotated next.

pub use crate::domain::obstacle::{Obstacle, ObstacleKind};

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::account_creation::AccountCreation;
use crate::domain::backoff;
use crate::domain::emergency::EmergencyOutcome;
use crate::domain::finding::{Finding, FindingKind};
use crate::domain::ids::{CredentialName, KeyId, RotationId, ServiceAccountId, VersionId};
use crate::domain::key::KeyAttributes;
use crate::domain::last_use::LastUse;
use crate::domain::left::LeftDestination;
use crate::domain::phase::{Phase, PhaseName};
use crate::domain::plan::{Destination, Reason, Urgency};
use crate::domain::policy::{Credential, Mode};
use crate::domain::rotation::{RollbackCause, Rotation};
use crate::domain::secret::Fingerprint;
use crate::domain::sharing::SharingGroups;
use crate::domain::successor::{PlacementState, Successor};
use crate::domain::time::later;

/// A credential's row in the journal. Changed only together with the event that changes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub credential: CredentialName,
    /// How often it was changed: compare-and-set guards each change.
    pub revision: u64,
    pub account: Option<ServiceAccountId>,
    /// The key that embodies the credential now.
    pub current: Option<Current>,
    /// What our rotations made current where; a destination missing here has never been published to by us.
    pub published: Vec<PublishedVersion>,
    /// Destinations that left the policy and still hold what was published there.
    #[serde(default)]
    pub left: Vec<LeftDestination>,
    /// When it is due by its schedule, and by which schedule that was computed.
    pub due: Option<Due>,
    /// The rotation that is under way.
    pub open: Option<RotationId>,
    pub last: Option<LastRotation>,
    /// Rotations aborted in a row: slows the next one down.
    pub aborts: u32,
    /// An operator requested a rotation that has not begun yet.
    pub asked: bool,
    /// Why no rotation can be begun, if none can.
    #[serde(default)]
    pub obstacle: Option<Obstacle>,
    /// The findings of the last inspection.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// Keys of the service account that are not ours and that an operator accepted.
    #[serde(default)]
    pub accepted: BTreeSet<KeyId>,
    /// The sharing groups of its service account, as it was created with, as first listed, or as an operator accepted them.
    #[serde(default)]
    pub sharing_groups: Option<SharingGroups>,
    /// The creation of its service account, until a listing shows that.
    #[serde(default)]
    pub account_creation: Option<AccountCreation>,
    /// An operator requested an emergency rotation that has not begun yet.
    #[serde(default)]
    pub emergency: Option<Urgency>,
    /// The outcome of the last emergency.
    #[serde(default)]
    pub answered: Option<EmergencyOutcome>,
    /// When the key on record was adopted, if rekeyd did not create it.
    #[serde(default)]
    pub adopted_at: Option<Timestamp>,
    /// The newest use of a key that is only observed, or not rotated yet.
    #[serde(default)]
    pub last_use: Option<LastUse>,
    /// Destinations that held no key when they were last read, before rekeyd published to them.
    #[serde(default)]
    pub empty_destinations: Vec<Destination>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Current {
    pub key: KeyId,
    /// `None` for an adopted key: rekeyd does not know its value.
    pub fingerprint: Option<Fingerprint>,
    /// When it became the credential's key; for an adopted one when it was created, or when we first saw it.
    pub since: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub usage_hash: Option<String>,
    /// Its permissions and limits, as created by rekeyd or accepted by an operator.
    #[serde(default, alias = "grants")]
    pub attributes: Option<KeyAttributes>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedVersion {
    pub destination: Destination,
    pub version: VersionId,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    pub at: Timestamp,
    pub schedule: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastRotation {
    pub rotation: RotationId,
    pub outcome: PhaseName,
    pub at: Timestamp,
    pub why: Option<String>,
}

/// A key is replaced at the latest when this share of its life is left, whatever the terms.
const EXPIRY_SHARE: i32 = 3;

impl Record {
    #[must_use]
    pub fn new(credential: CredentialName) -> Self {
        Self {
            credential,
            revision: 0,
            account: None,
            current: None,
            published: Vec::new(),
            left: Vec::new(),
            due: None,
            open: None,
            last: None,
            aborts: 0,
            asked: false,
            obstacle: None,
            findings: Vec::new(),
            accepted: BTreeSet::new(),
            sharing_groups: None,
            account_creation: None,
            emergency: None,
            answered: None,
            adopted_at: None,
            last_use: None,
            empty_destinations: Vec::new(),
        }
    }

    /// Whether rekeyd has never published a key of this credential.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.published.is_empty()
    }

    /// Whether its key is only observed, or its first rotation is not over yet.
    #[must_use]
    pub fn is_unrotated(&self, policy: &Credential) -> bool {
        self.is_new() || policy.mode == Mode::Observe
    }

    /// The record after a change of its rotation. Nothing changes unless the rotation has just begun or ended.
    #[must_use]
    pub fn follow(&self, rotation: &Rotation, now: Timestamp) -> Self {
        let mut next = self.clone();
        next.account = Some(rotation.plan.account.clone());
        if !rotation.is_over() {
            if next.open != Some(rotation.plan.rotation) {
                next.open = Some(rotation.plan.rotation);
                next.asked = false;
                next.obstacle = None;
                next.emergency = None;
            }
            if rotation.plan.emergency {
                next.findings.retain(|it| it.kind != FindingKind::EmergencyHeld);
            }
            if let Phase::Withdrawing { successor, cause: RollbackCause::NoKeyLeft } = &rotation.phase {
                next.prepare_to_replace_both(rotation, successor);
            }
            return next;
        }
        next.open = None;
        let mut why = None;
        if let Phase::Done(successor) = &rotation.phase {
            next.take_over(rotation, successor, now);
        } else {
            next.aborts = next.aborts.saturating_add(1);
        }
        if let Phase::Aborted { why: cause } = &rotation.phase {
            why = Some(cause.clone());
        }
        if let (Phase::RolledBack { .. }, Some(current)) = (&rotation.phase, &mut next.current) {
            // The old key is in service again, and somebody wanted it so: wait a whole interval, not none.
            current.since = now;
            next.due = None;
        }
        if let Phase::RolledBack { cause: RollbackCause::NoKeyLeft } = &rotation.phase {
            let why = "neither key of its last rotation was of use any more".to_owned();
            next.emergency = Some(Urgency { why, since: now });
            next.aborts = 0;
        }
        // Findings about a replaced key are resolved.
        let current = next.current.as_ref().map(|current| &current.key);
        next.findings.retain(|it| it.key.is_none() || it.key.as_ref() == current);
        next.last = Some(LastRotation {
            rotation: rotation.plan.rotation,
            outcome: rotation.phase.name(),
            at: now,
            why,
        });
        next
    }

    /// The old key may be gone, so that only the record tells what the next one may do; and what serves the new key was
    /// put there by this rotation, not by somebody else.
    fn prepare_to_replace_both(&mut self, rotation: &Rotation, successor: &Successor) {
        if let Some(current) = &mut self.current {
            current.attributes.get_or_insert_with(|| successor.request.attributes.clone());
        }
        let ours = published(rotation, successor);
        self.published
            .retain(|known| !ours.iter().any(|it| it.destination.is_same_place(&known.destination)));
    }

    fn take_over(&mut self, rotation: &Rotation, successor: &Successor, now: Timestamp) {
        let facts = successor.facts.as_ref();
        if let Some(Urgency { why, since }) = rotation.plan.urgency.clone() {
            let fingerprint = self.current.take().and_then(|current| current.fingerprint);
            self.answered =
                Some(EmergencyOutcome { rotation: rotation.plan.rotation, why, since, at: now, fingerprint });
        }
        self.findings.retain(|it| it.kind != FindingKind::DestinationChanged);
        self.current = Some(Current {
            key: successor.key.clone(),
            fingerprint: Some(successor.fingerprint.clone()),
            since: facts.and_then(|facts| facts.created_at).unwrap_or(now).min(now),
            expires_at: facts.and_then(|facts| facts.expires_at),
            usage_hash: facts.and_then(|facts| facts.usage_hash.clone()),
            attributes: facts.and_then(|facts| facts.attributes.as_deref().cloned()),
        });
        self.published = published(rotation, successor);
        self.due = None;
        self.adopted_at = None;
        self.last_use = None;
        self.empty_destinations.clear();
        self.aborts = 0;
    }

    /// Makes the next due instant durable, if it is not there yet or was computed by another schedule. `None` if
    /// there is nothing to change. A key whose age is unknown counts from now: a missing fact plans, never acts.
    #[must_use]
    pub fn plan_next(&self, credential: &Credential) -> Option<Self> {
        let current = self.current.as_ref()?;
        let schedule = credential.schedule.signature();
        if self.due.as_ref().is_some_and(|due| due.schedule == schedule) {
            return None;
        }
        let at = match self.adopted_at.filter(|_| self.is_new()) {
            Some(adopted_at) => credential.schedule.first_due(&self.credential, adopted_at),
            None => credential.schedule.next_due(&self.credential, current.since),
        };
        Some(Self { due: Some(Due { at, schedule }), ..self.clone() })
    }

    /// The record without instants that are still to come at `now`, by more than `tolerance`: a clock that was wrong wrote
    /// them, and what is computed from them is computed again, from now. `None` if there are none.
    #[must_use]
    pub fn corrected(&self, now: Timestamp, tolerance: SignedDuration) -> Option<Self> {
        let is_wrong = |at: Timestamp| at > later(now, tolerance);
        let current = self.current.as_ref().filter(|current| is_wrong(current.since));
        let adopted_at = self.adopted_at.filter(|at| is_wrong(*at));
        if current.is_none() && adopted_at.is_none() {
            return None;
        }
        let mut next = Self { due: None, ..self.clone() };
        if let Some(current) = current {
            next.current = Some(Current { since: now, ..current.clone() });
        }
        next.adopted_at = self.adopted_at.map(|at| if is_wrong(at) { now } else { at });
        Some(next)
    }

    /// Why a rotation should begin now, if one should; the first reason that applies. Windows and freezes are the
    /// caller's to ask about.
    #[must_use]
    pub fn why_now(&self, credential: &Credential, now: Timestamp) -> Option<Reason> {
        if self.open.is_some() {
            return None;
        }
        if let Some((reason, _)) = self.urgency(credential) {
            return (self.not_before_in_an_emergency() <= now).then_some(reason);
        }
        if credential.mode == Mode::Observe || now < self.not_before() {
            return None;
        }
        if self.asked {
            return Some(Reason::Manual);
        }
        if self.current.is_none() {
            return Some(Reason::FirstKey);
        }
        if self.expiry_deadline(credential).is_some_and(|deadline| deadline <= now) {
            return Some(Reason::Expiry);
        }
        if self.is_new() {
            return self.is_first_due(now).then_some(Reason::Adoption);
        }
        if !self.is_published_everywhere(credential) {
            return Some(Reason::NewDestination);
        }
        self.due.as_ref().filter(|due| due.at <= now).map(|_| Reason::Schedule)
    }

    /// When the current key has to be replaced at the latest, if it expires.
    #[must_use]
    pub fn expiry_deadline(&self, credential: &Credential) -> Option<Timestamp> {
        let current = self.current.as_ref()?;
        expiry_deadline(current.since, current.expires_at, credential)
    }

    /// The next instant at which [`Self::why_now`] may answer differently; `None` if only an event can change it.
    #[must_use]
    pub fn next_look(&self, credential: &Credential, now: Timestamp) -> Option<Timestamp> {
        if self.open.is_some() {
            return None;
        }
        if self.urgency(credential).is_some() {
            return Some(self.not_before_in_an_emergency().max(now));
        }
        if credential.mode == Mode::Observe {
            return None;
        }
        let due = self.due.as_ref().map(|due| due.at);
        let expiry = self.expiry_deadline(credential);
        let unpublished =
            if self.is_new() { self.is_first_due(now) } else { !self.is_published_everywhere(credential) };
        let asked = self.asked || self.current.is_none() || unpublished;
        let asked = asked.then_some(now);
        [due, expiry, asked].into_iter().flatten().min().map(|at| at.max(self.not_before()))
    }

    /// Whether the first rotation of an adopted key may begin. Records of earlier versions do not tell when it was adopted.
    fn is_first_due(&self, now: Timestamp) -> bool {
        self.adopted_at.is_none() || self.due.as_ref().is_some_and(|due| due.at <= now)
    }

    fn is_published_everywhere(&self, credential: &Credential) -> bool {
        !self.is_new() && credential.destinations.iter().all(|wanted| self.was_published_to(wanted))
    }

    /// The back-off after rotations that came to nothing. A key that expires is never waited for longer than half of
    /// what was left of its life. After a rollback it is the longest at once: somebody, or the
    /// policy, preferred the old key. An operator's wish resets it (see [`Self::ask`]).
    #[must_use]
    pub fn not_before(&self) -> Timestamp {
        let Some(last) = self.last.as_ref().filter(|_| self.aborts > 0) else { return Timestamp::MIN };
        let wait = if last.outcome == PhaseName::RolledBack {
            backoff::ROTATIONS.cap
        } else {
            backoff::ROTATIONS.wait(self.aborts, None, &self.credential)
        };
        let expires_at = self.current.as_ref().and_then(|current| current.expires_at);
        let left = expires_at.map_or(SignedDuration::MAX, |expiry| expiry.duration_since(last.at) / 2);
        later(last.at, wait.min(left.max(backoff::ROTATIONS.first)))
    }

    /// The record after an operator requested a rotation: it begins at once, whatever failed before.
    #[must_use]
    pub fn ask(&self) -> Self {
        Self { asked: true, aborts: 0, obstacle: None, ..self.clone() }
    }
}

/// When a key that expires has to be on its way out.
#[must_use]
fn expiry_deadline(
    since: Timestamp,
    expires_at: Option<Timestamp>,
    credential: &Credential,
) -> Option<Timestamp> {
    let expires_at = expires_at?;
    let life = expires_at.duration_since(since);
    let wanted = credential.terms.at_least.saturating_mul(2).saturating_add(SignedDuration::from_hours(24));
    let lead = wanted.min(SignedDuration::from_secs(life.as_secs() / i64::from(EXPIRY_SHARE)));
    Some(expires_at.saturating_sub(lead).unwrap_or(Timestamp::MIN))
}

fn published(rotation: &Rotation, successor: &Successor) -> Vec<PublishedVersion> {
    let places = rotation.plan.destinations.iter().zip(&successor.placements);
    places
        .filter_map(|(destination, placement)| match &placement.progress {
            PlacementState::Current { version, .. } => {
                Some(PublishedVersion { destination: destination.clone(), version: version.clone() })
            }
            PlacementState::Absent | PlacementState::Staged { .. } | PlacementState::Restored { .. } => None,
        })
        .collect()
}
