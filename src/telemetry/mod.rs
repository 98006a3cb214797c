//! Logging and every metric of the program, in one place each.
