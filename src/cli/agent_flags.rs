//! The flags of `rekeyd agent` for one secret, beside those of its source. They are turned into the text of a configuration file, so that both are
//! checked by the same code.

use toml::{Table, Value};

#[derive(clap::Args)]
#[group(id = "flags", multiple = true, conflicts_with = "config")]
pub(super) struct Flags {
    /// Name of the credential in rekeyd's policy
    #[arg(long, value_name = "NAME")]
    credential: Option<String>,
    /// Field of a JSON secret that holds the key
    #[arg(long, value_name = "NAME")]
    json_field: Option<String>,
    /// Polling interval
    #[arg(long, value_name = "DURATION")]
    every: Option<String>,
    /// File to write the value to
    #[arg(long, value_name = "PATH")]
    to: Option<String>,
    /// Mode of the file
    #[arg(long, requires = "to")]
    mode: Option<String>,
    /// Owner of the file
    #[arg(long, requires = "to")]
    owner: Option<String>,
    /// Group of the file
    #[arg(long, requires = "to")]
    group: Option<String>,
    /// Environment variable with the value, with --exec
    #[arg(long, value_name = "NAME")]
    variable: Option<String>,
    /// Environment variable with the path of the file, with --exec
    #[arg(long, value_name = "NAME")]
    path_variable: Option<String>,
    /// Command to run after a change; split at spaces, no shell
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["pid_file", "notify_url"])]
    on_change: Option<String>,
    /// File with the process id to signal after a change
    #[arg(long, value_name = "PATH", conflicts_with = "notify_url")]
    pid_file: Option<String>,
    /// Signal to send: HUP, USR1, USR2, INT or TERM
    #[arg(long, value_name = "NAME", requires = "pid_file")]
    signal: Option<String>,
    /// URL on this machine to POST to after a change
    #[arg(long, value_name = "URL")]
    notify_url: Option<String>,
    /// Health check command, healthy if it exits 0; split at spaces, no shell
    #[arg(long, value_name = "COMMAND", conflicts_with = "health_url")]
    health: Option<String>,
    /// Health check URL on this machine, healthy if it answers 2xx
    #[arg(long, value_name = "URL")]
    health_url: Option<String>,
    /// How long the application may take to become healthy after a change
    #[arg(long, value_name = "DURATION")]
    health_deadline: Option<String>,
    /// Name of this consumer in rekeyd's policy; turns acknowledgements on
    #[arg(long, value_name = "NAME")]
    consumer: Option<String>,
    /// URL of rekeyd's listener
    #[arg(long, value_name = "URL", requires = "consumer")]
    rekeyd: Option<String>,
    /// File with the consumer's token
    #[arg(long, value_name = "PATH", requires = "consumer", conflicts_with_all = ["token_env", "token_credential"])]
    token_file: Option<String>,
    /// Environment variable with the consumer's token
    #[arg(long, value_name = "NAME", requires = "consumer", conflicts_with = "token_credential")]
    token_env: Option<String>,
    /// systemd credential with the consumer's token
    #[arg(long, value_name = "NAME", requires = "consumer")]
    token_credential: Option<String>,
    /// How often to repeat an acknowledgement
    #[arg(long, value_name = "DURATION", requires = "consumer")]
    heartbeat: Option<String>,
}

impl Flags {
    /// The equivalent configuration of a secret that is read `from` its source; `None` without `--credential`.
    pub(super) fn text(&self, from: Table) -> Option<String> {
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
        put_command(&mut on_change, self.on_change.as_deref());
        let mut health = table([("url", &self.health_url), ("deadline", &self.health_deadline)]);
        put_command(&mut health, self.health.as_deref());
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

fn put_command(into: &mut Table, command: Option<&str>) {
    if let Some(command) = command {
        let words = command.split_whitespace().map(|word| Value::String(word.to_owned())).collect();
        into.insert("command".to_owned(), Value::Array(words));
    }
}
