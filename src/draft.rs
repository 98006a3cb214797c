//! A first policy, with comments, from what a workspace lists. Pure.
//!
//! What a rotation could not safely begin with is written as comments, with the reason: somebody has to decide.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::config::secret_source::SecretSource;
use crate::domain::ids::CredentialName;
use crate::domain::key::{Account, Inventory, Key, Permissions};
use crate::domain::sanitize::{is_unseen, one_line, quoted, shortened};

/// The workspace's name in the policy.
pub const WORKSPACE: &str = "main";
const NAME_CHARACTERS_MAX: usize = 64;
const TEXT_CHARACTERS_MAX: usize = 200;
const KEYS_NAMED_MAX: usize = 5;
/// With one of these a key can make and delete keys: it may be the one that rekeyd works with.
const ADMINISTERS: [&str; 2] = ["service_account_write", "workspace_write"];

/// Where keys are to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    Aws { region: String },
    Directory { path: String },
}

/// What a policy is drafted from, beside the listing.
pub struct Given<'a> {
    pub base_url: &'a str,
    pub admin_key: &'a SecretSource,
    pub ca_file: Option<&'a str>,
    pub places: &'a [Place],
    /// Before the names of secrets in AWS.
    pub prefix: &'a str,
    pub at: Timestamp,
}

/// A policy as text, and what is in it.
pub struct Draft {
    pub text: String,
    /// Credentials that are in force.
    pub taken: usize,
    /// Credentials that are written as comments.
    pub left: usize,
}

/// Drafts a policy. Without accounts it is one without credentials.
#[must_use]
pub fn draft(given: &Given<'_>, inventory: &Inventory) -> Draft {
    let mut text = head(given, inventory);
    let (mut names, mut taken, mut left) = (BTreeSet::new(), 0, 0);
    for account in &inventory.accounts {
        let name = name_for(account, &mut names);
        match usable(account, given.at) {
            Ok(key) => {
                taken += 1;
                text += &format!("\n# {}\n", of_key(account, key));
                text += &credential(given, inventory, account, &name, None);
            }
            Err(Left { why, adopt }) => {
                left += 1;
                text += &format!("\n# Left out, {}: {why}.\n", quoted_name(account));
                for line in credential(given, inventory, account, &name, adopt).lines() {
                    text += &format!("# {line}\n");
                }
            }
        }
    }
    Draft { text, taken, left }
}

fn head(given: &Given<'_>, inventory: &Inventory) -> String {
    let mut text = format!(
        "# Drafted by `rekeyd init` on {}; service accounts listed: {}.\n\
         # What each line means, and everything else that can be said: docs/policy.md. After a change: `rekeyd check`.\n\n\
         [workspaces.{WORKSPACE}]\nbase_url = {}\n",
        given.at.strftime("%Y-%m-%d"),
        inventory.accounts.len(),
        toml(given.base_url)
    );
    text += &match given.admin_key {
        SecretSource::SystemdCredential(name) => format!(
            "# The unit hands it over: LoadCredential= in rekeyd.service.\nadmin_key = {{ systemd_credential = {} }}\n",
            toml(name)
        ),
        SecretSource::File(path) => format!("admin_key = {{ file = {} }}\n", toml(&path.to_string_lossy())),
        SecretSource::EnvironmentVariable(name) => format!("admin_key = {{ env = {} }}\n", toml(name)),
    };
    if let Some(path) = given.ca_file {
        text += &format!("ca_file = {}\n", toml(path));
    }
    for (index, place) in given.places.iter().enumerate() {
        let name = store_name(given.places, index);
        text += &match place {
            Place::Aws { region } => {
                format!("\n[stores.{name}.aws_secrets_manager]\nregion = {}\n", toml(region))
            }
            Place::Directory { path } => format!("\n[stores.{name}.directory]\npath = {}\n", toml(path)),
        };
    }
    text += "\n[defaults]\nevery = \"30d\"\njitter = \"4h\"\n\
             # When rotations may start; without it, at any time.\n\
             # window = { opens = \"0 9 * * Mon-Thu\", lasts = \"6h\", time_zone = \"Europe/London\" }\n\
             # Consumers have to have read the new key by the end of the overlap; better, wait for them: `wait_for`.\n\
             overlap = { at_least = \"2h\", at_most = \"7d\", then = \"hold\" }\n\
             # The old key is disabled for so long before it is deleted.\nquarantine = \"24h\"\n";
    text
}

