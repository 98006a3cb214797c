//! A fake of AWS Secrets Manager that is strict where moto is lax: tokens with other data, atomic moves, secrets marked
//! as deleted, size, quota; with faults to inject, and a list of the calls made.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// An error code with a status; the message repeats what was sent, as a careless server would.
    Refuse(u16, &'static str),
    Garble,
    /// No answer, and no effect.
    Silence,
    /// No answer, after the effect.
    LostReply,
}

#[derive(Clone, Default)]
struct Secret {
    deleted: bool,
    versions: BTreeMap<String, String>,
    /// Label to version.
    labels: BTreeMap<String, String>,
    /// What else a description says.
    described: Value,
}

#[derive(Default)]
struct World {
    secrets: BTreeMap<String, Secret>,
    calls: Vec<String>,
    faults: VecDeque<(&'static str, Fault)>,
    versions_max: Option<usize>,
    refusing: Option<(u16, &'static str)>,
    /// How old the answers to reads are, in turn; none for answers that are never old.
    lags: Vec<Duration>,
    reads: usize,
    /// What there was after each write.
    past: Vec<(Instant, BTreeMap<String, Secret>)>,
}

#[derive(Clone, Default)]
pub(crate) struct StrictFake {
    world: Arc<Mutex<World>>,
    pub(crate) url: String,
}

type Outcome = Result<Value, (&'static str, String)>;

impl StrictFake {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let fake = Self { world: Arc::default(), url };
        let router = Router::new().route("/", post(answer)).with_state(fake.clone());
        #[expect(
            clippy::disallowed_methods,
            reason = "a server of the tests; it ends with the test's runtime"
        )]
        tokio::spawn(async move { axum::serve(listener, router).await });
        fake
    }

    /// The next calls of `operation` meet these faults, one each.
    pub(crate) fn inject(&self, operation: &'static str, faults: &[Fault]) {
        self.world.lock().unwrap().faults.extend(faults.iter().map(|fault| (operation, *fault)));
    }

    /// Every call is refused so, until it is not any more.
    pub(crate) fn refuse_all(&self, with: Option<(u16, &'static str)>) {
        self.world.lock().unwrap().refusing = with;
    }

    pub(crate) fn limit_versions(&self, max: usize) {
        self.world.lock().unwrap().versions_max = Some(max);
    }

    pub(crate) fn mark_deleted(&self, secret: &str) {
        self.world.lock().unwrap().secrets.get_mut(secret).unwrap().deleted = true;
    }

    /// Descriptions of the secret say these fields too.
    pub(crate) fn describe_as(&self, secret: &str, fields: Value) {
        self.world.lock().unwrap().secrets.get_mut(secret).unwrap().described = fields;
    }

    /// From now on reads tell what there was so long ago, in turn: each comes from another replica.
    pub(crate) fn answer_late(&self, lags: &[Duration]) {
        let mut world = self.world.lock().unwrap();
        world.lags = lags.to_vec();
        world.remember();
    }

    /// How many versions a secret has had.
    pub(crate) fn versions(&self, secret: &str) -> usize {
        self.world.lock().unwrap().secrets.get(secret).map_or(0, |secret| secret.versions.len())
    }

    /// What is current now, whatever reads tell.
    pub(crate) fn current(&self, secret: &str) -> Option<String> {
        let world = self.world.lock().unwrap();
        let secret = world.secrets.get(secret)?;
        secret.versions.get(secret.labels.get("AWSCURRENT")?).cloned()
    }

    /// Makes `content` current, as another program would.
    pub(crate) fn write_by_hand(&self, secret: &str, content: &str) {
        let mut world = self.world.lock().unwrap();
        let held = world.secrets.entry(secret.to_owned()).or_default();
        let version = format!("by-hand-{}", held.versions.len());
        held.versions.insert(version.clone(), content.to_owned());
        if let Some(before) = held.labels.insert("AWSCURRENT".to_owned(), version) {
            held.labels.insert("AWSPREVIOUS".to_owned(), before);
        }
        world.remember();
    }

    pub(crate) fn label(&self, secret: &str, label: &str) -> Option<String> {
        self.world.lock().unwrap().secrets.get(secret)?.labels.get(label).cloned()
    }

    /// The calls since the last look.
    pub(crate) fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.world.lock().unwrap().calls)
    }

    fn fault(&self, operation: &str) -> Option<Fault> {
        let mut world = self.world.lock().unwrap();
        world.calls.push(operation.to_owned());
        if let Some((status, code)) = world.refusing {
            return Some(Fault::Refuse(status, code));
        }
        let at = world.faults.iter().position(|(of, _)| *of == operation)?;
        world.faults.remove(at).map(|(_, fault)| fault)
    }
}

