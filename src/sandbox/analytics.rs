//! What the provider shows of use: credits over time, charges by day, the request log, a deprecated statistic, and the
//! audit log of what was administrated. [`rules`] say how each of them differs from one workspace to the next.

mod audit;
mod charges;
mod product_usage;
mod query;
mod records;
mod requests;
pub mod rules;
mod statistics;

pub(super) use audit::AuditLog;
pub(super) use records::{Call, CallLog, REGION, UsageLog};
