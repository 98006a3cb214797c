//! Bounds the size of AWS's responses, so that an endpoint that never ends a response cannot fill the memory.

use aws_sdk_secretsmanager::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_secretsmanager::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_secretsmanager::error::BoxError;
use aws_smithy_types::body::SdkBody;
use http_body_util::Limited;

/// A secret holds 64 KiB, which JSON escapes can make six times as long.
const RESPONSE_BYTES_MAX: usize = 1024 * 1024;

/// Used by every client of AWS.
#[derive(Debug)]
pub(super) struct BoundedResponses;

impl Intercept for BoundedResponses {
    fn name(&self) -> &'static str {
        "BoundedResponses"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response_mut().body_mut();
        let whole = std::mem::replace(body, SdkBody::taken());
        *body = SdkBody::from_body_1_x(Limited::new(whole, RESPONSE_BYTES_MAX));
        Ok(())
    }
}
