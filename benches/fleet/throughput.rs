//! How fast rotations go beside what the provider's latency allows, and beside a client that only makes the calls.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::figures::{Table, tell};
use crate::harness::{Fleet, Store, Workspace};
use crate::{count, ms};

const LATENCY: Duration = Duration::from_millis(20);
const ALONE: usize = 10;

/// Rotations without overlap and quarantine, with a provider that takes its time.
pub(crate) fn measure(workspaces: &[Workspace; 1], place: &Path, secrets: Store<'_>) -> Result<()> {
    let [workspace] = workspaces;
    tell(&format!("\nEach call takes {} ms longer from here on.", LATENCY.as_millis()));
    let table = Table::begin("Pace");
    let fleet = Fleet::write(place, workspaces, "0s", secrets)?;
    // A key each to begin with that this journal knows.
    let daemon = fleet.run()?;
    daemon.done(fleet.credentials.len())?;
    workspace.delay(LATENCY)?;

    let before = workspace.calls()?;
    let mut alone = Duration::ZERO;
    for name in fleet.credentials.chunks(1).take(ALONE) {
        alone += daemon.rotate(name)?.took;
    }
    let calls = workspace.calls()?.since(&before);
    let (listings, others) = (calls.listings() / ALONE as u64, calls.others() / ALONE as u64);
    let sequential = u32::try_from(listings + others)?;
    let bound = LATENCY * sequential;
    let bare = (0..ALONE).map(|_| bare(workspace, listings)).sum::<Result<Duration>>()?;

    let alone = ms(alone) / count(ALONE);
    table.plain("sequential calls of a rotation", f64::from(sequential), "calls", "listings included");
    table.beside("one rotation", alone, ms(bound), "ms", "latency × calls");
    table.beside("one rotation", alone, ms(bare) / count(ALONE), "ms", "a client that only makes the calls");
    table.plain("one after the other", 60_000.0 / alone, "per minute", "");

    let before = workspace.calls()?;
    let cost = daemon.rotate(&fleet.credentials)?;
    let calls = workspace.calls()?.since(&before);
    table.beside("100 together", ms(cost.took), ms(bound), "ms", "latency × calls of one rotation");
    let pace = count(fleet.credentials.len()) / cost.took.as_secs_f64() * 60.0;
    let best = count(fleet.credentials.len()) / bound.as_secs_f64() * 60.0;
    table.beside("100 together", pace, best, "per minute", "what latency × calls allows");
    table.plain("listings of all 100", calls.listings() as f64, "calls", "");
    workspace.delay(Duration::ZERO)?;
    daemon.process.stop()
}

/// The calls of a rotation, of a service account that is not in the way, by a client without a journal.
pub(crate) fn bare(workspace: &Workspace, listings: u64) -> Result<Duration> {
    let account = workspace.accounts.values().next().context("an account")?;
    let keys = format!("/v1/service-accounts/{account}/api-keys");
    let mut client = workspace.client(Some(&workspace.admin_key))?;
    let begun = Instant::now();
    for _ in 0..listings {
        client.call("GET", "/v1/service-accounts", None)?;
    }
    let body = json!({"name": "bare", "permissions": ["user_read"]});
    // The daemon too creates and authenticates over connections of their own.
    let created = workspace.client(Some(&workspace.admin_key))?.call("POST", &keys, Some(&body))?;
    let text = |field: &str| created[field].as_str().context("a created key").map(str::to_owned);
    let (id, value) = (text("key_id")?, text("xi-api-key")?);
    for _ in 0..2 {
        workspace.client(Some(&value))?.call("GET", "/v1/user", None)?;
    }
    client.call("POST", &format!("{keys}/{id}/disable"), None)?;
    client.call("DELETE", &format!("{keys}/{id}"), None)?;
    Ok(begun.elapsed())
}
