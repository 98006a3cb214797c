//! Collects problems: the position and key of each, and which keys need no second report.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::config_file::diagnostic::{Diagnostic, Diagnostics, Severity};

const KNOWN_KEY_CHARACTERS_MAX: usize = 64;
const PROVIDER_KEY_CHARACTERS_MIN: usize = 20;
const HEX_KEY_CHARACTERS_MIN: usize = 32;

/// Collects every problem of one file.
pub(crate) struct Findings {
    line_starts: Vec<usize>,
    lines: String,
    /// Which key stands at an offset.
    keys: BTreeMap<usize, String>,
    problems: Vec<Diagnostic>,
    /// Keys whose absence is explained by a problem that was already reported.
    explained: BTreeSet<String>,
}

impl Findings {
    pub(crate) fn new(text: &str) -> Self {
        let starts = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self {
            line_starts: std::iter::once(0).chain(starts).collect(),
            lines: text.to_owned(),
            keys: BTreeMap::new(),
            problems: Vec::new(),
            explained: BTreeSet::new(),
        }
    }

    /// Records the key of the value or name at `span`.
    pub(crate) fn index(&mut self, span: &Range<usize>, key: &str) {
        self.keys.entry(span.start).or_insert_with(|| key.to_owned());
    }

    /// The key of the value or name at `span`.
    pub(crate) fn key_at(&self, span: &Range<usize>) -> String {
        self.keys.get(&span.start).cloned().unwrap_or_default()
    }

    /// An error at `span`.
    pub(crate) fn error(&mut self, span: &Range<usize>, rule: impl Into<String>, help: impl Into<String>) {
        let key = self.key_at(span);
        self.push(Severity::Error, Some(span), key, rule.into(), help.into());
    }

    /// A warning at `span`.
    pub(crate) fn warning(&mut self, span: &Range<usize>, rule: impl Into<String>, help: impl Into<String>) {
        let key = self.key_at(span);
        self.push(Severity::Warning, Some(span), key, rule.into(), help.into());
    }

    /// Like [`Self::error`], for a missing or unnamed `key`, shown at `span`.
    pub(crate) fn error_of(
        &mut self,
        key: String,
        span: &Range<usize>,
        rule: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.push(Severity::Error, Some(span), key, rule.into(), help.into());
    }

    /// An error of the file as a whole.
    pub(crate) fn error_of_file(&mut self, rule: impl Into<String>, help: impl Into<String>) {
        self.push(Severity::Error, None, String::new(), rule.into(), help.into());
    }

    pub(crate) fn warning_of_file(&mut self, rule: impl Into<String>, help: impl Into<String>) {
        self.push(Severity::Warning, None, String::new(), rule.into(), help.into());
    }

    /// Records that the absence of `key` is explained.
    pub(crate) fn explain(&mut self, key: String) {
        self.explained.insert(key);
    }

    pub(crate) fn is_explained(&self, key: &str) -> bool {
        let below = |known: &String| {
            known.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.explained.range(key.to_owned()..).take_while(|known| known.starts_with(key)).any(below)
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// Every problem once, in the order of the file.
    pub(crate) fn finish(mut self, path: &str) -> Diagnostics {
        let order = |problem: &Diagnostic| (problem.line.is_none(), problem.line, problem.column);
        self.problems.sort_by_key(order);
        let mut problems: Vec<Diagnostic> = Vec::new();
        for problem in self.problems {
            let here = |known: &&Diagnostic| order(known) == order(&problem);
            if !problems.iter().rev().take_while(here).any(|known| *known == problem) {
                problems.push(problem);
            }
        }
        Diagnostics { path: path.to_owned(), problems }
    }

    fn push(
        &mut self,
        severity: Severity,
        span: Option<&Range<usize>>,
        key: String,
        rule: String,
        help: String,
    ) {
        if severity == Severity::Error && !key.is_empty() {
            self.explained.insert(key.clone());
        }
        let (line, column) = span.map(|span| self.position(span.start)).unzip();
        self.problems.push(Diagnostic { severity, line, column, key, rule, help });
    }

    fn position(&self, offset: usize) -> (usize, usize) {
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = line.checked_sub(1).and_then(|index| self.line_starts.get(index)).copied().unwrap_or(0);
        let before = self.lines.get(start..offset.min(self.lines.len())).unwrap_or_default();
        (line, before.chars().count() + 1)
    }
}

/// A key as it may be shown: only plain words that cannot be a misplaced secret.
pub(crate) fn shown(key: &str) -> &str {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let fit = key.len() <= KNOWN_KEY_CHARACTERS_MAX && !key.is_empty() && key.chars().all(plain);
    let hex = key.len() >= HEX_KEY_CHARACTERS_MIN && key.bytes().all(|byte| byte.is_ascii_hexdigit());
    if fit && !hex && !looks_like_a_secret(key) { key } else { "…" }
}

/// Whether a text has the form of an ElevenLabs key or of an AWS access key.
pub(crate) fn looks_like_a_secret(text: &str) -> bool {
    let text = text.trim();
    let provider = text.starts_with("sk_") && text.len() >= PROVIDER_KEY_CHARACTERS_MIN;
    let aws = (text.starts_with("AKIA") || text.starts_with("ASIA"))
        && text.len() == PROVIDER_KEY_CHARACTERS_MIN
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    provider || aws
}

/// The known word that is closest.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    const LIKENESS_MIN: f64 = 0.82;
    let likeness = |candidate: &str| strsim::jaro_winkler(&word.to_lowercase(), &candidate.to_lowercase());
    known
        .into_iter()
        .map(|candidate| (likeness(candidate), candidate))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

/// `a`, `b` and `c`, for a help text.
pub(crate) fn listed<'k>(words: impl IntoIterator<Item = &'k str>) -> String {
    words.into_iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}
