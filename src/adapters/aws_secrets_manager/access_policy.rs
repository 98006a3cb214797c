//! The least that AWS must allow for the secrets of a policy: these secrets, these actions, nothing more. Pure.
//!
//! A secret's ARN ends in six characters that AWS makes up, so that a name becomes a pattern of exactly that length. A
//! shorter pattern (`NAME*`) would take in secrets whose names begin alike.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::domain::plan::Destination;
use crate::ports::access_policy::{AccessOption, AccessPolicyForm, AccessScope, Grant};

const READ: [&str; 2] = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"];
const WRITE: [&str; 2] = ["secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"];
const CREATE: [&str; 1] = ["secretsmanager:CreateSecret"];
const KMS: [&str; 2] = ["kms:Decrypt", "kms:GenerateDataKey"];

const ACCOUNT: &str = "account";
const REGION: &str = "region";
const KMS_KEY: &str = "kms-key";

pub(super) const FORM: AccessPolicyForm = AccessPolicyForm {
    flag: "iam",
    help: "Print the minimal IAM policy document for this policy, and make no calls",
    service: "AWS",
    options: &[
        AccessOption {
            flag: ACCOUNT,
            value_name: "NUMBER",
            help: "AWS account ID; defaults to any account",
            is_repeatable: false,
            accepts: is_account,
        },
        AccessOption {
            flag: REGION,
            value_name: "REGION",
            help: "region of the stores that name none; defaults to any region",
            is_repeatable: false,
            accepts: |_| Ok(()),
        },
        AccessOption {
            flag: KMS_KEY,
            value_name: "ARN",
            help: "ARN of a customer-managed KMS key that encrypts the secrets; repeatable",
            is_repeatable: true,
            accepts: is_kms_key,
        },
    ],
    document,
};

fn is_account(text: &str) -> Result<(), &'static str> {
    let is_one = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    is_one.then_some(()).ok_or("an account ID has twelve digits")
}

fn is_kms_key(text: &str) -> Result<(), &'static str> {
    let is_one = text.starts_with("arn:") && text.contains(":kms:") && text.contains(":key/");
    is_one.then_some(()).ok_or("pass the key's ARN, `arn:aws:kms:…:key/…`; an alias is not enough")
}

/// The IAM policy document.
fn document(grants: &[Grant]) -> String {
    let statements: Vec<Value> = grants.iter().map(statement).collect();
    format!("{:#}", json!({ "Version": "2012-10-17", "Statement": statements }))
}

fn statement(grant: &Grant) -> Value {
    let Grant { id, actions, resources, only_through } = grant;
    let allowed = json!({ "Sid": id, "Effect": "Allow", "Action": actions, "Resource": resources });
    let Value::Object(mut fields) = allowed else { return allowed };
    if !only_through.is_empty() {
        // An unknown region is a pattern.
        let compares =
            if only_through.iter().any(|it| it.contains('*')) { "StringLike" } else { "StringEquals" };
        fields.insert("Condition".to_owned(), json!({ compares: { "kms:ViaService": only_through } }));
    }
    Value::Object(fields)
}

pub(super) fn grants(region: Option<&str>, destinations: &[&Destination], scope: &AccessScope) -> Vec<Grant> {
    let region = region.or_else(|| scope.one(REGION)).unwrap_or("*");
    let account = scope.one(ACCOUNT).unwrap_or("*");
    let arns = |of: &dyn Fn(&Destination) -> bool| -> BTreeSet<String> {
        let chosen = destinations.iter().filter(|it| of(it));
        chosen.map(|it| arn(&it.secret, region, account)).collect()
    };
    let (all, created) = (arns(&|_| true), arns(&|it| it.create));
    let service = format!("secretsmanager.{region}.{}", domain_of(region));
    let on = |id, actions, resources| Grant { id, actions, resources, only_through: BTreeSet::new() };
    vec![
        on("RekeydReads", &READ, all.clone()),
        on("RekeydWrites", &WRITE, all),
        on("RekeydCreates", &CREATE, created),
        Grant {
            only_through: [service].into(),
            ..on("RekeydEncrypts", &KMS, scope.all(KMS_KEY).iter().cloned().collect())
        },
    ]
}

/// Where the endpoints of a region are.
pub(super) fn domain_of(region: &str) -> &'static str {
    match region.split('-').next() {
        Some("cn") => "amazonaws.com.cn",
        Some("eusc") => "amazonaws.eu",
        _ => "amazonaws.com",
    }
}

fn arn(secret: &str, region: &str, account: &str) -> String {
    if secret.starts_with("arn:") {
        return if has_suffix(secret) { secret.to_owned() } else { format!("{secret}-??????") };
    }
    let partition = match region.split('-').next() {
        Some("cn") => "aws-cn",
        Some("eusc") => "aws-eusc",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    };
    format!("arn:{partition}:secretsmanager:{region}:{account}:secret:{secret}-??????")
}

/// Whether an ARN ends in the six characters that AWS makes up.
fn has_suffix(arn: &str) -> bool {
    let end = arn.rsplit_once('-').map(|(_, end)| end);
    end.is_some_and(|end| end.len() == 6 && end.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}
