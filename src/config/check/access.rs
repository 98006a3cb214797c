//! Clients of the listener: their tokens and certificates, which must differ.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use crate::config::components::{ConsumerConfig, LeaksConfig, ReadersConfig, TlsConfig};
use crate::config::raw::{self, At, Text};
use crate::config_file::findings::Findings;
use crate::config_file::secret_source::SecretSource;
use crate::config_file::values;
use crate::domain::ids::ConsumerName;

/// `None` only where a problem was found.
pub(super) fn tls(raw: &raw::Tls, findings: &mut Findings) -> Option<TlsConfig> {
    let client_ca = values::path(raw.client_ca.as_ref(), findings);
    let certificate = values::path(raw.certificate.as_ref(), findings);
    let key = values::path(raw.key.as_ref(), findings);
    Some(TlsConfig { certificate: certificate?, key: key?, client_ca })
}

/// Checks that no two clients share a token or a certificate.
pub(super) fn consumers(
    raw: &raw::Policy,
    leaks: &LeaksConfig,
    findings: &mut Findings,
) -> (BTreeMap<ConsumerName, ConsumerConfig>, ReadersConfig) {
    let mut consumers = BTreeMap::new();
    let mut tokens: BTreeMap<SecretSource, ConsumerName> = BTreeMap::new();
    let mut certificates: BTreeMap<String, ConsumerName> = BTreeMap::new();
    for (written, consumer) in &raw.consumers {
        let token = values::secret(consumer.token.as_ref(), findings);
        let certificate = certificate(raw, consumer.certificate.as_ref(), findings);
        let cache_ttl = values::duration(consumer.cache_ttl.as_ref(), SignedDuration::ZERO, findings);
        let Some(name) = values::name(written, findings, ConsumerName::new) else { continue };
        if let Some(other) = token.as_ref().and_then(|token| tokens.insert(token.clone(), name.clone())) {
            let rule =
                format!("the consumer `{other}` has the same token, so each could acknowledge for the other");
            findings.error(&written.span(), rule, "use a separate token for each consumer");
        }
        if let Some(other) = certificate.as_ref().and_then(|it| certificates.insert(it.clone(), name.clone()))
        {
            let rule = format!(
                "the consumer `{other}` has the same `certificate`, so each could acknowledge for the other"
            );
            findings.error(&written.span(), rule, "use a separate certificate name for each consumer");
        }
        consumers.insert(name, ConsumerConfig { token, certificate, cache_ttl });
    }
    let readers = ReadersConfig {
        token: values::secret(raw.readers.token.as_ref(), findings),
        certificate: certificate(raw, raw.readers.certificate.as_ref(), findings),
    };
    if let Some(other) = readers.certificate.as_ref().and_then(|it| certificates.get(it))
        && let Some(written) = &raw.readers.certificate
    {
        let rule =
            format!("the consumer `{other}` has the same `certificate`, so readers could acknowledge for it");
        findings.error(&written.span(), rule, "use a separate certificate name for the readers");
    }
    let mut shared = |written: Option<&raw::Secret>, rule: String| {
        if let Some(span) = written.and_then(raw::Secret::span) {
            findings.error(&span, rule, "use a separate token for each");
        }
    };
    for (token, written, of) in [
        (&readers.token, raw.readers.token.as_ref(), "readers"),
        (&leaks.token, raw.leaks.token.as_ref(), "leak reporters"),
    ] {
        if let Some(other) = token.as_ref().and_then(|token| tokens.get(token)) {
            shared(
                written,
                format!("the consumer `{other}` has the same token, so {of} could acknowledge for it"),
            );
        }
    }
    if readers.token.is_some() && readers.token == leaks.token {
        let rule = "`[leaks]` has the same token, so readers could trigger emergency rotations";
        shared(raw.readers.token.as_ref(), rule.to_owned());
    }
    (consumers, readers)
}

/// A DNS name, as certificates have it.
fn certificate(policy: &raw::Policy, written: Option<&At<Text>>, findings: &mut Findings) -> Option<String> {
    let written = written?;
    let name = written.value().as_str();
    let plain = |label: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        !label.is_empty() && label.len() <= 63 && label.chars().all(fits)
    };
    if name.len() > 253 || !name.split('.').all(plain) {
        let help = "use a DNS name exactly as in the certificate, such as \"tts-api.internal\"";
        findings.error(&written.span(), "not the DNS name of a single client", help);
        return None;
    }
    if policy.daemon.tls.as_ref().is_none_or(|tls| tls.client_ca.is_none()) {
        let help = "set `tls` with `client_ca` in `[daemon]`, or use a `token`";
        findings.error(&written.span(), "client certificates need `daemon.tls.client_ca`", help);
    }
    Some(name.to_ascii_lowercase())
}
