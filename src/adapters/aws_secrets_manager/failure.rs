//! What an error of AWS means, and what an operator can do about it. Only the error code, the request's id and the caller's
//! ARN are taken from a response: its message could repeat what was sent.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_secretsmanager::config::http::HttpResponse;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_secretsmanager::operation::RequestId;
use http_body_util::LengthLimitError;
use jiff::SignedDuration;
use uuid::Uuid;

use crate::call_context;
use crate::domain::failure::{Certainty, Failure, Kind};
use crate::domain::plan::Destination;

const ECHO_CHARACTERS_MAX: usize = 256;
const CODE_LETTERS_MAX: usize = 64;

/// A call of AWS's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Get,
    Describe,
    Create,
    Put,
    Move,
}

impl Call {
    fn verb(self) -> &'static str {
        match self {
            Self::Get => "read",
            Self::Describe => "describe",
            Self::Create => "create",
            Self::Put => "write a version of",
            Self::Move => "move a staging label of",
        }
    }

    fn action(self) -> &'static str {
        match self {
            Self::Get => "secretsmanager:GetSecretValue",
            Self::Describe => "secretsmanager:DescribeSecret",
            Self::Create => "secretsmanager:CreateSecret",
            Self::Put => "secretsmanager:PutSecretValue",
            Self::Move => "secretsmanager:UpdateSecretVersionStage",
        }
    }

    fn writes(self) -> bool {
        matches!(self, Self::Create | Self::Put | Self::Move)
    }
}

/// The errors that callers treat differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    NotFound,
    Exists,
    /// In most cases the secret is marked for deletion.
    BadState,
    /// In most cases the label is on another version than the call says.
    BadParameter,
    Other,
}

#[derive(Debug)]
pub(super) struct Refused {
    pub(super) refusal: Refusal,
    pub(super) failure: Failure,
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        refused.failure
    }
}

/// Records a successful response.
pub(super) fn accepted(answer: &impl RequestId) {
    call_context::record_response(200, answer.request_id().filter(|id| Uuid::try_parse(id).is_ok()));
}

pub(super) fn refused<E>(call: Call, destination: &Destination, error: &SdkError<E, HttpResponse>) -> Refused
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let code = error.code().unwrap_or_default();
    let refusal = match code {
        "ResourceNotFoundException" => Refusal::NotFound,
        "ResourceExistsException" => Refusal::Exists,
        "InvalidRequestException" => Refusal::BadState,
        "InvalidParameterException" => Refusal::BadParameter,
        _ => Refusal::Other,
    };
    let (kind, why) = match error {
        SdkError::ServiceError(answer) => match of_code(call, destination, code, error.message()) {
            Some(known) => known,
            None => of_status(answer.raw().status().as_u16(), code),
        },
        SdkError::ResponseError(_) if has_cause::<LengthLimitError, _>(error) => endless(),
        SdkError::ResponseError(answer) => of_status(answer.raw().status().as_u16(), code),
        SdkError::ConstructionFailure(_) | SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | _ => {
            of_transport(error)
        }
    };
    let status = error.raw_response().map(|answer| answer.status().as_u16());
    // The SDK retries passing errors, so an earlier attempt may have succeeded.
    let certain = !call.writes() || matches!(status, Some(400..=499)) && !kind.is_passing();
    let failure = Failure {
        certainty: if certain { Certainty::Rejected } else { Certainty::Unknown },
        kind,
        message: format!("cannot {} {destination}: {why}", call.verb()),
        retry_after: error.raw_response().and_then(retry_after),
        request_id: error.request_id().filter(|id| Uuid::try_parse(id).is_ok()).map(str::to_owned),
    };
    if let Some(status) = status {
        call_context::record_response(status, failure.request_id.as_deref());
    }
    Refused { refusal, failure }
}

/// The failure of the call that gets the caller's identity.
pub(super) fn of_identity<E>(error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let code = error.code().unwrap_or_default();
    let (kind, why) = match error {
        SdkError::ServiceError(answer) => {
            let known = of_credentials(code);
            known.unwrap_or_else(|| of_status(answer.raw().status().as_u16(), code))
        }
        SdkError::ResponseError(_) if has_cause::<LengthLimitError, _>(error) => endless(),
        SdkError::ResponseError(answer) => of_status(answer.raw().status().as_u16(), code),
        SdkError::ConstructionFailure(_) | SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | _ => {
            of_transport(error)
        }
    };
    Failure::rejected(kind, format!("cannot get the identity of the caller from AWS: {why}"))
}

fn of_credentials(code: &str) -> Option<(Kind, String)> {
    let (kind, why) = match code {
        "ExpiredTokenException" | "ExpiredToken" => {
            (Kind::Unauthenticated, "the AWS credentials have expired; renew them")
        }
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "MissingAuthenticationTokenException"
        | "MissingAuthenticationToken"
        | "NotAuthorized" => {
            (Kind::Unauthenticated, "AWS does not accept the credentials; check which ones are in force")
        }
        "RequestTimeTooSkewed" | "RequestExpired" => {
            (Kind::ClockSkew, "AWS rejects the request's time; set this machine's clock")
        }
        _ => return None,
    };
    Some((kind, why.to_owned()))
}

