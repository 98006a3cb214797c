//! One secret under two names: told by `check` where the text tells it, refused at the start where the file system does,
//! and held before anything is created where only the store knows.

use std::os::unix::fs::symlink;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::{BehaviorVersion, Config, Credentials, Region};

use super::harness::{Place, credential, directory, error, sandbox};
use crate::support::moto::Moto;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_paths_to_one_directory_are_refused_at_the_start_and_at_a_reload() {
    let sandbox = sandbox(&["tts", "stt"]).await;
    let mut place = Place::new(&sandbox);
    std::fs::create_dir(place.path("secrets")).unwrap();
    symlink(place.path("secrets"), place.path("link")).unwrap();
    let sound =
        [directory("local", &place.path("secrets")), credential("tts", "tts", "local", "key")].concat();
    let shared = [
        directory("local", &place.path("secrets")),
        directory("linked", &place.path("link")),
        credential("tts", "tts", "local", "key"),
        credential("stt", "stt", "linked", "key"),
    ]
    .concat();
    place.write(&sandbox, &shared);
    let told = place.run(&["doctor", "--output", "json"]);
    assert!(String::from_utf8_lossy(&told.stdout).contains("write to one directory"), "{told:?}");
    let refused = place.run(&["run"]);
    assert_eq!(refused.status.code(), Some(78), "{}", error(&refused));
    assert!(
        error(&refused).contains("`local` and `linked`") || error(&refused).contains("`linked` and `local`")
    );
    assert!(error(&refused).contains("use a separate directory for each"), "{}", error(&refused));

    place.write(&sandbox, &sound);
    place.start();
    place.until("its key is published", || place.path("secrets/key").exists());
    place.write(&sandbox, &shared);
    let refused = place.run(&["reload"]);
    assert!(error(&refused).contains("write to one directory"), "{}", error(&refused));
}

fn in_aws(url: &str) -> String {
    let store = |name: &str, region: &str| {
        format!("[stores.{name}.aws_secrets_manager]\nendpoint_url = \"{url}\"\n{region}")
    };
    [store("aws", "region = \"eu-west-1\"\n"), store("other", "")].concat()
}

fn client(url: &str) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::for_tests())
        .endpoint_url(url);
    Client::from_conf(config.build())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_of_two_stores_is_held_before_any_key_is_made_whether_it_exists_or_not() {
    for exists in [true, false] {
        let (moto, sandbox) = (Moto::start(), sandbox(&["tts", "stt"]).await);
        let mut other_name = "prod/tts".to_owned();
        if exists {
            let made = client(&moto.url).create_secret().name("prod/tts").secret_string("old").send().await;
            other_name = made.unwrap().arn().unwrap().to_owned();
        }
        let mut place = Place::new(&sandbox);
        let stores = in_aws(&moto.url);
        let own = credential("tts", "tts", "aws", "prod/tts");
        place.write(
            &sandbox,
            &[&stores, &own, &credential("stt", "stt", "other", &other_name)].map(String::as_str).concat(),
        );
        let checked = place.run(&["check"]);
        assert!(checked.status.success(), "{}", error(&checked));
        place.start();
        let is_held = |name: &str| {
            let report = place.report(name);
            let told = report["obstacle"]["detail"].as_str().unwrap_or_default().to_owned();
            report["obstacle"]["kind"] == "shared_destination"
                && ["`aws:prod/tts` of `tts`", "of `stt`"].iter().all(|named| told.contains(named))
                && told.contains("publish one of them to another secret")
        };
        place.until("both are held", || is_held("tts") && is_held("stt"));
        assert_eq!(sandbox.truth().keys().count(), 2, "no key was created");
        let told = place.run(&["doctor", "--output", "json"]);
        assert!(String::from_utf8_lossy(&told.stdout).contains("are the same secret"), "{told:?}");

        place.write(
            &sandbox,
            &[&stores, &own, &credential("stt", "stt", "other", "prod/stt")].map(String::as_str).concat(),
        );
        place.reload();
        let is_done = |name: &str| place.report(name)["last"]["outcome"] == "done";
        place.until("both are rotated", || is_done("tts") && is_done("stt"));
    }
}
