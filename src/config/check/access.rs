//! Who may speak to the listener, and how they are told apart.

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

/// Everybody who is known by a token or a certificate, and by nobody else's.
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
                format!("the consumer `{other}` has the same token: each could acknowledge for the other");
            findings.error(&written.span(), rule, "give each consumer a token of its own");
        }
        if let Some(other) = certificate.as_ref().and_then(|it| certificates.insert(it.clone(), name.clone()))
        {
            let rule = format!(
                "the consumer `{other}` has the same `certificate`: each could acknowledge for the other"
            );
            findings.error(&written.span(), rule, "give each consumer a name of its own");
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
        let rule = format!(
            "the consumer `{other}` has the same `certificate`: whoever reads could acknowledge for it"
        );
        findings.error(&written.span(), rule, "give the readers a name of their own");
    }
    let mut shared = |written: Option<&raw::Secret>, rule: String| {
        if let Some(span) = written.and_then(raw::Secret::span) {
            findings.error(&span, rule, "give each a token of its own");
        }
    };
    for (token, written, of) in [
        (&readers.token, raw.readers.token.as_ref(), "readers"),
        (&leaks.token, raw.leaks.token.as_ref(), "whoever reports leaks"),
    ] {
        if let Some(other) = token.as_ref().and_then(|token| tokens.get(token)) {
            shared(
                written,
                format!("the consumer `{other}` has the same token: {of} could acknowledge for it"),
            );
        }
    }
    if readers.token.is_some() && readers.token == leaks.token {
        let rule = "whoever reports leaks has the same token: readers could have any key replaced";
        shared(raw.readers.token.as_ref(), rule.to_owned());
    }
    (consumers, readers)
}

/// A name as certificates have it.
fn certificate(policy: &raw::Policy, written: Option<&At<Text>>, findings: &mut Findings) -> Option<String> {
    let written = written?;
    let name = written.value().as_str();
    let plain = |label: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        !label.is_empty() && label.len() <= 63 && label.chars().all(fits)
    };
    if name.len() > 253 || !name.split('.').all(plain) {
        let help = "write a DNS name that stands in the certificate as it is, such as \"tts-api.internal\"";
        findings.error(&written.span(), "this cannot be the DNS name of one client", help);
        return None;
    }
    if policy.daemon.tls.as_ref().is_none_or(|tls| tls.client_ca.is_none()) {
        let help = "add `tls` with `client_ca` to `[daemon]`, or use a `token`";
        findings.error(&written.span(), "nobody vouches for client certificates", help);
    }
    Some(name.to_ascii_lowercase())
}
