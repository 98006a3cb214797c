//! The flags of `rekeyd agent` for the simple case, one secret: they become the text of a configuration, so that they
//! mean the same and are checked the same.

use toml::{Table, Value};

#[derive(clap::Args)]
#[group(id = "flags", multiple = true, conflicts_with = "config")]
pub(super) struct Flags {
    /// The credential's name in rekeyd's policy
    #[arg(long, value_name = "NAME")]
    credential: Option<String>,
    /// Follow this file: a secret of rekeyd's directory store, or any other
    #[arg(long, value_name = "PATH", conflicts_with = "aws_secret")]
    file: Option<String>,
    /// Follow this secret of AWS Secrets Manager
    #[arg(long, value_name = "NAME")]
    aws_secret: Option<String>,
    /// The region of that secret
    #[arg(long, value_name = "REGION", requires = "aws_secret")]
    aws_region: Option<String>,
    /// The field of a JSON secret that holds the key
    #[arg(long, value_name = "NAME")]
    json_field: Option<String>,
    /// How often to look
    #[arg(long, value_name = "DURATION")]
    every: Option<String>,
    /// Write the value to this file
    #[arg(long, value_name = "PATH")]
    to: Option<String>,
    /// The mode of that file
    #[arg(long, requires = "to")]
    mode: Option<String>,
    /// The owner of that file
    #[arg(long, requires = "to")]
    owner: Option<String>,
    /// The group of that file
    #[arg(long, requires = "to")]
    group: Option<String>,
    /// With --exec: the environment variable to hold the value
    #[arg(long, value_name = "NAME")]
    variable: Option<String>,
    /// With --exec: the environment variable to hold the path of the file
    #[arg(long, value_name = "NAME")]
    path_variable: Option<String>,
    /// Run this after a change: words with spaces between them, no shell
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["pid_file", "notify_url"])]
    on_change: Option<String>,
    /// Send the process whose number is in this file a signal after a change
    #[arg(long, value_name = "PATH", conflicts_with = "notify_url")]
    pid_file: Option<String>,
    /// Which signal: HUP, USR1, USR2, INT or TERM
    #[arg(long, value_name = "NAME", requires = "pid_file")]
    signal: Option<String>,
    /// POST to this URL of this machine after a change
    #[arg(long, value_name = "URL")]
    notify_url: Option<String>,
    /// The application is well if this succeeds: words with spaces between them, no shell
    #[arg(long, value_name = "COMMAND", conflicts_with = "health_url")]
    health: Option<String>,
    /// The application is well if this URL of this machine answers with success
    #[arg(long, value_name = "URL")]
    health_url: Option<String>,
    /// How long after a change the application may take until it is well
    #[arg(long, value_name = "DURATION")]
    health_deadline: Option<String>,
    /// The application's name in rekeyd's policy: acknowledge to rekeyd as that
    #[arg(long, value_name = "NAME")]
    consumer: Option<String>,
    /// The listener of rekeyd
    #[arg(long, value_name = "URL", requires = "consumer")]
    rekeyd: Option<String>,
    /// The file with the consumer's token
    #[arg(long, value_name = "PATH", requires = "consumer", conflicts_with_all = ["token_env", "token_credential"])]
    token_file: Option<String>,
    /// The environment variable with the consumer's token
    #[arg(long, value_name = "NAME", requires = "consumer", conflicts_with = "token_credential")]
    token_env: Option<String>,
    /// The systemd credential with the consumer's token
    #[arg(long, value_name = "NAME", requires = "consumer")]
    token_credential: Option<String>,
    /// How often an acknowledgement is repeated
    #[arg(long, value_name = "DURATION", requires = "consumer")]
    heartbeat: Option<String>,
}

impl Flags {
    /// The configuration that says the same; `None` without `--credential`.
    pub(super) fn text(&self) -> Option<String> {
        let aws = table([("secret", &self.aws_secret), ("region", &self.aws_region)]);
        let mut from = table([("file", &self.file)]);
        put(&mut from, "aws_secrets_manager", aws);
        let mut secret = table([
            ("json_field", &self.json_field),
            ("every", &self.every),
            ("variable", &self.variable),
            ("path_variable", &self.path_variable),
        ]);
        put(&mut secret, "from", from);
        let place =
            [("path", &self.to), ("mode", &self.mode), ("owner", &self.owner), ("group", &self.group)];
        put(&mut secret, "to", table(place));
        let mut on_change = table([("url", &self.notify_url)]);
        put(&mut on_change, "signal", table([("pid_file", &self.pid_file), ("send", &self.signal)]));
        words(&mut on_change, self.on_change.as_deref());
        let mut health = table([("url", &self.health_url), ("deadline", &self.health_deadline)]);
        words(&mut health, self.health.as_deref());
        let token = [
            ("file", &self.token_file),
            ("env", &self.token_env),
            ("systemd_credential", &self.token_credential),
        ];
        let mut rekeyd =
            table([("consumer", &self.consumer), ("url", &self.rekeyd), ("heartbeat", &self.heartbeat)]);
        put(&mut rekeyd, "token", table(token));
        let mut all = Table::new();
        put(&mut all, "on_change", on_change);
        put(&mut all, "health", health);
        put(&mut all, "rekeyd", rekeyd);
        let secrets = Table::from_iter([(self.credential.clone()?, Value::Table(secret))]);
        put(&mut all, "secrets", secrets);
        Some(all.to_string())
    }
}

fn table<const N: usize>(entries: [(&str, &Option<String>); N]) -> Table {
    let written = entries.into_iter().filter_map(|(key, value)| Some((key, value.as_ref()?)));
    written.map(|(key, value)| (key.to_owned(), Value::String(value.clone()))).collect()
}

fn put(into: &mut Table, key: &str, inner: Table) {
    if !inner.is_empty() {
        into.insert(key.to_owned(), Value::Table(inner));
    }
}

fn words(into: &mut Table, command: Option<&str>) {
    if let Some(command) = command {
        let words = command.split_whitespace().map(|word| Value::String(word.to_owned())).collect();
        into.insert("command".to_owned(), Value::Array(words));
    }
}
