//! Which credentials a command is about: by name, by pattern, or all of them that fit. Pure.

use serde_json::Value;

use crate::domain::rotation::ParkReason;

#[derive(clap::Args)]
pub(super) struct Selection {
    /// Credentials; `*` and `?` stand for any characters and for one
    #[arg(value_name = "NAME", required_unless_present_any = ["workspace", "reason", "all"])]
    pub(super) names: Vec<String>,
    /// Only those of this workspace
    #[arg(long, value_name = "NAME")]
    workspace: Option<String>,
    /// Only those whose rotation is parked for this reason
    #[arg(long, value_name = "REASON", value_parser = ParkReason::ALL.map(ParkReason::label))]
    reason: Option<String>,
    /// Every credential that the command is possible for
    #[arg(long, conflicts_with = "names")]
    all: bool,
}

/// What a selection found.
#[derive(Debug)]
pub(super) struct Selected<'r> {
    pub(super) reports: Vec<&'r Value>,
    /// How many fit, but the command is not possible for them.
    pub(super) skipped: usize,
}

impl Selection {
    /// The one credential that is named, if nothing else is.
    pub(super) fn only(&self) -> Option<&str> {
        match self.names.as_slice() {
            [name] if !is_pattern(name) && self.workspace.is_none() && self.reason.is_none() => Some(name),
            _ => None,
        }
    }

    /// Whether every credential is named, so that whoever gives the command knows which.
    pub(super) fn is_by_name(&self) -> bool {
        !self.names.is_empty() && !self.names.iter().any(|name| is_pattern(name))
    }

    /// Those of the daemon's reports that are meant, by their names. Credentials that are named are taken as they are; of
    /// others, only those for which the command `is_possible`.
    ///
    /// # Errors
    /// A name or a pattern fits none.
    pub(super) fn among<'r>(
        &self,
        reports: &'r [Value],
        is_possible: impl Fn(&Value) -> bool,
    ) -> Result<Selected<'r>, String> {
        for wanted in &self.names {
            if !reports.iter().any(|report| fits(wanted, name_of(report))) {
                let mut known: Vec<&str> = reports.iter().map(name_of).collect();
                known.sort_unstable();
                return Err(format!("no credential `{wanted}`; known credentials: {}", known.join(", ")));
            }
        }
        let is_named = |report: &&Value| {
            self.names.is_empty() || self.names.iter().any(|wanted| fits(wanted, name_of(report)))
        };
        let is_in = |field: &str, wanted: &Option<String>, report: &Value| {
            let found = report.pointer(field).and_then(Value::as_str);
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        let mut fitting: Vec<&Value> = reports
            .iter()
            .filter(is_named)
            .filter(|it| is_in("/workspace", &self.workspace, it))
            .filter(|it| is_in("/rotation/parked/reason", &self.reason, it))
            .collect();
        fitting.sort_by_key(|report| name_of(report));
        let all = fitting.len();
        let is_wanted = |report: &Value| {
            self.names.iter().any(|name| !is_pattern(name) && name == name_of(report)) || is_possible(report)
        };
        fitting.retain(|report| is_wanted(report));
        Ok(Selected { skipped: all - fitting.len(), reports: fitting })
    }
}

pub(super) fn name_of(report: &Value) -> &str {
    report.get("credential").and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?'])
}

/// Whether a name fits a pattern in which `*` stands for any characters and `?` for one.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    let (mut pattern, mut name) = (pattern.chars(), name.chars());
    // Where to go on if what follows the last `*` does not fit: one character of the name later.
    let mut again = None;
    loop {
        let (pattern_before, name_before) = (pattern.clone(), name.clone());
        match (pattern.next(), name.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                again = Some((pattern.clone(), name_before.clone()));
                name = name_before;
            }
            (Some('?'), Some(_)) => {}
            (Some(wanted), Some(found)) if wanted == found => {}
            (None | Some(_), _) => {
                let Some((after, mut from)) = again.take() else { return false };
                if from.next().is_none() {
                    return false;
                }
                drop(pattern_before);
                (pattern, name) = (after.clone(), from.clone());
                again = Some((after, from));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn selection(names: &[&str], workspace: Option<&str>, reason: Option<&str>) -> Selection {
        let text = |text: &str| text.to_owned();
        Selection {
            names: names.iter().copied().map(text).collect(),
            workspace: workspace.map(text),
            reason: reason.map(text),
            all: names.is_empty(),
        }
    }

    #[test]
    fn a_star_is_any_characters_and_a_question_mark_is_one() {
        for (pattern, name, expected) in [
            ("tts", "tts", true),
            ("tts", "tts-2", false),
            ("tts*", "tts", true),
            ("tts-*", "tts-eu-1", true),
            ("*-1", "tts-1-1", true),
            ("*-1", "tts-1-2", false),
            ("t?s", "tts", true),
            ("t?s", "ts", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("*", "", true),
            ("?", "", false),
            ("", "", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn who_is_named_is_taken_and_of_the_others_those_for_which_it_is_possible() {
        let report = |name: &str, workspace: &str, reason: Option<&str>| {
            json!({
                "credential": name, "workspace": workspace,
                "rotation": reason.map(|reason| json!({ "parked": { "reason": reason } })),
            })
        };
        let reports = [
            report("tts-2", "prod", Some("mint_refused")),
            report("tts-1", "prod", None),
            report("stt", "dev", Some("foreign_value")),
        ];
        let is_parked = |report: &Value| report.pointer("/rotation/parked").is_some();
        let found = |selection: &Selection| {
            let selected = selection.among(&reports, is_parked)?;
            let names: Vec<&str> = selected.reports.iter().map(|report| name_of(report)).collect();
            Ok::<_, String>((names.join(" "), selected.skipped))
        };
        for (names, workspace, reason, expected) in [
            (&[][..], None, None, ("stt tts-2", 1)),
            (&[], Some("prod"), None, ("tts-2", 1)),
            (&[], None, Some("foreign_value"), ("stt", 0)),
            (&["tts-1", "stt"], None, None, ("stt tts-1", 0)),
            (&["tts-?"], None, None, ("tts-2", 1)),
            (&["tts-*", "tts-1"], None, None, ("tts-1 tts-2", 0)),
            (&["tts-*"], Some("dev"), None, ("", 0)),
        ] {
            let (expected, skipped) = expected;
            let found = found(&selection(names, workspace, reason));
            assert_eq!(found, Ok((expected.to_owned(), skipped)), "{names:?} {workspace:?} {reason:?}");
        }
        let unknown = found(&selection(&["tts-1", "nosuch"], None, None)).unwrap_err();
        assert!(unknown.contains("`nosuch`") && unknown.contains("tts-1"), "{unknown}");
    }
}
