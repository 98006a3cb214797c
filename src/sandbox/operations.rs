//! The API in front of the workspace: from a call to its answer.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::sandbox::analytics;
use crate::sandbox::answer::{Answer, Call};
use crate::sandbox::api_version::ApiVersion;
use crate::sandbox::key::StoredKey;
use crate::sandbox::refusal::{Complaint, Refusal};
use crate::sandbox::request;
use crate::sandbox::route::Route;
use crate::sandbox::settings::THIRD_PARTY_DISABLING;
use crate::sandbox::workspace::{StoredAccount, Workspace};

/// As short as sound can be: consumers count answers, they do not listen.
const SILENCE: &[u8] = b"ID3\x04\x00\x00\x00\x00\x00\x00";
const PLAN_CONCURRENCY: &str = "15";

/// Of the requests in their order, for rehearsals that last long.
const ASKED_MAX: usize = 10_000;

impl Workspace {
    /// Answers a call as the provider would at `now`.
    pub fn answer(&mut self, call: &Call, now: Timestamp) -> Answer {
        self.count_request(call.target.route);
        let answered = self.authorise(call, now).and_then(|caller| {
            self.audit.actor = Some(self.user_of(caller));
            let performed = self.perform(call, caller, now);
            self.audit.actor = None;
            let id = self.random.hex(20);
            self.calls.record(now, made_by(call, caller), id, performed.is_ok());
            performed
        });
        answered.unwrap_or_else(|refusal| self.refuse(&refusal))
    }

    /// Counts a request that arrived, for one that is never answered by [`Self::answer`].
    pub fn count_request(&mut self, route: Route) {
        *self.requests.entry(route).or_default() += 1;
        if self.asked.len() < ASKED_MAX {
            self.asked.push(route);
        }
    }

    /// A refusal with a request id of its own.
    pub fn refuse(&mut self, refusal: &Refusal) -> Answer {
        let request_id = self.random.hex(32);
        refusal.answer(&self.rules, &request_id)
    }

    fn perform(&mut self, call: &Call, caller: usize, now: Timestamp) -> Result<Answer, Refusal> {
        let (account, key) = (call.target.account.as_str(), call.target.key.as_str());
        let api_version = self.rules.api_version;
        let body = match call.target.route {
            Route::ListAccounts => self.list_accounts(now),
            Route::CreateAccount => {
                let (name, groups) = request::new_account(api_version, &call.body)?;
                json!({"service-account-user-id": self.request_account(&name, groups, now)?})
            }
            Route::ListKeys => json!({"api-keys": self.list_keys(self.account(account)?, now)}),
            Route::CreateKey => {
                let created = self.create_key(account, request::new_key(api_version, &call.body)?, now)?;
                match api_version {
                    ApiVersion::August2025 => json!({"xi-api-key": created.value}),
                    ApiVersion::September2026 | ApiVersion::November2026 => {
                        json!({"xi-api-key": created.value, "key_id": created.id})
                    }
                }
            }
            Route::UpdateKey => {
                self.check_owner(account, key)?;
                let change = request::key_change(api_version, &call.body)?;
                self.change_key(key, now, |settings| change.apply(settings))?;
                done()
            }
            Route::DeleteKey => {
                self.check_owner(account, key)?;
                self.delete_key(key, now)?;
                done()
            }
            Route::DisableKey => {
                self.check_owner(account, key)?;
                self.disable_key(key, None, now)?;
                done()
            }
            Route::DisableSelf => self.disable_self(call, caller, now)?,
            Route::ThirdPartyDisabling => self.set_third_party_policy(call)?,
            Route::User => self.user(caller),
            Route::Subscription => self.subscription(now),
            Route::Models => json!([{"model_id": "eleven_flash_v2_5", "name": "Eleven Flash v2.5"}]),
            Route::TextToSpeech => return self.speak(call, caller, now),
            Route::Usage => self.usage_by_product(call, caller, now)?,
            Route::Charges => self.charges_by_day(call, caller, now)?,
            Route::RequestLog => self.request_log(call, caller, now)?,
            Route::CharacterStats => self.character_statistics(call, caller, now)?,
            Route::AuditLog => self.audit_log(call, caller, now)?,
        };
        Ok(Answer::json(200, body))
    }

    fn list_accounts(&self, now: Timestamp) -> Value {
        let accounts: Vec<Value> =
            self.listed_accounts(now).map(|account| self.list_account(account, now)).collect();
        json!({"service-accounts": accounts})
    }

    fn list_account(&self, account: &StoredAccount, now: Timestamp) -> Value {
        let mut fields = json!({
            "service_account_user_id": account.id,
            "name": account.name,
            "created_at_unix": account.created.as_second(),
            "api-keys": self.list_keys(account, now),
        });
        if self.rules.api_version >= ApiVersion::September2026 {
            let groups = account.groups.iter().map(|(id, role)| {
                let group = json!({"id": id, "name": format!("group {id}"), "members": []});
                json!({"group": group, "permission_level": role})
            });
            fields["default_sharing_groups"] = groups.collect();
        }
        fields
    }

