//! The SDK's HTTP clients: for each request, also of a source of credentials, directly or through the environment's proxy.

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use reqwest::Url;

use crate::outgoing::may_be_proxied;

/// Reads the proxy's variables when it first calls through it.
pub(super) fn client() -> SharedHttpClient {
    SharedHttpClient::new(Clients {
        direct: client_by(ProxyConfig::disabled),
        proxied: client_by(ProxyConfig::from_env),
    })
}

/// Keeps its connections for each setting of time limits.
fn client_by(proxy: fn() -> ProxyConfig) -> SharedHttpClient {
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut builder =
            Connector::builder().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).proxy_config(proxy());
        builder.set_connector_settings(settings.cloned());
        builder.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        builder.build()
    })
}

#[derive(Debug, Clone)]
struct Clients {
    direct: SharedHttpClient,
    proxied: SharedHttpClient,
}

impl HttpClient for Clients {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let (clients, settings, components) = (self.clone(), settings.clone(), components.clone());
        SharedHttpConnector::new(Chooser { clients, settings, components })
    }
}

#[derive(Debug)]
struct Chooser {
    clients: Clients,
    settings: HttpConnectorSettings,
    components: RuntimeComponents,
}

impl HttpConnector for Chooser {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Clients { direct, proxied } = &self.clients;
        let chosen = match Url::parse(request.uri()) {
            Ok(url) if may_be_proxied(&url) => proxied,
            Ok(_) | Err(_) => direct,
        };
        chosen.http_connector(&self.settings, &self.components).call(request)
    }
}
