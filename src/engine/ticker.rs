//! Periodic wake-ups: tokio-cron-scheduler in UTC, each job only waking a loop that reads the journal.
//!
//! Its known defects (offsets frozen over a change to summer time, overlapping and lost runs, a job that dies with a
//! panic) cannot hurt: a lost, doubled or late tick changes nothing but when the loop runs again, the jobs cannot
//! panic or block, and the loop's own timer, never later than `Timing::look_again`, is a second source of wake-ups.

use std::sync::Arc;

use jiff::SignedDuration;
use tokio::sync::Notify;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

/// Every five seconds. The loop that it wakes also feeds the systemd watchdog.
const TICK: &str = "*/5 * * * * *";

/// Starts the scheduler. `tick` wakes the engine's loop; each of `others` is notified by its schedule (six fields, UTC).
///
/// # Errors
/// The scheduler could not be started.
pub async fn start(
    tick: Arc<Notify>,
    others: [(Arc<Notify>, String); 2],
) -> Result<JobScheduler, JobSchedulerError> {
    let scheduler = JobScheduler::new().await?;
    scheduler.add(Job::new(TICK, move |_, _| tick.notify_one())?).await?;
    for (notified, cron) in others {
        scheduler.add(Job::new(cron.as_str(), move |_, _| notified.notify_one())?).await?;
    }
    scheduler.start().await?;
    Ok(scheduler)
}

/// A schedule of six fields for something that happens about every `period`: at least once a day.
#[must_use]
pub fn every(period: SignedDuration) -> String {
    let seconds = period.as_secs();
    match seconds {
        ..60 => format!("*/{} * * * * *", seconds.max(1)),
        60..3600 => format!("0 */{} * * * *", seconds / 60),
        3600..86_400 => format!("0 0 */{} * * *", seconds / 3600),
        _ => "0 0 0 * * *".to_owned(),
    }
}
