//! A Chromium without a window, driven over a pipe by its DevTools protocol.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

/// The shell makes its input and output the two pipes that Chromium reads orders from and answers on.
const SCRIPT: &str = r#"exec chromium "$@" 3<&0 4>&1 0</dev/null 1>/dev/null 2>/dev/null"#;

const FLAGS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
];

/// One browser with one tab. It is killed when this is dropped.
pub(crate) struct Browser {
    _child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    sent: u64,
    session: Option<String>,
    events: Vec<Value>,
    _profile: TempDir,
}

impl Browser {
    pub(crate) async fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut command = Command::new("bash");
        command.args(["-c", SCRIPT, "chromium"]).args(FLAGS);
        command.arg(format!("--user-data-dir={}", profile.path().display())).arg("about:blank");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("bash, to start chromium (`make test` brings it)");
        let orders = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut browser = Self {
            _child: child,
            orders,
            answers,
            sent: 0,
            session: None,
            events: Vec::new(),
            _profile: profile,
        };
        let made = browser.call("Target.createTarget", json!({ "url": "about:blank" })).await;
        let attach = json!({ "targetId": made["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", attach).await;
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({})).await;
        }
        browser
    }

    pub(crate) async fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.sent += 1;
        let mut order = json!({ "id": self.sent, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            order["sessionId"] = json!(session);
        }
        self.orders.write_all(format!("{order}\0").as_bytes()).await.unwrap();
        loop {
            let said = self.hear().await;
            if said["id"] == self.sent {
                assert!(said.get("error").is_none(), "{method}: {said}");
                return said["result"].clone();
            }
            self.events.push(said);
        }
    }

    async fn hear(&mut self) -> Value {
        let mut said = Vec::new();
        let read = timeout(PATIENCE, self.answers.read_until(0, &mut said)).await;
        let length = read.expect("chromium says nothing").unwrap();
        assert!(length > 0, "chromium has ended: is it on the PATH? `make test` brings it");
        said.pop();
        serde_json::from_slice(&said).unwrap()
    }

    /// Opens an address and waits until all of it is there.
    pub(crate) async fn open(&mut self, url: &str) {
        self.events.retain(|event| event["method"] != "Page.loadEventFired");
        self.call("Page.navigate", json!({ "url": url })).await;
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let said = self.hear().await;
            self.events.push(said);
        }
    }

    pub(crate) async fn size(&mut self, width: u32, height: u32) {
        let mobile = width < 600;
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile });
        self.call("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    pub(crate) async fn prefer(&mut self, feature: &str, value: &str) {
        let features = json!({ "features": [{ "name": feature, "value": value }] });
        self.call("Emulation.setEmulatedMedia", features).await;
    }

    /// What an expression amounts to, a promise's value included.
    pub(crate) async fn eval(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let told = self.call("Runtime.evaluate", asked).await;
        assert!(told.get("exceptionDetails").is_none(), "{expression}: {told}");
        told["result"]["value"].clone()
    }

    /// Until an expression is true.
    pub(crate) async fn until(&mut self, expression: &str, patience: Duration) {
        let begun = std::time::Instant::now();
        while self.eval(expression).await != json!(true) {
            assert!(begun.elapsed() < patience, "it never was so: {expression}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A picture of the whole page, or of what of it is in the window.
    pub(crate) async fn picture(&mut self, whole: bool, path: &Path) {
        let asked = json!({ "format": "png", "captureBeyondViewport": whole });
        let mut asked = asked;
        if whole {
            let size = self.call("Page.getLayoutMetrics", json!({})).await["cssContentSize"].clone();
            asked["clip"] =
                json!({ "x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1 });
        }
        let told = self.call("Page.captureScreenshot", asked).await;
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, of_base64(told["data"].as_str().unwrap())).unwrap();
    }

    /// What the browser complained about: refused by the content security policy, not found, thrown.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let complaint = |event: &&Value| {
            let method = event["method"].as_str().unwrap_or_default();
            ["Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"].contains(&method)
        };
        self.events.iter().filter(complaint).map(ToString::to_string).collect()
    }

    /// Every address that was asked for.
    pub(crate) fn asked(&self) -> Vec<String> {
        let sent = self.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        sent.map(|event| event["params"]["request"]["url"].as_str().unwrap().to_owned()).collect()
    }
}

fn of_base64(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut held, mut bits) = (0u32, 0);
    for byte in text.bytes().filter(|byte| *byte != b'=') {
        held = held << 6 | u32::from(digit(byte));
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits & 0xff) as u8);
        }
    }
    bytes
}
