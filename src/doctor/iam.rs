//! The minimal IAM policy document for a policy. Pure.
//!
//! A secret's ARN ends in six characters that AWS chooses, so a name becomes a pattern of exactly that length. A shorter
//! pattern (`NAME*`) would match other secrets with the same prefix.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::config::Config;
use crate::config::components::StoreConfig;

/// What the policy file does not contain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// The account ID; `None` for any account.
    pub account: Option<String>,
    /// For stores without a region; `None` for any region.
    pub region: Option<String>,
    /// ARNs of the customer-managed KMS keys that encrypt the secrets.
    pub kms_keys: Vec<String>,
}

const READ: [&str; 2] = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"];
const WRITE: [&str; 2] = ["secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"];
const CREATE: [&str; 1] = ["secretsmanager:CreateSecret"];
const KMS: [&str; 2] = ["kms:Decrypt", "kms:GenerateDataKey"];

/// The document; `None` if the policy publishes nothing to AWS.
#[must_use]
pub fn document(config: &Config, scope: &Scope) -> Option<Value> {
    let (mut all, mut created, mut services) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for destination in config.policy.credentials.values().flat_map(|credential| &credential.destinations) {
        let Some(StoreConfig::AwsSecretsManager(aws)) = config.stores.get(&destination.store) else {
            continue;
        };
        let region = aws.region.as_deref().or(scope.region.as_deref()).unwrap_or("*");
        let arn = arn(&destination.secret, region, scope.account.as_deref().unwrap_or("*"));
        if destination.create {
            created.insert(arn.clone());
        }
        all.insert(arn);
        let end = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        services.insert(format!("secretsmanager.{region}.{end}"));
    }
    if all.is_empty() {
        return None;
    }
    let allow = |id: &str, actions: &[&str], on: &BTreeSet<String>| json!({ "Sid": id, "Effect": "Allow", "Action": actions, "Resource": on });
    let mut statements = vec![allow("RekeydReads", &READ, &all), allow("RekeydWrites", &WRITE, &all)];
    if !created.is_empty() {
        statements.push(allow("RekeydCreates", &CREATE, &created));
    }
    if !scope.kms_keys.is_empty() {
        let keys = scope.kms_keys.iter().cloned().collect();
        let mut statement = allow("RekeydEncrypts", &KMS, &keys);
        // An unknown region is a pattern.
        let compares = if services.iter().any(|it| it.contains('*')) { "StringLike" } else { "StringEquals" };
        if let Some(fields) = statement.as_object_mut() {
            fields.insert("Condition".to_owned(), json!({ compares: { "kms:ViaService": services } }));
        }
        statements.push(statement);
    }
    Some(json!({ "Version": "2012-10-17", "Statement": statements }))
}

fn arn(secret: &str, region: &str, account: &str) -> String {
    if secret.starts_with("arn:") {
        return secret.to_owned();
    }
    let partition = match region.split('-').next() {
        Some("cn") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    };
    format!("arn:{partition}:secretsmanager:{region}:{account}:secret:{secret}-??????")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn policy(stores: &str, publish_to: &str) -> Config {
        let text = format!(
            "[workspaces.w]\nbase_url = \"https://api.example\"\nadmin_key = {{ env = \"KEY\" }}\n{stores}\n\
             [credentials.tts]\nservice_account = \"tts\"\nevery = \"30d\"\npublish_to = [{publish_to}]\n"
        );
        crate::config::load(&text, "test", &BTreeMap::new()).unwrap_or_else(|wrong| panic!("{wrong}"))
    }

    const AWS: &str = "[stores.aws.aws_secrets_manager]\nregion = \"eu-west-1\"";

    #[test]
    fn reading_writing_creating_and_encrypting_are_allowed_on_what_the_policy_names() {
        let config = policy(
            AWS,
            r#"{ store = "aws", secret = "a", json_field = "k" }, { store = "aws", secret = "b/new", create = true }"#,
        );
        let given = Scope {
            account: Some("123456789012".to_owned()),
            kms_keys: vec!["arn:aws:kms:eu-west-1:123456789012:key/0".to_owned()],
            ..Scope::default()
        };
        insta::assert_snapshot!(format!("{:#}", document(&config, &given).unwrap()), @r#"
        {
          "Statement": [
            {
              "Action": [
                "secretsmanager:DescribeSecret",
                "secretsmanager:GetSecretValue"
              ],
              "Effect": "Allow",
              "Resource": [
                "arn:aws:secretsmanager:eu-west-1:123456789012:secret:a-??????",
                "arn:aws:secretsmanager:eu-west-1:123456789012:secret:b/new-??????"
              ],
              "Sid": "RekeydReads"
            },
            {
              "Action": [
                "secretsmanager:PutSecretValue",
                "secretsmanager:UpdateSecretVersionStage"
              ],
              "Effect": "Allow",
              "Resource": [
                "arn:aws:secretsmanager:eu-west-1:123456789012:secret:a-??????",
                "arn:aws:secretsmanager:eu-west-1:123456789012:secret:b/new-??????"
              ],
              "Sid": "RekeydWrites"
            },
            {
              "Action": [
                "secretsmanager:CreateSecret"
              ],
              "Effect": "Allow",
              "Resource": [
                "arn:aws:secretsmanager:eu-west-1:123456789012:secret:b/new-??????"
              ],
              "Sid": "RekeydCreates"
            },
            {
              "Action": [
                "kms:Decrypt",
                "kms:GenerateDataKey"
              ],
              "Condition": {
                "StringEquals": {
                  "kms:ViaService": [
                    "secretsmanager.eu-west-1.amazonaws.com"
                  ]
                }
              },
              "Effect": "Allow",
              "Resource": [
                "arn:aws:kms:eu-west-1:123456789012:key/0"
              ],
              "Sid": "RekeydEncrypts"
            }
          ],
          "Version": "2012-10-17"
        }
        "#);
    }

    #[test]
    fn what_is_not_known_is_a_pattern_and_partitions_are_told_apart() {
        let resource = |stores: &str, secret: &str| {
            let config = policy(stores, &format!(r#"{{ store = "aws", secret = "{secret}" }}"#));
            let document = document(&config, &Scope::default()).unwrap();
            document["Statement"][0]["Resource"][0].as_str().unwrap().to_owned()
        };
        let in_region = |region: &str| format!("[stores.aws.aws_secrets_manager]\nregion = \"{region}\"");
        let nowhere = "[stores.aws.aws_secrets_manager]";
        for (stores, secret, expected) in [
            (nowhere, "a", "arn:aws:secretsmanager:*:*:secret:a-??????"),
            (&in_region("cn-north-1"), "a", "arn:aws-cn:secretsmanager:cn-north-1:*:secret:a-??????"),
            (
                &in_region("us-gov-west-1"),
                "a",
                "arn:aws-us-gov:secretsmanager:us-gov-west-1:*:secret:a-??????",
            ),
            (
                nowhere,
                "arn:aws:secretsmanager:eu-west-1:123456789012:secret:a-AbCdEf",
                "arn:aws:secretsmanager:eu-west-1:123456789012:secret:a-AbCdEf",
            ),
        ] {
            assert_eq!(resource(stores, secret), expected);
        }
    }

    #[test]
    fn a_policy_without_aws_needs_nothing_of_it() {
        let config = policy("[stores.l.directory]\npath = \"/x\"", r#"{ store = "l", secret = "a" }"#);
        assert_eq!(document(&config, &Scope::default()), None);
    }
}