/// What STS says to whoever asks who they are.
const IDENTITY: &str = "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:role/rekeyd\
                        </Arn><UserId>u</UserId><Account>123456789012</Account></GetCallerIdentityResult>\
                        </GetCallerIdentityResponse>";

async fn answer(State(fake): State<StrictFake>, headers: HeaderMap, body: String) -> Response {
    if body.starts_with("Action=GetCallerIdentity") {
        return ([("content-type", "text/xml")], IDENTITY).into_response();
    }
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
    let fault = fake.fault(&operation);
    if let Some(Fault::Refuse(status, code)) = fault {
        return refusal(status, code, &body);
    }
    if fault == Some(Fault::Silence) {
        std::future::pending::<()>().await;
    }
    let request: Value = serde_json::from_str(&body).unwrap();
    let outcome = fake.world.lock().unwrap().answer(&operation, &request);
    match (fault, outcome) {
        (Some(Fault::LostReply), _) => std::future::pending().await,
        (Some(Fault::Garble), _) => (StatusCode::OK, "<html>sk_planted").into_response(),
        (_, Ok(answer)) => (StatusCode::OK, json_type(), [REQUEST_ID], answer.to_string()).into_response(),
        (_, Err((code, message))) => refusal(400, code, &message),
    }
}

const REQUEST_ID: (&str, &str) = ("x-amzn-requestid", "11111111-2222-3333-4444-555555555555");

fn json_type() -> [(&'static str, &'static str); 1] {
    [("content-type", "application/x-amz-json-1.1")]
}

fn refusal(status: u16, code: &str, message: &str) -> Response {
    let body = json!({ "__type": code, "Message": message }).to_string();
    (StatusCode::from_u16(status).unwrap(), json_type(), [REQUEST_ID], body).into_response()
}

impl World {
    fn remember(&mut self) {
        self.past.push((Instant::now(), self.secrets.clone()));
    }

    /// What is written is written to what there is now; reads may be answered by a replica that does not have it yet.
    fn answer(&mut self, operation: &str, request: &Value) -> Outcome {
        if self.lags.is_empty() {
            return self.perform(operation, request);
        }
        if !matches!(operation, "GetSecretValue" | "DescribeSecret") {
            let outcome = self.perform(operation, request);
            self.remember();
            return outcome;
        }
        let lag = self.lags[self.reads % self.lags.len()];
        self.reads += 1;
        let then = self.past.iter().rev().find(|(at, _)| at.elapsed() >= lag).or_else(|| self.past.first());
        let secrets = then.map(|(_, secrets)| secrets.clone()).unwrap_or_default();
        Self { secrets, ..Self::default() }.perform(operation, request)
    }

