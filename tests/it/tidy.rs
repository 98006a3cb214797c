//! What the tree promises about itself: who may name whom, what a file looks like, what must not be in it.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

/// Which top-level modules each one may name, besides itself. ARCHITECTURE.md shows the same as a picture.
const MAY_USE: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("ports", &["domain"]),
    ("call", &[]),
    ("call_context", &["domain"]),
    ("current_read", &[]),
    ("plain_file", &["current_read"]),
    ("process_group", &[]),
    ("contained", &[]),
    ("systemd_notify", &["config_file"]),
    ("loopback", &[]),
    ("outgoing", &["loopback"]),
    ("config_file", &["current_read", "domain", "loopback", "plain_file"]),
    ("sandbox", &["domain", "ports"]),
    ("adapters", &["call_context", "config_file", "contained", "domain", "outgoing", "plain_file", "ports"]),
    ("stores", &["adapters", "config_file", "ports"]),
    ("config", &["config_file", "current_read", "domain", "loopback", "plain_file", "ports", "stores"]),
    ("engine", &["call_context", "domain", "ports"]),
    ("telemetry", &["call_context", "domain", "engine", "ports"]),
    ("http", &["domain", "engine", "plain_file", "ports", "telemetry"]),
    ("notify", &["domain", "engine", "ports", "telemetry"]),
    (
        "agent",
        &[
            "call",
            "config",
            "config_file",
            "contained",
            "domain",
            "outgoing",
            "plain_file",
            "ports",
            "process_group",
            "systemd_notify",
        ],
    ),
    (
        "app",
        &[
            "adapters",
            "config",
            "config_file",
            "current_read",
            "domain",
            "engine",
            "http",
            "notify",
            "plain_file",
            "ports",
            "systemd_notify",
            "telemetry",
        ],
    ),
    ("draft", &["config_file", "domain", "ports", "stores"]),
    (
        "doctor",
        &["adapters", "app", "call", "config", "config_file", "domain", "plain_file", "ports", "rehearsal"],
    ),
    ("demo", &["adapters", "app", "config", "domain", "ports", "sandbox"]),
    ("rehearsal", &["adapters", "config", "domain", "engine", "ports", "sandbox"]),
    (
        "cli",
        &[
            "adapters",
            "agent",
            "app",
            "call",
            "config",
            "config_file",
            "contained",
            "demo",
            "doctor",
            "domain",
            "draft",
            "engine",
            "http",
            "notify",
            "outgoing",
            "ports",
            "rehearsal",
            "sandbox",
            "stores",
            "telemetry",
        ],
    ),
    ("main", &[]),
    ("lib", &[]),
];

/// What would make the core impure.
const IMPURE: &[&str] = &[
    "tokio",
    "reqwest",
    "axum",
    "hyper::",
    "rusqlite",
    "aws_",
    "tracing",
    "async fn",
    "std::fs",
    "std::env",
    "std::io",
    "std::net::Tcp",
    "std::net::Udp",
    "ToSocketAddrs",
    "std::thread",
    "SystemTime",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "println!",
];

/// Adapters that another adapter may name: what secret stores have in common, which is pure.
const SHARED_BY_ADAPTERS: &[&str] = &["endpoint", "file_system", "json_field", "post", "secret_text"];

/// What of the sandbox is not its model of the provider.
const SANDBOX_OVER_HTTP: &[&str] = &["control", "exchange", "server", "wire"];

const NAMES_THAT_SAY_NOTHING: &[&str] =
    &["utils", "util", "helpers", "helper", "common", "types", "misc", "shared"];

const LINES_MAX: usize = 400;
/// Files over the limit that are one idea all the same, with their own limit. The list only gets shorter.
const LONGER: &[(&str, usize)] = &[("src/engine/controller.rs", 450), ("tests/it/journal/status.rs", 430)];

