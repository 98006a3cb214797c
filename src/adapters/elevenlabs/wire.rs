//! The requests that each of the issuer's and the usage source's calls amounts to where nothing goes wrong, for those who
//! tell them without making them. The paths are those of [`Routes`]; what is sent for real is compared with these in
//! `what_plan_says_is_what_is_then_called`.

use reqwest::Url;

use crate::adapters::elevenlabs::routes::Routes;

/// A call, with the ids that its path holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked<'a> {
    List,
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
pub fn requests(asked: Asked<'_>) -> Vec<(&'static str, String)> {
    let Ok(routes) = Routes::parse("https://api.elevenlabs.io") else { return Vec::new() };
    let one = |method, url: Url| vec![(method, url.path().to_owned())];
    match asked {
        Asked::List | Asked::ProveAdmin => one("GET", routes.service_accounts()),
        Asked::Create { account } => one("POST", routes.keys(account)),
        Asked::Authenticate => one("GET", routes.user()),
        Asked::Disable { account, key } => one("POST", routes.disable(account, key)),
        Asked::Enable { account, key } | Asked::SetExpiry { account, key } => {
            one("PATCH", routes.key(account, key))
        }
        Asked::Delete { account, key } => one("DELETE", routes.key(account, key)),
        Asked::Usage => [routes.usage_by_product(), routes.request_log()]
            .into_iter()
            .map(|url| ("POST", url.path().to_owned()))
            .collect(),
        Asked::Canary { voice } => one("POST", routes.speech(voice)),
    }
}
