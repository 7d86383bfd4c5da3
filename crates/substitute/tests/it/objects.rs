//! Which objects are touched, and which variables count.

use borax_substitute::{Error, SUBSTITUTE_KEY, Vars, is_disabled, object, text};
use serde_json::{Value, json};

fn config_map(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data})
}

fn vars(pairs: &[(&str, &str)]) -> Vars {
    let mut vars = Vars::new();
    vars.add(pairs.iter().copied());
    vars
}

#[test]
fn without_variables_defaults_still_take_effect() {
    let input = config_map(json!({"a": "${v:=home}", "b": "$${w}"}));
    let out = object(&input, &Vars::new(), true).unwrap();
    assert_eq!(out["data"], json!({"a": "home", "b": "${w}"}));
}

#[test]
fn a_label_or_an_annotation_opts_out() {
    for place in ["labels", "annotations"] {
        let mut input = config_map(json!({"a": "${v}"}));
        input["metadata"][place] = json!({SUBSTITUTE_KEY: "disabled"});
        assert!(is_disabled(&input));
        assert_eq!(object(&input, &vars(&[("v", "1")]), true).unwrap(), input);
        input["metadata"][place] = json!({SUBSTITUTE_KEY: "enabled"});
        let out = object(&input, &vars(&[("v", "x")]), true).unwrap();
        assert_eq!(out["data"]["a"], "x");
    }
}

#[test]
fn later_variables_replace_earlier_ones_and_lose_line_feeds() {
    let mut vars = Vars::new();
    vars.add([("a", "one\n"), ("b", "two")]).add([("a", "th\nree\n")]);
    assert_eq!(vars.get("a"), Some("three"));
    assert_eq!(vars.get("b"), Some("two"));
}

#[test]
fn a_name_that_cannot_be_one_is_refused() {
    let input = config_map(json!({"a": "b"}));
    for name in ["1a", "a-b", "a.b", "", "é"] {
        let error = object(&input, &vars(&[(name, "x")]), true).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "envsubst error: '{name}' var name is invalid, must match \
                 '^[_[:alpha:]][_[:alpha:][:digit:]]*$'"
            )
        );
    }
}

#[test]
fn a_missing_variable_reads_as_in_flux() {
    let input = config_map(json!({"a": "${nowhere}"}));
    let error = object(&input, &vars(&[("v", "x")]), true).unwrap_err();
    assert_eq!(
        error.to_string(),
        "envsubst error: variable substitution failed: variable not set (strict mode): \"nowhere\""
    );
    let out = object(&input, &vars(&[("v", "x")]), false).unwrap();
    assert_eq!(out["data"]["a"], Value::Null);
}

#[test]
fn quotes_are_lost_where_the_yaml_did_not_need_them() {
    let input = config_map(json!({"a": "${v}", "b": "${t}", "c": "x${v}"}));
    let out = object(&input, &vars(&[("v", "3"), ("t", "true")]), true).unwrap();
    assert_eq!(out["data"], json!({"a": 3, "b": true, "c": "x3"}));
}

#[test]
fn hostile_texts_end_in_an_error_and_not_in_a_crash() {
    let known = |name: &str| Some(name.repeat(1000));
    let deep = "${a:-".repeat(100_000);
    assert!(matches!(text(&deep, &known, true), Err(Error::Depth(_))));
    let wide = "${aaaaaaaaaaaaaaaa}".repeat(10_000);
    assert!(matches!(text(&wide, &known, true), Err(Error::Limit(_))));
    let slow = |_: &str| Some("a".repeat(20_000));
    let pattern = "${x##*a*a*a*a*a*b}".repeat(20);
    assert!(matches!(text(&pattern, &slow, true), Err(Error::Limit(_))));
    let dollars = "$".repeat(1_000_001);
    assert_eq!(text(&dollars, &known, true).unwrap().len(), 500_001);
}
