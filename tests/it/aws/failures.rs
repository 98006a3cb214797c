//! What AWS's refusals, silences and lost replies become.

use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_secretsmanager::config::{ProvideCredentials, SharedCredentialsProvider};
use rekeyd::adapters::aws_secrets_manager::{AwsSecretsManager, Patience};
use rekeyd::domain::failure::{Certainty, Kind};
use rekeyd::domain::plan::Destination;
use rekeyd::ports::secret_store::{SecretStore, VersionRef};

use crate::aws::client::{Aws, PATIENCE, config};
use crate::support::endless::Endless;
use crate::support::secrets_manager::{Fault, StrictFake};
use crate::support::store_conformance::{Harness, kind, place, value, version};

const IMPATIENCE: Patience = Patience { attempt: Duration::from_millis(300), ..PATIENCE };

#[tokio::test]
async fn each_refusal_has_its_kind_and_gives_nothing_away() {
    let fake = StrictFake::start().await;
    let aws = Aws::at(&fake.url, true);
    let to = place("secret", None, false);
    aws.write_by_hand("secret", "sk_old").await;
    for (status, code, expected, says) in [
        (400, "ThrottlingException", Kind::Throttled, "slow down"),
        (400, "LimitExceededException", Kind::LimitReached, "rotate less often"),
        (400, "AccessDeniedException", Kind::Forbidden, "`secretsmanager:PutSecretValue` on `secret`"),
        (400, "EncryptionFailure", Kind::Forbidden, "kms:GenerateDataKey"),
        (400, "ExpiredTokenException", Kind::Unauthenticated, "renew"),
        (403, "UnrecognizedClientException", Kind::Unauthenticated, "credentials"),
        (403, "RequestExpired", Kind::ClockSkew, "clock"),
        (400, "InvalidRequestException", Kind::Invalid, "replica"),
        (400, "ValidationException", Kind::Invalid, "parameters"),
        (500, "InternalServiceError", Kind::ServerError, "internal error"),
        (503, "sk_planted is no code", Kind::ServerError, "503 with no error code"),
        (418, "TeapotException", Kind::Invalid, "418 with TeapotException"),
    ] {
        let faults = [Fault::Refuse(status, code); 3];
        fake.inject("PutSecretValue", &faults);
        let failure = aws.store.stage(&to, &version(), &value("sk_planted")).await.unwrap_err();
        assert!(failure.message.contains(says), "{code}: {failure}");
        assert!(failure.message.starts_with("cannot write a version of store:secret: "), "{failure}");
        let certain = if expected.is_passing() { Certainty::Unknown } else { Certainty::Rejected };
        assert_eq!(failure.certainty, certain, "{code}");
        assert!(failure.request_id.is_some(), "{code}");
        assert_eq!(kind(Err::<(), _>(failure)), Err(expected), "{code}");
        let spent = fake.calls().iter().filter(|call| *call == "PutSecretValue").count();
        for _ in spent..faults.len() {
            aws.store.stage(&to, &version(), &value("sk_planted")).await.unwrap_err();
        }
        fake.calls();
    }
    kind(aws.store.stage(&to, &version(), &value("sk_planted")).await).unwrap();
}

#[tokio::test]
async fn a_little_throttling_is_not_noticed() {
    let fake = StrictFake::start().await;
    let aws = Aws::at(&fake.url, true);
    aws.write_by_hand("secret", "sk_old").await;
    fake.inject("GetSecretValue", &[Fault::Refuse(400, "ThrottlingException"); 2]);
    assert!(aws.store.preflight(&place("secret", None, false)).await.is_ok());
}