    fn perform(&mut self, operation: &str, request: &Value) -> Outcome {
        let text = |name: &str| request[name].as_str().map(str::to_owned);
        let id = text("SecretId").or_else(|| text("Name")).unwrap();
        let write = (text("ClientRequestToken"), text("SecretString"));
        if write.1.as_ref().is_some_and(|content| content.len() > 65_536) {
            return Err(("ValidationException", format!("Value '{}' is too long", write.1.unwrap())));
        }
        if operation == "CreateSecret" {
            return self.create(&id, write);
        }
        let versions_max = self.versions_max;
        let secret =
            self.secrets.get_mut(&id).ok_or_else(|| ("ResourceNotFoundException", "no secret".to_owned()))?;
        if operation == "DescribeSecret" {
            return Ok(secret.describe(&id));
        }
        if secret.deleted {
            return Err(("InvalidRequestException", "marked for deletion".to_owned()));
        }
        match operation {
            "GetSecretValue" => {
                let label = text("VersionStage").unwrap_or_else(|| "AWSCURRENT".to_owned());
                let version = text("VersionId").or_else(|| secret.labels.get(&label).cloned());
                let found = version.and_then(|version| secret.versions.get_key_value(&version));
                let (version, content) =
                    found.ok_or_else(|| ("ResourceNotFoundException", "no value".to_owned()))?;
                Ok(json!({ "Name": id, "VersionId": version, "SecretString": content }))
            }
            "PutSecretValue" => {
                let stages = request["VersionStages"].as_array().cloned().unwrap_or_default();
                let stages = stages.iter().filter_map(Value::as_str).map(str::to_owned).collect();
                secret.put(&write.0.unwrap(), write.1.unwrap(), stages, versions_max)
            }
            "UpdateSecretVersionStage" => secret.relabel(
                &text("VersionStage").unwrap(),
                text("RemoveFromVersionId"),
                text("MoveToVersionId"),
            ),
            other => Err(("UnknownOperationException", other.to_owned())),
        }
    }

    fn create(&mut self, name: &str, (token, content): (Option<String>, Option<String>)) -> Outcome {
        if let Some(there) = self.secrets.get(name) {
            if there.deleted {
                return Err(("InvalidRequestException", "scheduled for deletion".to_owned()));
            }
            let same = token.as_ref().and_then(|token| there.versions.get(token)) == content.as_ref();
            return if same && content.is_some() {
                Ok(json!({ "Name": name, "VersionId": token }))
            } else {
                Err(("ResourceExistsException", "it exists".to_owned()))
            };
        }
        let secret = self.secrets.entry(name.to_owned()).or_default();
        if let (Some(token), Some(content)) = (&token, content) {
            secret.versions.insert(token.clone(), content);
            secret.labels.insert("AWSCURRENT".to_owned(), token.clone());
        }
        Ok(json!({ "Name": name, "VersionId": token }))
    }
}

impl Secret {
    fn describe(&self, name: &str) -> Value {
        let mut stages: BTreeMap<&String, Vec<&String>> = BTreeMap::new();
        for (label, version) in &self.labels {
            stages.entry(version).or_default().push(label);
        }
        let mut described = json!({ "Name": name, "VersionIdsToStages": stages });
        if self.deleted {
            described["DeletedDate"] = json!(1.0);
        }
        for (field, value) in self.described.as_object().into_iter().flatten() {
            described[field] = value.clone();
        }
        described
    }

    fn put(
        &mut self,
        token: &str,
        content: String,
        stages: BTreeSet<String>,
        versions_max: Option<usize>,
    ) -> Outcome {
        if let Some(there) = self.versions.get(token) {
            return if *there == content {
                Ok(json!({ "VersionId": token }))
            } else {
                Err(("ResourceExistsException", format!("it exists, and is not {content}")))
            };
        }
        if versions_max.is_some_and(|max| self.versions.len() >= max) {
            return Err(("LimitExceededException", "too many versions".to_owned()));
        }
        if self.versions.is_empty() {
            self.labels.insert("AWSCURRENT".to_owned(), token.to_owned());
        }
        for stage in stages {
            self.labels.insert(stage, token.to_owned());
        }
        self.versions.insert(token.to_owned(), content);
        Ok(json!({ "VersionId": token }))
    }

    fn relabel(&mut self, label: &str, from: Option<String>, onto: Option<String>) -> Outcome {
        let bad = |why: &str| Err(("InvalidParameterException", why.to_owned()));
        if self.labels.get(label) != from.as_ref() {
            return bad("the label is not there");
        }
        if onto.as_ref().is_some_and(|onto| !self.versions.contains_key(onto)) {
            return bad("no such version");
        }
        match onto {
            Some(onto) => self.labels.insert(label.to_owned(), onto),
            None => self.labels.remove(label),
        };
        if label == "AWSCURRENT"
            && let Some(from) = from
        {
            self.labels.insert("AWSPREVIOUS".to_owned(), from);
        }
        Ok(json!({}))
    }
}
