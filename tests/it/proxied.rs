//! The real program where every variable names a proxy: what is not encrypted, and what stays on this machine, never
//! reaches it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rekeyd::adapters::clock::SystemClock;
use rekeyd::ports::clock::Clock as _;
use rekeyd::sandbox::server::{Options, Sandbox};
use rekeyd::sandbox::settings::{Granted, Settings};

use crate::support::certificates::Authority;
use crate::support::secrets_manager::StrictFake;

const PATIENCE: Duration = Duration::from_secs(60);
const UPPER: [&str; 3] = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];
const LOWER: [&str; 3] = ["http_proxy", "https_proxy", "all_proxy"];
const CREDENTIALS: &str = r#"{"AccessKeyId":"testing","SecretAccessKey":"testing","Token":"t","Expiration":"2099-01-01T00:00:00Z"}"#;

/// Listens on loopback, keeps the beginning of whatever is sent, and gives everybody the same response.
struct Recorder {
    port: u16,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    fn start(status: &'static str, body: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, heard) = (listener.local_addr().unwrap().port(), Arc::default());
        let recorder = Self { port, heard: Arc::clone(&heard) };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(mut stream), heard) = (stream, Arc::clone(&heard)) else { return };
                std::thread::spawn(move || {
                    drop(stream.set_read_timeout(Some(Duration::from_secs(2))));
                    let mut bytes = vec![0; 4096];
                    let length = stream.read(&mut bytes).unwrap_or(0);
                    heard.lock().unwrap().push(String::from_utf8_lossy(&bytes[..length]).into_owned());
                    let head = format!(
                        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\n"
                    );
                    drop(write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()));
                });
            }
        });
        recorder
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    fn has_heard(&self) -> bool {
        !self.heard.lock().unwrap().is_empty()
    }

    fn at(&self, scheme: &str) -> String {
        format!("{scheme}://127.0.0.1:{}", self.port)
    }
}

/// Ended when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill().and_then(|()| self.0.wait()));
    }
}

/// Everything that the program calls, and the proxy that it is told to use.
struct World {
    folder: tempfile::TempDir,
    sandbox: Sandbox,
    aws: StrictFake,
    proxy: Recorder,
    /// A source of AWS credentials.
    metadata: Recorder,
    collector: Recorder,
    hook: Recorder,
    encrypted_workspace: Recorder,
    encrypted_store: Recorder,
    encrypted_hook: Recorder,
}

