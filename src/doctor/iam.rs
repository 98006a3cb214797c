//! The IAM policy document that allows exactly what a policy needs of its stores: their statements, merged. Pure.

use serde_json::{Value, json};

use crate::config::Config;
use crate::domain::plan::Destination;
use crate::ports::permissions::{PermissionScope, Statement};

/// The document; `None` if no store of the policy needs permissions.
#[must_use]
pub fn document(config: &Config, scope: &PermissionScope) -> Option<Value> {
    let destinations = || config.policy.credentials.values().flat_map(|credential| &credential.destinations);
    let mut merged: Vec<Statement> = Vec::new();
    for (name, store) in &config.stores {
        let published: Vec<&Destination> = destinations().filter(|it| it.store == *name).collect();
        if published.is_empty() {
            continue;
        }
        for statement in store.permissions(&published, scope) {
            match merged.iter_mut().find(|it| it.id == statement.id) {
                Some(same) => {
                    same.resources.extend(statement.resources);
                    same.via_services.extend(statement.via_services);
                }
                None => merged.push(statement),
            }
        }
    }
    let statements: Vec<Value> = merged.iter().filter(|it| !it.resources.is_empty()).map(in_json).collect();
    (!statements.is_empty()).then(|| json!({ "Version": "2012-10-17", "Statement": statements }))
}

fn in_json(statement: &Statement) -> Value {
    let Statement { id, actions, resources, via_services } = statement;
    let allowed = json!({ "Sid": id, "Effect": "Allow", "Action": actions, "Resource": resources });
    let Value::Object(mut fields) = allowed else { return allowed };
    if !via_services.is_empty() {
        // An unknown region is a pattern.
        let compares =
            if via_services.iter().any(|it| it.contains('*')) { "StringLike" } else { "StringEquals" };
        fields.insert("Condition".to_owned(), json!({ compares: { "kms:ViaService": via_services } }));
    }
    Value::Object(fields)
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
        let given = PermissionScope {
            account: Some("123456789012".to_owned()),
            kms_keys: vec!["arn:aws:kms:eu-west-1:123456789012:key/0".to_owned()],
            ..PermissionScope::default()
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
            let document = document(&config, &PermissionScope::default()).unwrap();
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
        assert_eq!(document(&config, &PermissionScope::default()), None);
    }
}
