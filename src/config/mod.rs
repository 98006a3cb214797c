//! The policy file: as written, then as meant, with every problem reported at once.