impl World {
    async fn build() -> Self {
        let sandbox = Sandbox::start(Options::new(Arc::new(SystemClock))).await.unwrap();
        let account = sandbox.workspace().create_account("tts", SystemClock.now());
        let by_hand = Settings::new("made by hand", Granted::Only(vec!["text_to_speech".to_owned()]));
        sandbox.workspace().create_key(&account, by_hand, SystemClock.now()).unwrap();
        let server = || Recorder::start("200 OK", "{}");
        let world = Self {
            folder: tempfile::tempdir().unwrap(),
            sandbox,
            aws: StrictFake::start().await,
            proxy: Recorder::start("502 Bad Gateway", ""),
            metadata: Recorder::start("200 OK", CREDENTIALS),
            collector: server(),
            hook: server(),
            encrypted_workspace: server(),
            encrypted_store: server(),
            encrypted_hook: server(),
        };
        world.write("admin", &world.sandbox.admin_key());
        world.write("ca.pem", &Authority::new().pem);
        world.write("hook", &world.hook.at("http"));
        world.write("encrypted-hook", &world.encrypted_hook.at("https"));
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn policy(&self, workspace: &str, store: &str) -> PathBuf {
        let root = self.folder.path().display();
        self.write(
            "policy.toml",
            &format!(
                r#"
                [daemon]
                listen = "127.0.0.1:0"
                socket = "{root}/socket"
                journal.sqlite.path = "{root}/journal.db"
                acceptances.over = "0s"
                [workspaces.prod]
                first_rotations_at_once = 1000
                base_url = "{}"
                admin_key = {{ file = "{root}/admin" }}
                requests_per_second = 100
                [workspaces.encrypted]
                base_url = "{workspace}"
                admin_key = {{ file = "{root}/admin" }}
                ca_file = "{root}/ca.pem"
                [stores.aws.aws_secrets_manager]
                region = "eu-west-1"
                endpoint_url = "{}"
                [stores.encrypted.aws_secrets_manager]
                region = "eu-west-1"
                {store}
                [notify.hook]
                at_least = "info"
                generic.url = {{ file = "{root}/hook" }}
                [notify.encrypted]
                at_least = "info"
                generic.url = {{ file = "{root}/encrypted-hook" }}
                [defaults]
                every = "3s"
                overlap = {{ at_least = "500ms", at_most = "1h" }}
                quarantine = "200ms"
                wait_for.confirm = false
                [credentials.tts]
                workspace = "prod"
                service_account = "tts"
                publish_to = [{{ store = "aws", secret = "prod/tts", create = true }}]
                [credentials.other]
                workspace = "encrypted"
                service_account = "other"
                publish_to = [{{ store = "encrypted", secret = "prod/other" }}]
                "#,
                self.sandbox.base_url(),
                self.aws.url,
            ),
        )
    }

    fn program(&self, variables: &[&str], words: &[&str], file: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rekeyd"));
        for name in
            UPPER.iter().chain(&LOWER).chain(&["NO_PROXY", "no_proxy", "AWS_ACCESS_KEY_ID", "AWS_PROFILE"])
        {
            command.env_remove(name);
        }
        for name in variables {
            command.env(name, self.proxy.at("http"));
        }
        command
            .args(words)
            .arg(file)
            .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/creds", self.metadata.at("http")))
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", self.collector.at("http"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(self.path("log")).unwrap());
        command
    }

    fn start(&self, variables: &[&str], words: &[&str], file: &Path) -> Running {
        Running(self.program(variables, words, file).spawn().unwrap())
    }

    async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            let log = fs::read_to_string(self.path("log")).unwrap_or_default();
            assert!(
                begun.elapsed() < PATIENCE,
                "never: {what}; the proxy heard {:?}\n{log}",
                self.proxy.heard()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Examines everything, and ends.
    async fn doctor(&self, variables: &[&str], file: &Path) {
        let mut command = self.program(variables, &["doctor", "--policy"], file);
        tokio::task::spawn_blocking(move || command.status().unwrap()).await.unwrap();
    }
}

async fn nothing_is_heard(variables: &[&str]) {
    let world = World::build().await;
    let store = format!("endpoint_url = \"{}\"", world.encrypted_store.at("https"));
    let policy = world.policy(&world.encrypted_workspace.at("https"), &store);
    let daemon = world.start(variables, &["run", "--policy"], &policy);
    world.until("the value is in AWS", || world.aws.calls().iter().any(|call| call == "CreateSecret")).await;
    for (what, server) in [
        ("AWS credentials are fetched", &world.metadata),
        ("spans are sent", &world.collector),
        ("a notification is sent", &world.hook),
        ("a notification is sent encrypted", &world.encrypted_hook),
        ("a workspace is called encrypted", &world.encrypted_workspace),
    ] {
        world.until(what, || server.has_heard()).await;
    }
    drop(daemon);
    assert_eq!(world.proxy.heard(), Vec::<String>::new());

    let before = world.encrypted_workspace.heard().len();
    world.doctor(variables, &policy).await;
    assert!(world.encrypted_workspace.heard().len() > before && world.encrypted_store.has_heard());
    assert_eq!(world.proxy.heard(), Vec::<String>::new());

    let rekeyd = Recorder::start("200 OK", "{}");
    let root = world.folder.path().display();
    world.write("token", "a-token-of-the-consumer-that-is-long");
    let agent = world.write(
        "agent.toml",
        &format!(
            "[secrets.tts]\nfrom.aws_secrets_manager = {{ secret = \"prod/tts\", region = \"eu-west-1\", endpoint_url = \"{}\" }}\n\
             every = \"1s\"\nto.path = \"{root}/key\"\n[on_change]\nurl = \"{}/reload\"\n\
             [rekeyd]\nurl = \"{}\"\nconsumer = \"tts\"\nca_file = \"{root}/ca.pem\"\nheartbeat = \"1s\"\ntoken.file = \"{root}/token\"\n",
            world.aws.url,
            world.hook.at("http"),
            rekeyd.at("https"),
        ),
    );
    let agent = world.start(variables, &["agent", "--config"], &agent);
    world.until("the agent has the key", || world.path("key").exists()).await;
    world.until("the agent tells rekeyd", || rekeyd.has_heard()).await;
    drop(agent);
    assert_eq!(world.proxy.heard(), Vec::<String>::new());
    world.sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_plain_or_local_goes_through_a_proxy_named_in_capitals() {
    nothing_is_heard(&UPPER).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_plain_or_local_goes_through_a_proxy_named_in_small_letters() {
    nothing_is_heard(&LOWER).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_encrypted_and_for_another_machine_goes_through_the_proxy() {
    for variables in [&UPPER, &LOWER] {
        let world = World::build().await;
        let policy = world.policy("https://workspace.invalid", "");
        world.doctor(variables, &policy).await;
        let heard = world.proxy.heard();
        let tunnels = |host: &str| heard.iter().any(|it| it.starts_with(&format!("CONNECT {host}:443 ")));
        assert!(tunnels("workspace.invalid"), "{heard:?}");
        assert!(tunnels("secretsmanager.eu-west-1.amazonaws.com"), "{heard:?}");
        assert!(heard.iter().all(|it| it.starts_with("CONNECT ")), "{heard:?}");
        world.sandbox.shutdown().await;
    }
}

/// Each decides about proxies for all requests of its clients; the demonstration uses none.
const MAKERS_OF_CLIENTS: [&str; 3] =
    ["src/outgoing.rs", "src/adapters/aws_secrets_manager/mod.rs", "src/demo/consumer.rs"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn clients_that_could_use_a_proxy_are_made_in_one_place() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    for path in files {
        let shown = path.strip_prefix(root).unwrap().display().to_string();
        let text = fs::read_to_string(&path).unwrap();
        let makers = [
            "Client::builder(",
            "reqwest::Client::new(",
            "reqwest::get(",
            "aws_config::defaults",
            "aws_config::load",
        ];
        let made = makers.iter().any(|maker| text.contains(maker));
        assert_eq!(made, MAKERS_OF_CLIENTS.contains(&shown.as_str()), "{shown}: use `outgoing::client_to`");
    }
}
