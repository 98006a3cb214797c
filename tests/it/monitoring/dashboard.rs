//! The dashboard for Grafana: it can be loaded, and every expression in it means something.

use serde_json::Value;

use super::wrong;
use crate::support::promtool::{monitoring, promtool};

fn dashboard() -> Value {
    serde_json::from_str(&monitoring("dashboard.json")).unwrap()
}

/// Every expression, by the title of its panel.
fn expressions(dashboard: &Value) -> Vec<(String, String)> {
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| {
        let title = panel["title"].as_str().unwrap().to_owned();
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        targets.into_iter().map(move |target| (title.clone(), target["expr"].as_str().unwrap().to_owned()))
    });
    targets.collect()
}

#[test]
fn every_expression_of_the_dashboard_is_one_and_speaks_of_metrics_that_there_are() {
    let expressions = expressions(&dashboard());
    assert!(expressions.len() > 30, "only {} expressions were found", expressions.len());
    let mut rules = String::from("groups:\n  - name: dashboard\n    rules:\n");
    let mut found = Vec::new();
    for (index, (title, expression)) in expressions.iter().enumerate() {
        found.extend(wrong(expression).into_iter().map(|what| format!("{title}: {what}")));
        let expression = expression.replace("$__rate_interval", "5m").replace('\'', "''");
        rules.push_str(&format!("      - {{ record: 'panel:{index}', expr: '{expression}' }}\n"));
    }
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("rules.yaml"), rules).unwrap();
    let (ok, said) = promtool(directory.path(), &["check", "rules", "rules.yaml"], "");
    assert!(ok, "{said}");
}

#[test]
fn the_dashboard_can_be_loaded_anywhere_and_again() {
    let dashboard = dashboard();
    assert_eq!(dashboard["uid"], "rekeyd-fleet");
    assert_eq!(dashboard["templating"]["list"][0]["type"], "datasource");
    assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 39);
    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids: Vec<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), panels.len(), "two panels have the same id");
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
    }
    assert_eq!(panels[0]["title"], "Problems", "problems come first");
}
