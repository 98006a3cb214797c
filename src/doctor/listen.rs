//! What the daemon listens on: free, held by rekeyd itself, or taken by somebody else.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, header};
use serde_json::Value;
use tokio::net::{TcpStream, UnixStream};

use crate::adapters::file_system::{self, PathState, look};
use crate::call;
use crate::doctor::{Case, QUESTION_LIMIT};
use crate::domain::examination::{Check, Finding};

pub(super) async fn examine(case: Arc<Case>) -> Vec<Finding> {
    let mut findings = vec![address(case.config.daemon.listen).await];
    findings.push(socket(&case.config.daemon.socket).await);
    findings
}

async fn address(address: SocketAddr) -> Finding {
    let about = address.to_string();
    // Given back at once.
    let error = match TcpListener::bind(address) {
        Ok(listener) => {
            drop(listener);
            return Finding::fine(Check::Listen, about, "is free");
        }
        Err(error) => error,
    };
    let kind = error.kind();
    if kind != ErrorKind::AddrInUse {
        let fix = if kind == ErrorKind::AddrNotAvailable {
            "write an address of this machine as `daemon.listen`: `ip -brief address`"
        } else if kind == ErrorKind::PermissionDenied {
            "write a port of 1024 or more as `daemon.listen`"
        } else {
            "change `daemon.listen`"
        };
        return Finding::broken(Check::Listen, about, format!("cannot be listened on: {error}"), fix);
    }
    match version(address).await {
        Some(version) => Finding::fine(Check::Listen, about, format!("rekeyd {version} listens there")),
        None => {
            let port = address.port();
            let fix =
                format!("see who has it: `ss -ltnp 'sport = :{port}'`; stop that, or change `daemon.listen`");
            Finding::broken(Check::Listen, about, "is taken by another program than rekeyd", fix)
        }
    }
}

/// The version of the rekeyd that answers there.
async fn version(address: SocketAddr) -> Option<String> {
    let reached = match address.ip() {
        ip if ip.is_unspecified() => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port()),
        _ => address,
    };
    let stream = tokio::time::timeout(QUESTION_LIMIT, TcpStream::connect(reached)).await.ok()?.ok()?;
    let request = Request::get("/version")
        .header(header::HOST, reached.to_string())
        .header(header::CONNECTION, "close")
        .body(Body::empty());
    let answer = call::exchange(stream, request.ok()?, QUESTION_LIMIT).await.ok()?;
    let told: Value = serde_json::from_slice(&answer.body).ok()?;
    let is_rekeyd = told.get("name").and_then(Value::as_str) == Some("rekeyd");
    let version = told.get("version").and_then(Value::as_str)?;
    (is_rekeyd && version.len() < 40).then(|| version.to_owned())
}

async fn socket(path: &Path) -> Finding {
    let about = path.display().to_string();
    if UnixStream::connect(path).await.is_ok() {
        return Finding::fine(Check::Socket, about, "a daemon answers there");
    }
    let in_the_way = path.symlink_metadata().is_ok_and(|there| !there.file_type().is_socket());
    if in_the_way {
        let fix = format!("move it away, or change `daemon.socket`: `ls -l {about}`");
        return Finding::broken(Check::Socket, about, "something that is no socket has that name", fix);
    }
    let parent = path.parent().unwrap_or_else(|| Path::new("/"));
    let shown = parent.display().to_string();
    match look(parent) {
        PathState::Missing => {
            let what = "its directory is not there";
            let fix = format!(
                "the unit makes it when it starts (RuntimeDirectory=); without the unit: `install -d -m 0750 {shown}`"
            );
            if file_system::is_created_by_unit(parent) {
                Finding::unproven(Check::Socket, about, what, fix)
            } else {
                Finding::broken(Check::Socket, about, what, fix)
            }
        }
        PathState::Directory(found) if found.is_writable && !found.is_read_only => {
            Finding::fine(Check::Socket, about, "can be made; no daemon runs there now")
        }
        PathState::Directory(_) | PathState::NotADirectory | PathState::Unreadable(_) => Finding::broken(
            Check::Socket,
            about,
            format!("`{shown}` cannot be written"),
            format!("let the user of rekeyd write there, or change `daemon.socket`: `namei -l {shown}`"),
        ),
    }
}
