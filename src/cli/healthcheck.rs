//! `rekeyd healthcheck`: checks a health URL of the daemon, or a file that an agent writes, for containers without a shell.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use axum::body::Body;
use axum::http::{Request, header};
use reqwest::Url;
use serde_json::json;
use tokio::net::TcpStream;

use crate::call;
use crate::cli::daemon::Output;
use crate::cli::exit::CommandError;
use crate::cli::journal::tell;
use crate::outgoing::client_to;

const JSON_VERSION: u32 = 1;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Health URL: `/livez`, `/readyz` or any other URL of the public listener
    #[arg(long, default_value = "http://127.0.0.1:9809/livez")]
    url: Url,
    /// Check that this file exists and is not empty, instead of a URL
    #[arg(long, value_name = "PATH", conflicts_with = "url")]
    file: Option<PathBuf>,
    /// Time limit in seconds
    #[arg(long, default_value_t = 5, value_name = "SECONDS")]
    timeout: u64,
    /// PEM file with the only certificate authorities to trust for `https`
    #[arg(long, value_name = "PATH")]
    ca_file: Option<PathBuf>,
    /// Output format; text prints nothing on success
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Exit code 0 if the URL or file is healthy, 1 if not.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let Arguments { file, url, output, .. } = arguments;
    match (checked(arguments), output) {
        (Ok(()), Output::Text) => ExitCode::SUCCESS,
        (Ok(()), Output::Json) => {
            let target = file.as_ref().map_or_else(|| url.to_string(), |file| file.display().to_string());
            let result = json!({ "schema_version": JSON_VERSION, "healthy": true, "target": target });
            tell(&format!("{result}\n"), ExitCode::SUCCESS)
        }
        (Err(error), output) => CommandError::other(format!("{error:#}")).report(*output == Output::Json),
    }
}

fn checked(arguments: &Arguments) -> anyhow::Result<()> {
    if let Some(file) = &arguments.file {
        return check_file(file);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start the asynchronous runtime")?.block_on(check_url(arguments))
}

async fn check_url(arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { url, timeout, ca_file, .. } = arguments;
    let limit = Duration::from_secs(*timeout);
    match url.scheme() {
        "https" => get_encrypted(url, ca_file.as_deref(), limit).await,
        _ => get(url, limit).await,
    }
}

async fn get_encrypted(url: &Url, ca_file: Option<&Path>, limit: Duration) -> anyhow::Result<()> {
    let mut client = client_to(url).no_proxy().timeout(limit);
    if let Some(path) = ca_file {
        let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let trusted = reqwest::Certificate::from_pem_bundle(&pem);
        client = client
            .tls_certs_only(trusted.with_context(|| format!("no PEM certificates in {}", path.display()))?);
    }
    let answer = client.build()?.get(url.clone()).send().await;
    let status = answer.with_context(|| format!("{url} does not answer"))?.status();
    ensure!(status.is_success(), "{url} answered with {status}");
    Ok(())
}

fn check_file(path: &Path) -> anyhow::Result<()> {
    let found = path.metadata().with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(found.is_file() && found.len() > 0, "{} is empty or not a regular file", path.display());
    Ok(())
}

async fn get(url: &Url, limit: Duration) -> anyhow::Result<()> {
    ensure!(url.scheme() == "http", "unsupported scheme: use `http://…` or `https://…`");
    let addresses = url.socket_addrs(|| None).context("cannot resolve the host name")?;
    let Some(first) = addresses.first() else { bail!("cannot resolve the host name") };
    let stream = tokio::time::timeout(limit, TcpStream::connect(&addresses[..])).await;
    let stream = stream
        .with_context(|| format!("{first} did not answer within {limit:?}"))?
        .with_context(|| format!("{first} does not answer"))?;
    let target = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    let request = Request::get(target)
        .header(header::HOST, first.to_string())
        .header(header::CONNECTION, "close")
        .body(Body::empty())?;
    let answer = call::exchange(stream, request, limit).await?;
    ensure!(answer.status.is_success(), "{first} answered with {}", answer.status);
    Ok(())
}
