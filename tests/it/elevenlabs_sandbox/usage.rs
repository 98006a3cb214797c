//! Evidence of use: what the sandbox shows in each of its ways, the adapter understands, or says that it does not.

use std::num::NonZeroUsize;

use jiff::{SignedDuration, Timestamp};
use rekeyd::domain::usage::{Reading, Source, Use};
use rekeyd::ports::issuer::AdminKey;
use rekeyd::ports::usage::UsageSource as _;
use rekeyd::sandbox::analytics::rules::{AnalyticsRules, Columns, KeyColumns, RequestLogNames};
use rekeyd::sandbox::settings::{Granted, Settings as KeySettings};

use super::*;

/// Two keys, the old one first, and their values.
struct Pair {
    harness: Harness,
    keys: [Key; 2],
    values: [SecretValue; 2],
}

impl Pair {
    async fn start(rules: Rules) -> Self {
        let harness = Harness::start(rules).await;
        let mut values = Vec::new();
        for name in ["tts", "tts rk-1"] {
            let permissions = Granted::Only(vec!["text_to_speech".to_owned()]);
            let settings = KeySettings::new(name, permissions);
            let made =
                harness.sandbox.workspace().create_key(harness.account.as_str(), settings, SystemClock.now());
            values.push(SecretValue::new(made.unwrap().value).unwrap());
        }
        let mut keys = harness.listed().await;
        keys.sort_by_key(|key| key.name.len());
        Self { harness, keys: keys.try_into().unwrap(), values: values.try_into().map_err(drop).unwrap() }
    }

    async fn with(analytics: AnalyticsRules) -> Self {
        Self::start(Rules { analytics, ..Rules::default() }).await
    }

    /// A consumer's call, that costs as many credits as it has characters.
    async fn call(&self, key: usize, path: &str, text: &str) {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
        let url = format!("{}{path}", self.harness.sandbox.base_url());
        let request = if text.is_empty() {
            http.get(url)
        } else {
            http.post(url).json(&serde_json::json!({"text": text, "model_id": "m1"}))
        };
        let request = request.header("xi-api-key", self.values[key].expose());
        let answer = request.header("x-request-source", "nightly-batch").send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
    }

    async fn speak(&self, key: usize, text: &str) {
        self.call(key, "/v1/text-to-speech/rachel", text).await;
    }

    async fn read(&self) -> [Reading; 2] {
        self.read_with(&self.harness.issuer).await
    }

    async fn read_with(&self, issuer: &ElevenLabs) -> [Reading; 2] {
        let since = SystemClock.now() - SignedDuration::from_hours(1);
        let readings: [Reading; 2] =
            issuer.usage(&self.keys[..1], &self.keys[1..], since).await.try_into().unwrap();
        let readings = readings.map(|reading| reading.about(&self.keys));
        assert_eq!(
            readings.each_ref().map(|reading| reading.source),
            [Source::UsageByKey, Source::RequestLog]
        );
        readings
    }

    fn of<'a>(&self, reading: &'a Reading, key: usize) -> &'a [Use] {
        reading.uses.as_ref().unwrap().get(&self.keys[key].id).map_or(&[], Vec::as_slice)
    }

    fn credits(&self, reading: &Reading) -> [i64; 2] {
        [0, 1].map(|key| self.of(reading, key).iter().map(|used| used.amount).sum())
    }

    /// The adapter with another admin key: one of a service account, with these permissions.
    fn as_account(&self, permissions: &[&str]) -> ElevenLabs {
        let mut workspace = self.harness.sandbox.workspace();
        let account = workspace.create_account("rekeyd", SystemClock.now());
        let permissions = permissions.iter().map(|&name| name.to_owned()).collect();
        let settings = KeySettings::new("rekeyd's own", Granted::Only(permissions));
        let made = workspace.create_key(&account, settings, SystemClock.now()).unwrap();
        ElevenLabs::new(Settings {
            base_url: self.harness.sandbox.base_url(),
            admin_key: AdminKey::new(SecretValue::new(made.value).unwrap()),
            request_timeout: Duration::from_secs(5),
            in_flight: NonZeroUsize::new(2).unwrap(),
            requests_per_second: None,
            ca_pem: None,
            clock: Arc::new(SystemClock),
        })
        .unwrap()
    }
}

#[tokio::test]
async fn use_is_told_from_the_api_version_on_that_shows_it() {
    for api_version in API_VERSIONS {
        let pair = Pair::start(Rules { api_version, ..Rules::default() }).await;
        pair.speak(0, "three").await;
        let [by_key, log] = pair.read().await;
        let no_key = log.uses.unwrap_err();
        if api_version == ApiVersion::August2025 {
            assert!(
                by_key.uses.unwrap_err().contains("does not have it") && no_key.contains("does not have it")
            );
            continue;
        }
        assert_eq!(pair.credits(&by_key), [5, 0], "{api_version:?}");
        let [used] = pair.of(&by_key, 0) else { panic!("{by_key:?}") };
        let about: Vec<(&str, &str)> =
            used.about.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let told = [
            ("model", "m1"),
            ("product_type", "TTS"),
            ("region", "sandbox"),
            ("request_source", "nightly-batch"),
        ];
        assert_eq!(about, told);
        assert!(used.from <= by_key.at && used.until > by_key.at - SignedDuration::from_mins(2), "{used:?}");
        assert!(no_key.contains("no column for the key"), "{no_key}");
    }
}

