//! Checks the templates of links from the status page.

use reqwest::Url;

use crate::config::raw::{self, At};
use crate::config_file::findings::{Findings, listed};
use crate::domain::ids::StoreName;
use crate::domain::links::{LinkTemplate, Links, Placeholder};

pub(super) fn check(raw: &raw::Policy, findings: &mut Findings) -> Links {
    let raw::Links { workspace, grafana, secrets } = &raw.daemon.links;
    let mut of_a_credential = |written: &Option<At<raw::Template>>| {
        template(written.as_ref()?, &Placeholder::OF_A_CREDENTIAL, findings)
    };
    let (workspace, grafana) = (of_a_credential(workspace), of_a_credential(grafana));
    let stores: Vec<&str> = raw.stores.keys().map(|name| name.value().as_str()).collect();
    let mut links = Links { workspace, grafana, ..Links::default() };
    for (store, written) in secrets {
        let name = store.value().as_str();
        if !stores.contains(&name) {
            let help = format!("declared stores: {}", listed(stores.iter().copied()));
            findings.error(&store.span(), format!("no store `{name}`"), help);
        }
        let store = StoreName::new(name).ok();
        let template = template(written, &Placeholder::OF_A_SECRET, findings);
        if let (Some(store), Some(template)) = (store, template) {
            links.secrets.insert(store, template);
        }
    }
    links
}

fn template(
    written: &At<raw::Template>,
    known: &[Placeholder],
    findings: &mut Findings,
) -> Option<LinkTemplate> {
    let parsed = LinkTemplate::parse(written.value().as_str(), known);
    let is_url = |template: &LinkTemplate| {
        let filled = template.fill(|_| Some("x"));
        filled.is_some_and(|filled| Url::parse(&filled).is_ok_and(|url| url.has_host()))
    };
    let problem = match parsed {
        Ok(template) if is_url(&template) => return Some(template),
        Ok(_) => "not an HTTP URL".to_owned(),
        Err(why) => why.to_string(),
    };
    let known = listed(known.iter().map(|placeholder| placeholder.label()));
    let help = format!(
        "use for example \"https://example.com/d/rekeyd?var-credential={{credential}}\"; placeholders, behind the host only: {known}"
    );
    findings.error(&written.span(), format!("invalid link: {problem}"), help);
    None
}
