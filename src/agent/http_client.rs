//! HTTP to rekeyd and to the application: one plain connection per request, and a TLS client only for `https` URLs,
//! because a TLS client takes more memory than the rest of the agent.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Method, Request, StatusCode, header};
use reqwest::Url;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::agent::Error;
use crate::call;
use crate::config::agent::ClientIdentity;
use crate::domain::secret::SecretValue;
use crate::outgoing::client_to;
use crate::plain_file;

/// Keeps its TLS client until one of the TLS files changes.
pub(super) struct HttpClient {
    tls: Option<TlsClient>,
}

/// Only with `https`.
struct TlsClient {
    /// Leads to the host of every request.
    url: Url,
    files: TlsFiles,
    /// The contents that `client` was made from.
    contents: TlsContents,
    client: reqwest::Client,
}

/// The authorities to trust, and the agent's own certificate.
#[derive(Clone)]
pub(super) struct TlsFiles {
    pub(super) ca_file: Option<PathBuf>,
    pub(super) identity: Option<ClientIdentity>,
}

#[derive(PartialEq, Eq)]
struct TlsContents {
    authorities: Option<Vec<u8>>,
    /// Certificate and key.
    identity: Option<Zeroizing<Vec<u8>>>,
}

pub(super) struct Response {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

pub(super) struct HttpRequest<'a> {
    pub(super) method: Method,
    pub(super) url: &'a Url,
    pub(super) token: Option<&'a SecretValue>,
    pub(super) body: Option<&'a Value>,
    pub(super) limit: Duration,
}

impl HttpClient {
    /// For this machine.
    pub(super) const PLAIN: Self = Self { tls: None };

    /// # Errors
    /// The TLS files cannot be used.
    pub(super) fn to(url: &Url, files: TlsFiles) -> Result<Self, Error> {
        if url.scheme() != "https" {
            return Ok(Self::PLAIN);
        }
        let contents = files.read()?;
        let client = files.client(url, &contents)?;
        Ok(Self { tls: Some(TlsClient { url: url.clone(), files, contents, client }) })
    }

    /// Takes up TLS files that were replaced. If the new ones cannot be used, the client stays as it was.
    pub(super) fn renew(&mut self) {
        let Some(tls) = &mut self.tls else { return };
        let Ok(contents) = tls.files.read() else { return };
        if contents == tls.contents {
            return;
        }
        match tls.files.client(&tls.url, &contents) {
            Ok(client) => {
                tracing::info!("TLS files reloaded");
                (tls.client, tls.contents) = (client, contents);
            }
            Err(error) => tracing::debug!(%error, "cannot use the changed TLS files"),
        }
    }

    /// # Errors
    /// There was no response. The message holds nothing that was sent.
    pub(super) async fn send(&self, request: HttpRequest<'_>) -> Result<Response, String> {
        match &self.tls {
            Some(tls) => encrypted(&tls.client, request).await,
            None => plain(request).await,
        }
    }
}

impl TlsFiles {
    fn read(&self) -> Result<TlsContents, Error> {
        let read = |path: &PathBuf| {
            plain_file::read(path, plain_file::BYTES_MAX)
                .map_err(|source| Error::Authorities { path: path.clone(), source })
        };
        let identity = |identity: &ClientIdentity| {
            let mut both = read(&identity.certificate)?;
            both.push(b'\n');
            both.extend_from_slice(&read(&identity.key)?);
            Ok(both)
        };
        Ok(TlsContents {
            authorities: self.ca_file.as_ref().map(read).transpose()?.map(|it| it.to_vec()),
            identity: self.identity.as_ref().map(identity).transpose()?,
        })
    }

    fn client(&self, url: &Url, contents: &TlsContents) -> Result<reqwest::Client, Error> {
        let refused = |path: Option<&PathBuf>, why: &str| Error::Authorities {
            path: path.cloned().unwrap_or_default(),
            source: io::Error::other(why.to_owned()),
        };
        let mut builder = client_to(url);
        if let Some(pem) = &contents.authorities {
            let trusted = reqwest::Certificate::from_pem_bundle(pem)
                .ok()
                .filter(|trusted| !trusted.is_empty())
                .ok_or_else(|| refused(self.ca_file.as_ref(), "it holds no certificates in PEM"))?;
            builder = builder.tls_certs_only(trusted);
        }
        let own = self.identity.as_ref().map(|identity| &identity.certificate);
        if let Some(pem) = &contents.identity {
            let identity = reqwest::Identity::from_pem(pem)
                .map_err(|_| refused(own, "it and its key are no certificate and private key in PEM"))?;
            builder = builder.identity(identity);
        }
        builder.build().map_err(|error| refused(own.or(self.ca_file.as_ref()), &with_causes(&error)))
    }
}

async fn encrypted(client: &reqwest::Client, request: HttpRequest<'_>) -> Result<Response, String> {
    let mut builder = client.request(request.method, request.url.clone()).timeout(request.limit);
    if let Some(token) = request.token {
        builder = builder.bearer_auth(token.expose());
    }
    if let Some(body) = request.body {
        builder = builder.json(body);
    }
    let failed = |error: reqwest::Error| with_causes(&error.without_url());
    let response = builder.send().await.map_err(failed)?;
    let status = response.status();
    Ok(Response { status, body: response.bytes().await.map_err(failed)? })
}

async fn plain(request: HttpRequest<'_>) -> Result<Response, String> {
    let url = request.url;
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or(80);
    let connect = TcpStream::connect((host.trim_start_matches('[').trim_end_matches(']'), port));
    let stream = timeout(request.limit, connect).await;
    let stream = stream
        .map_err(|_| format!("{host}:{port} did not answer within {:?}", request.limit))?
        .map_err(|error| format!("{host}:{port} does not answer: {error}"))?;
    let target = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    let body = request.body.map(ToString::to_string);
    let mut head = Request::builder()
        .method(request.method)
        .uri(target)
        .header(header::HOST, format!("{host}:{port}"))
        .header(header::CONNECTION, "close")
        .header(header::CONTENT_LENGTH, body.as_ref().map_or(0, String::len));
    if body.is_some() {
        head = head.header(header::CONTENT_TYPE, "application/json");
    }
    if let Some(token) = request.token {
        head = head.header(header::AUTHORIZATION, format!("Bearer {}", token.expose()));
    }
    let message = head
        .body(Body::from(body.unwrap_or_default()))
        .map_err(|_| format!("{host}:{port} cannot take this request"))?;
    match call::exchange(stream, message, request.limit).await {
        Ok(response) => Ok(Response { status: response.status, body: response.body }),
        Err(error) => Err(format!("{host}:{port}: {error:#}")),
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
