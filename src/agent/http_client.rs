//! HTTP to rekeyd and to the application: plain over one connection each time, and with TLS only where a URL asks for
//! it, because a client for that takes more memory than all the rest.

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
use crate::plain_file;

/// One for a daemon keeps its client as long as the files that it was made from stay as they are.
pub(super) struct HttpClient {
    tls: Option<Encrypted>,
}

/// Only with `https`.
struct Encrypted {
    papers: TlsFiles,
    /// What the papers held.
    seen: Contents,
    client: reqwest::Client,
}

/// Files by which each side proves to the other who it is.
#[derive(Clone)]
pub(super) struct TlsFiles {
    pub(super) ca_file: Option<PathBuf>,
    pub(super) identity: Option<ClientIdentity>,
}

#[derive(PartialEq, Eq)]
struct Contents {
    authorities: Option<Vec<u8>>,
    /// Certificate and key.
    identity: Option<Zeroizing<Vec<u8>>>,
}

pub(super) struct Response {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

/// What is sent.
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
    /// The papers cannot be used.
    pub(super) fn to(url: &Url, papers: TlsFiles) -> Result<Self, Error> {
        if url.scheme() != "https" {
            return Ok(Self::PLAIN);
        }
        let seen = papers.read()?;
        let client = papers.client(&seen)?;
        Ok(Self { tls: Some(Encrypted { papers, seen, client }) })
    }

    /// Takes up papers that were replaced. With those that cannot be used, everything stays as it was.
    pub(super) fn renew(&mut self) {
        let Some(tls) = &mut self.tls else { return };
        let Ok(contents) = tls.papers.read() else { return };
        if contents == tls.seen {
            return;
        }
        match tls.papers.client(&contents) {
            Ok(client) => {
                tracing::info!("the certificates by which rekeyd is spoken to are replaced");
                (tls.client, tls.seen) = (client, contents);
            }
            Err(error) => tracing::debug!(%error, "the changed certificates cannot be used"),
        }
    }

    /// # Errors
    /// There was no answer; says why, without anything that was sent.
    pub(super) async fn carry(&self, parcel: HttpRequest<'_>) -> Result<Response, String> {
        match &self.tls {
            Some(tls) => encrypted(&tls.client, parcel).await,
            None => plain(parcel).await,
        }
    }
}

impl TlsFiles {
    fn read(&self) -> Result<Contents, Error> {
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
        Ok(Contents {
            authorities: self.ca_file.as_ref().map(read).transpose()?.map(|it| it.to_vec()),
            identity: self.identity.as_ref().map(identity).transpose()?,
        })
    }

    fn client(&self, contents: &Contents) -> Result<reqwest::Client, Error> {
        let refused = |path: Option<&PathBuf>, why: &str| Error::Authorities {
            path: path.cloned().unwrap_or_default(),
            source: io::Error::other(why.to_owned()),
        };
        let mut builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
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
                .map_err(|_| refused(own, "it and its key are no certificate with a key in PEM"))?;
            builder = builder.identity(identity);
        }
        builder.build().map_err(|error| refused(own.or(self.ca_file.as_ref()), &with_causes(&error)))
    }
}

async fn encrypted(client: &reqwest::Client, parcel: HttpRequest<'_>) -> Result<Response, String> {
    let mut request = client.request(parcel.method, parcel.url.clone()).timeout(parcel.limit);
    if let Some(token) = parcel.token {
        request = request.bearer_auth(token.expose());
    }
    if let Some(body) = parcel.body {
        request = request.json(body);
    }
    let told = |error: reqwest::Error| with_causes(&error.without_url());
    let response = request.send().await.map_err(told)?;
    let status = response.status();
    Ok(Response { status, body: response.bytes().await.map_err(told)? })
}

async fn plain(parcel: HttpRequest<'_>) -> Result<Response, String> {
    let url = parcel.url;
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or(80);
    let connect = TcpStream::connect((host.trim_start_matches('[').trim_end_matches(']'), port));
    let stream = timeout(parcel.limit, connect).await;
    let stream = stream
        .map_err(|_| format!("{host}:{port} did not answer within {:?}", parcel.limit))?
        .map_err(|error| format!("{host}:{port} does not answer: {error}"))?;
    let target = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    let body = parcel.body.map(ToString::to_string);
    let mut request = Request::builder()
        .method(parcel.method)
        .uri(target)
        .header(header::HOST, format!("{host}:{port}"))
        .header(header::CONNECTION, "close")
        .header(header::CONTENT_LENGTH, body.as_ref().map_or(0, String::len));
    if body.is_some() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    if let Some(token) = parcel.token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.expose()));
    }
    let request = request
        .body(Body::from(body.unwrap_or_default()))
        .map_err(|_| format!("{host}:{port} cannot be asked for this"))?;
    match call::exchange(stream, request, parcel.limit).await {
        Ok(answer) => Ok(Response { status: answer.status, body: answer.body }),
        Err(error) => Err(format!("{host}:{port}: {error:#}")),
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
