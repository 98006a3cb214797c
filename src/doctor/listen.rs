//! Checks of the daemon's address and socket: free, held by rekeyd, or taken by another program.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, header};
use serde_json::Value;
use tokio::net::{TcpStream, UnixStream};

use crate::adapters::file_system::{PathState, is_created_by_the_unit, look};
use crate::call;
use crate::doctor::{CALL_LIMIT, Subject};
use crate::domain::examination::{Check, CheckResult};

pub(super) async fn examine(subject: Arc<Subject>) -> Vec<CheckResult> {
    let mut findings = vec![address(subject.config.daemon.listen).await];
    findings.push(socket(&subject.config.daemon.socket).await);
    findings
}

async fn address(address: SocketAddr) -> CheckResult {
    let about = address.to_string();
    // Released at once.
    let error = match TcpListener::bind(address) {
        Ok(listener) => {
            drop(listener);
            return CheckResult::ok(Check::Listen, about, "free");
        }
        Err(error) => error,
    };
    let kind = error.kind();
    if kind != ErrorKind::AddrInUse {
        let fix = if kind == ErrorKind::AddrNotAvailable {
            "set `daemon.listen` to an address of this machine: `ip -brief address`"
        } else if kind == ErrorKind::PermissionDenied {
            "set `daemon.listen` to a port of 1024 or more"
        } else {
            "change `daemon.listen`"
        };
        return CheckResult::error(Check::Listen, about, format!("cannot listen: {error}"), fix);
    }
    match version(address).await {
        Some(version) => CheckResult::ok(Check::Listen, about, format!("in use by rekeyd {version}")),
        None => {
            let port = address.port();
            let fix = format!(
                "find the process with `ss -ltnp 'sport = :{port}'` and stop it, or change `daemon.listen`"
            );
            CheckResult::error(Check::Listen, about, "in use by another program", fix)
        }
    }
}

/// The version of the rekeyd that answers there.
async fn version(address: SocketAddr) -> Option<String> {
    let reached = match address.ip() {
        ip if ip.is_unspecified() => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port()),
        _ => address,
    };
    let stream = tokio::time::timeout(CALL_LIMIT, TcpStream::connect(reached)).await.ok()?.ok()?;
    let request = Request::get("/version")
        .header(header::HOST, reached.to_string())
        .header(header::CONNECTION, "close")
        .body(Body::empty());
    let answer = call::exchange(stream, request.ok()?, CALL_LIMIT).await.ok()?;
    let response: Value = serde_json::from_slice(&answer.body).ok()?;
    let is_rekeyd = response.get("name").and_then(Value::as_str) == Some("rekeyd");
    let version = response.get("version").and_then(Value::as_str)?;
    (is_rekeyd && version.len() < 40).then(|| version.to_owned())
}

async fn socket(path: &Path) -> CheckResult {
    let about = path.display().to_string();
    if UnixStream::connect(path).await.is_ok() {
        return CheckResult::ok(Check::Socket, about, "a daemon answers");
    }
    let in_the_way = path.symlink_metadata().is_ok_and(|there| !there.file_type().is_socket());
    if in_the_way {
        let fix = format!("move it away, or change `daemon.socket`: `ls -l {about}`");
        return CheckResult::error(Check::Socket, about, "exists, and is not a socket", fix);
    }
    let parent = path.parent().unwrap_or_else(|| Path::new("/"));
    let shown = parent.display().to_string();
    match look(parent) {
        PathState::Missing => {
            let what = "its directory does not exist";
            let fix = format!(
                "start the unit, which creates it (RuntimeDirectory=); without the unit: `install -d -m 0750 {shown}`"
            );
            if is_created_by_the_unit(parent) {
                CheckResult::unknown(Check::Socket, about, what, fix)
            } else {
                CheckResult::error(Check::Socket, about, what, fix)
            }
        }
        PathState::Directory(found) if found.is_writable && !found.is_read_only => {
            CheckResult::ok(Check::Socket, about, "can be created; no daemon answers now")
        }
        PathState::Directory(_) | PathState::NotADirectory | PathState::Inaccessible(_) => {
            CheckResult::error(
                Check::Socket,
                about,
                format!("cannot write to `{shown}`"),
                format!("make it writable for rekeyd's user, or change `daemon.socket`: `namei -l {shown}`"),
            )
        }
    }
}
