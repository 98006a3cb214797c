//! The periodic wake-ups: tokio-cron-scheduler in UTC, each job only waking a loop that looks at the journal.
//!
//! Its known defects (offsets frozen over a change to summer time, overlapping and lost runs, a job that dies with a
//! panic) cannot hurt: a lost, doubled or late tick changes nothing but when the loop looks again, the jobs cannot
//! panic or block, and the loop's own timer, never later than `Timing::look_again`, is a second source of wake-ups.

use std::sync::Arc;

use tokio::sync::Notify;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

/// Every 15 seconds.
const TICK: &str = "*/15 * * * * *";

/// Starts the scheduler. `tick` wakes the engine's loop; `sweep` is notified by the schedule `sweep_cron` (six fields, UTC).
///
/// # Errors
/// The scheduler could not be started.
pub async fn start(
    tick: Arc<Notify>,
    sweep: Arc<Notify>,
    sweep_cron: &str,
) -> Result<JobScheduler, JobSchedulerError> {
    let scheduler = JobScheduler::new().await?;
    scheduler.add(Job::new(TICK, move |_, _| tick.notify_one())?).await?;
    scheduler.add(Job::new(sweep_cron, move |_, _| sweep.notify_one())?).await?;
    scheduler.start().await?;
    Ok(scheduler)
}
