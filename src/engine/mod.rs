//! Carries out what the domain decides: journal the intent, act, journal the outcome.
