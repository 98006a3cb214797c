//! What every secret store has to do: one table of behaviours, run against each of them.

use std::future::Future;
use std::pin::Pin;

use async_trait::async_trait;
use rekeyd::domain::failure::{Failure, Kind};
use rekeyd::domain::ids::{StoreName, VersionId};
use rekeyd::domain::plan::Destination;
use rekeyd::domain::secret::{Fingerprint, SecretValue};
use rekeyd::domain::successor::Served;
use rekeyd::ports::secret_store::{SecretStore, VersionRef};
use uuid::Uuid;

/// A store, and the other side of it.
#[async_trait]
pub(crate) trait Harness: Send + Sync {
    fn store(&self) -> &dyn SecretStore;
    /// What somebody else does: makes `text` current, whatever is; makes the secret if it is not there.
    async fn write_by_hand(&self, secret: &str, text: &str);
    /// Makes a secret without a value, if this store has such.
    async fn make_empty(&self, secret: &str) -> bool;
    /// What a consumer reads.
    async fn served(&self, secret: &str) -> Option<String>;
    /// Whether it is as strict as the contract: moto loses the current label when it is moved onto a version that does
    /// not exist.
    fn is_strict(&self) -> bool {
        true
    }
}

pub(crate) fn place(secret: &str, json_field: Option<&str>, create: bool) -> Destination {
    let store = StoreName::new("store").unwrap();
    Destination {
        store,
        secret: secret.to_owned(),
        json_field: json_field.map(str::to_owned),
        create,
        create_field: true,
    }
}

pub(crate) fn version() -> VersionId {
    VersionId::new(Uuid::now_v7().to_string()).unwrap()
}

pub(crate) fn value(text: &str) -> SecretValue {
    SecretValue::new(text.to_owned()).unwrap()
}

fn fingerprint(text: &str) -> Option<Fingerprint> {
    Some(value(text).fingerprint())
}

/// The failure's kind; it is the test's end if the failure gives anything away.
pub(crate) fn kind<T>(outcome: Result<T, Failure>) -> Result<T, Kind> {
    outcome.map_err(|failure| {
        let all = format!("{failure} {failure:?}");
        assert!(!all.contains("sk_") && !all.contains("planted"), "a failure gives a secret away: {all}");
        failure.kind
    })
}

async fn read(harness: &dyn Harness, to: &Destination, which: VersionRef<'_>) -> Served {
    let held = kind(harness.store().read(to, which).await).unwrap();
    rekeyd::ports::secret_store::StoredVersion::served(held.as_ref())
}

type Run<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;
type Case = (&'static str, for<'a> fn(&'a dyn Harness, &'a str) -> Run<'a>);

const CASES: &[Case] = &[
    ("there_and_back", |harness, secret| Box::pin(there_and_back(harness, secret))),
    ("repeated_calls", |harness, secret| Box::pin(repeated_calls(harness, secret))),
    ("other_fields_stay", |harness, secret| Box::pin(other_fields_stay(harness, secret))),
    ("a_missing_field_is_added", |harness, secret| Box::pin(a_missing_field_is_added(harness, secret))),
    ("no_json_object", |harness, secret| Box::pin(no_json_object(harness, secret))),
    ("absent_stays_absent", |harness, secret| Box::pin(absent_stays_absent(harness, secret))),
    ("absent_is_created", |harness, secret| Box::pin(absent_is_created(harness, secret))),
    ("empty_is_filled", |harness, secret| Box::pin(empty_is_filled(harness, secret))),
    ("a_foreign_change_is_a_conflict", |harness, secret| {
        Box::pin(a_foreign_change_is_a_conflict(harness, secret))
    }),
    ("a_replay_over_a_foreign_change", |harness, secret| {
        Box::pin(a_replay_over_a_foreign_change(harness, secret))
    }),
    ("two_fields_of_one_secret", |harness, secret| Box::pin(two_fields_of_one_secret(harness, secret))),
    ("one_token_one_content", |harness, secret| Box::pin(one_token_one_content(harness, secret))),
    ("a_missing_version", |harness, secret| Box::pin(a_missing_version(harness, secret))),
    ("discarding", |harness, secret| Box::pin(discarding(harness, secret))),
];

/// Says which behaviour a panic came from.
struct Named(&'static str);

impl Drop for Named {
    #[expect(clippy::print_stderr, reason = "shown when the test fails")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the store fails in: {}", self.0);
        }
    }
}

