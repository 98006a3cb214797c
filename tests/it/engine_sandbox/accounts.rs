//! Service accounts that the policy, or an operator, has created, against the sandbox.

use jiff::SignedDuration;
use rekeyd::domain::account_creation::CreationState;
use rekeyd::domain::ids::WorkspaceName;
use rekeyd::domain::policy::{Credential, Mode};
use rekeyd::domain::record::ObstacleKind;
use rekeyd::domain::sharing::SharingGroups;
use rekeyd::engine::Command;
use rekeyd::sandbox::api_version::ApiVersion;
use rekeyd::sandbox::faults::{Fault, Moment, What};
use rekeyd::sandbox::route::Route;
use rekeyd::sandbox::rules::Rules;

use super::harness::{Harness, Start};
use super::rules;

const NEW: &str = "new-application";

fn groups() -> SharingGroups {
    SharingGroups::default().with("g1", "editor")
}

fn creates(credential: &mut Credential) {
    credential.service_account = NEW.to_owned();
    credential.create_account = Some(groups());
}

async fn prepared(rules: Rules, faults: Vec<Fault>) -> Harness {
    let mut harness = Harness::prepare(rules, Start::WithoutKey).await;
    harness.change = creates;
    harness.sandbox.set_faults(faults);
    harness
}

async fn acts(harness: &Harness) -> Vec<String> {
    let acts = harness.journal.audit(0, 1000).await.unwrap();
    acts.into_iter().map(|it| it.act.what).filter(|what| what.starts_with("account_")).collect()
}

fn named(harness: &Harness) -> usize {
    harness.sandbox.truth().accounts.iter().filter(|account| account.name == NEW).count()
}

async fn ask(harness: &Harness) -> Result<String, String> {
    let workspace = WorkspaceName::new("sandbox").unwrap();
    let made =
        harness.handle().create_account(workspace, NEW.to_owned(), groups(), "a test".to_owned()).await;
    made.map_err(|error| error.to_string())
}

#[tokio::test]
async fn the_account_is_created_with_its_groups_before_the_first_key_whatever_is_lost() {
    let lost = |moment| vec![Fault::on(Route::CreateAccount, What::LostReply(moment)).times(1)];
    let (intended, doubted, made) =
        ("account_creation_intended", "account_creation_in_doubt", "account_created");
    for (faults, calls, told) in [
        (vec![], 1, vec![intended, made]),
        (lost(Moment::After), 1, vec![intended, doubted, made]),
        (lost(Moment::Before), 2, vec![intended, doubted, intended, made]),
    ] {
        let lag = SignedDuration::from_millis(400);
        let rules = Rules { listing_lag: lag, ..rules(ApiVersion::November2026) };
        let mut harness = prepared(rules, faults).await;
        harness.live().await;
        harness.done(1).await;
        assert_eq!((named(&harness), harness.calls(Route::CreateAccount)), (1, calls), "{told:?}");
        assert_eq!(acts(&harness).await, told);
        let account = harness.sandbox.truth().account(NEW).unwrap().clone();
        assert_eq!((account.groups, account.keys.len()), (groups(), 1));
        let record = harness.known().await.record;
        assert_eq!(record.account.unwrap().as_str(), account.service_account_user_id);
        assert_eq!((record.sharing_groups, record.account_creation), (Some(groups()), None));
        assert_eq!(record.findings, []);
        harness.stop().await;
    }
}

#[tokio::test]
async fn a_refused_account_is_an_obstacle_until_there_is_room() {
    let rules = Rules { accounts_max: 1, ..rules(ApiVersion::November2026) };
    let mut harness = prepared(rules, vec![]).await;
    harness.live().await;
    let refused = |kind: Option<ObstacleKind>| kind == Some(ObstacleKind::AccountNotCreated);
    harness
        .until("it is refused", async |_, known| refused(known.record.obstacle.map(|obstacle| obstacle.kind)))
        .await;
    let known = harness.known().await.record;
    assert!(known.obstacle.unwrap().detail.contains("as many service accounts as it may have"));
    assert_eq!(known.account_creation.unwrap().state, CreationState::Refused);
    harness.handle().inspect().await.unwrap();
    assert_eq!((named(&harness), harness.calls(Route::CreateAccount)), (0, 1));
    harness.sandbox.workspace().rules.accounts_max = 2;
    harness.request(Command::Rotate).await.unwrap();
    harness.done(1).await;
    assert_eq!((named(&harness), harness.calls(Route::CreateAccount)), (1, 2));
    assert_eq!(harness.known().await.record.obstacle, None);
    harness.stop().await;
}

