//! Inspection: compares a listing, and what destinations serve, with what a credential's record expects.

use jiff::{SignedDuration, Timestamp};

use crate::domain::finding::{Finding, FindingKind};
use crate::domain::ids::KeyId;
use crate::domain::key::{DisableReason, Inventory, Key};
use crate::domain::phase::OldKey;
use crate::domain::plan::Destination;
use crate::domain::policy::Credential;
use crate::domain::record::{Current, Record};
use crate::domain::rotation::Rotation;
use crate::domain::secret::Fingerprint;
use crate::domain::sharing::SharingGroups;

const KEYS_NAMED_MAX: usize = 10;

/// A listing, and what was read with it.
#[derive(Debug, Clone, Copy)]
pub struct InspectionInput<'a> {
    pub inventory: &'a Inventory,
    /// When the listing was made.
    pub at: Timestamp,
    /// A listing may lag by so much.
    pub settle: SignedDuration,
    /// Keys of the service account that neither the journal nor a nonce of ours explains, if they were looked for.
    pub strangers: Option<&'a [KeyId]>,
    /// What destinations serve, where they were read too.
    pub places: Option<&'a [(Destination, Option<Fingerprint>)]>,
}

/// The record with the findings of now: what is no longer so is gone, what is so still keeps its beginning. A leak is
/// never forgotten while its key exists for us. A key without a known baseline gets what it is listed with.
#[must_use]
pub fn inspect(
    record: &Record,
    rotation: Option<&Rotation>,
    policy: Option<&Credential>,
    seen: &InspectionInput<'_>,
) -> Record {
    let mut next = record.clone();
    let Some(current) = &record.current else {
        next.findings.clear();
        return next;
    };
    let mut found = Findings { record, at: seen.at, all: Vec::new() };
    found.keep_leaks(rotation);
    let listed = seen.inventory.key(&current.key);
    of_current(&mut found, current, listed, rotation, seen);
    if let Some(new) = rotation.and_then(Rotation::successor).and_then(|it| seen.inventory.key(&it.key)) {
        found.leak(new, false);
    }
    match (listed, rotation) {
        (Some(key), None) => of_attributes(&mut found, current, key, policy),
        (_, Some(_)) => found.keep(&[FindingKind::PermissionsChanged, FindingKind::PermissionsWidened]),
        (None, None) => {}
    }
    match seen.strangers {
        Some(strangers) => of_strangers(&mut found, record, strangers),
        None => found.keep(&[FindingKind::ForeignKeys]),
    }
    let groups = record.account.as_ref().and_then(|id| seen.inventory.account(id)?.groups.as_ref());
    of_groups(&mut found, record, groups);
    match (seen.places, rotation) {
        (Some(places), None) => of_places(&mut found, current, places),
        (None, _) | (_, Some(_)) => found.keep(&[FindingKind::DestinationChanged]),
    }
    if found.all.iter().any(|it| it.kind.is_leak() || it.kind == FindingKind::KeyVanished) {
        found.keep(&[FindingKind::EmergencyHeld]);
    }
    found.all.sort_by(|one, other| (one.kind, &one.key).cmp(&(other.kind, &other.key)));
    next.findings = found.all;
    next.sharing_groups = record.sharing_groups.clone().or_else(|| groups.cloned());
    if let (Some(current), Some(key), None) = (&mut next.current, listed, rotation) {
        current.attributes.get_or_insert_with(|| key.attributes.clone());
        // Somebody may have set it. After a rotation, a listing that lags may still show what the rotation had set.
        let is_fresh = |since: Timestamp| seen.at.duration_since(since) < seen.settle;
        if !is_fresh(current.since) && !record.last.as_ref().is_some_and(|last| is_fresh(last.at)) {
            current.expires_at = key.expires_at;
        }
    }
    next
}

/// Findings as they are gathered.
struct Findings<'a> {
    record: &'a Record,
    at: Timestamp,
    all: Vec<Finding>,
}

impl Findings<'_> {
    fn put(&mut self, kind: FindingKind, key: Option<&KeyId>, detail: String) {
        let found = Finding { kind, key: key.cloned(), detail, since: self.at };
        if self.all.iter().any(|known| known.is_same(&found)) {
            return;
        }
        let known = self.record.findings.iter().find(|known| known.is_same(&found));
        self.all.push(Finding { since: known.map_or(self.at, |known| known.since), ..found });
    }

    /// What was found before and is not looked at now.
    fn keep(&mut self, kinds: &[FindingKind]) {
        self.all.extend(self.record.findings.iter().filter(|it| kinds.contains(&it.kind)).cloned());
    }

    fn keep_leaks(&mut self, rotation: Option<&Rotation>) {
        let current = self.record.current.as_ref().map(|current| &current.key);
        let new = rotation.and_then(Rotation::successor).map(|successor| &successor.key);
        let old = rotation.and_then(|rotation| rotation.plan.old.as_ref());
        let is_ours = |key: &Option<KeyId>| key.is_some() && [current, new, old].contains(&key.as_ref());
        let leaks = self.record.findings.iter().filter(|it| it.kind.is_leak() && is_ours(&it.key));
        self.all.extend(leaks.cloned());
    }

    /// `disabled_by_us`: what the provider then gives as the reason is not known.
    fn leak(&mut self, key: &Key, disabled_by_us: bool) {
        match &key.disable_reason {
            Some(DisableReason::ExposedPublicly) => {
                let detail = format!("the provider found the key `{}` exposed in public", key.id);
                self.put(FindingKind::ExposedPublicly, Some(&key.id), detail);
            }
            Some(DisableReason::SelfDisabled) if !key.enabled && !disabled_by_us => {
                let detail =
                    format!("the key `{}` was disabled by a call that it authenticated itself", key.id);
                self.put(FindingKind::SelfDisabled, Some(&key.id), detail);
            }
            Some(
                DisableReason::SelfDisabled
                | DisableReason::TrialEnded
                | DisableReason::SubscriptionDowngrade
                | DisableReason::Other(_),
            )
            | None => {}
        }
    }
}