/// Runs every behaviour on a secret of its own.
pub(crate) async fn conforms(harness: &dyn Harness) {
    let mut running = Named("none");
    for (name, case) in CASES {
        running.0 = name;
        case(harness, &format!("prod/{name}")).await;
    }
}

async fn there_and_back(harness: &dyn Harness, secret: &str) {
    let (store, to, new) = (harness.store(), place(secret, None, false), version());
    harness.write_by_hand(secret, "sk_old").await;
    let before = kind(store.preflight(&to).await).unwrap();
    assert_eq!(before.fingerprint, fingerprint("sk_old"));
    let old = before.version.unwrap();
    let staged = kind(store.stage(&to, &new, &value("sk_new")).await).unwrap();
    assert_eq!(staged.over.as_ref(), Some(&old));
    assert_eq!(harness.served(secret).await.as_deref(), Some("sk_old"), "staging serves nothing");
    assert_eq!(read(harness, &to, VersionRef::Version(&new)).await.fingerprint, fingerprint("sk_new"));
    assert_eq!(read(harness, &to, VersionRef::Current).await.version.as_ref(), Some(&old));
    kind(store.promote(&to, &new, Some(&old)).await).unwrap();
    assert_eq!(harness.served(secret).await.as_deref(), Some("sk_new"));
    let now = Served { version: Some(new.clone()), fingerprint: fingerprint("sk_new") };
    assert_eq!(read(harness, &to, VersionRef::Current).await, now);
    assert_eq!(read(harness, &to, VersionRef::Version(&old)).await.fingerprint, fingerprint("sk_old"));
    kind(store.promote(&to, &old, Some(&new)).await).unwrap();
    assert_eq!(harness.served(secret).await.as_deref(), Some("sk_old"));
    assert_eq!(read(harness, &to, VersionRef::Current).await.version, Some(old));
    kind(store.discard(&to, &new).await).unwrap();
    assert_eq!(harness.served(secret).await.as_deref(), Some("sk_old"));
}

