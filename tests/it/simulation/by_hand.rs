//! What people published before rekeyd did.

use rekeyd::adapters::memory::store::MemoryStore;
use rekeyd::domain::policy::Credential;

/// Before rekeyd there were people.
pub(super) fn publish_by_hand(store: &MemoryStore, credential: &Credential, value: &str) {
    for destination in &credential.destinations {
        let text = match &destination.json_field {
            None => value.to_owned(),
            Some(field) => {
                let before =
                    store.text(&destination.secret).map_or_else(|| "{}".to_owned(), |text| text.to_string());
                let mut fields: serde_json::Map<String, serde_json::Value> =
                    serde_json::from_str(&before).unwrap();
                fields.insert(field.clone(), value.into());
                serde_json::to_string(&fields).unwrap()
            }
        };
        store.write_as_somebody_else(&destination.secret, &text);
    }
}
