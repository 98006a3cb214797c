//! The three shapes of the provider's API that are known, and the permissions each of them knows.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Which shape of the API the workspace has. Later versions are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum ApiVersion {
    /// No `key_id` on create; PATCH wants every field; no disable endpoint, no addresses, no expiry, no analytics.
    August2025,
    /// `key_id`, allowed addresses, disable reasons, the usage hash, and PATCH with sentinels.
    September2026,
    /// Expiry, concurrency limits and `POST …/disable` as well.
    November2026,
}

const UNTIL_AUGUST_2025: [&str; 28] = [
    "text_to_speech",
    "speech_to_speech",
    "speech_to_text",
    "models_read",
    "models_write",
    "voices_read",
    "voices_write",
    "speech_history_read",
    "speech_history_write",
    "sound_generation",
    "audio_isolation",
    "voice_generation",
    "dubbing_read",
    "dubbing_write",
    "pronunciation_dictionaries_read",
    "pronunciation_dictionaries_write",
    "user_read",
    "user_write",
    "projects_read",
    "projects_write",
    "audio_native_read",
    "audio_native_write",
    "workspace_read",
    "workspace_write",
    "forced_alignment",
    "convai_read",
    "convai_write",
    "music_generation",
];

const UNTIL_SEPTEMBER_2026: [&str; 21] = [
    "image_video_generation",
    "flows",
    "templates",
    "add_voice_from_voice_library",
    "create_instant_voice_clone",
    "create_professional_voice_clone",
    "publish_voice_to_voice_library",
    "share_voice_externally",
    "create_user_api_key",
    "workspace_analytics_full_read",
    "webhooks_write",
    "service_account_write",
    "group_members_manage",
    "workspace_members_read",
    "workspace_members_invite",
    "workspace_members_remove",
    "terms_of_service_accept",
    "audit_log_read",
    "conversation_privacy_manage",
    "copy_resources_cross_workspace",
    "synthid_detector",
];

const UNTIL_NOVEMBER_2026: [&str; 3] =
    ["voice_collections_read", "voice_collections_write", "agents_architect"];

impl ApiVersion {
    /// Every permission that this API version knows, in a fixed order.
    pub fn permissions(self) -> impl Iterator<Item = &'static str> {
        let later: &[&[&str]] = match self {
            Self::August2025 => &[],
            Self::September2026 => &[&UNTIL_SEPTEMBER_2026],
            Self::November2026 => &[&UNTIL_SEPTEMBER_2026, &UNTIL_NOVEMBER_2026],
        };
        UNTIL_AUGUST_2025.iter().chain(later.iter().copied().flatten()).copied()
    }

    #[must_use]
    pub fn knows_permission(self, name: &str) -> bool {
        self.permissions().any(|known| known == name)
    }

    /// What a key needs for managing service accounts and their keys.
    #[must_use]
    pub fn management_permission(self) -> &'static str {
        match self {
            Self::August2025 => "workspace_write",
            Self::September2026 | Self::November2026 => "service_account_write",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_api_version_knows_as_many_permissions_as_the_provider_listed_then() {
        for (api_version, count) in
            [(ApiVersion::August2025, 28), (ApiVersion::September2026, 49), (ApiVersion::November2026, 52)]
        {
            let mut names: Vec<_> = api_version.permissions().collect();
            assert!(api_version.knows_permission(api_version.management_permission()));
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{api_version:?}");
        }
    }
}
