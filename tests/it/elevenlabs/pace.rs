//! How gently the provider is asked.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rekeyd::adapters::elevenlabs::{ElevenLabs, Settings};
use rekeyd::domain::failure::{Certainty, Kind};
use rekeyd::ports::issuer::Issuer;
use tokio::task::JoinSet;

use super::scripted::{Act, Server, json};
use super::workspace::{Method, VALUE, impatient, key, outcome, settings, value};

const EMPTY: &str = r#"{"service-accounts":[]}"#;

#[tokio::test]
async fn no_more_are_in_flight_than_allowed() {
    let slow = Act::After(Duration::from_millis(40), Box::new(json(200, EMPTY)));
    let server = Server::always(slow).await;
    let issuer =
        ElevenLabs::new(Settings { in_flight: NonZeroUsize::new(3).unwrap(), ..settings(&server.url()) });
    let issuer = Arc::new(issuer.unwrap());
    let mut calls = JoinSet::new();
    for n in 0..24usize {
        let issuer = Arc::clone(&issuer);
        calls.spawn(async move {
            Method::ALL[n % Method::ALL.len()].call(&issuer).await.map_err(|failure| failure.kind)
        });
    }
    while let Some(result) = calls.join_next().await {
        let result = result.unwrap();
        // An empty listing is no created key; everything else takes this answer.
        assert!(matches!(result, Ok(()) | Err(Kind::Garbled)), "{result:?}");
    }
    assert_eq!(server.asked().len(), 24);
    assert_eq!(server.at_once_max(), 3);
}

#[tokio::test]
async fn requests_are_spaced_by_the_rate() {
    let server = Server::always(json(200, EMPTY)).await;
    let rate = NonZeroU32::new(20);
    let issuer = ElevenLabs::new(Settings { requests_per_second: rate, ..settings(&server.url()) }).unwrap();
    let begun = Instant::now();
    for _ in 0..6 {
        issuer.inventory().await.unwrap();
    }
    assert!(begun.elapsed() >= Duration::from_millis(250), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn after_a_429_all_calls_of_the_workspace_wait() {
    let server = Server::in_order([json(429, "").with_header("retry-after", "1"), json(200, EMPTY)]).await;
    let issuer = impatient(&server.url(), Duration::from_secs(10));
    let begun = Instant::now();
    let throttled = issuer.authenticate(&value(VALUE)).await;
    assert_eq!(outcome(&throttled), Some((Certainty::Rejected, Kind::Throttled)));
    assert!(issuer.inventory().await.is_ok());
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_long_silence_is_told_at_once_and_nothing_is_sent() {
    let server = Server::always(json(429, "").with_header("retry-after", "600")).await;
    let issuer = impatient(&server.url(), Duration::from_secs(2));
    assert!(issuer.disable(&key()).await.is_err());
    let begun = Instant::now();
    for method in Method::ALL {
        let failure = method.call(&issuer).await.unwrap_err();
        assert_eq!((failure.certainty, failure.kind), (Certainty::Rejected, Kind::Throttled));
        let asked = failure.retry_after.unwrap().as_secs();
        assert!((590..=600).contains(&asked), "{asked}");
    }
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_creation_and_a_trial_never_meet_a_kept_connection() {
    let answer = r#"{"service-accounts":[],"xi-api-key":"x","key_id":"k"}"#;
    let server = Server::always(json(200, answer)).await;
    let issuer = impatient(&server.url(), Duration::from_secs(10));
    for _ in 0..3 {
        issuer.inventory().await.unwrap();
    }
    assert_eq!(server.connections(), 1);
    for _ in 0..3 {
        issuer.authenticate(&value(VALUE)).await.unwrap();
    }
    for _ in 0..3 {
        Method::Create.call(&issuer).await.unwrap();
    }
    assert_eq!(server.connections(), 7);
}
