//! The user at the other end of the operators' socket: the uid from the kernel, and its name on this machine.

use tokio::net::UnixStream;

const USERS: &str = "/etc/passwd";
const NAME_CHARACTERS_MAX: usize = 64;

/// The client's user.
#[derive(Clone)]
pub(super) struct Peer(pub(super) String);

impl Peer {
    pub(super) fn of(stream: &UnixStream) -> Self {
        let Ok(peer) = stream.peer_cred() else { return Self("unknown uid".to_owned()) };
        // A user without a name on this machine is identified by the uid.
        let users = std::fs::read_to_string(USERS).unwrap_or_default();
        Self(display(peer.uid(), &users))
    }
}

fn display(uid: u32, users: &str) -> String {
    let named = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let is_it = fields.nth(1)?.parse() == Ok(uid);
        let fits =
            (1..=NAME_CHARACTERS_MAX).contains(&name.len()) && name.bytes().all(|it| it.is_ascii_graphic());
        (is_it && fits).then(|| name.to_owned())
    };
    match users.lines().find_map(named) {
        Some(name) => format!("uid {uid} ({name})"),
        None => format!("uid {uid}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_named_as_this_machine_names_it() {
        let users = "root:x:0:0::/:/bin/sh\nbad line\nop erator:x:7:7::/:\neve:x:1000:1000:,,,:/:/bin/sh\n";
        for (uid, named) in [(0, "uid 0 (root)"), (1000, "uid 1000 (eve)"), (7, "uid 7"), (8, "uid 8")] {
            assert_eq!(display(uid, users), named);
        }
    }
}
