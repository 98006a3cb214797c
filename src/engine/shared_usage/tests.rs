//! How many questions there are, and how old an answer may be.

use std::pin::Pin;
use std::sync::Mutex as Locked;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::task::JoinSet;

use super::*;
use crate::domain::failure::Failure;
use crate::domain::ids::ServiceAccountId;
use crate::domain::key::{KeyAttributes, Permissions};
use crate::domain::secret::SecretValue;
use crate::domain::usage::{Source, Use};

/// An uptime, and how often the wall clock was set.
#[derive(Default)]
struct HandClock(Locked<(Duration, u64)>);

impl HandClock {
    fn read(&self) -> (Duration, u64) {
        *self.0.lock().unwrap()
    }

    fn pass(&self, seconds: u64) {
        self.0.lock().unwrap().0 += Duration::from_secs(seconds);
    }
}

#[async_trait]
impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_000_000).unwrap() + self.uptime()
    }

    fn uptime(&self) -> Duration {
        self.read().0
    }

    fn steps(&self) -> u64 {
        self.read().1
    }

    async fn sleep(&self, _lasts: SignedDuration) {}
}

/// A workspace that counts what it is asked, and takes a moment to answer.
#[derive(Default)]
struct Asked {
    questions: Locked<Vec<(usize, Timestamp)>>,
    fails: bool,
}

#[async_trait]
impl UsageSource for Asked {
    async fn usage(&self, leaving: &[Key], staying: &[Key], since: Timestamp) -> Vec<Reading> {
        assert!(leaving.iter().all(|key| key.id.as_str().starts_with("old")));
        let keys = [leaving, staying].concat();
        self.questions.lock().unwrap().push((keys.len(), since));
        tokio::task::yield_now().await;
        let one = |key: &Key| {
            (key.id.clone(), vec![Use { from: since, until: since, amount: 1, about: BTreeMap::new() }])
        };
        let uses = if self.fails { Err("500".to_owned()) } else { Ok(keys.iter().map(one).collect()) };
        let untold = [(KeyId::new("new-7").unwrap(), "its name is not its own".to_owned())].into();
        vec![Reading { source: Source::UsageByKey, at: since, since, uses, untold }]
    }

    async fn canary(&self, _value: &SecretValue, _voice: &str) -> Result<(), Failure> {
        unreachable!()
    }
}

fn key(id: &str) -> Key {
    Key {
        id: KeyId::new(id).unwrap(),
        account: ServiceAccountId::new("sa1").unwrap(),
        name: id.to_owned(),
        hint: String::new(),
        created_at: None,
        enabled: true,
        disable_reason: None,
        attributes: KeyAttributes::of(Permissions::All),
        expires_at: None,
        usage_hash: None,
        character_count: None,
    }
}

#[derive(Default)]
struct Scene {
    clock: HandClock,
    workspace: Asked,
    shared: SharedUsage,
}

impl Scene {
    async fn asks(&self, number: usize, hours: i64, older_by: u64) -> Reading {
        let credential = CredentialName::new(format!("c{number}")).unwrap();
        let keys = [key(&format!("old-{number}")), key(&format!("new-{number}"))];
        let question = UsageQuestion {
            credential: &credential,
            keys: &keys,
            window: SignedDuration::from_hours(hours),
            older_by: Duration::from_secs(older_by),
        };
        let mut readings = self.shared.ask(&self.workspace, &self.clock, &question).await;
        assert_eq!(readings.len(), 1);
        let reading = readings.remove(0);
        if let Ok(uses) = &reading.uses {
            let told: Vec<&KeyId> = uses.keys().collect();
            assert_eq!(told, [&keys[1].id, &keys[0].id], "it is about the credential's own keys");
        }
        reading
    }

    /// All at once; by number.
    async fn all_ask(self: &Arc<Self>, count: usize) -> Vec<Reading> {
        let mut asking = JoinSet::new();
        for number in 0..count {
            let scene = Arc::clone(self);
            asking.spawn(async move { (number, scene.asks(number, 3, 30).await) });
        }
        let mut readings = asking.join_all().await;
        readings.sort_by_key(|(number, _)| *number);
        readings.into_iter().map(|(_, reading)| reading).collect()
    }

    fn questions(&self) -> usize {
        self.workspace.questions.lock().unwrap().len()
    }
}

#[tokio::test]
async fn forty_credentials_that_ask_at_once_and_again_are_served_by_three_questions_each_time() {
    let scene = Arc::new(Scene::default());
    let readings = scene.all_ask(40).await;
    let untold: Vec<usize> = (0..40).filter(|number| readings[*number].uses.is_err()).collect();
    assert_eq!(untold, [7], "what cannot be told of one key is not told of its credential alone");
    assert_eq!(scene.questions(), 3, "of one credential, which was the first, and of twenty, twice");
    scene.clock.pass(20);
    scene.all_ask(40).await;
    assert_eq!(scene.questions(), 3);
    scene.clock.pass(40);
    scene.all_ask(40).await;
    assert_eq!(scene.questions(), 5, "all of them are known by now");
    let sizes = scene.workspace.questions.lock().unwrap().iter().map(|(keys, _)| *keys).max();
    assert_eq!(sizes, Some(40), "an answer has to fit into one that is read");
}

#[tokio::test]
async fn an_answer_serves_nobody_who_may_not_use_one_as_old_or_who_asks_for_more() {
    let scene = Scene::default();
    let first = scene.asks(1, 3, 30).await;
    scene.asks(2, 3, 30).await;
    assert_eq!(scene.questions(), 2, "the first answer is not about the second's keys");
    assert_eq!(scene.asks(1, 4, 30).await.at, first.at, "four hours are what three are rounded up to");
    assert_eq!(scene.questions(), 2);
    scene.asks(1, 5, 30).await;
    assert_eq!(scene.questions(), 3, "it does not reach back as far");
    scene.clock.pass(10);
    scene.asks(2, 3, 10).await;
    assert_eq!(scene.questions(), 3);
    scene.asks(2, 3, 9).await;
    assert_eq!(scene.questions(), 4, "it is older than may be");
    scene.clock.0.lock().unwrap().1 += 1;
    scene.asks(2, 3, 9).await;
    assert_eq!(scene.questions(), 5, "it is dated by a clock that was set since");
    let reaches_back =
        |(_, since): &(usize, Timestamp)| *since <= scene.clock.now() - SignedDuration::from_hours(3);
    assert!(scene.workspace.questions.lock().unwrap().iter().all(reaches_back));
}

#[tokio::test]
async fn that_a_workspace_does_not_answer_is_shared_too() {
    let workspace = Asked { fails: true, ..Asked::default() };
    let scene = Arc::new(Scene { workspace, ..Scene::default() });
    for _ in 0..2 {
        let readings = scene.all_ask(5).await;
        assert!(readings.iter().all(|reading| reading.uses == Err("500".to_owned())));
    }
    assert_eq!(scene.questions(), 2);
}

#[tokio::test]
async fn whoever_waits_asks_when_the_one_who_asked_is_gone() {
    let scene = Scene::default();
    let mut second = Box::pin(scene.asks(2, 3, 30));
    {
        let first = scene.asks(1, 3, 30);
        tokio::pin!(first);
        assert!(is_pending(first.as_mut()).await);
        assert!(is_pending(second.as_mut()).await);
    }
    assert!(second.await.uses.is_ok());
    assert_eq!(scene.questions(), 2);
}

async fn is_pending(future: Pin<&mut impl Future>) -> bool {
    tokio::select! {
        biased;
        _ = future => false,
        () = std::future::ready(()) => true,
    }
}
