//! The access policy that allows exactly what a policy needs of its stores of one kind: their grants, merged. Pure.

use crate::config::Config;
use crate::domain::plan::Destination;
use crate::ports::access_policy::{AccessPolicyForm, AccessScope, Grant};
use crate::ports::store_kind::StoreKind;

/// The document; `None` if no store of the kind needs permissions.
#[must_use]
pub fn document(
    config: &Config,
    kind: &StoreKind,
    form: &AccessPolicyForm,
    scope: &AccessScope,
) -> Option<String> {
    let destinations = || config.policy.credentials.values().flat_map(|credential| &credential.destinations);
    let mut merged: Vec<Grant> = Vec::new();
    for (name, store) in config.stores.iter().filter(|(_, store)| store.kind().key == kind.key) {
        let published: Vec<&Destination> = destinations().filter(|it| it.store == *name).collect();
        if published.is_empty() {
            continue;
        }
        for grant in store.grants(&published, scope) {
            match merged.iter_mut().find(|it| it.id == grant.id) {
                Some(same) => {
                    same.resources.extend(grant.resources);
                    same.only_through.extend(grant.only_through);
                }
                None => merged.push(grant),
            }
        }
    }
    merged.retain(|it| !it.resources.is_empty());
    (!merged.is_empty()).then(|| (form.document)(&merged))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::adapters::aws_secrets_manager::kind::KIND;

    fn policy(stores: &str, publish_to: &str) -> Config {
        let text = format!(
            "[workspaces.w]\nbase_url = \"https://api.example\"\nadmin_key = {{ env = \"KEY\" }}\n{stores}\n\
             [credentials.tts]\nservice_account = \"tts\"\nevery = \"30d\"\npublish_to = [{publish_to}]\n"
        );
        crate::config::load(&text, "test", &BTreeMap::new()).unwrap_or_else(|wrong| panic!("{wrong}"))
    }

    fn document(config: &Config, scope: &AccessScope) -> Option<String> {
        super::document(config, &KIND, KIND.access_policy.as_ref()?, scope)
    }

    const AWS: &str = "[stores.aws.aws_secrets_manager]\nregion = \"eu-west-1\"";

    #[test]
    fn reading_writing_creating_and_encrypting_are_allowed_on_what_the_policy_names() {
        let config = policy(
            AWS,
            r#"{ store = "aws", secret = "a", json_field = "k" }, { store = "aws", secret = "b/new", create = true }"#,
        );
        let mut given = AccessScope::default();
        given.add("account", "123456789012".to_owned());
        given.add("kms-key", "arn:aws:kms:eu-west-1:123456789012:key/0".to_owned());
        insta::assert_snapshot!(document(&config, &given).unwrap(), @r#"
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
            let document = document(&config, &AccessScope::default()).unwrap();
            let document: serde_json::Value = serde_json::from_str(&document).unwrap();
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
                &in_region("eusc-de-east-1"),
                "a",
                "arn:aws-eusc:secretsmanager:eusc-de-east-1:*:secret:a-??????",
            ),
            (
                nowhere,
                "arn:aws:secretsmanager:eu-west-1:123456789012:secret:a/tts-key",
                "arn:aws:secretsmanager:eu-west-1:123456789012:secret:a/tts-key-??????",
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
        assert_eq!(document(&config, &AccessScope::default()), None);
    }
}