#[tokio::test]
async fn use_is_understood_in_every_form_that_tells_keys_apart() {
    use KeyColumns::{Hash, HashAndName, Name, None};
    for key_columns in [HashAndName, Hash, Name, None] {
        for hashes_differ in [false, true] {
            for (columns, everything_is_text, filters_are_refused) in [
                (Columns::Live, false, false),
                (Columns::Documented, true, false),
                (Columns::Live, true, true),
            ] {
                let rules = AnalyticsRules {
                    columns,
                    everything_is_text,
                    key_columns,
                    hashes_differ,
                    filters_are_refused,
                    ..AnalyticsRules::default()
                };
                let case = format!("{rules:?}");
                let pair = Pair::with(rules).await;
                pair.speak(0, "three").await;
                pair.speak(1, "four").await;
                let [by_key, _] = pair.read().await;
                match (key_columns, hashes_differ) {
                    (None, _) => {
                        assert!(by_key.uses.unwrap_err().contains("no column for the key"), "{case}")
                    }
                    // Nothing is shown of the new key either: that is unknown, and never idle.
                    (Hash, true) => assert_eq!(pair.credits(&by_key), [0, 0], "{case}"),
                    _ => assert_eq!(pair.credits(&by_key), [5, 4], "{case}"),
                }
            }
        }
    }
}

#[tokio::test]
async fn a_canary_on_the_new_key_shows_after_the_lag() {
    let usage_lag = SignedDuration::from_secs(2);
    let pair = Pair::start(Rules { usage_lag, ..Rules::default() }).await;
    let begun = SystemClock.now();
    pair.harness.issuer.canary(&pair.values[1], "rachel").await.unwrap();
    assert_eq!(pair.credits(&pair.read().await[0]), [0, 0]);
    eventually("the canary is shown", || async { pair.credits(&pair.read().await[0]) == [0, 1] }).await;
    // Use is kept by the second.
    assert!(SystemClock.now().duration_since(begun) >= usage_lag / 2);
    let truth = pair.harness.sandbox.truth();
    let callers = |key: usize| truth.key(pair.keys[key].id.as_str()).unwrap().callers.clone();
    assert_eq!((callers(0), callers(1)), ([].into(), [("rekeyd".to_owned(), 1)].into()));
}

#[tokio::test]
async fn a_caller_without_the_right_learns_nothing_and_is_told_so_where_the_provider_tells() {
    let may_list = ["service_account_write"];
    let pair = Pair::start(Rules { usage_is_narrowed: true, ..Rules::default() }).await;
    pair.speak(0, "three").await;
    pair.speak(1, "four").await;
    let narrowed = pair.as_account(&may_list);
    assert_eq!(pair.credits(&pair.read_with(&narrowed).await[0]), [0, 0]);
    let wide = pair.as_account(&["service_account_write", "workspace_analytics_full_read"]);
    assert_eq!(pair.credits(&pair.read_with(&wide).await[0]), [5, 4]);

    let pair = Pair::with(AnalyticsRules { full_read_is_required: true, ..AnalyticsRules::default() }).await;
    for reading in pair.read_with(&pair.as_account(&may_list)).await {
        let why = reading.uses.unwrap_err();
        assert!(why.contains("reading use takes `workspace_analytics_full_read`"), "{why}");
    }
}

#[tokio::test]
async fn a_workspace_that_is_billed_by_money_says_nothing_of_credits() {
    let pair = Pair::with(AnalyticsRules { billed_by_money: true, ..AnalyticsRules::default() }).await;
    pair.speak(0, "three").await;
    let why = pair.read().await[0].uses.clone().unwrap_err();
    assert!(why.contains("billed by cost"), "{why}");
}

#[tokio::test]
async fn the_request_log_shows_what_costs_nothing_where_it_names_the_key() {
    for request_log_names in [RequestLogNames::Hash, RequestLogNames::Id, RequestLogNames::Name] {
        for filters_are_refused in [false, true] {
            let rules =
                AnalyticsRules { request_log_names, filters_are_refused, ..AnalyticsRules::default() };
            let pair = Pair::with(rules).await;
            let begun: Timestamp = SystemClock.now();
            pair.call(0, "/v1/models", "").await;
            pair.speak(1, "four").await;
            let [by_key, log] = pair.read().await;
            assert_eq!(pair.credits(&by_key), [0, 4], "{request_log_names:?}");
            assert_eq!(pair.credits(&log), [1, 1], "{request_log_names:?}: calls are counted");
            let [call] = pair.of(&log, 0) else { panic!("{log:?}") };
            assert!(call.from >= begun - SignedDuration::from_millis(1) && call.from <= log.at, "{call:?}");
            assert_eq!(
                (call.about["endpoint"].as_str(), call.about["request_source"].as_str()),
                ("models", "nightly-batch")
            );
        }
    }
}
