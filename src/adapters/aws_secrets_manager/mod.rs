//! The secret store port over AWS Secrets Manager.