async fn repeated_calls(harness: &dyn Harness, secret: &str) {
    let (store, to, new) = (harness.store(), place(secret, Some("key"), false), version());
    harness.write_by_hand(secret, r#"{"key":"sk_old","n":1}"#).await;
    let first = kind(store.preflight(&to).await).unwrap();
    assert_eq!(kind(store.preflight(&to).await).unwrap(), first);
    for _ in 0..3 {
        assert_eq!(kind(store.stage(&to, &new, &value("sk_new")).await).unwrap().over, first.version);
    }
    for _ in 0..3 {
        kind(store.promote(&to, &new, first.version.as_ref()).await).unwrap();
        assert_eq!(harness.served(secret).await.as_deref(), Some(r#"{"key":"sk_new","n":1}"#));
    }
    assert_eq!(kind(store.stage(&to, &new, &value("sk_new")).await).unwrap().over, first.version);
    let other = version();
    kind(store.stage(&to, &other, &value("sk_other")).await).unwrap();
    for _ in 0..3 {
        kind(store.discard(&to, &other).await).unwrap();
    }
    assert_eq!(harness.served(secret).await.as_deref(), Some(r#"{"key":"sk_new","n":1}"#));
}

async fn other_fields_stay(harness: &dyn Harness, secret: &str) {
    let (store, to, new) = (harness.store(), place(secret, Some("key"), false), version());
    let text =
        |key: &str| format!("{{\n  \"z\": 1.500,\n  \"key\" : \"{key}\",\n  \"a\": [\"planted\", {{}}]\n}}");
    harness.write_by_hand(secret, &text("sk_old")).await;
    let before = kind(store.preflight(&to).await).unwrap();
    assert_eq!(before.fingerprint, fingerprint("sk_old"));
    kind(store.stage(&to, &new, &value("sk_new")).await).unwrap();
    kind(store.promote(&to, &new, before.version.as_ref()).await).unwrap();
    assert_eq!(harness.served(secret).await, Some(text("sk_new")));
}

async fn a_missing_field_is_added(harness: &dyn Harness, secret: &str) {
    let (store, to, new) = (harness.store(), place(secret, Some("key"), false), version());
    harness.write_by_hand(secret, r#"{"a":true}"#).await;
    let before = kind(store.preflight(&to).await).unwrap();
    assert_eq!(before.fingerprint, None);
    assert!(before.version.is_some());
    kind(store.stage(&to, &new, &value("sk_new")).await).unwrap();
    kind(store.promote(&to, &new, before.version.as_ref()).await).unwrap();
    assert_eq!(harness.served(secret).await.as_deref(), Some(r#"{"a":true,"key":"sk_new"}"#));
}

async fn no_json_object(harness: &dyn Harness, secret: &str) {
    let (store, to) = (harness.store(), place(secret, Some("key"), true));
    for text in ["sk_planted", r#"["sk_planted"]"#, r#"{"key":{"sk_planted":1}}"#, r#"{"key":"sk_planted""#] {
        harness.write_by_hand(secret, text).await;
        assert_eq!(kind(store.preflight(&to).await), Err(Kind::Invalid), "{text}");
        assert_eq!(kind(store.stage(&to, &version(), &value("sk_new")).await), Err(Kind::Invalid), "{text}");
        assert_eq!(harness.served(secret).await.as_deref(), Some(text));
    }
}

async fn absent_stays_absent(harness: &dyn Harness, secret: &str) {
    let (store, to, new) = (harness.store(), place(secret, None, false), version());
    assert_eq!(kind(store.preflight(&to).await), Err(Kind::NotFound));
    assert_eq!(kind(store.stage(&to, &new, &value("sk_new")).await), Err(Kind::NotFound));
    assert_eq!(kind(store.promote(&to, &new, None).await), Err(Kind::NotFound));
    kind(store.discard(&to, &new).await).unwrap();
    assert_eq!(read(harness, &to, VersionRef::Current).await, Served::default());
    assert_eq!(harness.served(secret).await, None);
}

async fn absent_is_created(harness: &dyn Harness, secret: &str) {
    for (field, served) in [(None, "sk_first"), (Some("key"), r#"{"key":"sk_first"}"#)] {
        let secret = &format!("{secret}{}", field.unwrap_or_default());
        let (store, to, new) = (harness.store(), place(secret, field, true), version());
        assert_eq!(kind(store.preflight(&to).await), Ok(Served::default()));
        for _ in 0..2 {
            assert_eq!(kind(store.stage(&to, &new, &value("sk_first")).await).unwrap().over, None);
        }
        for _ in 0..2 {
            kind(store.promote(&to, &new, None).await).unwrap();
            assert_eq!(harness.served(secret).await.as_deref(), Some(served));
        }
        assert_eq!(kind(store.stage(&to, &new, &value("sk_first")).await).unwrap().over, None);
        assert_eq!(kind(store.promote(&to, &version(), None).await).err(), Some(Kind::NotFound));
        assert_eq!(harness.served(secret).await.as_deref(), Some(served));
    }
}

async fn empty_is_filled(harness: &dyn Harness, secret: &str) {
    let (store, to, new) = (harness.store(), place(secret, None, false), version());
    if !harness.make_empty(secret).await {
        return;
    }
    assert_eq!(kind(store.preflight(&to).await), Ok(Served::default()));
    for _ in 0..2 {
        assert_eq!(kind(store.stage(&to, &new, &value("sk_first")).await).unwrap().over, None);
    }
    kind(store.promote(&to, &new, None).await).unwrap();
    assert_eq!(harness.served(secret).await.as_deref(), Some("sk_first"));
}

async fn a_foreign_change_is_a_conflict(harness: &dyn Harness, secret: &str) {
    let (store, to, new) = (harness.store(), place(secret, Some("key"), false), version());
    harness.write_by_hand(secret, r#"{"key":"sk_old","n":1}"#).await;
    let before = kind(store.preflight(&to).await).unwrap();
    kind(store.stage(&to, &new, &value("sk_new")).await).unwrap();
    harness.write_by_hand(secret, r#"{"key":"sk_old","n":2}"#).await;
    let promoted = store.promote(&to, &new, before.version.as_ref()).await;
    assert_eq!(kind(promoted), Err(Kind::Conflict));
    assert_eq!(kind(store.promote(&to, &new, None).await), Err(Kind::Conflict));
    assert_eq!(harness.served(secret).await.as_deref(), Some(r#"{"key":"sk_old","n":2}"#));
    let again = version();
    let staged = kind(store.stage(&to, &again, &value("sk_new")).await).unwrap();
    assert_ne!(staged.over, before.version);
    kind(store.promote(&to, &again, staged.over.as_ref()).await).unwrap();
    assert_eq!(harness.served(secret).await.as_deref(), Some(r#"{"key":"sk_new","n":2}"#));
    kind(store.discard(&to, &new).await).unwrap();
    // The way back leads to what the other one wrote.
    kind(store.promote(&to, staged.over.as_ref().unwrap(), Some(&again)).await).unwrap();
    assert_eq!(harness.served(secret).await.as_deref(), Some(r#"{"key":"sk_old","n":2}"#));
}

async fn a_replay_over_a_foreign_change(harness: &dyn Harness, secret: &str) {
    for changes in [1, 2] {
        let secret = &format!("{secret}{changes}");
        let (store, to, new) = (harness.store(), place(secret, Some("key"), false), version());
        harness.write_by_hand(secret, r#"{"key":"sk_old","n":0}"#).await;
        kind(store.stage(&to, &new, &value("sk_new")).await).unwrap();
        for n in 1..=changes {
            harness.write_by_hand(secret, &format!(r#"{{"key":"sk_old","n":{n}}}"#)).await;
        }
        // It may say that it does not know what the version was made over, but never let the change be lost.
        match kind(store.stage(&to, &new, &value("sk_new")).await) {
            Ok(staged) => match kind(store.promote(&to, &new, staged.over.as_ref()).await) {
                Ok(()) => {
                    assert!(harness.served(secret).await.unwrap().contains(&format!(r#""n":{changes}"#)))
                }
                Err(kind) => assert_eq!(kind, Kind::Conflict),
            },
            Err(kind) => assert_eq!(kind, Kind::Conflict),
        }
        assert!(harness.served(secret).await.unwrap().contains(&format!(r#""n":{changes}"#)));
    }
}

async fn two_fields_of_one_secret(harness: &dyn Harness, secret: &str) {
    let store = harness.store();
    let (one, two) = (place(secret, Some("one"), false), place(secret, Some("two"), false));
    harness.write_by_hand(secret, r#"{"one":"sk_1","two":"sk_2"}"#).await;
    let (first, second, third) = (version(), version(), version());
    let over_one = kind(store.stage(&one, &first, &value("sk_one")).await).unwrap().over;
    let over_two = kind(store.stage(&two, &second, &value("sk_two")).await).unwrap().over;
    kind(store.promote(&one, &first, over_one.as_ref()).await).unwrap();
    assert_eq!(kind(store.promote(&two, &second, over_two.as_ref()).await), Err(Kind::Conflict));
    let over_two = kind(store.stage(&two, &third, &value("sk_two")).await).unwrap().over;
    assert_eq!(over_two.as_ref(), Some(&first));
    kind(store.promote(&two, &third, over_two.as_ref()).await).unwrap();
    assert_eq!(harness.served(secret).await.as_deref(), Some(r#"{"one":"sk_one","two":"sk_two"}"#));
}

async fn one_token_one_content(harness: &dyn Harness, secret: &str) {
    for (field, text) in [(None, "sk_old"), (Some("key"), r#"{"key":"sk_old"}"#)] {
        let secret = &format!("{secret}{}", field.unwrap_or_default());
        let (store, to, new) = (harness.store(), place(secret, field, false), version());
        harness.write_by_hand(secret, text).await;
        kind(store.stage(&to, &new, &value("sk_new")).await).unwrap();
        assert_eq!(kind(store.stage(&to, &new, &value("sk_planted")).await), Err(Kind::Conflict));
        assert_eq!(read(harness, &to, VersionRef::Version(&new)).await.fingerprint, fingerprint("sk_new"));
    }
}

async fn a_missing_version(harness: &dyn Harness, secret: &str) {
    let (store, to, new) = (harness.store(), place(secret, None, false), version());
    harness.write_by_hand(secret, "sk_old").await;
    assert_eq!(read(harness, &to, VersionRef::Version(&new)).await, Served::default());
    kind(store.discard(&to, &new).await).unwrap();
    if harness.is_strict() {
        let old = kind(store.preflight(&to).await).unwrap().version;
        assert_eq!(kind(store.promote(&to, &new, old.as_ref()).await), Err(Kind::NotFound));
        assert_eq!(harness.served(secret).await.as_deref(), Some("sk_old"));
    }
}

async fn discarding(harness: &dyn Harness, secret: &str) {
    let (store, to, new) = (harness.store(), place(secret, None, false), version());
    harness.write_by_hand(secret, "sk_old").await;
    let over = kind(store.stage(&to, &new, &value("sk_new")).await).unwrap().over;
    kind(store.promote(&to, &new, over.as_ref()).await).unwrap();
    kind(store.discard(&to, &new).await).unwrap();
    assert_eq!(harness.served(secret).await.as_deref(), Some("sk_new"), "what is current is never removed");
    assert_eq!(read(harness, &to, VersionRef::Current).await.version, Some(new));
}
