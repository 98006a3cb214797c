//! Every refusal of the provider, with its status and its body.
//!
//! Codes marked as guessed are not documented and were never reported: a client must not depend on them.

use serde_json::{Value, json};

use crate::sandbox::answer::Answer;
use crate::sandbox::rules::ErrorStyle;
use crate::sandbox::rules::Rules;

/// Why a call is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    NoKey,
    /// Unknown, disabled, deleted, expired or not active yet: the provider tells none of these apart.
    WrongKey,
    MissingPermission(String),
    AddressRefused,
    QuotaExceeded,
    AccountNotFound,
    KeyNotFound,
    UnknownRoute,
    WrongMethod,
    Unprocessable(Vec<Complaint>),
    /// A well-formed value that the provider does not want.
    Unwanted {
        parameter: &'static str,
        message: String,
    },
    KeyLimit,
    AccountLimit,
    NeedsEnterprise(&'static str),
    ThirdPartyDisablingForbidden,
    TooManyRequests,
}

/// One entry of a 422.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    pub at: Vec<String>,
    pub message: String,
    pub kind: &'static str,
}

impl Refusal {
    /// What counters call the refusal: its code, or what stands in its place.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoKey => "missing_api_key",
            Self::WrongKey => "invalid_api_key",
            Self::MissingPermission(_) => "missing_permissions",
            Self::AddressRefused => "ip_address_not_allowed", // guessed
            Self::QuotaExceeded => "quota_exceeded",
            Self::AccountNotFound => "service_account_not_found", // guessed
            Self::KeyNotFound => "api_key_not_found",             // guessed
            Self::UnknownRoute => "unknown_route",
            Self::WrongMethod => "wrong_method",
            Self::Unprocessable(_) => "unprocessable",
            Self::Unwanted { .. } => "invalid_parameters", // guessed
            Self::KeyLimit => "api_key_limit_reached",     // guessed
            Self::AccountLimit => "service_account_limit_reached", // guessed
            Self::NeedsEnterprise(_) => "enterprise_required", // guessed
            Self::ThirdPartyDisablingForbidden => "third_party_disabling_not_allowed", // guessed
            Self::TooManyRequests => "rate_limit_exceeded",
        }
    }

    /// The refusal as the provider words it under `rules`.
    #[must_use]
    pub fn answer(&self, rules: &Rules, request_id: &str) -> Answer {
        let (status, kind, message) = match self {
            Self::UnknownRoute => return Answer::json(404, json!({"detail": "Not Found"})),
            Self::WrongMethod => return Answer::json(405, json!({"detail": "Method Not Allowed"})),
            Self::Unprocessable(complaints) => {
                let detail: Vec<Value> = complaints.iter().map(Complaint::json).collect();
                return Answer::json(422, json!({ "detail": detail }));
            }
            Self::NoKey => {
                (401, "authentication_error", "Neither authorization header nor xi-api-key received".into())
            }
            Self::WrongKey => (rules.wrong_key_status, "authentication_error", "Invalid API key".into()),
            Self::MissingPermission(name) => (
                401,
                "authorization_error",
                format!("The API key you used is missing the permission {name} to execute this operation."),
            ),
            Self::AddressRefused => {
                (403, "authorization_error", "This API key may not be used from this IP address.".into())
            }
            Self::QuotaExceeded => {
                (401, "payment_required", "This request exceeds the quota of the API key.".into())
            }
            Self::AccountNotFound => (404, "not_found", "Service account not found.".into()),
            Self::KeyNotFound => (404, "not_found", "API key not found.".into()),
            Self::Unwanted { message, .. } => (400, "validation_error", message.clone()),
            Self::KeyLimit => (400, "invalid_request", "This service account has too many API keys.".into()),
            Self::AccountLimit => {
                (400, "invalid_request", "This workspace has too many service accounts.".into())
            }
            Self::NeedsEnterprise(field) => {
                (403, "authorization_error", format!("{field} is available to Enterprise workspaces only."))
            }
            Self::ThirdPartyDisablingForbidden => {
                (403, "authorization_error", "Third-party disabling is not allowed for this API key.".into())
            }
            Self::TooManyRequests => {
                (429, "rate_limit_error", "Too many requests: try again in a minute.".into())
            }
        };
        let detail = self.detail(rules.errors, kind, &message, request_id);
        Answer::json(status, json!({ "detail": detail }))
    }

    fn detail(&self, style: ErrorStyle, kind: &str, message: &str, request_id: &str) -> Value {
        let code = self.code();
        let legacy = if code == "missing_api_key" { "needs_authorization" } else { code };
        match style {
            ErrorStyle::Legacy => json!({"status": legacy, "message": message}),
            ErrorStyle::Current => {
                let mut detail = json!({
                    "type": kind,
                    "code": code,
                    "message": message,
                    "status": legacy,
                    "request_id": request_id,
                });
                if let Self::Unwanted { parameter, .. } | Self::NeedsEnterprise(parameter) = self {
                    detail["param"] = json!(parameter);
                }
                detail
            }
        }
    }
}

impl Complaint {
    #[must_use]
    pub fn about(field: &str, message: impl Into<String>, kind: &'static str) -> Self {
        Self { at: vec!["body".into(), field.into()], message: message.into(), kind }
    }

    fn json(&self) -> Value {
        json!({"loc": self.at, "msg": self.message, "type": self.kind})
    }
}