#[tokio::test]
async fn an_observed_credential_and_an_account_that_is_there_create_nothing() {
    let mut harness = prepared(rules(ApiVersion::November2026), vec![]).await;
    harness.change = |credential| {
        creates(credential);
        credential.mode = Mode::Observe;
    };
    harness.live().await;
    harness.until("it is reported", async |_, known| known.record.obstacle.is_some()).await;
    assert_eq!(harness.known().await.record.obstacle.unwrap().kind, ObstacleKind::NoSuchAccount);
    harness.stop_controller().await;
    assert_eq!((named(&harness), harness.calls(Route::CreateAccount)), (0, 0));

    harness.sandbox.workspace().create_account(NEW, harness.clock.now());
    harness.change = creates;
    harness.live().await;
    harness.done(1).await;
    assert_eq!((named(&harness), harness.calls(Route::CreateAccount)), (1, 0));
    assert_eq!(acts(&harness).await, Vec::<String>::new());
    harness.stop().await;
}

#[tokio::test]
async fn an_account_that_is_gone_is_not_created_again() {
    let mut harness = prepared(rules(ApiVersion::November2026), vec![]).await;
    harness.live().await;
    harness.done(1).await;
    harness.stop_controller().await;
    let mut record = harness.known().await.record;
    // As if the dashboard had deleted the account and its key before the credential had another one.
    (record.current, record.published, record.due) = (None, vec![], None);
    record.account = Some(rekeyd::domain::ids::ServiceAccountId::new("deleted").unwrap());
    record.revision += 1;
    harness.journal.save(&record, &[]).await.unwrap();
    harness.change = |credential| {
        creates(credential);
        credential.service_account = "deleted-application".to_owned();
    };
    harness.live().await;
    harness.until("it is reported", async |_, known| known.record.obstacle.is_some()).await;
    assert_eq!(harness.known().await.record.obstacle.unwrap().kind, ObstacleKind::NoSuchAccount);
    assert_eq!(harness.calls(Route::CreateAccount), 1);
    harness.stop().await;
}

#[tokio::test]
async fn a_command_creates_an_account_once_and_says_what_it_found() {
    let harness = Harness::start(rules(ApiVersion::November2026), Start::WithoutKey).await;
    let made = ask(&harness).await.unwrap();
    assert!(made.contains("created the service account `new-application` as `"), "{made}");
    assert!(made.contains("sharing groups: `g1` (editor)"), "{made}");
    let again = ask(&harness).await.unwrap();
    assert!(
        again.contains("is there already") && again.contains("nothing was created or changed"),
        "{again}"
    );
    assert_eq!((named(&harness), harness.calls(Route::CreateAccount)), (1, 1));
    assert_eq!(acts(&harness).await, ["account_creation_intended", "account_created"]);
    let acts = harness.journal.audit(0, 1000).await.unwrap();
    let act = acts.iter().find(|it| it.act.what == "account_created").unwrap().act.clone();
    assert_eq!(
        (act.actor.to_string(), act.workspace.unwrap().as_str()),
        ("operator a test".to_owned(), "sandbox")
    );
    assert!(act.details["service_account"].is_string() && act.details["name"] == NEW, "{:?}", act.details);
    harness.stop().await;
}

#[tokio::test]
async fn after_a_lost_answer_a_command_looks_for_the_name_and_never_creates_two() {
    let lag = SignedDuration::from_millis(600);
    let rules = Rules { listing_lag: lag, ..rules(ApiVersion::November2026) };
    let harness = Harness::start(rules, Start::WithoutKey).await;
    harness
        .sandbox
        .set_faults(vec![Fault::on(Route::CreateAccount, What::LostReply(Moment::Before)).times(1)]);
    let doubted = ask(&harness).await.unwrap_err();
    assert!(doubted.contains("no service account `new-application` is listed so far"), "{doubted}");
    harness
        .sandbox
        .set_faults(vec![Fault::on(Route::CreateAccount, What::LostReply(Moment::After)).times(1)]);
    let found = loop {
        match ask(&harness).await {
            Ok(found) => break found,
            // Until the settling time is over nothing is tried again.
            Err(why) => assert!(why.contains("was tried to be created at"), "{why}"),
        }
    };
    assert!(
        found.contains("created the service account") && found.contains("the answer was lost"),
        "{found}"
    );
    assert_eq!((named(&harness), harness.calls(Route::CreateAccount)), (1, 2));
    harness.stop().await;
}

#[tokio::test]
async fn a_command_is_refused_by_the_limit_the_api_version_and_the_policy() {
    for (rules, told) in [
        (Rules { accounts_max: 1, ..rules(ApiVersion::November2026) }, "20 unless ElevenLabs raised it"),
        (rules(ApiVersion::August2025), "this version of the API cannot create service accounts"),
    ] {
        let harness = Harness::start(rules, Start::WithoutKey).await;
        let why = ask(&harness).await.unwrap_err();
        assert!(why.contains(told) && why.ends_with("nothing was created"), "{why}");
        assert_eq!(acts(&harness).await, ["account_creation_intended", "account_creation_refused"]);
        harness.stop().await;
    }
    let mut harness = prepared(rules(ApiVersion::November2026), vec![]).await;
    harness.live().await;
    let why = ask(&harness).await.unwrap_err();
    assert!(why.contains("the policy has rekeyd create `new-application` for `tts-backend`"), "{why}");
    harness.done(1).await;
    assert_eq!(named(&harness), 1);
    harness.stop().await;
}
