//! The receiver's snippet in the documents does what it says: it takes a notice once, and nothing else.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::harness::{Harness, SIGNING_KEY};

#[tokio::test(flavor = "multi_thread")]
async fn the_documents_snippet_takes_what_is_signed_now_and_nothing_else() {
    let harness = Harness::build(1).await;
    assert!(harness.rekeyd(&["notify", "test", "hook", "--policy", harness.policy()]).status.success());
    let sent = harness.receiver.sent("generic").remove(0);
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/notifications.md");
    let document = fs::read_to_string(document).unwrap();
    let snippet = document.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    let (body, signature) = (String::from_utf8(sent.raw).unwrap(), sent.signature.unwrap());
    let script = format!(
        "{snippet}\nimport json, sys\nbody, signature, key = json.load(sys.stdin)\n\
         body, key = body.encode(), key.encode()\n\
         assert verify(body, signature, key)\n\
         assert not verify(body + b' ', signature, key)\n\
         assert not verify(body, signature, key + b'x')\n\
         assert not verify(body, signature, key, now=time.time() + 301)\n\
         assert not verify(body, signature.replace('t=', 't=1'), key)\n\
         assert not verify(body, '', key)\n"
    );
    let folder = tempfile::tempdir().unwrap();
    let (file, input) = (folder.path().join("verify.py"), folder.path().join("input.json"));
    fs::write(&file, script).unwrap();
    fs::write(&input, serde_json::json!([body, signature, SIGNING_KEY]).to_string()).unwrap();
    let run = Command::new("python3").arg(file).stdin(fs::File::open(input).unwrap()).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}
