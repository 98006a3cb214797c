//! Derives notifications from the difference between open incidents and firing alerts.
//!
//! An incident opens when its alert has fired for `notify_after`, and is resolved when the alert has been quiet as long.
//! An alert that fires again earlier continues its incident. Each channel receives one `resolved` for each `opened`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::domain::ids::ChannelName;
use crate::domain::notification::alerts::AlertSet;
use crate::domain::notification::{Alert, Notification, NotificationEvent, Subscription};

/// An alert that at least one channel was notified of, until it is resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// As in the last notification.
    pub alert: Alert,
    pub opened_at: Timestamp,
    /// The channels that were notified.
    pub channels: BTreeSet<ChannelName>,
}

/// A change that must be durable before any notification is delivered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// New and changed incidents.
    pub incidents: Vec<Incident>,
    /// The keys of resolved incidents.
    pub resolved: Vec<String>,
    pub notifications: Vec<Notification>,
    /// The newest rotation of each reported occurrence, by key.
    pub occurrences: BTreeMap<String, String>,
}

impl Change {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { incidents, resolved, notifications, occurrences } = self;
        incidents.is_empty() && resolved.is_empty() && notifications.is_empty() && occurrences.is_empty()
    }
}

pub type Subscriptions = BTreeMap<ChannelName, Subscription>;

/// The open incidents, and the alerts that may open or resolve one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Incidents {
    open: BTreeMap<String, Incident>,
    /// When each alert without an incident started to fire.
    pending: BTreeMap<String, Timestamp>,
    /// When the alert of each incident stopped firing.
    clearing: BTreeMap<String, Timestamp>,
}

impl Incidents {
    #[must_use]
    pub fn new(open: Vec<Incident>) -> Self {
        let open = open.into_iter().map(|incident| (incident.alert.key.clone(), incident)).collect();
        Self { open, ..Self::default() }
    }

    pub fn open(&self) -> impl Iterator<Item = &Incident> {
        self.open.values()
    }

    /// Updates the incidents and returns the resulting change.
    #[must_use]
    pub fn update(
        &mut self,
        firing: &AlertSet,
        subscriptions: &Subscriptions,
        notify_after: SignedDuration,
        now: Timestamp,
    ) -> Change {
        let mut change = Change::default();
        let keys: BTreeSet<&str> = firing.alerts.iter().map(|alert| alert.key.as_str()).collect();
        self.pending.retain(|key, _| keys.contains(key.as_str()));
        for alert in &firing.alerts {
            self.clearing.remove(&alert.key);
            self.fire(alert, subscriptions, notify_after, now, &mut change);
        }
        let quiet = |incident: &&Incident| {
            !keys.contains(incident.alert.key.as_str()) && !firing.is_unknown(&incident.alert)
        };
        let quiet: Vec<Alert> = self.open().filter(quiet).map(|incident| incident.alert.clone()).collect();
        for alert in quiet {
            self.resolve(&alert, subscriptions, notify_after, now, &mut change);
        }
        change
    }

    fn fire(
        &mut self,
        alert: &Alert,
        subscriptions: &Subscriptions,
        notify_after: SignedDuration,
        now: Timestamp,
        change: &mut Change,
    ) {
        let subscribed: BTreeSet<&ChannelName> =
            subscriptions.iter().filter(|(_, it)| it.matches(alert)).map(|(name, _)| name).collect();
        if !self.open.contains_key(&alert.key) {
            let since = self.pending.entry(alert.key.clone()).or_insert(now);
            // A clock that was set back makes nobody wait for longer than once more.
            *since = now.min(*since);
            let lasted = now.duration_since(*since);
            if lasted < notify_after.max(alert.grace) || subscribed.is_empty() {
                return;
            }
            self.pending.remove(&alert.key);
        }
        let incident = self.open.entry(alert.key.clone()).or_insert_with(|| Incident {
            alert: alert.clone(),
            opened_at: now,
            channels: BTreeSet::new(),
        });
        let changed = alert.has_changed_from(&incident.alert);
        let before = change.notifications.len();
        for channel in subscriptions.keys() {
            let event = match (incident.channels.contains(channel), subscribed.contains(channel)) {
                (true, _) if changed => NotificationEvent::Changed,
                (false, true) => NotificationEvent::Opened,
                (true, _) | (false, false) => continue,
            };
            incident.channels.insert(channel.clone());
            change.notifications.push(Notification::new(channel, event, alert, now));
        }
        if changed || change.notifications.len() > before {
            incident.alert = alert.clone();
            change.incidents.push(incident.clone());
        }
    }

    fn resolve(
        &mut self,
        alert: &Alert,
        subscriptions: &Subscriptions,
        notify_after: SignedDuration,
        now: Timestamp,
        change: &mut Change,
    ) {
        let since = self.clearing.entry(alert.key.clone()).or_insert(now);
        *since = now.min(*since);
        if now.duration_since(*since) < notify_after {
            return;
        }
        self.clearing.remove(&alert.key);
        let Some(incident) = self.open.remove(&alert.key) else { return };
        let notified = incident.channels.iter().filter(|channel| subscriptions.contains_key(*channel));
        change
            .notifications
            .extend(notified.map(|channel| {
                Notification::new(channel, NotificationEvent::Resolved, &incident.alert, now)
            }));
        change.resolved.push(alert.key.clone());
    }
}

#[cfg(test)]
mod tests;
