//! Drafts a first policy, with comments, from a workspace's listing. Pure.
//!
//! Service accounts that cannot be rotated safely as they are become comments with the reason, for an operator to decide.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::config_file::secret_source::SecretSource;
use crate::domain::ids::{CredentialName, KeyId};
use crate::domain::key::{Account, Inventory, Key, Permissions};
use crate::domain::last_use::LastUse;
use crate::domain::sanitize::{is_unseen, one_line, quoted, shortened};
use crate::ports::store_kind::{InitForm, StoreKind};
use crate::stores::KINDS;

/// The workspace's name in the policy.
pub const WORKSPACE: &str = "main";
const NAME_CHARACTERS_MAX: usize = 64;
const TEXT_CHARACTERS_MAX: usize = 200;
const KEYS_NAMED_MAX: usize = 5;
/// A key with one of these permissions can create and delete keys: it may be rekeyd's own admin key.
const ADMINISTERS: [&str; 2] = ["service_account_write", "workspace_write"];

/// A store to publish keys to, as `--store SCHEME:VALUE` names it.
#[derive(Debug, Clone)]
pub struct StoreChoice {
    pub kind: &'static StoreKind,
    form: &'static InitForm,
    value: String,
}

impl StoreChoice {
    /// # Errors
    /// What to pass instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (scheme, value) = text.split_once(':').unwrap_or_default();
        let Some((kind, form)) = init_forms().find(|(_, form)| form.scheme == scheme) else {
            return Err(format!("pass {}", store_forms("")));
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

/// The kinds of store where `--prefix` stands before the names of secrets.
#[must_use]
pub fn prefixed_stores() -> String {
    let prefixed = init_forms().filter(|(_, form)| form.is_prefixed).map(|(kind, _)| kind.title);
    prefixed.collect::<Vec<_>>().join(" and ")
}

/// How long a key in use has to be idle before it is disabled: a nightly job has run once.
const IDLE: &str = "24h";

const IDLE_GATE: &str = "wait_for = { idle = \"24h\" }\n";

/// What is known of the use of keys.
pub type Uses = BTreeMap<KeyId, LastUse>;

/// The inputs of a draft, beside the listing.
pub struct Workspace<'a> {
    pub base_url: &'a str,
    pub admin_key: &'a SecretSource,
    pub ca_file: Option<&'a str>,
    pub stores: &'a [StoreChoice],
    /// Prefix of secret names in stores that other programs fill too.
    pub prefix: &'a str,
    pub at: Timestamp,
    pub uses: &'a Uses,
}

/// The keys of which a draft tells the use: those that a rotation could start with.
#[must_use]
pub fn asked_about(inventory: &Inventory, now: Timestamp) -> Vec<Key> {
    inventory.keys().filter(|key| key.is_alive(now)).cloned().collect()
}

/// A policy as text, and the number of its credentials.
pub struct Draft {
    pub text: String,
    /// Credentials in force.
    pub included: usize,
    /// Credentials written as comments.
    pub skipped: usize,
}

/// Drafts a policy. Without accounts it is one without credentials.
#[must_use]
pub fn draft(workspace: &Workspace<'_>, inventory: &Inventory) -> Draft {
    let mut text = head(workspace, inventory);
    let (mut names, mut included, mut skipped) = (BTreeSet::new(), 0, 0);
    for account in &inventory.accounts {
        let name = name_for(account, &mut names);
        match usable(account, workspace) {
            Ok(key) => {
                included += 1;
                text += &format!("\n# {}\n{}", of_key(account, key), of_use(workspace, key, &name));
                text += &credential(workspace, inventory, account, &name, None);
                text += waits_for(workspace, key);
            }
            Err(Skipped { why, adopt }) => {
                skipped += 1;
                text += &format!("\n# Skipped {}: {why}.\n", quoted_name(account));
                for line in credential(workspace, inventory, account, &name, adopt).lines() {
                    text += &format!("# {line}\n");
                }
            }
        }
    }
    text += &new_account(workspace, inventory, &mut names);
    Draft { text, included, skipped }
}

/// What the provider showed of the key's use, as a comment.
fn of_use(workspace: &Workspace<'_>, key: &Key, name: &CredentialName) -> String {
    let Some(used) = workspace.uses.get(&key.id) else { return String::new() };
    let told = used.told(|at| at.strftime("%Y-%m-%d %H:%M UTC").to_string());
    let what = match used.last {
        Some(_) => format!("Last used {told}. The old key is kept until no use of it was seen for {IDLE}."),
        None => {
            format!("Its use: {told}. Without a gate, its first rotation waits for `rekeyd confirm {name}`.")
        }
    };
    format!("# {}\n", shown(&what))
}

/// The gate that the provider's evidence makes possible.
fn waits_for(workspace: &Workspace<'_>, key: &Key) -> &'static str {
    let is_used = workspace.uses.get(&key.id).is_some_and(|used| used.last.is_some());
    if is_used { IDLE_GATE } else { "" }
}

/// An example of a credential whose account rekeyd creates, where the API can.
fn new_account(
    workspace: &Workspace<'_>,
    inventory: &Inventory,
    names: &mut BTreeSet<CredentialName>,
) -> String {
    let mut groups: BTreeSet<&str> = BTreeSet::new();
    for account in &inventory.accounts {
        let Some(listed) = &account.groups else { return String::new() };
        groups.extend(listed.iter().map(|(id, _)| id));
    }
    if inventory.accounts.is_empty() {
        return String::new();
    }
    let known = groups.iter().take(KEYS_NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
    let known = if known.is_empty() { "none".to_owned() } else { shown(&known) };
    let name = free_name("new-application", names);
    let places = destinations(workspace, &name);
    let lines = format!(
        "[credentials.{name}]\nservice_account = \"{name}\"\ncreate_account = {{ groups = [] }}\n\
         permissions = [\"text_to_speech\"]\nmode = \"rotate\"\n{places}"
    );
    let mut text = format!(
        "\n# A service account that does not exist yet is created before its first key. It reaches what is shared with its\n\
         # groups, such as \"GROUP_ID:editor\"; groups of the accounts listed here: {known}\n"
    );
    for line in lines.lines() {
        text += &format!("# {line}\n");
    }
    text
}

fn head(workspace: &Workspace<'_>, inventory: &Inventory) -> String {
    let mut text = format!(
        "# Drafted by `rekeyd init` on {}; service accounts listed: {}.\n\
         # Reference of every key: docs/policy.md. After a change, run `rekeyd check`.\n\n\
         [workspaces.{WORKSPACE}]\nbase_url = {}\n",
        workspace.at.strftime("%Y-%m-%d"),
        inventory.accounts.len(),
        toml(workspace.base_url)
    );
    text += &match workspace.admin_key {
        SecretSource::SystemdCredential(name) => format!(
            "# Passed by the unit: LoadCredential= in rekeyd.service.\nadmin_key = {{ systemd_credential = {} }}\n",
            toml(name)
        ),
        SecretSource::File(path) => format!("admin_key = {{ file = {} }}\n", toml(&path.to_string_lossy())),
        SecretSource::EnvironmentVariable(name) => format!("admin_key = {{ env = {} }}\n", toml(name)),
    };
    if let Some(path) = workspace.ca_file {
        text += &format!("ca_file = {}\n", toml(path));
    }
    for (index, StoreChoice { kind, form, value }) in workspace.stores.iter().enumerate() {
        let name = store_name(workspace.stores, index);
        text += &format!("\n[stores.{name}.{}]\n{} = {}\n", kind.key, form.key, toml(value));
    }
    text += "\n[defaults]\n# Keys are inspected and nothing is changed. Change it to \"rotate\" for one credential at a time, in its table;\n\
             # `rekeyd plan` shows what it will do. First rotations run one at a time.\nmode = \"observe\"\n\
             every = \"30d\"\njitter = \"4h\"\n\
             # When rotations may start; by default at any time.\n\
             # window = { opens = \"0 9 * * Mon-Thu\", lasts = \"6h\", time_zone = \"Europe/London\" }\n\
             # Consumers must read the new key within the overlap. To wait for each of them, set `wait_for`.\n\
             overlap = { at_least = \"2h\", at_most = \"7d\", then = \"hold\" }\n\
             # How long the old key stays disabled before it is deleted.\nquarantine = \"24h\"\n";
    text
}

fn store_name(stores: &[StoreChoice], index: usize) -> String {
    let own = stores.get(index).map_or("store", |store| store.form.store_name);
    let before = stores.iter().take(index).filter(|store| store.form.store_name == own).count();
    if before == 0 { own.to_owned() } else { format!("{own}-{}", before + 1) }
}

/// Why an account is skipped.
struct Skipped<'a> {
    why: String,
    /// A key that an operator could adopt.
    adopt: Option<&'a Key>,
}

/// The only key that a rotation can start with.
fn usable<'a>(account: &'a Account, workspace: &Workspace<'_>) -> Result<&'a Key, Skipped<'a>> {
    let alive: Vec<&Key> = account.keys.iter().filter(|key| key.is_alive(workspace.at)).collect();
    let last_use = |key: &Key| workspace.uses.get(&key.id).and_then(|used| used.last);
    let skipped = |why: &str, adopt| Skipped { why: why.to_owned(), adopt };
    let key = match alive.as_slice() {
        [key] => *key,
        [] if account.keys.is_empty() => {
            return Err(skipped("it has no key; set `permissions` for a first one", None));
        }
        [] => return Err(skipped("all of its keys are disabled or expired", None)),
        [first, ..] => {
            let named = |key: &&Key| {
                let used =
                    last_use(key).map(|at| format!(", last used {}", at.strftime("%Y-%m-%d %H:%M UTC")));
                format!("`{}`{}", key.id, used.unwrap_or_default())
            };
            let named: Vec<String> = alive.iter().take(KEYS_NAMED_MAX).map(named).collect();
            let why = format!(
                "it has {} enabled keys ({}); set `adopt` to the one that consumers use",
                alive.len(),
                named.join(", ")
            );
            let used = alive.iter().filter(|key| last_use(key).is_some()).max_by_key(|key| last_use(key));
            return Err(Skipped { why, adopt: Some(used.unwrap_or(first)) });
        }
    };
    match &key.attributes.permissions {
        Permissions::Unlisted | Permissions::All => Err(skipped(
            "its key is unrestricted; restrict it in the dashboard, or set `allow_unrestricted = true`",
            None,
        )),
        Permissions::Only(names) if ADMINISTERS.iter().any(|name| names.contains(*name)) => Err(skipped(
            "its key can administer the workspace, and may be rekeyd's own admin key; see `admin_key.published`",
            None,
        )),
        Permissions::Only(_) => Ok(key),
    }
}

fn of_key(account: &Account, key: &Key) -> String {
    let made =
        key.created_at.map_or_else(String::new, |at| format!(", created on {}", at.strftime("%Y-%m-%d")));
    let may = shown(&key.attributes.permissions.to_string());
    format!("{} adopts its key `{}`{made}, with permissions: {may}", quoted_name(account), key.id)
}

fn quoted_name(account: &Account) -> String {
    format!("{} ({})", quoted(&account.name), account.id)
}

fn credential(
    workspace: &Workspace<'_>,
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
    text + &destinations(workspace, name)
}

fn destinations(workspace: &Workspace<'_>, name: &CredentialName) -> String {
    let destinations = workspace.stores.iter().enumerate().map(|(index, StoreChoice { kind, form, .. })| {
        let store = store_name(workspace.stores, index);
        let prefix = if form.is_prefixed { workspace.prefix } else { "" };
        let create = if kind.is_filled_by_rekeyd { "" } else { ", create = true" };
        format!("{{ store = \"{store}\", secret = {}{create} }}", toml(&format!("{prefix}{name}")))
    });
    format!("publish_to = [{}]\n", destinations.collect::<Vec<_>>().join(", "))
}

/// The account's name where that is unmistakable, else its id.
fn meant<'a>(inventory: &Inventory, account: &'a Account) -> &'a str {
    let alike =
        inventory.accounts.iter().filter(|it| it.name == account.name || it.id.as_str() == account.name);
    let plain = !account.name.is_empty()
        && account.name.trim() == account.name
        && !account.name.chars().any(is_unseen)
        && account.name.chars().count() <= TEXT_CHARACTERS_MAX;
    if plain && alike.count() == 1 { &account.name } else { account.id.as_str() }
}

/// A unique credential name, derived from the account's name.
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
    free_name(if base.is_empty() { "account" } else { &base }, names)
}

fn free_name(base: &str, names: &mut BTreeSet<CredentialName>) -> CredentialName {
    let mut number = 1_u32;
    loop {
        let text = if number == 1 { base.to_owned() } else { format!("{base}-{number}") };
        // The name is valid by construction, and some number is free.
        if let Ok(name) = CredentialName::new(text)
            && names.insert(name.clone())
        {
            return name;
        }
        number += 1;
    }
}

/// A TOML string, quotes included.
fn toml(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn toml_key(name: &CredentialName) -> String {
    let is_bare = !name.as_str().contains('.');
    if is_bare { name.to_string() } else { format!("\"{name}\"") }
}

/// Text of outside systems, for one line of a comment.
fn shown(text: &str) -> String {
    shortened(&one_line(text), TEXT_CHARACTERS_MAX)
}
