//! What a fleet costs: the real program against sandboxes on loopback, beside the bounds of the README.
//!
//! Prints tables that can be kept as they are. Fails only if something does not work, never because it is slow.

mod aws;
mod figures;
mod harness;
mod http;
mod process;
mod throughput;

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::aws::Aws;
use crate::figures::{Table, median, tell};
use crate::harness::{Calls, Cost, Fleet, Store, Workspace};

/// As many service accounts as the provider gives to a large workspace.
const WORKSPACE: usize = 100;
const WORKSPACES: usize = 10;
/// Rotations one after the other, of a figure per rotation.
const ALONE: usize = 25;
const AT_ONCE: usize = 500;
const STARTS: usize = 7;

const CALLS_MAX: f64 = 5.0;
const AWS_CALLS_MAX: f64 = 4.0;
const CPU_MS_MAX: f64 = 2.0;
const IDLE_MIB_MAX: f64 = 25.0;
const PEAK_MIB_MAX: f64 = 60.0;
const READY_MS_MAX: f64 = 100.0;

fn main() -> Result<()> {
    let place = tempfile::Builder::new().prefix("rekeyd-bench-").tempdir()?;
    // Where secrets belong, if this machine has it.
    let memory = tempfile::Builder::new().prefix("rekeyd-bench-").tempdir_in("/dev/shm");
    let secrets = Store::Directory { path: memory.as_ref().map_or_else(|_| place.path(), TempDir::path) };
    tell_machine(place.path())?;
    let workspace = [Workspace::open("solo", WORKSPACE)?];
    one_workspace(&workspace, &place.path().join("calls"), secrets)?;
    throughput::measure(&workspace, &place.path().join("pace"), secrets)?;
    drop(workspace);
    whole_fleet(place.path(), secrets)?;
    aws(&place.path().join("aws"))
}

/// What the figures depend on.
fn tell_machine(place: &Path) -> Result<()> {
    let cpus = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    let count = std::thread::available_parallelism()?;
    let load = fs::read_to_string("/proc/loadavg")?;
    let load = load.split(' ').next().unwrap_or_default();
    tell(&format!("Machine: {count} × {model}, Linux; load before: {load}"));
    let syncs = (0..50).map(|number| sync(&place.join("sync"), number)).collect::<Result<Vec<_>>>()?;
    tell(&format!("Writing and syncing 4 KiB where the journal is: {:.2} ms", median(syncs)));
    Ok(())
}

fn sync(file: &Path, number: u64) -> Result<f64> {
    use std::os::unix::fs::FileExt as _;
    let file = fs::File::options().create(true).truncate(false).write(true).open(file)?;
    let begun = std::time::Instant::now();
    file.write_all_at(&[0; 4096], number * 4096)?;
    file.sync_data()?;
    Ok(ms(begun.elapsed()))
}

/// Calls and processor time per rotation: one after the other, and a hundred together.
fn one_workspace(workspaces: &[Workspace; 1], place: &Path, secrets: Store<'_>) -> Result<()> {
    let [workspace] = workspaces;
    let table = Table::begin("One workspace: calls and processor time of a rotation");
    let fleet = Fleet::write(place, workspaces, "0s", secrets)?;
    let daemon = fleet.run()?;
    daemon.done(WORKSPACE)?;
    let before = workspace.calls()?;
    let mut alone = Cost { took: Duration::ZERO, cpu: Duration::ZERO };
    for name in fleet.credentials.chunks(1).take(ALONE) {
        let cost = daemon.rotate(name)?;
        alone = Cost { took: alone.took + cost.took, cpu: alone.cpu + cost.cpu };
    }
    let calls = workspace.calls()?.since(&before);
    tell_calls(&table, "one after the other", &calls, ALONE);
    let client = process::own_cpu()?;
    for _ in 0..ALONE {
        throughput::bare(workspace, calls.listings() / ALONE as u64)?;
    }
    let client = ms(process::own_cpu()?.saturating_sub(client)) / count(ALONE);
    let before = workspace.calls()?;
    let together = daemon.rotate(&fleet.credentials)?;
    let again = daemon.rotate(&fleet.credentials)?;
    tell_calls(&table, "100 together", &workspace.calls()?.since(&before), 2 * WORKSPACE);
    let each = |cost: &Cost, rotations: usize| ms(cost.cpu) / count(rotations);
    table.bounded("processor time, one after the other", each(&alone, ALONE), CPU_MS_MAX, "ms");
    table.bounded("processor time, 100 together", each(&together, WORKSPACE), CPU_MS_MAX, "ms");
    table.bounded("the same again", each(&again, WORKSPACE), CPU_MS_MAX, "ms");
    let calls = "a client that only makes the calls";
    table.beside("processor time, one after the other", each(&alone, ALONE), client, "ms", calls);
    daemon.process.stop()
}

fn tell_calls(table: &Table, how: &str, calls: &Calls, rotations: usize) {
    let each = |calls: u64| figure(calls) / count(rotations);
    let parts = ["create_key", "user", "disable_key", "delete_key"];
    let parts: Vec<String> = parts.iter().map(|route| format!("{route} {}", each(calls.of(route)))).collect();
    table.bounded(&format!("calls beside listings, {how}"), each(calls.others()), CALLS_MAX, "calls");
    table.plain(&format!("listings, {how}"), each(calls.listings()), "calls", &parts.join(", "));
}

