//! The calls to a workspace, as metrics and spans name them.

/// A call to a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Route {
    List,
    CreateAccount,
    Create,
    Authenticate,
    ProveAdmin,
    Disable,
    Enable,
    SetExpiry,
    Delete,
    Usage,
    Canary,
    AuditLog,
}

impl Route {
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::CreateAccount => "create_account",
            Self::Create => "create",
            Self::Authenticate => "authenticate",
            Self::ProveAdmin => "prove_admin",
            Self::Disable => "disable",
            Self::Enable => "enable",
            Self::SetExpiry => "set_expiry",
            Self::Delete => "delete",
            Self::Usage => "usage",
            Self::Canary => "canary",
            Self::AuditLog => "audit_log",
        }
    }

    /// Whether a refusal says that the admin key lacks a permission without which keys cannot be rotated. One to list is
    /// the workspace's failure, and one to set an expiry is lived with.
    pub(super) fn needs_a_permission(self) -> bool {
        match self {
            Self::CreateAccount | Self::Create | Self::Disable | Self::Enable | Self::Delete => true,
            Self::List
            | Self::Authenticate
            | Self::ProveAdmin
            | Self::SetExpiry
            | Self::Usage
            | Self::Canary
            | Self::AuditLog => false,
        }
    }
}
