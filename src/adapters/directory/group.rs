//! The number of a group that is given by name.

use std::path::Path;

use crate::adapters::directory::disk;
use crate::domain::failure::{Failure, Kind};

/// Takes a number as it is and looks a name up in the system's group file.
///
/// # Errors
/// `Invalid`: there is no such group there.
pub(super) fn number(group: &str) -> Result<u32, Failure> {
    if let Ok(number) = group.parse() {
        return Ok(number);
    }
    let file = disk::read(Path::new("/etc/group"))?.unwrap_or_default();
    find(&String::from_utf8_lossy(&file), group).ok_or_else(|| {
        let advice = "add it, or give its number if it comes from a directory service";
        Failure::rejected(Kind::Invalid, format!("there is no group `{group}` in /etc/group; {advice}"))
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
        assert_eq!(number("77"), Ok(77));
    }
}