/// Memory and start of a daemon with a thousand credentials, and of one with none.
fn whole_fleet(place: &Path, secrets: Store<'_>) -> Result<()> {
    let table = Table::begin("1,000 credentials in 10 workspaces: memory and start");
    let names = (0..WORKSPACES).map(|number| format!("fleet-{number}"));
    let workspaces = names.map(|name| Workspace::open(&name, WORKSPACE)).collect::<Result<Vec<_>>>()?;
    let nobody = [Workspace::open("nobody", 0)?];
    let empty = Fleet::write(&place.join("empty"), &nobody, "3s", secrets)?;
    let fleet = Fleet::write(&place.join("fleet"), &workspaces, "3s", secrets)?;

    let daemon = fleet.run()?;
    daemon.done(fleet.credentials.len())?;
    let (_, adopting) = daemon.process.memory()?;
    daemon.process.stop()?;

    let (mut with, mut without) = (Vec::new(), Vec::new());
    let mut running = empty.run()?;
    for _ in 0..STARTS {
        running.process.stop()?;
        let daemon = empty.run()?;
        without.push(ms(daemon.ready_after));
        std::thread::sleep(Duration::from_secs(1));
        let (idle, _) = daemon.process.memory()?;
        daemon.process.stop()?;
        running = fleet.run()?;
        with.push(ms(running.ready_after));
        if with.len() == STARTS {
            table.bounded("ready, median", median(with.clone()), READY_MS_MAX, "ms");
            let (least, most) = with.iter().fold((f64::MAX, 0.0_f64), |(a, b), x| (a.min(*x), b.max(*x)));
            table.beside(
                "ready, against none",
                median(with.clone()),
                median(without.clone()),
                "ms",
                "an empty start",
            );
            table.plain("ready, least", least, "ms", "");
            table.plain("ready, most", most, "ms", "");
            rest(&table, &running, idle)?;
        }
    }
    let cost = running.rotate(fleet.credentials.get(..AT_ONCE).context("enough credentials")?)?;
    let (_, peak) = running.process.memory()?;
    table.bounded("highest resident memory, 500 rotating", peak, PEAK_MIB_MAX, "MiB");
    table.bounded("processor time, 500 together", ms(cost.cpu) / count(AT_ONCE), CPU_MS_MAX, "ms");
    table.plain("highest resident memory, first start", adopting, "MiB", "all 1,000 adopted at once");
    running.process.stop()?;
    fleet.encrypt()?;
    let mut encrypted = Vec::new();
    for _ in 0..STARTS {
        let daemon = fleet.run()?;
        encrypted.push(ms(daemon.ready_after));
        daemon.process.stop()?;
    }
    table.bounded("ready, median, TLS to all 10 workspaces", median(encrypted), READY_MS_MAX, "ms");
    Ok(())
}

/// A daemon that has nothing to do.
fn rest(table: &Table, daemon: &harness::Daemon, empty: f64) -> Result<()> {
    const WATCHED: Duration = Duration::from_secs(10);
    std::thread::sleep(Duration::from_secs(3));
    let before = daemon.process.cpu()?;
    std::thread::sleep(WATCHED);
    let used = daemon.process.cpu()?.saturating_sub(before);
    let (idle, highest) = daemon.process.memory()?;
    table.bounded("resident memory, idle", idle, IDLE_MIB_MAX, "MiB");
    table.beside("resident memory, against none", idle, empty, "MiB", "an empty daemon");
    table.plain("highest resident memory, start included", highest, "MiB", "");
    table.plain(
        "processor time, idle",
        used.as_secs_f64() / WATCHED.as_secs_f64() * 100.0,
        "%",
        "of one core",
    );
    Ok(())
}

/// Calls of AWS Secrets Manager per rotation and destination.
fn aws(place: &Path) -> Result<()> {
    #[expect(clippy::disallowed_methods, reason = "whoever runs the bench says where the stand-in is")]
    let Ok(moto) = std::env::var("REKEYD_MOTO_SERVER") else {
        tell("\nREKEYD_MOTO_SERVER is not set: no calls to AWS were counted. `make bench` sets it.");
        return Ok(());
    };
    let table = Table::begin("One destination in AWS Secrets Manager");
    let aws = Aws::start(&moto)?;
    let workspaces = [Workspace::open("cloud", 10)?];
    let fleet = Fleet::write(place, &workspaces, "0s", Store::Aws { url: &aws.url })?;
    let daemon = fleet.run()?;
    daemon.done(fleet.credentials.len())?;
    aws.calls();
    let cost = daemon.rotate(&fleet.credentials)?;
    let calls = aws.calls();
    let rotations = count(fleet.credentials.len());
    let parts: Vec<String> =
        calls.iter().map(|(name, n)| format!("{name} {}", figure(*n) / rotations)).collect();
    table.bounded("calls", figure(calls.values().sum()) / rotations, AWS_CALLS_MAX, "calls");
    table.plain("of these", figure(calls.values().sum()) / rotations, "calls", &parts.join(", "));
    table.bounded("processor time", ms(cost.cpu) / rotations, CPU_MS_MAX, "ms");
    daemon.process.stop()
}

pub(crate) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
pub(crate) fn count(number: usize) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn figure(number: u64) -> f64 {
    number as f64
}
