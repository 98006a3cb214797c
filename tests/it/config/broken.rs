//! Broken policies and exactly what is said about each. Everything that is wrong with a policy is said at once.

use std::collections::BTreeMap;
use std::fmt::Write;

use rekeyd::config;

/// What most cases need around them; `@around` stands for it.
const AROUND: &str = r#"
[workspaces.prod]
base_url = "https://api.elevenlabs.io"
admin_key = { file = "/etc/rekeyd/admin-key" }
[stores.aws.aws_secrets_manager]
[stores.local.directory]
path = "/run/rekeyd/secrets"
[consumers.api]
token = { env = "API_TOKEN" }
cache_ttl = "6h"
"#;

/// A whole credential's beginning; `@tts` stands for it.
const TTS: &str = r#"[credentials.tts]
service_account = "tts"
publish_to = [{ store = "aws", secret = "tts" }]
"#;

fn policy(case: &str) -> String {
    case.replace("@around", AROUND).replace("@tts", TTS)
}

fn said(case: &str) -> String {
    match config::load(&policy(case), "policy.toml", &BTreeMap::new()) {
        Ok(config) => config.warnings().to_string(),
        Err(problems) => problems.to_string(),
    }
}

const BROKEN: &[(&str, &str)] = &[
    // Text that is no TOML.
    ("an unclosed quote", "[workspaces.prod]\nbase_url = \"https://api\nadmin_key = 1\n"),
    ("a key without a value", "[daemon]\nlisten\n"),
    ("a table twice, and a bare word", "[daemon]\n[daemon]\ndrain = soon\n"),
    ("an unclosed table head", "[workspaces.prod\nbase_url = 1\n"),
    // Keys and types.
    ("a misspelt key", "@around\n[defaults]\nevry = \"30d\"\n@tts"),
    ("a misspelt section", "[deamon]\ndrain = \"1m\"\n@around\n@tts\nevery = \"30d\""),
    ("a key that is like no other", "@around\n@tts\nevery = \"30d\"\ncolour = \"red\""),
    (
        "misspelt keys everywhere at once",
        "@around\n[defaults]\njiter = \"4h\"\n@tts\nevery = \"30d\"\noverlap = { atleast = \"2h\" }\n[daemon]\nlissten = \"127.0.0.1:1\"",
    ),
    (
        "wrong types everywhere at once",
        "@around\n[daemon]\ndrain = 30\nlisten = true\n@tts\nevery = 30\njitter = 4.5\nfreeze = \"soon\"\npermissions = true\nallow_unrestricted = \"yes\"",
    ),
    ("a value where a section should be", "workspaces = \"prod\"\ncredentials = 3\n"),
    (
        "an entry that is no table",
        "[workspaces]\nprod = \"https://api.elevenlabs.io\"\n@tts\nworkspace = \"prod\"\nevery = \"30d\"",
    ),
    ("a list with one wrong element", "@around\n@tts\nevery = \"30d\"\nwait_for = { acks = [\"api\", 7] }"),
    (
        "a number out of range",
        "@around\n[workspaces.next]\nbase_url = \"https://api.elevenlabs.io\"\nadmin_key = { env = \"KEY\" }\nin_flight = 0\nmints_per_hour = 99999999999999999999\n@tts\nevery = \"30d\"\nworkspace = \"prod\"",
    ),
    (
        "an unknown word",
        "@around\n@tts\nevery = \"30d\"\noverlap = { then = \"rollback\" }\nwindow = \"never\"",
    ),
    (
        "a name with a space",
        "@around\n[credentials.\"tts backend\"]\nservice_account = \"tts\"\nevery = \"30d\"\npublish_to = [{ store = \"aws\", secret = \"a\" }]",
    ),
    (
        "an account to create that is not described",
        "@around\n@tts\nevery = \"30d\"\nadopt = \"k1\"\ncreate_account = {}\n",
    ),
    (
        "groups that are none",
        "@around\n@tts\nevery = \"30d\"\npermissions = [\"text_to_speech\"]\ncreate_account = { groups = [\"g1\", \"g1:editor\", \"g2:owner\", \":viewer\", \"g 3\"] }\n",
    ),
    ("an empty credential", "@around\n[credentials.tts]\n"),
    ("an empty policy", ""),
    (
        "tables without what they need",
        "@around\n[stores.next.directory]\n[defaults]\ntime_zone = \"UTC\"\n[credentials.tts]\nservice_account = \"tts\"\ncron = {}\nwindow = { lasts = \"6h\" }\npublish_to = [{ store = \"aws\" }, { secret = \"tts\" }]\nfreeze = [{ name = \"endless\", from = 2026-12-18 }]",
    ),
    (
        "characters that are not seen, and a region that is none",
        "@around\n[stores.eu.aws_secrets_manager]\nregion = \"EU West\"\nprofile = \"a\\u202Eb\"\n[credentials.tts]\nservice_account = \"tts\\u200B\"\nevery = \"30d\"\npublish_to = [{ store = \"eu\", secret = \"a\\u2028b\" }]",
    ),
    // The daemon.
    (
        "an address that others can reach",
        "@around\n[daemon]\nlisten = \"0.0.0.0:9809\"\n@tts\nevery = \"30d\"",
    ),
    (
        "certificates that nobody vouches for",
        "@around\n[daemon]\ntls = { certificate = \"/a.crt\" }\n[consumers.batch]\ncertificate = \"batch.internal\"\n\
         [readers]\ncertificate = \"*.internal\"\n@tts\nevery = \"30d\"",
    ),
    (
        "two consumers with one certificate",
        "@around\n[daemon]\nlisten = \"0.0.0.0:9809\"\ntls = { certificate = \"/a.crt\", key = \"/a.key\", client_ca = \
         \"/ca.pem\" }\n[consumers.batch]\ncertificate = \"One.internal\"\n[consumers.nightly]\ncertificate = \
         \"one.internal\"\n@tts\nevery = \"30d\"",
    ),
    (
        "readers and reporters with what is somebody else's",
        "@around\n[daemon]\nlisten = \"0.0.0.0:9809\"\ntls = { certificate = \"/a.crt\", key = \"/a.key\", client_ca = \
         \"/ca.pem\" }\n[consumers.batch]\ntoken = { env = \"BATCH\" }\n[consumers.nightly]\ntoken = { env = \"NIGHTLY\" \
         }\ncertificate = \"one.internal\"\n[readers]\ntoken = { env = \"BATCH\" }\ncertificate = \"One.internal\"\n\
         [leaks]\ntoken = { env = \"NIGHTLY\" }\n@tts\nevery = \"30d\"",
    ),
    (
        "readers who could report leaks",
        "@around\n[readers]\ntoken = { systemd_credential = \"one\" }\n[leaks]\ntoken = { systemd_credential = \"one\" \
         }\n@tts\nevery = \"30d\"",
    ),
    ("an address with a host name", "@around\n[daemon]\nlisten = \"localhost:9809\"\n@tts\nevery = \"30d\""),
    (
        "relative paths",
        "@around\n[daemon]\nsocket = \"rekeyd.sock\"\njournal.sqlite.path = \"journal.db\"\n@tts\nevery = \"30d\"",
    ),
    (
        "an unknown kind of journal",
        "@around\n[daemon]\njournal.postgres.url = \"postgres://\"\n@tts\nevery = \"30d\"",
    ),
    (
        "durations that are none",
        "@around\n[daemon]\ndrain = \"soon\"\nsettle = \"1 month\"\nclock_skew_max = \"-2m\"\nsweep_every = \"0s\"\nactivation_deadline = \"20000d\"\n@tts\nevery = \"30d\"",
    ),
    // Waves.
    (
        "credentials that wait for each other",
        "@around\n[credentials.a]\nservice_account = \"a\"\npublish_to = [{ store = \"aws\", secret = \"a\" }]\nevery = \"30d\"\nafter = [\"b\"]\n[credentials.b]\nservice_account = \"b\"\npublish_to = [{ store = \"aws\", secret = \"b\" }]\nevery = \"30d\"\nafter = [\"a\", \"c\"]\n[credentials.c]\nservice_account = \"c\"\npublish_to = [{ store = \"aws\", secret = \"c\" }]\nevery = \"30d\"\nafter = [\"d\"]\n[credentials.d]\nservice_account = \"d\"\npublish_to = [{ store = \"aws\", secret = \"d\" }]\nevery = \"30d\"\nafter = [\"b\"]\n",
    ),
    (
        "a credential that waits for itself",
        "@around\n[credentials.a]\nservice_account = \"a\"\npublish_to = [{ store = \"aws\", secret = \"a\" }]\nevery = \"30d\"\nafter = [\"a\"]\n",
    ),
    (
        "one that comes first and is rotated less often",
        "@around\n[credentials.a]\nservice_account = \"a\"\npublish_to = [{ store = \"aws\", secret = \"a\" }]\nevery = \"90d\"\n[credentials.b]\nservice_account = \"b\"\npublish_to = [{ store = \"aws\", secret = \"b\" }]\nevery = \"30d\"\nafter = [\"a\"]\n",
    ),
    (
        "a bake time that never ends",
        "@around\n[credentials.a]\nservice_account = \"a\"\npublish_to = [{ store = \"aws\", secret = \"a\" }]\nevery = \"30d\"\n[credentials.b]\nservice_account = \"b\"\npublish_to = [{ store = \"aws\", secret = \"b\" }]\nevery = \"30d\"\nafter = [\"a\"]\nbake = \"29d\"",
    ),
    (
        "a crowd that is never done together",
        "@around\n[credentials.a]\nservice_account = \"a\"\npublish_to = [{ store = \"aws\", secret = \"a\" }]\nevery = \"30d\"\n[credentials.b]\nservice_account = \"b\"\npublish_to = [{ store = \"aws\", secret = \"b\" }]\nevery = \"30d\"\n[credentials.c]\nservice_account = \"c\"\npublish_to = [{ store = \"aws\", secret = \"c\" }]\nevery = \"30d\"\n[credentials.d]\nservice_account = \"d\"\npublish_to = [{ store = \"aws\", secret = \"d\" }]\nevery = \"30d\"\nafter = [\"a\", \"b\", \"c\"]\nbake = \"10d\"",
    ),
    // Workspaces and secrets.
    (
        "an admin key in the policy",
        "[workspaces.prod]\nbase_url = \"https://api.elevenlabs.io\"\nadmin_key = \"sk_0123456789abcdef0123456789abcdef0123456789abcdef\"\n",
    ),
    (
        "an admin key in two places",
        "[workspaces.prod]\nbase_url = \"https://api.elevenlabs.io\"\nadmin_key = { env = \"KEY\", file = \"/key\" }\n",
    ),
    (
        "an admin key that is published and in two places",
        "@around\n[workspaces.next]\nbase_url = \"https://api.elevenlabs.io\"\nadmin_key = { published = \"tts\", env = \"KEY\", systemd_credential = \"key\" }\n@tts\nevery = \"30d\"\nworkspace = \"next\"",
    ),
    (
        "an admin key of nobody, of another workspace, and one that is no whole secret",
        "[workspaces.a]\nbase_url = \"https://api.elevenlabs.io\"\nadmin_key = { published = \"tss\" }\n[workspaces.b]\nbase_url = \"https://api.elevenlabs.io\"\nadmin_key = { published = \"tts\", env = \"KEY\" }\n[stores.aws.aws_secrets_manager]\n[credentials.tts]\nservice_account = \"tts\"\nworkspace = \"a\"\nevery = \"30d\"\npublish_to = [{ store = \"aws\", secret = \"tts\", json_field = \"key\" }]",
    ),
    ("an admin key nowhere", "[workspaces.prod]\nbase_url = \"https://api.elevenlabs.io\"\nadmin_key = {}\n"),
    (
        "references that are none",
        "[workspaces.a]\nbase_url = \"https://api.elevenlabs.io\"\nadmin_key = { env = \"hunter2\" }\n[workspaces.b]\nbase_url = \"https://api.elevenlabs.io\"\nadmin_key = { systemd_credential = \"../key\" }\n[workspaces.c]\nbase_url = \"https://api.elevenlabs.io\"\nadmin_key = { file = \"key\" }\n",
    ),
    (
        "an unencrypted URL",
        "[workspaces.prod]\nbase_url = \"http://api.elevenlabs.io\"\nadmin_key = { env = \"KEY\" }\n",
    ),
    (
        "URLs that are none",
        "[workspaces.a]\nbase_url = \"api.elevenlabs.io\"\nadmin_key = { env = \"A\" }\n[workspaces.b]\nbase_url = \"https://eve:hunter2@api.elevenlabs.io\"\nadmin_key = { env = \"B\" }\n[workspaces.c]\nbase_url = \"https://api.elevenlabs.io/?key=hunter2\"\nadmin_key = { env = \"C\" }\n[workspaces.d]\nbase_url = \"ftp://api.elevenlabs.io\"\nadmin_key = { env = \"D\" }\n",
    ),
    ("a workspace without anything", "[workspaces.prod]\n"),
    // Stores.
    ("a store of no kind", "[stores.aws]\n"),
    ("a store of two kinds", "[stores.aws.aws_secrets_manager]\n[stores.aws.directory]\npath = \"/run/a\"\n"),
    ("a store whose kind is a value", "[stores.aws]\ntype = \"aws_secrets_manager\"\n"),
    (
        "modes that are none",
        "[stores.a.directory]\npath = \"/run/a\"\nmode = \"rw-r-----\"\n[stores.b.directory]\npath = \"/run/b\"\nmode = 440\n[stores.c.directory]\npath = \"/run/c\"\nmode = \"0046\"\ndirectory_mode = \"0577\"",
    ),
    (
        "modes for everybody",
        "@around\n[stores.a.directory]\npath = \"/run/a\"\nmode = \"0644\"\ndirectory_mode = \"0755\"\n@tts\nevery = \"30d\"",
    ),
    (
        "one directory twice",
        "@around\n[stores.again.directory]\npath = \"/run/rekeyd/secrets\"\n@tts\nevery = \"30d\"",
    ),
    (
        "one directory by two paths",
        "@around\n[stores.again.directory]\npath = \"/run//rekeyd/./other/../secrets\"\n@tts\nevery = \"30d\"",
    ),
    // Consumers.
    (
        "a consumer without a token",
        "@around\n[consumers.batch]\ncache_ttl = \"1m\"\n@tts\nevery = \"30d\"\nwait_for = { acks = [\"batch\"] }",
    ),
    ("one token twice", "@around\n[consumers.batch]\ntoken = { env = \"API_TOKEN\" }\n@tts\nevery = \"30d\""),
    // References.
    (
        "names that nothing has",
        "@around\n[credentials.tts]\nworkspace = \"pord\"\nservice_account = \"tts\"\nevery = \"30d\"\npublish_to = [{ store = \"awz\", secret = \"tts\" }, { store = \"vault\", secret = \"tts\" }]\nwait_for = { acks = [\"apis\"] }",
    ),
    (
        "several workspaces to choose from",
        "@around\n[workspaces.next]\nbase_url = \"https://api.elevenlabs.io\"\nadmin_key = { env = \"KEY\" }\n@tts\nevery = \"30d\"",
    ),
    ("no workspace and no store", "@tts\nevery = \"30d\""),
    (
        "published nowhere",
        "@around\n[credentials.tts]\nservice_account = \"tts\"\nevery = \"30d\"\npublish_to = []",
    ),
    (
        "secrets that a store cannot have",
        "@around\n[credentials.tts]\nservice_account = \"tts\"\nevery = \"30d\"\npublish_to = [{ store = \"aws\", secret = \"prod tts\" }, { store = \"local\", secret = \"../tts\" }]",
    ),
    (
        "one place for two credentials",
        "@around\n@tts\nevery = \"30d\"\n[credentials.again]\nservice_account = \"again\"\nevery = \"30d\"\npublish_to = [{ store = \"aws\", secret = \"tts\" }]",
    ),
    (
        "a name and the ARN of one secret",
        "@around\n@tts\nevery = \"30d\"\n[credentials.again]\nservice_account = \"again\"\nevery = \"30d\"\npublish_to = [{ store = \"aws\", secret = \"arn:aws:secretsmanager:eu-west-1:123456789012:secret:tts-Ab12Cd\" }]",
    ),
    (
        "two stores of one region",
        "@around\n[stores.other.aws_secrets_manager]\n@tts\nevery = \"30d\"\n[credentials.again]\nservice_account = \"again\"\nevery = \"30d\"\npublish_to = [{ store = \"other\", secret = \"tts\" }]",
    ),
    (
        "one secret under two names for one credential",
        "@around\n[stores.other.aws_secrets_manager]\n[credentials.tts]\nservice_account = \"tts\"\nevery = \"30d\"\npublish_to = [{ store = \"aws\", secret = \"tts\" }, { store = \"other\", secret = \"tts\" }]",
    ),
    (
        "a field of what is somebody else's whole",
        "@around\n@tts\nevery = \"30d\"\n[credentials.again]\nservice_account = \"again\"\nevery = \"30d\"\npublish_to = [{ store = \"aws\", secret = \"tts\", json_field = \"key\" }]",
    ),
    (
        "two fields of one secret for one credential",
        "@around\n[credentials.tts]\nservice_account = \"tts\"\nevery = \"30d\"\npublish_to = [{ store = \"aws\", secret = \"tts\", json_field = \"a\" }, { store = \"aws\", secret = \"tts\", json_field = \"b\" }]",
    ),
    (
        "one service account for two credentials",
        "@around\n@tts\nevery = \"30d\"\n[credentials.again]\nservice_account = \"tts\"\nadopt = \"a\"\nevery = \"30d\"\npublish_to = [{ store = \"aws\", secret = \"again\" }]",
    ),
    (
        "one key adopted twice",
        "@around\n@tts\nevery = \"30d\"\nadopt = \"a\"\n[credentials.zoo]\nservice_account = \"tts\"\nadopt = \"a\"\nevery = \"30d\"\npublish_to = [{ store = \"aws\", secret = \"zoo\" }]",
    ),
    // First keys.
    (
        "limits for a first key that has no permissions",
        "@around\n@tts\nevery = \"30d\"\ncharacter_limit = 5\nallowed_ips = [\"10.0.0.1\"]",
    ),
    (
        "a permission that nobody knows",
        "@around\n@tts\nevery = \"30d\"\npermissions = [\"text_to_speach\", \"zzz\"]",
    ),
    ("a first key that may do everything", "@around\n@tts\nevery = \"30d\"\npermissions = \"all\""),
    (
        "a first key that may do nothing, from nowhere",
        "@around\n@tts\nevery = \"30d\"\npermissions = []\nallowed_ips = [\"office\", \"10.0.0.0/33\"]\ncharacter_limit = -1",
    ),
    (
        "an id that is a key",
        "@around\n@tts\nevery = \"30d\"\nadopt = \"sk_0123456789abcdef0123456789abcdef0123456789abcdef\"",
    ),
    // Schedules.
    ("no schedule", "@around\n@tts"),
    (
        "two schedules",
        "@around\n@tts\nevery = \"30d\"\ncron = { at = \"0 3 * * Mon\", time_zone = \"Europe/London\" }",
    ),
    (
        "a calendar without a time zone",
        "@around\n@tts\ncron = \"0 3 * * Mon\"\nwindow = { opens = \"0 9 * * *\", lasts = \"6h\" }\nfreeze = [{ from = 2026-12-18, until = 2026-12-24 }]",
    ),
    (
        "a time zone that does not exist",
        "@around\n@tts\ncron = { at = \"0 3 * * Mon\", time_zone = \"Europe/Londn\" }\ntime_zone = \"Mars\"\nwindow = { opens = \"0 9 * * *\", lasts = \"6h\" }",
    ),
    (
        "calendars that are none",
        "@around\n@tts\ntime_zone = \"UTC\"\ncron = \"0 0 3 * * Mon\"\nwindow = { opens = \"25 25 * * *\", lasts = \"0s\" }",
    ),
    (
        "dates that never come",
        "@around\n@tts\ntime_zone = \"UTC\"\ncron = \"0 0 30 2 *\"\nwindow = { opens = \"0 0 31 4 *\", lasts = \"1h\" }",
    ),
    (
        "freezes that are none",
        "@around\n[[freeze]]\nfrom = 2026-12-24T00:00:00Z\nuntil = 2026-12-18T00:00:00Z\n[[freeze]]\nfrom = \"2026-12-18\"\nuntil = 07:30:00\n[[freeze]]\nname = \"endless\"\nfrom = 2026-12-18T00:00:00Z\n@tts\nevery = \"30d\"",
    ),
    ("an interval of nothing", "@around\n@tts\nevery = \"0s\""),
    (
        "defaults that nobody uses",
        "@around\n[defaults]\nevery = \"often\"\nquarantine = \"long\"\n@tts\nevery = \"30d\"\nquarantine = \"1d\"",
    ),
    // Times that do not go together.
    (
        "an overlap that ends before it may",
        "@around\n@tts\nevery = \"30d\"\noverlap = { at_least = \"3h\", at_most = \"2h\" }",
    ),
    (
        "an inherited overlap that ends before it may",
        "@around\n[defaults]\noverlap = { at_most = \"2h\" }\n@tts\nevery = \"30d\"\noverlap = { at_least = \"3h\" }",
    ),
    (
        "an overlap shorter than a consumer's cache",
        "@around\n@tts\nevery = \"30d\"\noverlap = { at_least = \"2h\" }\nwait_for = { acks = [\"api\"] }",
    ),
    (
        "revoking in spite of those that are waited for",
        "@around\n@tts\nevery = \"30d\"\noverlap = { at_least = \"6h\", then = \"revoke\" }\nwait_for = { acks = [\"api\"] }",
    ),
    (
        "no time at all",
        "@around\n@tts\nevery = \"30d\"\noverlap = { at_least = \"0s\" }\nquarantine = \"0s\"",
    ),
    ("keys that expire before they are replaced", "@around\n@tts\nevery = \"30d\"\nkey_lifetime = \"20d\""),
    (
        "keys that may expire while they are replaced",
        "@around\n@tts\ncron = { at = \"0 3 1 * *\", time_zone = \"UTC\" }\nkey_lifetime = \"33d\"",
    ),
    (
        "lifetimes that the provider refuses",
        "@around\n[defaults]\nkey_lifetime = \"1y\"\n@tts\nevery = \"30d\"\nkey_lifetime = \"90d\"\n[credentials.zoo]\nservice_account = \"zoo\"\nkey_lifetime = \"5m\"\nevery = \"30d\"\npublish_to = [{ store = \"aws\", secret = \"zoo\" }]",
    ),
    (
        "more versions than AWS keeps",
        "@around\n@tts\nevery = \"10m\"\noverlap = { at_least = \"1m\" }\nquarantine = \"1m\"",
    ),
    (
        "more versions than AWS keeps, together",
        "@around\n[defaults]\nevery = \"20m\"\noverlap = { at_least = \"1m\" }\nquarantine = \"1m\"\n[credentials.a]\nservice_account = \"a\"\npublish_to = [{ store = \"aws\", secret = \"s\", json_field = \"a\" }]\n[credentials.b]\nservice_account = \"b\"\npublish_to = [{ store = \"aws\", secret = \"s\", json_field = \"b\" }]",
    ),
    (
        "rotations that never end before the next",
        "@around\n@tts\ncron = { at = \"0 3 * * *\", time_zone = \"UTC\" }\njitter = \"2d\"",
    ),
    (
        "a file that nobody creates",
        "@around\n[credentials.tts]\nservice_account = \"tts\"\nevery = \"30d\"\npublish_to = [{ store = \"local\", secret = \"tts\", create = false }]",
    ),
    // What is waited for.
    (
        "probes and commands that cannot be asked",
        "@around\n@tts\nevery = \"30d\"\n[credentials.tts.wait_for]\nprobes = [\n{ name = \"a b\", url = \"http://a/\" },\n{ name = \"a\", url = \"ftp://a/\" },\n{ name = \"b\", url = \"http://u:p@b/\" },\n{ name = \"c\", url = \"http://c/\", json_pointer = \"x\", header = \"y\" },\n{ name = \"c\", url = \"http://c/\" },\n{ url = \"http://d/\" },\n]\ncommand = [\"may-revoke\"]\ncommand_time_limit = \"0s\"",
    ),
    (
        "conditions that mean nothing",
        "@around\n@tts\nevery = \"30d\"\nwait_for = { idle = \"soon\", when_unknown = \"hope\", acks_valid_for = \"1s\", canary = \"\" }",
    ),
    (
        "an old key that expires at once",
        "@around\n@tts\nevery = \"30d\"\nexpire_old_key = \"5m\"\nif_key_vanishes = \"cry\"",
    ),
    ("waves that do not begin", "@around\n@tts\nevery = \"30d\"\nafter = [\"tts\", \"ttts\"]\nbake = \"x\""),
];

#[test]
fn every_problem_is_reported_at_once_with_its_place_and_its_remedy() {
    let mut all = String::new();
    for (name, case) in BROKEN {
        writeln!(all, "=== {name} ===\n{}\n", said(case)).unwrap();
    }
    insta::assert_snapshot!("broken_policies", all);
}

#[test]
fn every_case_is_a_case() {
    for (name, case) in BROKEN {
        assert!(said(case).contains("-->"), "nothing is said about {name}");
    }
    assert_eq!(said("@around\n@tts\nevery = \"30d\""), "policy.toml: 0 errors, 0 warnings");
}