#[tokio::test]
async fn a_lost_reply_of_an_effect_is_made_good() {
    let fake = StrictFake::start().await;
    let aws = Aws::patient(&fake.url, true, IMPATIENCE);
    aws.write_by_hand("secret", r#"{"key":"sk_old"}"#).await;
    let (to, new) = (place("secret", Some("key"), false), version());
    for operation in ["PutSecretValue", "UpdateSecretVersionStage", "CreateSecret"] {
        fake.inject(operation, &[Fault::LostReply]);
    }
    let over = kind(aws.store.stage(&to, &new, &value("sk_new")).await).unwrap().over;
    kind(aws.store.promote(&to, &new, over.as_ref()).await).unwrap();
    assert_eq!(aws.served("secret").await.as_deref(), Some(r#"{"key":"sk_new"}"#));
    let created = place("created", None, true);
    kind(aws.store.stage(&created, &new, &value("sk_new")).await).unwrap();
    assert_eq!(aws.served("created").await.as_deref(), Some("sk_new"));
}

#[tokio::test]
async fn silence_is_unknown_and_can_be_repeated() {
    let fake = StrictFake::start().await;
    let aws = Aws::patient(&fake.url, true, Patience { attempts_max: 1, ..IMPATIENCE });
    aws.write_by_hand("secret", "sk_old").await;
    let (to, new) = (place("secret", None, false), version());
    let over = aws.store.preflight(&to).await.unwrap().version;
    for (fault, operation) in [Fault::Silence, Fault::LostReply]
        .into_iter()
        .flat_map(|fault| ["PutSecretValue", "UpdateSecretVersionStage"].map(|operation| (fault, operation)))
    {
        fake.inject(operation, &[fault]);
        let failure = match operation {
            "PutSecretValue" => aws.store.stage(&to, &new, &value("sk_new")).await.unwrap_err(),
            _ => aws.store.promote(&to, &new, over.as_ref()).await.unwrap_err(),
        };
        assert_eq!((failure.certainty, failure.kind), (Certainty::Unknown, Kind::TimedOut), "{operation}");
        kind(aws.store.stage(&to, &new, &value("sk_new")).await).unwrap();
    }
    kind(aws.store.promote(&to, &new, over.as_ref()).await).unwrap();
    assert_eq!(aws.served("secret").await.as_deref(), Some("sk_new"));
    fake.inject("GetSecretValue", &[Fault::Silence]);
    assert_eq!(kind(aws.store.preflight(&to).await), Err(Kind::TimedOut));
    fake.inject("GetSecretValue", &[Fault::Garble]);
    assert_eq!(kind(aws.store.preflight(&to).await), Err(Kind::Garbled));
}

#[tokio::test]
async fn a_version_that_is_not_found_at_once_is_looked_for_again() {
    let fake = StrictFake::start().await;
    let aws = Aws::at(&fake.url, true);
    aws.write_by_hand("secret", "sk_old").await;
    let (to, new) = (place("secret", None, false), version());
    aws.store.stage(&to, &new, &value("sk_new")).await.unwrap();
    fake.inject("GetSecretValue", &[Fault::Refuse(400, "ResourceNotFoundException"); 2]);
    assert!(aws.store.read(&to, VersionRef::Version(&new)).await.unwrap().is_some());
}

#[tokio::test]
async fn nobody_at_the_other_end_is_unreachable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let aws = Aws::at(&url, true);
    assert_eq!(kind(aws.store.preflight(&place("secret", None, false)).await), Err(Kind::Unreachable));
}

#[derive(Debug)]
struct Nobody;

impl ProvideCredentials for Nobody {
    fn provide_credentials<'a>(&'a self) -> aws_credential_types::provider::future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let none = Err(CredentialsError::not_loaded("none"));
        aws_credential_types::provider::future::ProvideCredentials::ready(none)
    }
}

#[tokio::test]
async fn without_credentials_the_chain_is_named() {
    let fake = StrictFake::start().await;
    let config = config(&fake.url, SharedCredentialsProvider::new(Nobody));
    let store = AwsSecretsManager::configured(&config, PATIENCE).unwrap();
    let failure = store.preflight(&place("secret", None, false)).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Unauthenticated);
    assert!(failure.message.contains("web identity"), "{failure}");
    assert!(fake.calls().is_empty());
}

#[tokio::test]
async fn a_deleted_secret_is_said_to_be_one() {
    let fake = StrictFake::start().await;
    let aws = Aws::at(&fake.url, true);
    let (to, new) = (place("gone", None, true), version());
    aws.write_by_hand("gone", "sk_old").await;
    let over = aws.store.preflight(&to).await.unwrap().version;
    fake.mark_deleted("gone");
    let staged = aws.store.stage(&to, &new, &value("sk_new")).await.unwrap_err();
    let promoted = aws.store.promote(&to, &new, over.as_ref()).await.unwrap_err();
    let read = aws.store.read(&to, VersionRef::Current).await.map(drop).unwrap_err();
    for failure in [staged, promoted, read, aws.store.preflight(&to).await.unwrap_err()] {
        assert_eq!(failure.kind, Kind::Invalid);
        assert!(failure.message.contains("restore-secret --secret-id gone"), "{failure}");
    }
    assert_eq!(fake.label("gone", "REKEYD_PENDING"), None);
    kind(aws.store.discard(&to, &new).await).unwrap();
}

