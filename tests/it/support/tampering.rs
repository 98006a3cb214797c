//! A journal's rows as no program of ours would write them.

use std::path::Path;

use rusqlite::Connection;

/// Does to the file what no program of ours does.
pub(crate) fn tamper(journal: &Path, sql: &str) {
    let connection = Connection::open(journal).unwrap();
    let rules: Vec<(String, String)> = {
        let mut triggers =
            connection.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").unwrap();
        let rows = triggers.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let lifted: String = rules.iter().map(|(name, _)| format!("DROP TRIGGER {name};")).collect();
    let restored: String = rules.iter().map(|(_, sql)| format!("{sql};")).collect();
    let held = "PRAGMA ignore_check_constraints = ON;";
    connection.execute_batch(&format!("{held}{lifted}{sql};{restored}")).unwrap();
}