    fn list_keys(&self, account: &StoredAccount, now: Timestamp) -> Vec<Value> {
        self.listing(account, now).map(|(key, settings)| key.listed(settings, &self.rules)).collect()
    }

    fn check_owner(&self, account: &str, key: &str) -> Result<(), Refusal> {
        let account = &self.account(account)?.id;
        let owner = self.key(key)?.account.as_ref();
        if owner == Some(account) { Ok(()) } else { Err(Refusal::KeyNotFound) }
    }

    fn caller(&self, position: usize) -> Result<&StoredKey, Refusal> {
        self.keys.get(position).ok_or(Refusal::WrongKey)
    }

    fn disable_self(&mut self, call: &Call, caller: usize, now: Timestamp) -> Result<Value, Refusal> {
        if call.query.get("api_key_name").map(String::as_str) != Some("self") {
            let at = vec!["query".to_owned(), "api_key_name".to_owned()];
            let message = "Input should be 'self'".to_owned();
            return Err(Refusal::Unprocessable(vec![Complaint { at, message, kind: "literal_error" }]));
        }
        let key = self.caller(caller)?;
        let own = key.settings().and_then(|settings| settings.limits.get(THIRD_PARTY_DISABLING)?.as_bool());
        if !self.third_party_policy.or(own).unwrap_or(!self.rules.enterprise) {
            return Err(Refusal::ThirdPartyDisablingForbidden);
        }
        let id = key.id.clone();
        self.disable_key(&id, Some("self_disabled"), now)?;
        Ok(done())
    }

    fn set_third_party_policy(&mut self, call: &Call) -> Result<Value, Refusal> {
        let field = THIRD_PARTY_DISABLING;
        self.third_party_policy = match request::fields(&call.body)?.get(field) {
            Some(Value::Null) => None,
            Some(Value::Bool(allowed)) => Some(*allowed),
            wrong => {
                let (message, kind) = match wrong {
                    None => ("Field required", "missing"),
                    Some(_) => ("Input should be a valid boolean", "bool_type"),
                };
                return Err(Refusal::Unprocessable(vec![Complaint::about(field, message, kind)]));
            }
        };
        Ok(done())
    }

    fn user(&self, caller: usize) -> Value {
        let key = self.keys.get(caller);
        let user_id = self.user_of(caller);
        let mut fields = json!({
            "user_id": user_id,
            "subscription": {"tier": "enterprise", "status": "active"},
            "is_new_user": false,
            "can_use_delayed_payment_methods": false,
            "is_onboarding_completed": true,
            "is_onboarding_checklist_completed": true,
            "created_at": 0,
            "seat_type": "workspace_admin",
        });
        match self.rules.api_version {
            // The caller's own key, in full: as the provider did then.
            ApiVersion::August2025 => fields["xi_api_key"] = json!(key.map(|key| key.value.clone())),
            ApiVersion::September2026 => {}
            ApiVersion::November2026 => fields["workspace_id"] = json!(self.id),
        }
        fields
    }

    fn subscription(&self, now: Timestamp) -> Value {
        const MONTH_SECONDS: i64 = 30 * 24 * 60 * 60;
        let used: i64 = self.keys.iter().map(|key| key.character_count).sum();
        let period_end = (now.as_second() / MONTH_SECONDS + 1) * MONTH_SECONDS;
        json!({
            "tier": "enterprise",
            "status": "active",
            "character_count": used,
            "character_limit": 1_000_000_000,
            "next_character_count_reset_unix": period_end,
            "billing_period": "monthly_period",
            "character_refresh_period": "monthly_period",
        })
    }

    /// One credit per character of the text.
    fn speak(&mut self, call: &Call, caller: usize, now: Timestamp) -> Result<Answer, Refusal> {
        let text = request::fields(&call.body)?.get("text").and_then(Value::as_str);
        let Some(text) = text else {
            let complaint = Complaint::about("text", "Field required", "missing");
            return Err(Refusal::Unprocessable(vec![complaint]));
        };
        let credits = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
        let request_id = self.random.hex(20);
        let key = self.caller(caller)?.id.clone();
        self.spend(&key, credits)?;
        self.usage.record(now, made_by(call, caller), credits);
        Ok(Answer::raw(200, "audio/mpeg", SILENCE.to_vec())
            .with_header("request-id", request_id)
            .with_header("current-concurrent-requests", "1")
            .with_header("maximum-concurrent-requests", PLAN_CONCURRENCY))
    }
}

fn made_by(call: &Call, caller: usize) -> analytics::Call {
    let model = request::fields(&call.body).ok().and_then(|fields| fields.get("model_id")?.as_str());
    analytics::Call {
        key: caller,
        route: call.target.route,
        source: call.source.clone(),
        model: model.map(str::to_owned),
    }
}

/// The body of what only has an effect: unspecified, and never to be relied on.
fn done() -> Value {
    json!({"status": "ok"})
}