/// Written in two parts, so that this file does not find itself.
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X:"),
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("in production", " you"),
    concat!("for", " now,"),
    concat!("for", " now;"),
    concat!("for", " now."),
    concat!("simplified", " version"),
];

/// Places on the machine of whoever wrote a file.
const SOMEBODYS_MACHINE: &[&str] = &[
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/wo", "rk/"),
    concat!("/t", "mp/"),
    concat!("/Us", "ers/"),
    concat!("C:", "\\\\"),
    concat!("index.crates", ".io-"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file's path from the root, and its text.
struct Text {
    path: String,
    text: String,
}

impl Text {
    /// Its lines without those that are comments only, numbered from 1.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let numbered = self.text.lines().enumerate().map(|(index, line)| (index + 1, line));
        numbered.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

/// Every file below `folder` with one of the extensions, in order.
fn texts(folder: &str, extensions: &[&str]) -> Vec<Text> {
    fn walk(folder: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            let name = entry.file_name().into_string().unwrap();
            if path.is_dir() && !["target", ".git", ".venv"].contains(&name.as_str()) {
                walk(&path, extensions, found);
            } else if extensions.iter().any(|extension| name.ends_with(extension)) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), extensions, &mut found);
    found.sort();
    assert!(!found.is_empty(), "no {extensions:?} in {folder}");
    let read = |path: &PathBuf| Text {
        path: path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(),
        text: fs::read_to_string(path).unwrap(),
    };
    found.iter().map(read).collect()
}

fn rust() -> Vec<Text> {
    [texts("src", &[".rs"]), texts("tests", &[".rs"])].into_iter().flatten().collect()
}

#[track_caller]
fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// The top-level module that a source file belongs to.
fn layer(path: &str) -> &str {
    let inner = path.strip_prefix("src/").unwrap_or(path);
    inner.split(['/', '.']).next().unwrap_or(inner)
}

/// The modules that a line names by `crate::`, each with what follows it.
fn named(line: &str) -> impl Iterator<Item = (&str, &str)> {
    line.split("crate::").skip(1).map(|rest| {
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        rest.split_at(end)
    })
}

#[test]
fn dependencies_point_inwards() {
    let mut wrong = Vec::new();
    for file in texts("src", &[".rs"]) {
        let layer = layer(&file.path);
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == layer) else {
            wrong.push(format!("{}: `{layer}` is no layer of the table in this test", file.path));
            continue;
        };
        for (number, line) in file.code() {
            let mut report = |rule: String| wrong.push(format!("{}:{number}: {rule}", file.path));
            for (module, rest) in named(line) {
                if module.is_empty() && rest.starts_with('{') {
                    report("one `use crate::…` for each module: it keeps the graph greppable".to_owned());
                } else if !module.is_empty() && module != layer && !allowed.contains(&module) {
                    report(format!("`{layer}` must not name `crate::{module}`"));
                }
            }
            if line.contains("super::super::super") {
                report("name it from `crate::`".to_owned());
            }
        }
    }
    none(&wrong);
}

#[test]
fn adapters_do_not_know_each_other() {
    let mut wrong = Vec::new();
    for file in texts("src/adapters", &[".rs"]) {
        let own = file.path.strip_prefix("src/adapters/").unwrap().split(['/', '.']).next().unwrap();
        for (number, line) in file.code() {
            for rest in line.split("crate::adapters::").skip(1) {
                let other = rest.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap();
                if other != own && !SHARED_BY_ADAPTERS.contains(&other) {
                    wrong.push(format!("{}:{number}: `{own}` must not name `{other}`", file.path));
                }
            }
        }
    }
    none(&wrong);
}

#[test]
fn a_rehearsal_needs_no_http() {
    let mut wrong = Vec::new();
    for file in texts("src/rehearsal", &[".rs"]) {
        for (number, line) in file.code() {
            for module in
                SANDBOX_OVER_HTTP.iter().filter(|it| line.contains(&format!("crate::sandbox::{it}")))
            {
                wrong.push(format!(
                    "{}:{number}: a rehearsal must not name the sandbox's `{module}`",
                    file.path
                ));
            }
        }
    }
    none(&wrong);
}

#[test]
fn the_core_is_pure() {
    let mut wrong = Vec::new();
    let mut core = texts("src/domain", &[".rs"]);
    let over_http = |text: &Text| SANDBOX_OVER_HTTP.contains(&text.path.split(['/', '.']).nth(2).unwrap());
    core.extend(texts("src/sandbox", &[".rs"]).into_iter().filter(|text| !over_http(text)));
    for file in core {
        for (number, line) in file.code() {
            for name in IMPURE.iter().filter(|name| line.contains(**name)) {
                wrong.push(format!("{}:{number}: the core must not name `{name}`", file.path));
            }
        }
    }
    none(&wrong);
}

#[test]
fn every_file_is_one_idea_and_says_which() {
    let mut wrong = Vec::new();
    for file in rust() {
        let mut report = |rule: String| wrong.push(format!("{}: {rule}", file.path));
        if !file.text.starts_with("//!") {
            report("does not say what it is for (`//!`)".to_owned());
        }
        if NAMES_THAT_SAY_NOTHING.iter().any(|name| file.path.ends_with(&format!("/{name}.rs"))) {
            report("is named like a place to dump things: name the idea".to_owned());
        }
        let lines = file.text.lines().count();
        let own = LONGER.iter().find(|(path, _)| *path == file.path).map(|(_, limit)| *limit);
        if lines > own.unwrap_or(LINES_MAX) {
            report(format!("has {lines} lines, more than {}: split it", own.unwrap_or(LINES_MAX)));
        }
        if own.is_some() && lines <= LINES_MAX {
            report(format!("has {lines} lines: take it off the list of longer files"));
        }
    }
    none(&wrong);
}

#[test]
fn nothing_is_left_unfinished() {
    let mut wrong = Vec::new();
    for file in texts("src", &[".rs"]) {
        for (index, line) in file.text.lines().enumerate() {
            for words in UNFINISHED.iter().filter(|words| line.contains(**words)) {
                wrong.push(format!("{}:{}: `{words}`", file.path, index + 1));
            }
        }
    }
    none(&wrong);
}

#[test]
fn no_file_names_somebodys_machine() {
    let mut wrong = Vec::new();
    let all = [
        ".rs",
        ".md",
        ".toml",
        ".json",
        ".snap",
        ".sql",
        ".txt",
        ".service",
        ".conf",
        "Makefile",
        "Dockerfile",
    ];
    for file in texts("", &all) {
        for (index, line) in file.text.lines().enumerate() {
            // The image's build does have such a place, and says so with its own tools' names.
            for place in SOMEBODYS_MACHINE.iter().filter(|place| line.contains(**place)) {
                wrong.push(format!("{}:{}: `{place}`", file.path, index + 1));
            }
        }
    }
    none(&wrong);
}

/// The names under which a document's headings can be linked to.
fn anchors(text: &str) -> Vec<String> {
    text.lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

#[test]
fn links_between_documents_lead_somewhere() {
    let (mut wrong, mut links) = (Vec::new(), 0);
    for file in texts("", &[".md"]) {
        let folder = root().join(&file.path).parent().unwrap().to_owned();
        for target in file.text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") || target.contains(char::is_whitespace) {
                continue;
            }
            links += 1;
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let named = if path.is_empty() { root().join(&file.path) } else { folder.join(path) };
            if !named.exists() {
                wrong.push(format!("{}: there is no `{target}`", file.path));
            } else if !anchor.is_empty()
                && !anchors(&fs::read_to_string(&named).unwrap()).iter().any(|known| known == anchor)
            {
                wrong.push(format!("{}: `{path}` has no heading for `#{anchor}`", file.path));
            }
        }
    }
    none(&wrong);
    assert!(links > 10, "only {links} links were found: the test no longer reads them");
}
