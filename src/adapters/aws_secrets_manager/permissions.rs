//! The least that AWS must allow for the secrets of a policy: these secrets, these actions, nothing more. Pure.
//!
//! A secret's ARN ends in six characters that AWS makes up, so that a name becomes a pattern of exactly that length. A
//! shorter pattern (`NAME*`) would take in secrets whose names begin alike.

use std::collections::BTreeSet;

use crate::domain::plan::Destination;
use crate::ports::permissions::{PermissionScope, Statement};

const READ: [&str; 2] = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"];
const WRITE: [&str; 2] = ["secretsmanager:PutSecretValue", "secretsmanager:UpdateSecretVersionStage"];
const CREATE: [&str; 1] = ["secretsmanager:CreateSecret"];
const KMS: [&str; 2] = ["kms:Decrypt", "kms:GenerateDataKey"];

pub(super) fn statements(
    region: Option<&str>,
    destinations: &[&Destination],
    scope: &PermissionScope,
) -> Vec<Statement> {
    let region = region.or(scope.region.as_deref()).unwrap_or("*");
    let account = scope.account.as_deref().unwrap_or("*");
    let arns = |of: &dyn Fn(&Destination) -> bool| -> BTreeSet<String> {
        let chosen = destinations.iter().filter(|it| of(it));
        chosen.map(|it| arn(&it.secret, region, account)).collect()
    };
    let (all, created) = (arns(&|_| true), arns(&|it| it.create));
    let service = format!("secretsmanager.{region}.{}", domain_of(region));
    let on = |id, actions, resources| Statement { id, actions, resources, via_services: BTreeSet::new() };
    vec![
        on("RekeydReads", &READ, all.clone()),
        on("RekeydWrites", &WRITE, all),
        on("RekeydCreates", &CREATE, created),
        Statement {
            via_services: [service].into(),
            ..on("RekeydEncrypts", &KMS, scope.kms_keys.iter().cloned().collect())
        },
    ]
}

/// Where the endpoints of a region are.
pub(super) fn domain_of(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
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
