//! Everything that a program wrote, to be searched.

use std::fs;
use std::path::Path;

/// A part of a secret that is long enough to be no coincidence; the ends may be shown as hints.
const PART: std::ops::Range<usize> = 10..26;

#[derive(Default)]
pub(super) struct Heap {
    things: Vec<(String, Vec<u8>)>,
}

impl Heap {
    pub(super) fn throw(&mut self, origin: &str, content: impl Into<Vec<u8>>) {
        self.things.push((origin.to_owned(), content.into()));
    }

    /// Every file of the directory, but those whose purpose is to hold a secret.
    pub(super) fn throw_files(&mut self, root: &Path) {
        for entry in fs::read_dir(root).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let is_secret = name == "admin-key" || name == "secrets" || name.starts_with("token-of-");
            if !is_secret && path.is_file() {
                self.throw(&name, fs::read(&path).unwrap());
            }
        }
        self.throw_names(root);
    }

    /// The names of all files, those in the store too.
    fn throw_names(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            self.throw("a file's name", path.to_str().unwrap());
            if path.is_dir() {
                self.throw_names(&path);
            }
        }
    }

    /// The files of a store, with what they hold.
    pub(super) fn throw_store(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                self.throw("store", fs::read(&path).unwrap());
            }
        }
    }

    /// What other processes may see of a process: its arguments and its environment.
    pub(super) fn throw_process(&mut self, id: u32) {
        for what in ["cmdline", "environ"] {
            // Not readable is as good as empty.
            self.throw(what, fs::read(format!("/proc/{id}/{what}")).unwrap_or_default());
        }
    }

    pub(super) fn size(&self) -> usize {
        self.things.iter().map(|(_, content)| content.len()).sum()
    }

    pub(super) fn holds(&self, text: &str) -> bool {
        self.things.iter().any(|(_, content)| contains(content, text.as_bytes()))
    }

    /// Where parts of secrets are, with what stands before them.
    pub(super) fn search(&self, secrets: &[String]) -> Vec<String> {
        let mut found = Vec::new();
        for (origin, content) in &self.things {
            let text = String::from_utf8_lossy(content);
            for secret in secrets {
                if let Some(at) = text.find(&secret[PART]) {
                    let before: String = text[..at].chars().rev().take(300).collect();
                    let before: String = before.chars().rev().collect();
                    found.push(format!("{origin}: {before}[here]"));
                }
            }
        }
        found
    }
}

fn contains(content: &[u8], part: &[u8]) -> bool {
    content.windows(part.len()).any(|window| window == part)
}
