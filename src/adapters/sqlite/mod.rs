//! The journal port over SQLite.
