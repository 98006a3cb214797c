//! An ElevenLabs workspace that runs locally, behind HTTP, for the demo and the tests of the real program.
//!
//! [`workspace`] is the state, without HTTP and without a clock of its own: the one model of the provider, which
//! `rehearsal` plays with too. [`rules`] say how it behaves, [`faults`] how it fails, [`server`] puts it behind HTTP, and
//! [`truth`] is what the provider would never tell.
//!
//! # From outside the process
//!
//! Beside the API, the same listener has a control surface. It takes and gives JSON and asks for no key: the sandbox
//! is for loopback.
//!
//! | call | what it does |
//! |---|---|
//! | `GET /sandbox/truth` | everything: [`truth::Truth`]; deleted keys too, no values |
//! | `GET /sandbox/values` | every value ever given out, for searching what a program wrote for them |
//! | `POST /sandbox/orphans` `{"published": [fingerprint…]}` | the keys that rekeyd made, that exist, and that nobody holds |
//! | `POST /sandbox/accounts` `{"name"}` | makes a service account: `{"service_account_user_id"}` |
//! | `PATCH /sandbox/accounts/{id}` `{"default_sharing_groups": [{"group_id", "permission_level"}…]}` | gives it other sharing groups, as a person would |
//! | `POST /sandbox/accounts/{id}/keys` | makes a key, from a body as the provider takes it: `{"key_id", "value", "fingerprint"}` |
//! | `PATCH /sandbox/keys/{id}` | changes a key as a person would, from a body as the provider takes it |
//! | `POST /sandbox/keys/{id}/disable[?reason=exposed_publicly]` | disables it, as a person or as the provider would |
//! | `POST /sandbox/keys/{id}/enable` | enables it |
//! | `DELETE /sandbox/keys/{id}` | deletes it |
//! | `GET /sandbox/rules`, `PATCH /sandbox/rules` | [`rules::Rules`]: the API version, limits, lags; a PATCH names only what changes |
//! | `GET /sandbox/faults`, `PUT /sandbox/faults` | a list of [`faults::Fault`], with what is left of them |
//!
//! The admin key has the id `admin` there, so that `POST /sandbox/keys/admin/disable` kills it. Durations are
//! written as `"1500ms"` or `"2s"`. A fault is written as in
//! `{"route": "create_key", "skip": 1, "times": 1, "probability": 0.5, "what": {"lost_reply": "after"}}`.
//!
//! A caller says by `x-request-source`, or by its `user-agent`, what the analytics call its request source.
//! A caller's address, for `allowed_ips`, is the first one of `X-Forwarded-For`, else the peer's.

pub mod analytics;
pub mod answer;
pub mod api_version;
mod authorise;
mod checks;
mod control;
mod exchange;
mod fault_effects;
pub mod faults;
pub mod key;
mod operations;
pub mod random;
pub mod refusal;
pub mod request;
pub mod route;
pub mod rules;
pub mod server;
pub mod settings;
pub mod truth;
mod wire;
pub mod workspace;