/// As far as moto goes: it takes writes to a deleted secret.
pub(crate) async fn a_secret_marked_for_deletion(aws: &Aws) {
    aws.write_by_hand("deleted", "sk_old").await;
    aws.client.delete_secret().secret_id("deleted").recovery_window_in_days(7).send().await.unwrap();
    let failure = aws.store.preflight(&place("deleted", None, true)).await.unwrap_err();
    assert_eq!(failure.kind, Kind::Invalid);
    assert!(failure.message.contains("restore-secret"), "{failure}");
}

#[tokio::test]
async fn a_secret_that_grows_too_large_is_refused_before_anything_is_sent() {
    let fake = StrictFake::start().await;
    let aws = Aws::at(&fake.url, true);
    let text = format!(r#"{{"other":"{}"}}"#, "x".repeat(65_500));
    aws.write_by_hand("large", &text).await;
    let to = place("large", Some("key"), false);
    assert_eq!(kind(aws.store.preflight(&to).await), Err(Kind::Invalid));
    fake.calls();
    assert_eq!(
        kind(aws.store.stage(&to, &version(), &value("sk_new_and_long_enough_to_be_a_key")).await),
        Err(Kind::Invalid)
    );
    assert_eq!(fake.calls(), ["GetSecretValue"]);
}

#[tokio::test]
async fn the_version_quota_is_a_limit() {
    let fake = StrictFake::start().await;
    let aws = Aws::at(&fake.url, true);
    aws.write_by_hand("secret", "sk_old").await;
    fake.limit_versions(2);
    let to = place("secret", None, false);
    kind(aws.store.stage(&to, &version(), &value("sk_1")).await).unwrap();
    assert_eq!(kind(aws.store.stage(&to, &version(), &value("sk_2")).await), Err(Kind::LimitReached));
}

#[tokio::test]
async fn a_secret_made_by_somebody_else_meanwhile_is_merged_into() {
    let fake = StrictFake::start().await;
    let aws = Aws::at(&fake.url, true);
    let to = Destination { create_field: true, ..place("raced", Some("key"), true) };
    let new = version();
    assert_eq!(kind(aws.store.preflight(&to).await).unwrap().version, None);
    aws.write_by_hand("raced", r#"{"a":1}"#).await;
    let over = kind(aws.store.stage(&to, &new, &value("sk_new")).await).unwrap().over;
    assert!(over.is_some());
    kind(aws.store.promote(&to, &new, over.as_ref()).await).unwrap();
    assert_eq!(aws.served("raced").await.as_deref(), Some(r#"{"a":1,"key":"sk_new"}"#));
}

#[tokio::test]
async fn a_partial_publish_is_visible_and_can_be_finished() {
    let fake = StrictFake::start().await;
    let aws = Aws::at(&fake.url, true);
    let new = version();
    let mut overs = Vec::new();
    for secret in ["one", "two"] {
        aws.write_by_hand(secret, "sk_old").await;
        overs.push(aws.store.stage(&place(secret, None, false), &new, &value("sk_new")).await.unwrap().over);
    }
    aws.store.promote(&place("one", None, false), &new, overs[0].as_ref()).await.unwrap();
    fake.inject("UpdateSecretVersionStage", &[Fault::Refuse(400, "AccessDeniedException")]);
    let second = place("two", None, false);
    assert_eq!(kind(aws.store.promote(&second, &new, overs[1].as_ref()).await), Err(Kind::Forbidden));
    assert_eq!(aws.served("one").await.as_deref(), Some("sk_new"));
    assert_eq!(aws.served("two").await.as_deref(), Some("sk_old"));
    aws.store.promote(&second, &new, overs[1].as_ref()).await.unwrap();
    assert_eq!(aws.served("two").await.as_deref(), Some("sk_new"));
}

/// Three tries of a mebibyte, and what is in the sockets' buffers by then.
const READ_MAX: u64 = 64 << 20;

#[tokio::test]
async fn an_answer_without_an_end_is_not_read_to_it() {
    let endless = Endless::start().await;
    let aws = Aws::at(&endless.url, true);
    let to = place("secret", None, false);
    let failure = aws.store.preflight(&to).await.unwrap_err();
    assert!(failure.message.contains("too long for AWS"), "{failure}");
    assert!(endless.sent() < READ_MAX, "{} bytes were taken", endless.sent());
    assert_eq!(kind(Err::<(), _>(failure)), Err(Kind::Garbled));
}
