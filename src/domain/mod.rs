//! Decisions as pure functions over data: no async, no input or output, no clock, no logging.
