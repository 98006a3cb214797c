//! What the environment says about traces.

use std::collections::BTreeMap;

use super::*;

fn read(variables: &[(&str, &str)]) -> Result<Option<TracesConfig>, Unusable> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    TracesConfig::read(&variables.iter().map(owned).collect::<BTreeMap<_, _>>())
}

const AT: (&str, &str) = (ENDPOINT, "http://127.0.0.1:4318");

#[test]
fn without_an_endpoint_or_switched_off_nothing_is_sent() {
    for variables in [
        vec![],
        vec![(ENDPOINT, " ")],
        vec![(SERVICE_NAME, "rekeyd"), (PROTOCOL, "grpc")],
        vec![AT, (DISABLED, "TRUE")],
        vec![AT, (EXPORTER, "none")],
    ] {
        assert_eq!(read(&variables), Ok(None), "{variables:?}");
    }
}

#[test]
fn the_endpoint_of_all_signals_has_a_path_put_behind_it_and_that_of_traces_is_taken_as_it_is() {
    for (variables, expected) in [
        (vec![AT], "http://127.0.0.1:4318/v1/traces"),
        (vec![(ENDPOINT, "https://c.test/otlp/")], "https://c.test/otlp/v1/traces"),
        (vec![AT, (TRACES_ENDPOINT, "https://c.test/in")], "https://c.test/in"),
        (vec![AT, (EXPORTER, "otlp"), (PROTOCOL, "http/protobuf")], "http://127.0.0.1:4318/v1/traces"),
    ] {
        let config = read(&variables).unwrap().unwrap();
        assert_eq!(config.endpoint.as_str(), expected);
        assert_eq!((config.time_limit, config.ca_file), (TIME_LIMIT, None));
    }
}

#[test]
fn what_is_of_traces_wins_and_values_are_decoded_and_never_shown() {
    let config = read(&[
        (ENDPOINT, "https://c.test"),
        (HEADERS, "a=general"),
        (TRACES_HEADERS, "Authorization=Bearer%20planted, x-tenant = t1,"),
        (TIMEOUT, "500"),
        (TRACES_TIMEOUT, "700"),
        (CERTIFICATE, "/ca.pem"),
        (SERVICE_NAME, "mine"),
        (RESOURCE_ATTRIBUTES, "service.name=other,deployment.environment=prod%2Ceu"),
    ]);
    let config = config.unwrap().unwrap();
    assert_eq!(config.headers["authorization"], "Bearer planted");
    assert_eq!((config.headers.len(), &config.headers["x-tenant"]), (2, &HeaderValue::from_static("t1")));
    assert!(!format!("{config:?}").contains("planted"), "{config:?}");
    assert_eq!((config.time_limit.as_millis(), config.ca_file), (700, Some("/ca.pem".into())));
    let resource: Vec<_> =
        config.resource.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let version = ("service.version", env!("CARGO_PKG_VERSION"));
    assert_eq!(resource, [("service.name", "mine"), ("deployment.environment", "prod,eu"), version]);
}

#[test]
fn what_cannot_be_followed_is_named_with_advice_and_without_its_value() {
    for (variable, value) in [
        (ENDPOINT, "planted:4318"),
        (ENDPOINT, "ftp://planted"),
        (TRACES_ENDPOINT, "https://me:planted@c.test"),
        (PROTOCOL, "grpc"),
        (TRACES_PROTOCOL, "http/json"),
        (EXPORTER, "planted"),
        (HEADERS, "planted"),
        (HEADERS, "a=%zzplanted"),
        (TRACES_HEADERS, "sp ace=planted"),
        (HEADERS, "a=planted%0a"),
        (TIMEOUT, "10s"),
        (TRACES_TIMEOUT, "0"),
        (RESOURCE_ATTRIBUTES, "planted"),
    ] {
        let found = read(&[AT, (variable, value)]).expect_err(value);
        assert_eq!(found.variable, variable);
        let told = found.to_string();
        assert!(told.contains(variable) && told.contains("; ") && !told.contains("planted"), "{told}");
    }
    let over_a_network = read(&[(ENDPOINT, "http://c.test:4318"), (HEADERS, "a=b")]).unwrap_err();
    assert_eq!(over_a_network.variable, HEADERS);
}
