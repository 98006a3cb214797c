//! `rekeyd healthcheck`: asks a running daemon whether it is well, or sees whether an agent has written a file, for
//! containers without any other program in them.

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
use crate::cli::exit::Failed;
use crate::cli::journal::tell;

const JSON_VERSION: u32 = 1;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// What to ask: `/livez`, `/readyz` or any other address of the public listener
    #[arg(long, default_value = "http://127.0.0.1:9809/livez")]
    url: Url,
    /// In place of an address: a file that has to be there and not empty, as an agent writes it
    #[arg(long, value_name = "PATH", conflicts_with = "url")]
    file: Option<PathBuf>,
    /// How long to wait for the answer, in seconds
    #[arg(long, default_value_t = 5, value_name = "SECONDS")]
    timeout: u64,
    /// With `https`: the only certificate authorities to trust, in PEM
    #[arg(long, value_name = "PATH")]
    ca_file: Option<PathBuf>,
    /// Nothing but the exit code if all is well, or JSON for programs
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Exit code 0 if the answer is a success, 1 if it is not or there is none; likewise for the file.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let Arguments { file, url, output, .. } = arguments;
    match (looked_at(arguments), output) {
        (Ok(()), Output::Text) => ExitCode::SUCCESS,
        (Ok(()), Output::Json) => {
            let asked = file.as_ref().map_or_else(|| url.to_string(), |file| file.display().to_string());
            let told = json!({ "schema_version": JSON_VERSION, "well": true, "asked": asked });
            tell(&format!("{told}\n"), ExitCode::SUCCESS)
        }
        (Err(error), output) => Failed::other(format!("{error:#}")).tell(*output == Output::Json),
    }
}

fn looked_at(arguments: &Arguments) -> anyhow::Result<()> {
    if let Some(file) = &arguments.file {
        return look(file);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start the asynchronous runtime")?.block_on(asked(arguments))
}

async fn asked(arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { url, timeout, ca_file, .. } = arguments;
    let limit = Duration::from_secs(*timeout);
    match url.scheme() {
        "https" => ask_encrypted(url, ca_file.as_deref(), limit).await,
        _ => ask(url, limit).await,
    }
}

async fn ask_encrypted(url: &Url, ca_file: Option<&Path>, limit: Duration) -> anyhow::Result<()> {
    let mut client = reqwest::Client::builder().no_proxy().timeout(limit);
    if let Some(path) = ca_file {
        let pem = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let trusted = reqwest::Certificate::from_pem_bundle(&pem);
        client = client.tls_certs_only(
            trusted.with_context(|| format!("{} holds no certificates in PEM", path.display()))?,
        );
    }
    let answer = client.build()?.get(url.clone()).send().await;
    let status = answer.with_context(|| format!("{url} does not answer"))?.status();
    ensure!(status.is_success(), "{url} answered with {status}");
    Ok(())
}

fn look(path: &Path) -> anyhow::Result<()> {
    let found = path.metadata().with_context(|| format!("{} cannot be looked at", path.display()))?;
    ensure!(found.is_file() && found.len() > 0, "{} is empty, or no file", path.display());
    Ok(())
}

async fn ask(url: &Url, limit: Duration) -> anyhow::Result<()> {
    ensure!(url.scheme() == "http", "the daemon speaks HTTP: write `http://…` or `https://…`");
    let addresses = url.socket_addrs(|| None).context("the address cannot be resolved")?;
    let Some(first) = addresses.first() else { bail!("the address cannot be resolved") };
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
