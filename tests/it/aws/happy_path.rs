//! What a rotation costs in calls, and where the labels are on the way.

use aws_config::SdkConfig;
use rekeyd::adapters::aws_secrets_manager::{AwsSecretsManager, Settings};
use rekeyd::call_context;
use rekeyd::ports::secret_store::{SecretStore, VersionRef};

use crate::aws::client::Aws;
use crate::support::secrets_manager::StrictFake;
use crate::support::store_conformance::{Harness, place, value, version};

#[tokio::test]
async fn a_rotation_takes_four_calls() {
    let fake = StrictFake::start().await;
    let aws = Aws::at(&fake.url, true);
    for (secret, field, text) in [("plain", None, "sk_old"), ("json", Some("key"), r#"{"key":"sk_old"}"#)] {
        aws.write_by_hand(secret, text).await;
        for number in 0..2 {
            fake.calls();
            let (to, new) = (place(secret, field, false), version());
            let value = value(&format!("sk_{number}"));
            aws.store.preflight(&to).await.unwrap();
            let over = aws.store.stage(&to, &new, &value).await.unwrap().over;
            aws.store.promote(&to, &new, over.as_ref()).await.unwrap();
            let held = aws.store.read(&to, VersionRef::Current).await.unwrap().unwrap();
            assert_eq!(held.value.unwrap().fingerprint(), value.fingerprint());
            let calls = ["GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage", "GetSecretValue"];
            assert_eq!(fake.calls(), calls, "{secret}");
        }
    }
}

#[tokio::test]
async fn labels_are_where_aws_wants_them() {
    let fake = StrictFake::start().await;
    labels_follow_a_rotation(&Aws::at(&fake.url, true)).await;
}

pub(crate) async fn labels_follow_a_rotation(aws: &Aws) {
    let (to, new, aborted) = (place("labels", None, false), version(), version());
    aws.write_by_hand("labels", "sk_old").await;
    let old = aws.store.preflight(&to).await.unwrap().version.unwrap();
    let holder = async |label| aws.holder("labels", label).await;
    aws.store.stage(&to, &aborted, &value("sk_aborted")).await.unwrap();
    assert_eq!(holder("REKEYD_PENDING").await, Some(aborted.to_string()));
    aws.store.stage(&to, &new, &value("sk_new")).await.unwrap();
    assert_eq!(holder("REKEYD_PENDING").await, Some(new.to_string()), "the leftover label moved on");
    assert_eq!(holder("AWSCURRENT").await, Some(old.to_string()));
    assert_eq!(holder("AWSPENDING").await, None, "the label of AWS's own rotation is left alone");
    aws.store.promote(&to, &new, Some(&old)).await.unwrap();
    assert_eq!(holder("AWSCURRENT").await, Some(new.to_string()));
    assert_eq!(holder("AWSPREVIOUS").await, Some(old.to_string()));
    aws.store.discard(&to, &aborted).await.unwrap();
    assert_eq!(holder("REKEYD_PENDING").await, Some(new.to_string()), "only its own label is taken away");
    aws.store.discard(&to, &new).await.unwrap();
    assert_eq!(holder("REKEYD_PENDING").await, None);
    assert_eq!(holder("AWSCURRENT").await, Some(new.to_string()));
}

#[tokio::test]
async fn connecting_calls_nobody() {
    let fake = StrictFake::start().await;
    let settings = Settings {
        region: Some("eu-west-1".to_owned()),
        endpoint_url: Some(fake.url.clone()),
        ..Settings::default()
    };
    assert!(AwsSecretsManager::connect(&settings).await.is_ok());
    assert!(fake.calls().is_empty());
    let nowhere = AwsSecretsManager::configured(&SdkConfig::builder().build(), settings.patience);
    let failure = nowhere.err().unwrap();
    assert!(failure.message.contains("AWS_REGION"), "{failure}");
}

#[tokio::test]
async fn whoever_tells_of_calls_hears_each_answer_with_the_id_of_its_request() {
    let fake = StrictFake::start().await;
    let aws = Aws::at(&fake.url, true);
    aws.write_by_hand("told", "sk_old").await;
    fake.calls();
    let (to, new) = (place("told", None, false), version());
    let rotation = async {
        aws.store.preflight(&to).await.unwrap();
        let over = aws.store.stage(&to, &new, &value("sk_new")).await.unwrap().over;
        aws.store.promote(&to, &new, over.as_ref()).await.unwrap();
        aws.store.read(&place("nowhere", None, false), VersionRef::Current).await
    };
    let (missing, record) = call_context::record_call(rotation).await;
    assert!(missing.unwrap().is_none());
    let statuses: Vec<u16> = record.responses.iter().map(|answer| answer.status).collect();
    assert_eq!((statuses, fake.calls().len()), (vec![200, 200, 200, 400], 4));
    assert!(record.responses.iter().all(|answer| answer.request_id.is_some()), "{record:?}");
}
