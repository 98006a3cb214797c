//! Follows a document's instructions to the letter: writes its files and runs its commands.

use std::fs;
use std::path::Path;

use crate::machine::Machine;

/// A file to write, or a command to run.
enum Step {
    Write { path: String, text: String },
    Type(String),
}

pub(crate) struct Document {
    /// The headings, each with its steps.
    sections: Vec<(String, Vec<Step>)>,
}

impl Document {
    /// A file is a block below a line with its path; commands are in `console` blocks after a prompt.
    pub(crate) fn read(name: &str) -> Self {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
        let mut sections: Vec<(String, Vec<Step>)> = vec![(String::new(), vec![])];
        let (mut path, mut block): (Option<String>, Option<(bool, String)>) = (None, None);
        for line in text.lines() {
            let steps = &mut sections.last_mut().unwrap().1;
            match (&mut block, line.strip_prefix("```")) {
                (None, Some(kind)) => block = Some((kind == "console", String::new())),
                (Some((true, commands)), Some(_)) => {
                    let typed = commands.lines().filter_map(|line| line.strip_prefix("$ "));
                    steps.extend(typed.map(|line| Step::Type(line.to_owned())));
                    block = None;
                }
                (Some((false, text)), Some(_)) => {
                    let path = path.take().unwrap_or_else(|| panic!("{name}: where does this go?\n{text}"));
                    steps.push(Step::Write { path, text: text.clone() });
                    block = None;
                }
                (Some((_, text)), None) => text.push_str(&format!("{line}\n")),
                (None, None) => {
                    if let Some(heading) = line.strip_prefix("## ") {
                        sections.push((heading.to_owned(), vec![]));
                    }
                    path = line
                        .strip_prefix("`/")
                        .and_then(|it| it.strip_suffix("`:"))
                        .map(|it| format!("/{it}"))
                        .or(path);
                }
            }
        }
        Self { sections }
    }

    /// Follows a section. `input` goes to commands that read standard input; `adapt` changes what does not exist here.
    pub(crate) fn follow(
        &self,
        machine: &Machine,
        heading: &str,
        input: &str,
        adapt: impl Fn(&str) -> String,
    ) {
        let found = self.sections.iter().find(|(name, _)| name.contains(heading));
        let (_, steps) = found.unwrap_or_else(|| panic!("there is no section `{heading}`"));
        assert!(!steps.is_empty(), "`{heading}` says nothing to do: the test no longer reads it");
        for step in steps {
            match step {
                Step::Write { path, text } => machine.write(path, &adapt(text)),
                // Run where the program was built.
                Step::Type(command) if command.starts_with("make ") => {}
                Step::Type(command) => drop(machine.fed(command, input)),
            }
        }
    }
}
