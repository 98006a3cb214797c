//! Drafts a first policy, with comments, from a workspace's listing. Pure.
//!
//! Accounts that a rotation could not safely begin with are written as comments with the reason, for an operator to decide.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::config_file::secret_source::SecretSource;
use crate::domain::ids::CredentialName;
use crate::domain::key::{Account, Inventory, Key, Permissions};
use crate::domain::sanitize::{is_unseen, one_line, quoted, shortened};
use crate::ports::store_kind::{InitForm, StoreKind};
use crate::stores::KINDS;

/// The workspace's name in the policy.
pub const WORKSPACE: &str = "main";
const NAME_CHARACTERS_MAX: usize = 64;
const TEXT_CHARACTERS_MAX: usize = 200;
const KEYS_NAMED_MAX: usize = 5;
/// A key with one of these permissions can create and delete keys: it may be rekeyd's admin key.
const ADMINISTERS: [&str; 2] = ["service_account_write", "workspace_write"];

/// A store for the policy, as `--store SCHEME:VALUE` names it.
#[derive(Debug, Clone)]
pub struct StoreChoice {
    pub kind: &'static StoreKind,
    form: &'static InitForm,
    value: String,
}

impl StoreChoice {
    /// # Errors
    /// What to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (scheme, value) = text.split_once(':').unwrap_or_default();
        let Some((kind, form)) = init_forms().find(|(_, form)| form.scheme == scheme) else {
            return Err(format!("write {}", store_forms("")));
        };
        if !(form.accepts)(value) {
            return Err(form.help.to_owned());
        }
        Ok(Self { kind, form, value: value.to_owned() })
    }
}

fn init_forms() -> impl Iterator<Item = (&'static StoreKind, &'static InitForm)> {
    KINDS.iter().filter_map(|kind| Some((*kind, kind.init.as_ref()?)))
}

/// Every form of `--store`, each with `before` in front, such as `` `aws:REGION` or `dir:PATH` ``.
#[must_use]
pub fn store_forms(before: &str) -> String {
    let forms = init_forms().map(|(_, form)| format!("`{before}{}:{}`", form.scheme, form.value));
    forms.collect::<Vec<_>>().join(" or ")
}

/// What a policy is drafted from, beside the listing.
pub struct DraftRequest<'a> {
    pub base_url: &'a str,
    pub admin_key: &'a SecretSource,
    pub ca_file: Option<&'a str>,
    pub stores: &'a [StoreChoice],
    /// Stands before the names of secrets in stores that other programs fill too.
    pub prefix: &'a str,
    pub at: Timestamp,
}

/// A policy as text, and what is in it.
pub struct Draft {
    pub text: String,
    /// Credentials that are part of the policy.
    pub taken: usize,
    /// Credentials that are written as comments.
    pub left: usize,
}

/// Drafts a policy. Without accounts it has no credentials.
#[must_use]
pub fn draft(request: &DraftRequest<'_>, inventory: &Inventory) -> Draft {
    let mut text = head(request, inventory);
    let (mut names, mut taken, mut left) = (BTreeSet::new(), 0, 0);
    for account in &inventory.accounts {
        let name = name_for(account, &mut names);
        match usable(account, request.at) {
            Ok(key) => {
                taken += 1;
                text += &format!("\n# {}\n", of_key(account, key));
                text += &credential(request, inventory, account, &name, None);
            }
            Err(LeftOut { why, adopt }) => {
                left += 1;
                text += &format!("\n# Left out, {}: {why}.\n", quoted_name(account));
                for line in credential(request, inventory, account, &name, adopt).lines() {
                    text += &format!("# {line}\n");
                }
            }
        }
    }
    Draft { text, taken, left }
}

fn head(request: &DraftRequest<'_>, inventory: &Inventory) -> String {
    let mut text = format!(
        "# Drafted by `rekeyd init` on {}; service accounts listed: {}.\n\
         # Every key is described in docs/policy.md. After a change: `rekeyd check`.\n\n\
         [workspaces.{WORKSPACE}]\nbase_url = {}\n",
        request.at.strftime("%Y-%m-%d"),
        inventory.accounts.len(),
        toml(request.base_url)
    );
    text += &match request.admin_key {
        SecretSource::SystemdCredential(name) => format!(
            "# The unit passes it on: LoadCredential= in rekeyd.service.\nadmin_key = {{ systemd_credential = {} }}\n",
            toml(name)
        ),
        SecretSource::File(path) => format!("admin_key = {{ file = {} }}\n", toml(&path.to_string_lossy())),
        SecretSource::EnvironmentVariable(name) => format!("admin_key = {{ env = {} }}\n", toml(name)),
    };
    if let Some(path) = request.ca_file {
        text += &format!("ca_file = {}\n", toml(path));
    }
    for (index, StoreChoice { kind, form, value }) in request.stores.iter().enumerate() {
        let name = store_name(request.stores, index);
        text += &format!("\n[stores.{name}.{}]\n{} = {}\n", kind.key, form.key, toml(value));
    }
    text += "\n[defaults]\nevery = \"30d\"\njitter = \"4h\"\n\
             # When rotations may start; without it, at any time.\n\
             # window = { opens = \"0 9 * * Mon-Thu\", lasts = \"6h\", time_zone = \"Europe/London\" }\n\
             # Consumers must have read the new key by the end of the overlap; to wait for them, use `wait_for`.\n\
             overlap = { at_least = \"2h\", at_most = \"7d\", then = \"hold\" }\n\
             # How long the old key is disabled before it is deleted.\nquarantine = \"24h\"\n";
    text
}

