//! Service accounts and their sharing groups, in every version of the API.

use jiff::SignedDuration;
use rekeyd::domain::failure::{Certainty, Kind};
use rekeyd::domain::key::Account;
use rekeyd::domain::sharing::SharingGroups;
use rekeyd::ports::issuer::Issuer as _;
use rekeyd::sandbox::api_version::ApiVersion;
use rekeyd::sandbox::faults::{Fault, Moment, What};
use rekeyd::sandbox::route::Route;
use rekeyd::sandbox::rules::Rules;

use super::{Harness, judged};

fn groups() -> SharingGroups {
    SharingGroups::default().with("g1", "viewer").with("g2", "editor")
}

async fn named(harness: &Harness, name: &str) -> Vec<Account> {
    let listed = harness.issuer.inventory().await.unwrap();
    listed.accounts.into_iter().filter(|account| account.name == name).collect()
}

#[tokio::test]
async fn an_account_is_created_with_its_groups_where_the_api_version_can() {
    for api_version in [ApiVersion::September2026, ApiVersion::November2026] {
        let harness = Harness::with_api_version(api_version).await;
        let made = harness.issuer.create_account("batch", &groups()).await.unwrap();
        let [account] = named(&harness, "batch").await.try_into().unwrap();
        assert_eq!((account.id, account.groups), (made, Some(groups())), "{api_version:?}");
        harness.issuer.create_account("bare", &SharingGroups::default()).await.unwrap();
        let [bare] = named(&harness, "bare").await.try_into().unwrap();
        assert_eq!(bare.groups, Some(SharingGroups::default()));
    }
    let harness = Harness::with_api_version(ApiVersion::August2025).await;
    let failed = harness.issuer.create_account("batch", &groups()).await;
    assert_eq!(judged(&failed), Some((Certainty::Rejected, Kind::Invalid)));
    let text = failed.unwrap_err().to_string();
    assert!(text.contains("this version of the API cannot create service accounts"), "{text}");
    assert_eq!(named(&harness, "tts-backend").await[0].groups, None);
}

#[tokio::test]
async fn one_account_too_many_is_refused_by_the_limit() {
    let harness = Harness::start(Rules { accounts_max: 2, ..Rules::default() }).await;
    harness.issuer.create_account("second", &groups()).await.unwrap();
    let failed = harness.issuer.create_account("third", &groups()).await;
    assert_eq!(judged(&failed), Some((Certainty::Rejected, Kind::LimitReached)));
    let text = failed.unwrap_err().to_string();
    assert!(text.contains("creating the service account `third`: the workspace has as many"), "{text}");
    assert!(named(&harness, "third").await.is_empty());
}

#[tokio::test]
async fn an_answer_that_is_lost_or_makes_no_sense_is_unknown_and_the_call_is_sent_once() {
    for (what, made) in [
        (What::LostReply(Moment::Before), 0),
        (What::LostReply(Moment::After), 1),
        (What::GarbledBody, 1),
        (What::EmptyBody, 1),
        (What::WrongTypes, 1),
    ] {
        let harness = Harness::start(Rules::default()).await;
        harness.sandbox.set_faults(vec![Fault::on(Route::CreateAccount, what.clone())]);
        let failed = harness.issuer.create_account("batch", &groups()).await;
        assert_eq!(judged(&failed).map(|it| it.0), Some(Certainty::Unknown), "{what:?}");
        assert_eq!(harness.calls(Route::CreateAccount), 1, "{what:?}");
        assert_eq!(named(&harness, "batch").await.len(), made, "{what:?}");
    }
}

#[tokio::test]
async fn a_new_account_is_listed_as_late_as_a_new_key() {
    let lag = SignedDuration::from_secs(3600);
    let harness = Harness::start(Rules { listing_lag: lag, ..Rules::default() }).await;
    harness.issuer.create_account("batch", &groups()).await.unwrap();
    assert!(named(&harness, "batch").await.is_empty());
    assert_eq!(harness.sandbox.truth().account("batch").unwrap().groups, groups());
}
