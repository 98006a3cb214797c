//! What a refusal means. The provider's own words decide, in the order code, status, type; only where they say
//! nothing that we know does the HTTP status: one 401 has at least four meanings.

use crate::adapters::elevenlabs::refusal::{Form, Refusal};
use crate::domain::failure::Kind;

/// The meanings that lead to different decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The key that authenticates the call is not accepted.
    BadKey,
    /// That key is accepted and lacks a permission.
    MissingPermission,
    Forbidden,
    /// That key is accepted and there is no credit left.
    NoCredits,
    Throttled,
    NoSuchThing,
    /// This deployment does not know the call.
    NoSuchRoute,
    Conflict,
    Invalid,
    LimitReached,
    ServerError,
    RequestTimeout,
    /// A page for people: the API was not reached, whatever the status says. It passes no judgement on a key.
    Page,
    Redirect,
    Nonsense,
}

impl Refusal {
    pub(super) fn meaning(&self) -> Meaning {
        let status = self.status.as_u16();
        let said = self.tokens.iter().find_map(|token| said(token, status));
        match status {
            300..400 => Meaning::Redirect,
            // What a server says while it fails is not relied on, but for the wish to slow down.
            500.. if said == Some(Meaning::Throttled) => Meaning::Throttled,
            500.. => Meaning::ServerError,
            400.. => said.unwrap_or_else(|| by_status(status, self.form)),
            _ => Meaning::Nonsense,
        }
    }

    /// Whether the refusal leaves it open that the request was carried out all the same.
    pub(super) fn may_have_happened(&self) -> bool {
        !(400..500).contains(&self.status.as_u16())
            || matches!(self.meaning(), Meaning::RequestTimeout | Meaning::ServerError)
    }
}

fn said(token: &str, status: u16) -> Option<Meaning> {
    Some(match token {
        "invalid_api_key" | "missing_api_key" | "needs_authorization" | "authentication_error" => {
            Meaning::BadKey
        }
        "missing_permissions" | "missing_permission" | "insufficient_permissions" => {
            Meaning::MissingPermission
        }
        "authorization_error" | "forbidden" => Meaning::Forbidden,
        "quota_exceeded" | "insufficient_credits" | "payment_required" => Meaning::NoCredits,
        "rate_limit_exceeded"
        | "rate_limit_error"
        | "concurrent_limit_exceeded"
        | "too_many_concurrent_requests"
        | "too_many_requests"
        | "system_busy" => Meaning::Throttled,
        "conflict" => Meaning::Conflict,
        "validation_error" | "invalid_request" => Meaning::Invalid,
        "internal_error" | "internal_server_error" | "service_unavailable" => Meaning::ServerError,
        token if token == "not_found" || token.ends_with("_not_found") => Meaning::NoSuchThing,
        token if status != 429 && is_about_a_limit(token) => Meaning::LimitReached,
        _ => return None,
    })
}

/// The limit on keys per account is undocumented, and so is its code.
fn is_about_a_limit(token: &str) -> bool {
    let mut words = token.split(['_', '-', '.']);
    !token.starts_with("invalid") && words.any(|word| matches!(word, "limit" | "limits" | "max" | "maximum"))
}

fn by_status(status: u16, form: Form) -> Meaning {
    match (status, form) {
        (408, _) => Meaning::RequestTimeout,
        (429, _) => Meaning::Throttled,
        (_, Form::Page) => Meaning::Page,
        (401, _) => Meaning::BadKey,
        (402, _) => Meaning::NoCredits,
        (403, _) => Meaning::Forbidden,
        (404, Form::Object) => Meaning::NoSuchThing,
        (404, Form::Text) | (405, _) => Meaning::NoSuchRoute,
        (404, Form::List | Form::Absent) => Meaning::Nonsense,
        (409, _) => Meaning::Conflict,
        _ => Meaning::Invalid,
    }
}

impl Meaning {
    /// The kind of failure that it is for a call of the admin key.
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::BadKey => Kind::Unauthenticated,
            Self::MissingPermission | Self::Forbidden | Self::NoCredits => Kind::Forbidden,
            Self::Throttled => Kind::Throttled,
            Self::NoSuchThing => Kind::NotFound,
            Self::NoSuchRoute | Self::Invalid => Kind::Invalid,
            Self::Conflict => Kind::Conflict,
            Self::LimitReached => Kind::LimitReached,
            Self::ServerError => Kind::ServerError,
            Self::RequestTimeout => Kind::TimedOut,
            Self::Page => Kind::Unreachable,
            Self::Redirect | Self::Nonsense => Kind::Garbled,
        }
    }

    /// The kind of failure that it is for a call made with a new key, and why: such a key may not be known yet.
    pub(super) fn of_a_new_key(self) -> (Kind, &'static str) {
        if self == Self::BadKey {
            return (Kind::NotActiveYet, "the provider does not accept the key, or not yet");
        }
        (self.kind(), self.explanation())
    }

    /// Why a call of the admin key failed, and what to do about it.
    pub(super) fn explanation(self) -> &'static str {
        match self {
            Self::BadKey => {
                "the provider does not accept the admin key: put a valid one where the policy refers to"
            }
            Self::MissingPermission => {
                "the admin key lacks a permission: managing keys takes `service_account_write`"
            }
            Self::Forbidden => "the provider does not permit it",
            Self::NoCredits => "the plan, or the admin key's budget, has no credits left for it",
            Self::Throttled => "the provider asks to slow down",
            Self::NoSuchThing => "it does not exist",
            Self::NoSuchRoute => "the provider does not know this call: check base_url",
            Self::Conflict => "it contradicts what somebody else did meanwhile",
            Self::Invalid => "the provider refuses the request as it stands",
            Self::LimitReached => "a limit of the workspace is reached",
            Self::ServerError => "the provider reports an error of its own",
            Self::RequestTimeout => "the provider gave up waiting for the request",
            Self::Page => {
                "a web page came in place of an answer: something between here and the provider refuses the call"
            }
            Self::Redirect => "the answer is a redirect, which is not followed: check base_url",
            Self::Nonsense => "the answer makes no sense",
        }
    }
}