fn store_name(stores: &[StoreChoice], index: usize) -> String {
    let own = stores.get(index).map_or("store", |store| store.form.store_name);
    let before = stores.iter().take(index).filter(|store| store.form.store_name == own).count();
    if before == 0 { own.to_owned() } else { format!("{own}-{}", before + 1) }
}

/// Why an account is left out.
struct LeftOut<'a> {
    why: String,
    /// A key that an operator could choose to adopt.
    adopt: Option<&'a Key>,
}

/// The only key that a rotation can begin with.
fn usable(account: &Account, now: Timestamp) -> Result<&Key, LeftOut<'_>> {
    let alive: Vec<&Key> = account.keys.iter().filter(|key| key.is_alive(now)).collect();
    let left = |why: &str, adopt| LeftOut { why: why.to_owned(), adopt };
    let key = match alive.as_slice() {
        [key] => *key,
        [] if account.keys.is_empty() => {
            return Err(left("it has no key; write `permissions` for a first one", None));
        }
        [] => return Err(left("all its keys are disabled or expired", None)),
        [first, ..] => {
            let named: Vec<String> =
                alive.iter().take(KEYS_NAMED_MAX).map(|key| format!("`{}`", key.id)).collect();
            let why = format!(
                "it has {} enabled keys ({}); write the one that consumers use as `adopt`",
                alive.len(),
                named.join(", ")
            );
            return Err(LeftOut { why, adopt: Some(first) });
        }
    };
    match &key.grants.permissions {
        Permissions::Unlisted | Permissions::All => Err(left(
            "its key is unrestricted; restrict it in the dashboard, or write `allow_unrestricted = true`",
            None,
        )),
        Permissions::Only(names) if ADMINISTERS.iter().any(|name| names.contains(*name)) => Err(left(
            "its key may administer the workspace, and could be rekeyd's admin key; see `admin_key.published`",
            None,
        )),
        Permissions::Only(_) => Ok(key),
    }
}

fn of_key(account: &Account, key: &Key) -> String {
    let made = key.created_at.map_or_else(String::new, |at| format!(", made on {}", at.strftime("%Y-%m-%d")));
    let may = shown(&key.grants.permissions.to_string());
    format!("{} begins with its key `{}`{made}, which may: {may}", quoted_name(account), key.id)
}

fn quoted_name(account: &Account) -> String {
    format!("{} ({})", quoted(&account.name), account.id)
}

fn credential(
    request: &DraftRequest<'_>,
    inventory: &Inventory,
    account: &Account,
    name: &CredentialName,
    adopt: Option<&Key>,
) -> String {
    let mut text =
        format!("[credentials.{}]\nservice_account = {}\n", toml_key(name), toml(meant(inventory, account)));
    if let Some(key) = adopt {
        text += &format!("adopt = {}\n", toml(key.id.as_str()));
    }
    let destinations = request.stores.iter().enumerate().map(|(index, StoreChoice { kind, form, .. })| {
        let store = store_name(request.stores, index);
        let prefix = if form.is_prefixed { request.prefix } else { "" };
        let create = if kind.is_filled_by_rekeyd { "" } else { ", create = true" };
        format!("{{ store = \"{store}\", secret = {}{create} }}", toml(&format!("{prefix}{name}")))
    });
    text + &format!("publish_to = [{}]\n", destinations.collect::<Vec<_>>().join(", "))
}

/// The account's name if it is unique, else its id.
fn meant<'a>(inventory: &Inventory, account: &'a Account) -> &'a str {
    let alike =
        inventory.accounts.iter().filter(|it| it.name == account.name || it.id.as_str() == account.name);
    let plain = !account.name.is_empty()
        && account.name.trim() == account.name
        && !account.name.chars().any(is_unseen)
        && account.name.chars().count() <= TEXT_CHARACTERS_MAX;
    if plain && alike.count() == 1 { &account.name } else { account.id.as_str() }
}

/// A unique name for the credential, from the account's name.
fn name_for(account: &Account, names: &mut BTreeSet<CredentialName>) -> CredentialName {
    let mut base = String::new();
    for c in account.name.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '_' | '.') {
            base.push(c.to_ascii_lowercase());
        } else if !base.is_empty() && !base.ends_with('-') {
            base.push('-');
        }
    }
    let base = base.trim_start_matches(['_', '.', '-']).trim_end_matches(['-', '.']);
    let base: String = base.chars().take(NAME_CHARACTERS_MAX - 8).collect();
    let base = if base.is_empty() { "account".to_owned() } else { base };
    let mut number = 1_u32;
    loop {
        let text = if number == 1 { base.clone() } else { format!("{base}-{number}") };
        // It fits, by how it was made; one number is free.
        if let Ok(name) = CredentialName::new(text)
            && names.insert(name.clone())
        {
            return name;
        }
        number += 1;
    }
}

/// A text as a TOML value, with its quotes.
fn toml(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn toml_key(name: &CredentialName) -> String {
    let is_bare = !name.as_str().contains('.');
    if is_bare { name.to_string() } else { format!("\"{name}\"") }
}

/// A foreign text, for one line of a comment.
fn shown(text: &str) -> String {
    shortened(&one_line(text), TEXT_CHARACTERS_MAX)
}
