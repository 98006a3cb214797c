//! The kinds of store that rekeyd knows. A new kind is a folder in `src/adapters/` and one entry here.
//!
//! A kind's folder has `kind` (what it declares: a `KIND` and a [`StoreConfig`]) and `policy` (its tables as written, with
//! `check_store` and, if the agent can follow such secrets, `check_source`).

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config_file::findings::Findings;
use crate::ports::followed::FollowedSource;
use crate::ports::store_kind::{StoreConfig, StoreKind};

/// `FOLDER { KEY }`: the folder's name is the key of the store's table in the policy, and KEY that of the source in the
/// agent's configuration. `FOLDER {}` if the agent cannot follow such secrets.
macro_rules! stores {
    ($( $(#[$doc:meta])* $folder:ident { $( $(#[$source_doc:meta])* $source:ident )? } )*) => {
        /// Every kind of store.
        pub static KINDS: &[&StoreKind] = &[$( &crate::adapters::$folder::kind::KIND, )*];

        /// A secret store: exactly one kind.
        #[derive(Default, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        #[schemars(
            rename = "Store",
            title = "a store of one kind",
            extend("minProperties" = 1, "maxProperties" = 1)
        )]
        pub(crate) struct StoreTable {
            $( $(#[$doc])* $folder: Option<crate::adapters::$folder::policy::StoreTable>, )*
        }

        impl StoreTable {
            /// `None` only where a problem was reported.
            pub(crate) fn check(&self, findings: &mut Findings) -> Option<Arc<dyn StoreConfig>> {
                $( if let Some(written) = &self.$folder {
                    return Some(Arc::new(crate::adapters::$folder::policy::check_store(written, findings)?));
                } )*
                None
            }
        }

        /// The source of a secret: exactly one kind.
        #[derive(Default, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        #[schemars(
            rename = "Origin",
            title = "a source of a secret",
            extend("minProperties" = 1, "maxProperties" = 1, "examples" = [{ "file": "/run/rekeyd/secrets/tts" }])
        )]
        pub(crate) struct SourceTable {
            $( $( $(#[$source_doc])* $source: Option<crate::adapters::$folder::policy::SourceTable>, )? )*
        }

        impl SourceTable {
            /// `None` only where a problem was reported.
            pub(crate) fn check(&self, findings: &mut Findings) -> Option<Arc<dyn FollowedSource>> {
                $( $( if let Some(written) = &self.$source {
                    return Some(Arc::new(crate::adapters::$folder::policy::check_source(written, findings)?));
                } )? )*
                None
            }
        }
    };
}

stores! {
    /// AWS Secrets Manager, with credentials from the default AWS chain.
    aws_secrets_manager {
        /// AWS Secrets Manager, with credentials from the default AWS chain.
        aws_secrets_manager
    }
    /// Files in a local directory, typically a tmpfs that consumers can read.
    directory {
        /// A file, such as a secret of rekeyd's directory store.
        file
    }
}
