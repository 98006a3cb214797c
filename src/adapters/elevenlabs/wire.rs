//! The requests that each of the issuer's and the usage source's calls amounts to where nothing goes wrong, for those who
//! tell them without making them. The paths are those of [`Routes`]; what is sent for real is compared with these in
//! `what_plan_says_is_what_is_then_called`.

use reqwest::Url;

use crate::adapters::elevenlabs::routes::Routes;

/// A call, with the ids that its path holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind<'a> {
    List,
    CreateAccount,
    Create { account: &'a str },
    Authenticate,
    ProveAdmin,
    Disable { account: &'a str, key: &'a str },
    Enable { account: &'a str, key: &'a str },
    SetExpiry { account: &'a str, key: &'a str },
    Delete { account: &'a str, key: &'a str },
    Usage,
    Canary { voice: &'a str },
}

/// The methods and paths, in their order, as a deployment of November 2026 is spoken to.
#[must_use]
pub fn requests(call: RequestKind<'_>) -> Vec<(&'static str, String)> {
    let Ok(routes) = Routes::parse("https://api.elevenlabs.io") else { return Vec::new() };
    let one = |method, url: Url| vec![(method, url.path().to_owned())];
    match call {
        RequestKind::List | RequestKind::ProveAdmin => one("GET", routes.service_accounts()),
        RequestKind::CreateAccount => one("POST", routes.service_accounts()),
        RequestKind::Create { account } => one("POST", routes.keys(account)),
        RequestKind::Authenticate => one("GET", routes.user()),
        RequestKind::Disable { account, key } => one("POST", routes.disable(account, key)),
        RequestKind::Enable { account, key } | RequestKind::SetExpiry { account, key } => {
            one("PATCH", routes.key(account, key))
        }
        RequestKind::Delete { account, key } => one("DELETE", routes.key(account, key)),
        RequestKind::Usage => [routes.usage_by_product(), routes.request_log()]
            .into_iter()
            .map(|url| ("POST", url.path().to_owned()))
            .collect(),
        RequestKind::Canary { voice } => one("POST", routes.speech(voice)),
    }
}
