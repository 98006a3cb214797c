//! Looks up the number of a group or a user.

use std::path::Path;

use crate::adapters::directory::disk;
use crate::domain::failure::{Failure, Kind};

/// The number of a group, given as a number or as a name in /etc/group.
///
/// # Errors
/// `Invalid`: the file has no such group.
pub fn number(group: &str) -> Result<u32, Failure> {
    look_up("/etc/group", "group", group)
}

/// The number of a user, given as a number or as a name in /etc/passwd.
///
/// # Errors
/// `Invalid`: the file has no such user.
pub fn number_of_user(user: &str) -> Result<u32, Failure> {
    look_up("/etc/passwd", "user", user)
}

fn look_up(file: &str, what: &str, name: &str) -> Result<u32, Failure> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let text = disk::read(Path::new(file))?.unwrap_or_default();
    find(&String::from_utf8_lossy(&text), name).ok_or_else(|| {
        let advice = "add it, or give its number if it comes from a directory service";
        Failure::rejected(Kind::Invalid, format!("there is no {what} `{name}` in {file}; {advice}"))
    })
}

fn find(file: &str, group: &str) -> Option<u32> {
    file.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(group)).then(|| fields.nth(1)?.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_by_name_and_taken_by_number() {
        let file = "root:x:0:\ntts:x:1042:alice,bob\nbroken\n";
        assert_eq!(find(file, "tts"), Some(1042));
        assert_eq!(find(file, "broken"), None);
        assert_eq!(find(file, "tt"), None);
        assert_eq!((number("77"), number_of_user("78")), (Ok(77), Ok(78)));
        assert_eq!(number_of_user("root"), Ok(0));
    }
}
