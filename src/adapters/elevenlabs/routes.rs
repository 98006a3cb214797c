//! Where each call goes.

use reqwest::Url;

/// The workspace's address, from which every call's is made.
pub(super) struct Routes {
    base: Url,
}

impl Routes {
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let base = Url::parse(text).map_err(|_| "it is not an absolute URL")?;
        if !matches!(base.scheme(), "https" | "http") {
            return Err("it must begin with `https://` (or `http://`, for a sandbox)");
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err("it must not hold a user name or a password");
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err("it must not have a query or a fragment");
        }
        Ok(Self { base })
    }

    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    pub(super) fn user(&self) -> Url {
        self.at(&["v1", "user"])
    }

    pub(super) fn service_accounts(&self) -> Url {
        self.at(&["v1", "service-accounts"])
    }

    pub(super) fn keys(&self, account: &str) -> Url {
        self.at(&["v1", "service-accounts", account, "api-keys"])
    }

    pub(super) fn key(&self, account: &str, key: &str) -> Url {
        self.at(&["v1", "service-accounts", account, "api-keys", key])
    }

    pub(super) fn disable(&self, account: &str, key: &str) -> Url {
        self.at(&["v1", "service-accounts", account, "api-keys", key, "disable"])
    }

    pub(super) fn usage_by_product(&self) -> Url {
        self.at(&["v1", "workspace", "analytics", "query", "usage-by-product-over-time"])
    }

    pub(super) fn request_log(&self) -> Url {
        self.at(&["v1", "workspace", "analytics", "requests"])
    }

    pub(super) fn audit_log(&self) -> Url {
        self.at(&["v1", "workspace", "audit-logs"])
    }

    pub(super) fn speech(&self, voice: &str) -> Url {
        self.at(&["v1", "text-to-speech", voice])
    }

    /// Each segment is escaped, so that an id can never become a path or a query of its own.
    fn at(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }
}

/// Whether an id stays one segment of a path: a segment of dots would be dropped, and the call would act on
/// something else.
pub(super) fn is_one_segment(id: &str) -> bool {
    !matches!(id, "" | "." | "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_never_becomes_another_path() {
        let routes = Routes::parse("https://proxy.example/eleven/").unwrap();
        for (id, path) in [
            ("k1", "/eleven/v1/service-accounts/a/api-keys/k1"),
            ("../x", "/eleven/v1/service-accounts/a/api-keys/..%2Fx"),
            ("%2e%2e", "/eleven/v1/service-accounts/a/api-keys/%252e%252e"),
            ("k?a=b#c", "/eleven/v1/service-accounts/a/api-keys/k%3Fa=b%23c"),
        ] {
            let url = routes.key("a", id);
            assert_eq!((url.path(), url.query()), (path, None), "{id}");
        }
        assert!(!is_one_segment("..") && !is_one_segment(".") && is_one_segment("..."));
    }

    #[test]
    fn an_address_that_could_leak_or_mislead_is_refused() {
        for bad in ["", "api.elevenlabs.io", "ftp://x", "https://user:pw@x", "https://x/?q=1", "https://x/#f"]
        {
            assert!(Routes::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(
            Routes::parse("http://127.0.0.1:1").unwrap().user().as_str(),
            "http://127.0.0.1:1/v1/user"
        );
    }
}
