//! AWS Secrets Manager: against moto, and against a fake that is strict where moto is lax.
#![expect(clippy::unwrap_used, reason = "a test ends where it is wrong")]

mod client;
mod failures;
mod happy_path;
mod logs;

use crate::aws::client::Aws;
use crate::support::moto::Moto;
use crate::support::secrets_manager::StrictFake;
use crate::support::store_conformance::conforms;

#[tokio::test]
async fn aws_conforms_on_the_strict_fake() {
    let fake = StrictFake::start().await;
    conforms(&Aws::at(&fake.url, true)).await;
}

#[tokio::test]
async fn aws_conforms_on_moto() {
    let moto = Moto::start();
    let aws = Aws::at(&moto.url, false);
    conforms(&aws).await;
    happy_path::labels_follow_a_rotation(&aws).await;
    failures::a_secret_marked_for_deletion(&aws).await;
}