fn of_code(
    call: Call,
    destination: &Destination,
    code: &str,
    message: Option<&str>,
) -> Option<(Kind, String)> {
    let message = message.unwrap_or_default();
    let plain = |kind, why: &str| Some((kind, why.to_owned()));
    match code {
        "ThrottlingException" | "Throttling" | "TooManyRequestsException" | "RequestLimitExceeded" => {
            plain(Kind::Throttled, "AWS asks to slow down")
        }
        "LimitExceededException" => plain(
            Kind::LimitReached,
            "a quota of AWS is used up (a secret takes a new version every 10 minutes on average, and 100 within a \
             day); rotate less often",
        ),
        "AccessDeniedException" | "AccessDenied" if message.contains("kms") || message.contains("KMS") => {
            Some((Kind::Forbidden, format!("AWS denies {} the secret's KMS key; {KMS}", caller(message))))
        }
        "AccessDeniedException" | "AccessDenied" => Some((
            Kind::Forbidden,
            format!(
                "AWS denies {} the action; allow `{}` on `{}` to it, and look for an explicit deny in the secret's \
                 resource policy",
                caller(message),
                call.action(),
                destination.secret
            ),
        )),
        "EncryptionFailure"
        | "EncryptionFailureException"
        | "DecryptionFailure"
        | "DecryptionFailureException" => {
            Some((Kind::Forbidden, format!("AWS cannot use the secret's KMS key; {KMS}")))
        }
        "ResourceNotFoundException" => plain(Kind::NotFound, "there is no such secret or version"),
        "ResourceExistsException" => plain(Kind::Conflict, "it exists with another content"),
        "InvalidRequestException" => plain(
            Kind::Invalid,
            "its state does not allow it; it may be a replica, or managed by another service",
        ),
        "InvalidParameterException" | "ValidationException" => {
            plain(Kind::Invalid, "AWS does not accept the parameters")
        }
        "InternalServiceError" | "InternalServiceErrorException" | "ServiceUnavailable" => {
            plain(Kind::ServerError, "AWS has an internal error")
        }
        _ => of_credentials(code),
    }
}

const KMS: &str = "allow `kms:GenerateDataKey` and `kms:Decrypt` on it, and see that it is enabled";

fn of_status(status: u16, code: &str) -> (Kind, String) {
    // AWS's codes are words; anything else could be a part of a value.
    let is_word =
        !code.is_empty() && code.len() <= CODE_LETTERS_MAX && code.chars().all(|c| c.is_ascii_alphabetic());
    let code = if is_word { code } else { "no error code" };
    let kind = match status {
        401 => Kind::Unauthenticated,
        403 => Kind::Forbidden,
        429 => Kind::Throttled,
        400..=499 => Kind::Invalid,
        500..=599 => Kind::ServerError,
        _ => Kind::Garbled,
    };
    (kind, format!("the response was HTTP {status} with {code}"))
}

fn endless() -> (Kind, String) {
    let why = "the response is too long for AWS and was not read to its end; check `endpoint_url`";
    (Kind::Garbled, why.to_owned())
}

fn of_transport<E: Error + 'static>(error: &SdkError<E, HttpResponse>) -> (Kind, String) {
    if has_cause::<CredentialsError, _>(error) {
        let why = "no usable AWS credentials were found; looked at the environment, the shared config and credentials \
                   files (profile, SSO, process), web identity, the container's endpoint and the instance's metadata";
        return (Kind::Unauthenticated, why.to_owned());
    }
    match error {
        SdkError::TimeoutError(_) => (Kind::TimedOut, "no response in time".to_owned()),
        SdkError::DispatchFailure(broken) if broken.is_timeout() => {
            (Kind::TimedOut, "no response in time".to_owned())
        }
        SdkError::DispatchFailure(_) => {
            let why = "the connection to AWS failed; check region, endpoint and network";
            (Kind::Unreachable, why.to_owned())
        }
        SdkError::ConstructionFailure(_) | SdkError::ResponseError(_) | SdkError::ServiceError(_) | _ => (
            Kind::Invalid,
            "the request could not be built; check region, endpoint and credentials".to_owned(),
        ),
    }
}

fn has_cause<C: Error + 'static, E: Error + 'static>(error: &E) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<C>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The caller's ARN in AWS's denial.
fn caller(message: &str) -> &str {
    let arn = message.strip_prefix("User: ").and_then(|rest| rest.split(' ').next());
    arn.filter(|arn| arn.starts_with("arn:") && is_plain(arn)).unwrap_or("this identity")
}

/// Whether a text of AWS's may be shown: an identifier, without spaces or control characters.
pub(super) fn is_plain(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/@+=,".contains(c);
    !text.is_empty() && text.len() <= ECHO_CHARACTERS_MAX && text.chars().all(plain)
}

fn retry_after(answer: &HttpResponse) -> Option<SignedDuration> {
    let seconds: u32 = answer.headers().get("retry-after")?.parse().ok()?;
    Some(SignedDuration::from_secs(i64::from(seconds)))
}
