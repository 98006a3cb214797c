//! Nonsense on every interface. Each target eats any bytes; here it gets its corpus, and thousands of variations of it
//! that are the same in each run. `make fuzz` lets a fuzzer that watches the code do the same for as long as you like.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where it is wrong"
)]

mod http;
mod journal;
mod policy;
mod provider;
mod speaker;
mod store;
mod waiting;

use std::fs;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Something done to an input.
#[derive(Debug, Clone)]
enum Edit {
    Flip(Index, u8),
    Cut(Index, Index),
    Double(Index, Index),
    Insert(Index, Vec<u8>),
    /// What follows here comes from another input of the corpus.
    Splice(Index, Index, Index),
}

/// What parsers stumble over.
const AWKWARD: &[&[u8]] = &[
    b"\0",
    b"\xff",
    b"\xf0\x9f\x94\x91",
    b"\"",
    b"\\u0000",
    b"\\",
    b"{",
    b"]",
    b"[[",
    b"null",
    b"-1",
    b"1e999",
    b"9223372036854775808",
    b"-9223372036854775808",
    b"0.1",
    b"''",
    b"\"\"",
    b"true",
    b"\r\n\r\n",
    b"\r\n",
    b"'''",
    b"100000y",
    b"0s",
    b"9999-12-31T23:59:59Z",
    b"-009999-01-01T00:00:00Z",
    b"../",
    b"%00",
    b"sk_",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: 99999999999999999999\r\n",
    b"Retry-After: 99999999999\r\n",
];

fn edit() -> impl Strategy<Value = Edit> {
    let place = any::<Index>;
    let awkward = select(AWKWARD).prop_map(<[u8]>::to_vec);
    prop_oneof![
        (place(), any::<u8>()).prop_map(|(at, byte)| Edit::Flip(at, byte)),
        (place(), place()).prop_map(|(from, to)| Edit::Cut(from, to)),
        (place(), place()).prop_map(|(from, to)| Edit::Double(from, to)),
        (place(), prop_oneof![awkward, vec(any::<u8>(), 1..8)]).prop_map(|(at, what)| Edit::Insert(at, what)),
        (place(), place(), place()).prop_map(|(at, other, from)| Edit::Splice(at, other, from)),
    ]
}

fn range(length: usize, from: &Index, to: &Index) -> std::ops::Range<usize> {
    let (from, to) = (from.index(length + 1), to.index(length + 1));
    from.min(to)..from.max(to)
}

fn edited(mut input: Vec<u8>, edits: &[Edit], corpus: &[Vec<u8>]) -> Vec<u8> {
    for edit in edits {
        let length = input.len();
        match edit {
            Edit::Flip(at, byte) if length > 0 => input[at.index(length)] ^= byte,
            Edit::Flip(..) => {}
            Edit::Cut(from, to) => drop(input.drain(range(length, from, to))),
            Edit::Double(from, to) => {
                let again = input[range(length, from, to)].to_vec();
                input.extend_from_slice(&again);
            }
            Edit::Insert(at, what) => {
                let at = at.index(length + 1);
                drop(input.splice(at..at, what.iter().copied()));
            }
            Edit::Splice(at, other, from) => {
                let other = other.get(corpus);
                input.truncate(at.index(length + 1));
                input.extend_from_slice(&other[from.index(other.len() + 1)..]);
            }
        }
    }
    input
}

/// The committed inputs of a target, by name: what it may look like, and what once broke it.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "no corpus in {}", folder.display());
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

fn feed(target: &str, cases: u32, eat: fn(&[u8])) {
    let corpus = corpus(target);
    corpus.iter().for_each(|input| eat(input));
    let config = Config { cases, max_shrink_iters: 200, failure_persistence: None, ..Config::default() };
    let same_each_time = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(config, same_each_time);
    let varied = (select(corpus.clone()), vec(edit(), 1..6));
    let eaten = runner.run(&varied, |(input, edits)| {
        let input = edited(input, &edits, &corpus);
        let shown = String::from_utf8_lossy(&input).into_owned();
        let survived = std::panic::catch_unwind(|| eat(&input));
        prop_assert!(survived.is_ok(), "{target} choked on {shown:?}");
        Ok(())
    });
    if let Err(broken) = eaten {
        panic!("{broken}");
    }
}

#[test]
fn no_text_upsets_the_reader_of_policies() {
    feed("policy", 1500, policy::eat);
}

#[test]
fn no_answer_of_the_provider_upsets_its_client_or_makes_it_tell_a_value() {
    feed("provider", 3000, provider::eat);
}

#[test]
fn no_answer_of_the_store_upsets_its_client_or_makes_it_tell_a_value() {
    feed("store", 2000, store::eat);
}

#[test]
fn nothing_in_a_row_of_the_journal_stops_more_than_its_own_credential() {
    feed("journal", 200, journal::eat);
}

#[test]
fn nothing_said_to_the_public_listener_upsets_it() {
    feed("http", 2000, http::eat);
}