fn of_current(
    found: &mut Findings<'_>,
    current: &Current,
    listed: Option<&Key>,
    rotation: Option<&Rotation>,
    seen: &InspectionInput<'_>,
) {
    let id = &current.key;
    let disabled_by_us = rotation.is_some_and(|rotation| rotation.phase.old_key() != OldKey::Enabled);
    // A listing that lags may show how it was before it became what it is.
    let young = seen.at.duration_since(current.since) < seen.settle;
    if let Some(key) = listed {
        found.leak(key, disabled_by_us || young);
    }
    if disabled_by_us || young {
        return;
    }
    let Some(key) = listed else {
        let detail = format!("the key `{id}` was deleted outside rekeyd: the provider refuses its consumers");
        return found.put(FindingKind::KeyVanished, Some(id), detail);
    };
    if key.enabled {
        return;
    }
    match &key.disable_reason {
        Some(DisableReason::ExposedPublicly | DisableReason::SelfDisabled) => {}
        Some(DisableReason::TrialEnded) => {
            let detail = format!("the provider disabled the key `{id}`: the trial has ended; check the plan");
            found.put(FindingKind::TrialEnded, Some(id), detail);
        }
        Some(DisableReason::SubscriptionDowngrade) => {
            let detail = format!(
                "the provider disabled the key `{id}`: the subscription was downgraded; check the plan"
            );
            found.put(FindingKind::SubscriptionDowngrade, Some(id), detail);
        }
        Some(DisableReason::Other(_)) | None => {
            let detail = format!(
                "the key `{id}` was disabled outside rekeyd: enable it in the dashboard, or `rotate`"
            );
            found.put(FindingKind::DisabledByHand, Some(id), detail);
        }
    }
}

fn of_attributes(found: &mut Findings<'_>, current: &Current, key: &Key, policy: Option<&Credential>) {
    let id = &key.id;
    if let Some(baseline) = &current.attributes {
        let differences = baseline.differences(&key.attributes);
        if !differences.is_empty() {
            let detail = format!(
                "the key `{id}` was changed outside rekeyd in {}: `accept` the change, or undo it in the dashboard",
                differences.join(", ")
            );
            found.put(FindingKind::PermissionsChanged, Some(id), detail);
        }
    }
    let ceiling = policy.and_then(|policy| policy.first.as_ref()).map(|first| &first.permissions);
    if let Some(beyond) = ceiling.and_then(|ceiling| key.attributes.permissions.beyond(ceiling)) {
        let detail = format!(
            "the key `{id}` may do more than the policy's `permissions`: {beyond}; restrict the key in the dashboard, or extend the policy and reload"
        );
        found.put(FindingKind::PermissionsWidened, Some(id), detail);
    }
}

fn of_strangers(found: &mut Findings<'_>, record: &Record, strangers: &[KeyId]) {
    let mut ids: Vec<String> =
        strangers.iter().filter(|id| !record.accepted.contains(*id)).map(|id| format!("`{id}`")).collect();
    ids.sort();
    let count = ids.len();
    if count == 0 {
        return;
    }
    ids.truncate(KEYS_NAMED_MAX);
    let more = if count > ids.len() { format!(" and {} more", count - ids.len()) } else { String::new() };
    let detail = format!(
        "the service account has keys that rekeyd did not create: {}{more}; delete them in the dashboard, or `accept` them",
        ids.join(", ")
    );
    found.put(FindingKind::ForeignKeys, None, detail);
}

/// Groups belong to the account: a rotation changes none of them. A listing without them shows no change.
fn of_groups(found: &mut Findings<'_>, record: &Record, listed: Option<&SharingGroups>) {
    let kind = FindingKind::SharingGroupsChanged;
    let (Some(listed), Some(account)) = (listed, &record.account) else { return found.keep(&[kind]) };
    let Some(changes) = record.sharing_groups.as_ref().and_then(|known| known.changes(listed)) else {
        return;
    };
    let detail = format!(
        "the sharing groups of the service account `{account}` were changed outside rekeyd: {changes}; \
         its keys reach other resources: `accept` the change, or undo it in the dashboard"
    );
    found.put(kind, None, detail);
}

fn of_places(found: &mut Findings<'_>, current: &Current, places: &[(Destination, Option<Fingerprint>)]) {
    let Some(ours) = &current.fingerprint else { return };
    let changed: Vec<String> = places
        .iter()
        .filter(|(_, served)| served.as_ref() != Some(ours))
        .map(|(destination, served)| match served {
            Some(served) => format!("`{destination}` serves {served}"),
            None => format!("`{destination}` serves no key"),
        })
        .collect();
    if changed.is_empty() {
        return;
    }
    let detail = format!(
        "{}, not {ours} which was published there; find out who changed it, then `rotate` and `retry --overwrite`",
        changed.join(", ")
    );
    found.put(FindingKind::DestinationChanged, None, detail);
}
