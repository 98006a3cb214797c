//! Creates a service account: the call is sent once.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::adapters::elevenlabs::ElevenLabs;
use crate::adapters::elevenlabs::classify::Meaning;
use crate::adapters::elevenlabs::routes::is_one_segment;
use crate::adapters::elevenlabs::transport::{BODY_BYTES_MAX, Call, Mutability, Reply};
use crate::domain::failure::{Certainty, Failure};
use crate::domain::ids::ServiceAccountId;
use crate::domain::sanitize::quoted;
use crate::domain::sharing::SharingGroups;

const LIMIT: &str = "the workspace has as many service accounts as it may have (20 unless ElevenLabs raised it): \
                     delete one in the dashboard, or have the limit raised";
const NO_ROUTE: &str = "this version of the API cannot create service accounts: create it in the dashboard";

impl ElevenLabs {
    pub(super) async fn create_service_account(
        &self,
        name: &str,
        groups: &SharingGroups,
    ) -> Result<ServiceAccountId, Failure> {
        let attempt = format!("creating the service account {}", quoted(name));
        let call = Call {
            body: Some(body(name, groups)),
            fresh: true,
            ..Call::new(attempt, Mutability::Mutating, Method::POST, self.routes.service_accounts())
        };
        let mut accepted = match self.transport.send(&call).await? {
            Reply::Accepted(accepted) => accepted,
            Reply::Refused(refusal) => {
                let meaning = refusal.meaning();
                let why = [(Meaning::LimitReached, LIMIT), (Meaning::NoSuchRoute, NO_ROUTE)];
                let Some((_, why)) = why.into_iter().find(|(known, _)| *known == meaning) else {
                    return Err(self.transport.refused(&call, &refusal));
                };
                let kind = meaning.kind();
                return Err(self.transport.refused_as(&call, &refusal, Certainty::Rejected, kind, why));
            }
        };
        // From here on every failure means that there may be an account of this name.
        let mut answer = Vec::new();
        let whole = accepted.read(BODY_BYTES_MAX, &mut answer).await;
        let with_id = |failure| Failure { request_id: accepted.request_id.clone(), ..failure };
        whole.map_err(|shortfall| with_id(self.transport.cut_short(&call, &shortfall)))?;
        let id =
            serde_json::from_slice(&answer).ok().and_then(|Answer { id }| ServiceAccountId::new(id).ok());
        id.filter(|id| is_one_segment(id.as_str())).ok_or_else(|| {
            with_id(self.transport.senseless(&call, "the answer does not tell the id of the service account"))
        })
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "service-account-user-id", alias = "service_account_user_id")]
    id: String,
}

/// Groups are left out where there are none: what an empty list does is not specified everywhere.
fn body(name: &str, groups: &SharingGroups) -> Value {
    let mut body = json!({ "name": name });
    if !groups.is_empty() {
        let groups = groups.iter().map(|(id, role)| json!({ "group_id": id, "permission_level": role }));
        body["default_sharing_groups"] = groups.collect();
    }
    body
}