fn store_name(places: &[Place], index: usize) -> String {
    let kind = |place: &Place| match place {
        Place::Aws { .. } => "aws",
        Place::Directory { .. } => "local",
    };
    let own = places.get(index).map_or("store", kind);
    let before = places.iter().take(index).filter(|place| kind(place) == own).count();
    if before == 0 { own.to_owned() } else { format!("{own}-{}", before + 1) }
}

/// Why an account's keys are not taken.
struct Left<'a> {
    why: String,
    /// A key that could be adopted, if somebody says so.
    adopt: Option<&'a Key>,
}

/// The one key that a rotation can begin with.
fn usable(account: &Account, now: Timestamp) -> Result<&Key, Left<'_>> {
    let alive: Vec<&Key> = account.keys.iter().filter(|key| key.is_alive(now)).collect();
    let left = |why: &str, adopt| Left { why: why.to_owned(), adopt };
    let key = match alive.as_slice() {
        [key] => *key,
        [] if account.keys.is_empty() => {
            return Err(left("it has no key; write `permissions` for a first one", None));
        }
        [] => return Err(left("every key of it is disabled or expired", None)),
        [first, ..] => {
            let named: Vec<String> =
                alive.iter().take(KEYS_NAMED_MAX).map(|key| format!("`{}`", key.id)).collect();
            let why = format!(
                "it has {} enabled keys ({}); write the one that consumers use as `adopt`",
                alive.len(),
                named.join(", ")
            );
            return Err(Left { why, adopt: Some(first) });
        }
    };
    match &key.attributes.permissions {
        Permissions::Unlisted | Permissions::All => Err(left(
            "its key may do everything; restrict it in the dashboard, or write `allow_unrestricted = true`",
            None,
        )),
        Permissions::Only(names) if ADMINISTERS.iter().any(|name| names.contains(*name)) => Err(left(
            "its key may administer the workspace, and could be the one that rekeyd works with; see `admin_key.published`",
            None,
        )),
        Permissions::Only(_) => Ok(key),
    }
}

fn of_key(account: &Account, key: &Key) -> String {
    let made = key.created_at.map_or_else(String::new, |at| format!(", made on {}", at.strftime("%Y-%m-%d")));
    let may = shown(&key.attributes.permissions.to_string());
    format!("{} begins with its key `{}`{made}, which may: {may}", quoted_name(account), key.id)
}

fn quoted_name(account: &Account) -> String {
    format!("{} ({})", quoted(&account.name), account.id)
}

fn credential(
    given: &Given<'_>,
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
    let places = given.places.iter().enumerate().map(|(index, place)| {
        let store = store_name(given.places, index);
        match place {
            Place::Aws { .. } => {
                let secret = toml(&format!("{}{name}", given.prefix));
                format!("{{ store = \"{store}\", secret = {secret}, create = true }}")
            }
            Place::Directory { .. } => format!("{{ store = \"{store}\", secret = {} }}", toml(name.as_str())),
        }
    });
    text + &format!("publish_to = [{}]\n", places.collect::<Vec<_>>().join(", "))
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

/// A name for the credential that says whose it is, and that no other has.
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

/// Text as TOML has it, quotes and all.
fn toml(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn toml_key(name: &CredentialName) -> String {
    let is_bare = !name.as_str().contains('.');
    if is_bare { name.to_string() } else { format!("\"{name}\"") }
}

/// What others wrote, for one line of a comment.
fn shown(text: &str) -> String {
    shortened(&one_line(text), TEXT_CHARACTERS_MAX)
}
