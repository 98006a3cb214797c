//! `rekeyd healthcheck`: asks a running daemon whether it is well, for containers without any other program in them.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use axum::body::Body;
use axum::http::{Request, header};
use reqwest::Url;
use tokio::net::TcpStream;

use crate::call;
use crate::cli::journal::fail;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// What to ask: `/livez`, `/readyz` or any other address of the public listener
    #[arg(long, default_value = "http://127.0.0.1:9809/livez")]
    url: Url,
    /// How long to wait for the answer, in seconds
    #[arg(long, default_value_t = 5, value_name = "SECONDS")]
    timeout: u64,
}

/// Exit code 0 if the answer is a success, 1 if it is not or there is none.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let asked = runtime
        .context("cannot start the asynchronous runtime")
        .and_then(|tokio| tokio.block_on(ask(&arguments.url, Duration::from_secs(arguments.timeout))));
    match asked {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("{error:#}")),
    }
}

async fn ask(url: &Url, limit: Duration) -> anyhow::Result<()> {
    ensure!(url.scheme() == "http", "only http is spoken by the daemon: write the address as `http://…`");
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
