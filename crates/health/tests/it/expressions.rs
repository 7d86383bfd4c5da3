//! Health checks and ready expressions in CEL.

use borax_health::{Checks, CustomCheck, Expression, ReadyExpr, State};
use borax_object::GroupKind;
use jiff::Timestamp;
use serde_json::{Value, json};

fn certificate_check() -> CustomCheck {
    CustomCheck {
        api_version: "cert-manager.io/v1".into(),
        kind: "Certificate".into(),
        current: "status.conditions.filter(e, e.type == 'Ready').all(e, e.status == 'True')".into(),
        failed: Some(
            "status.conditions.exists(e, e.type == 'Stalled' && e.status == 'True')".into(),
        ),
        in_progress: Some("!has(status.conditions) || size(status.conditions) == 0".into()),
    }
}

fn certificate(status: Value) -> Value {
    json!({"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": {"name": "a", "generation": 2},
           "status": status})
}

#[test]
fn expressions_are_asked_in_progress_then_failed_then_current() {
    let checks = Checks::compile(&[certificate_check()]).unwrap();
    let state = |status| checks.compute(&certificate(status), Timestamp::UNIX_EPOCH).state;
    assert_eq!(state(json!({})), State::InProgress);
    assert_eq!(
        state(json!({"conditions": [{"type": "Stalled", "status": "True"}]})),
        State::Failed
    );
    assert_eq!(state(json!({"conditions": [{"type": "Ready", "status": "True"}]})), State::Current);
    assert_eq!(
        state(json!({"conditions": [{"type": "Ready", "status": "False"}]})),
        State::InProgress
    );
    assert_eq!(
        state(
            json!({"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True"}]})
        ),
        State::InProgress
    );
    // Some kinds hold it as text: then only the expressions count.
    assert_eq!(
        state(
            json!({"observedGeneration": "1", "conditions": [{"type": "Ready", "status": "True"}]})
        ),
        State::Current
    );
}

#[test]
fn an_expression_that_cannot_be_evaluated_is_unknown() {
    let check = CustomCheck {
        current: "status.ready == true".into(),
        failed: None,
        in_progress: None,
        ..certificate_check()
    };
    let checks = Checks::compile(&[check]).unwrap();
    let status = checks.compute(&certificate(json!({})), Timestamp::UNIX_EPOCH);
    assert_eq!(status.state, State::Unknown);
    assert_eq!(
        status.message,
        "failed to evaluate the CEL expression 'status.ready == true': no such key: ready"
    );
    let none = json!({"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": {"name": "a"}});
    let message = checks.compute(&none, Timestamp::UNIX_EPOCH).message;
    assert!(message.ends_with("no such attribute(s): status"), "{message}");
}

#[test]
fn a_check_without_kind_is_for_the_whole_group_and_never_for_jobs() {
    let group = CustomCheck { kind: String::new(), ..certificate_check() };
    let checks = Checks::compile(&[group]).unwrap();
    assert!(checks.covers(&GroupKind::new("cert-manager.io", "Issuer")));
    assert!(!checks.covers(&GroupKind::new("apps", "Deployment")));
    let jobs =
        CustomCheck { api_version: "batch/v1".into(), kind: "Job".into(), ..certificate_check() };
    assert!(!Checks::compile(&[jobs]).unwrap().covers(&GroupKind::new("batch", "Job")));
}

#[test]
fn checks_that_make_no_sense_say_which() {
    let text = |checks: &[CustomCheck]| Checks::compile(checks).unwrap_err().to_string();
    let check = certificate_check();
    assert_eq!(
        text(&[check.clone(), check.clone()]),
        "duplicate custom health check for GroupKind Certificate.cert-manager.io at healthchecks[1]"
    );
    assert_eq!(
        text(&[CustomCheck { current: String::new(), ..check.clone() }]),
        "failed to create custom status evaluator for healthchecks[0]: expression Current not specified"
    );
    let bad = text(&[CustomCheck { failed: Some("status.".into()), ..check }]);
    let prefix = "failed to create custom status evaluator for healthchecks[0]: failed to parse the expression Failed: \
                  failed to parse the CEL expression 'status.': ";
    assert!(bad.starts_with(prefix), "{bad}");
}

#[test]
fn syntax_errors_of_short_expressions_read_as_in_cel_go() {
    let error = |text: &str| Expression::parse(text).unwrap_err().to_string();
    assert_eq!(
        error("foo."),
        "failed to parse the CEL expression 'foo.': ERROR: <input>:1:5: Syntax error: no viable alternative at input '.'\n \
         | foo.\n | ....^"
    );
    let long = format!("{}foo.", "a.b || ".repeat(60));
    assert!(error(&long).contains("ERROR: <input>:"), "{}", error(&long));
}

#[test]
fn what_flux_users_write_evaluates_as_in_cel_go() {
    let object = json!({
        "metadata": {"name": "web", "labels": {"app.kubernetes.io/name": "Web"}, "generation": 3},
        "spec": {"replicas": 3, "list": ["a", "b"]},
        "status": {"ready": 3, "ratio": 0.5, "phase": "Running", "version": "v1.2.3",
                   "since": "2024-01-01T00:00:00Z",
                   "conditions": [{"type": "Ready", "status": "True"}, {"type": "Synced", "status": "False"}]},
    });
    for (expression, expect) in [
        ("status.ready == spec.replicas", true),
        ("status.ready + 1 > spec.replicas", true),
        ("status.ratio * 2.0 >= 1", true),
        ("has(status.nothing)", false),
        ("status.?nothing.orValue('x') == 'x'", true),
        ("status.?phase.orValue('x') == 'Running'", true),
        ("has(status.nothing) && status.nothing == 1", false),
        ("status.nothing == 1 || true", true),
        ("status.conditions.exists_one(c, c.type == 'Ready')", true),
        ("status.conditions.filter(c, c.status == 'True').map(c, c.type) == ['Ready']", true),
        ("'app.kubernetes.io/name' in metadata.labels", true),
        ("metadata.labels['app.kubernetes.io/name'].lowerAscii() == 'web'", true),
        ("status.version.split('.')[1] == '2'", true),
        ("status.version.startsWith('v1') && status.version.matches('^v[0-9.]+$')", true),
        ("status.version.substring(1).replace('.', '-') == '1-2-3'", true),
        ("timestamp(status.since) < timestamp('2025-01-01T00:00:00Z')", true),
        ("duration('1h') > duration('59m')", true),
        ("size(spec.list) == 2 && spec.list.join('+') == 'a+b'", true),
        ("sets.contains(['a', 'b', 'c'], spec.list)", true),
        ("sets.intersects(spec.list, ['x'])", false),
        ("sets.equivalent(spec.list, ['b', 'a', 'a'])", true),
        ("string(base64.decode('aGk=')) == 'hi'", true),
        ("type(status.ready) == int", true),
        ("status.phase in ['Running', 'Done'] ? true : false", true),
        ("'%s-%d'.format([metadata.name, 3]) == 'web-3'", true),
    ] {
        let answer = Expression::parse(expression).and_then(|e| e.evaluate_object(&object));
        assert_eq!(answer, Ok(expect), "{expression}");
    }
}

#[test]
fn a_ready_expression_compares_self_and_dep() {
    let expression = "dep.metadata.labels['app/version'] == self.metadata.labels['app/version'] && \
                      dep.status.conditions.filter(e, e.type == 'Ready').all(e, e.status == 'True')";
    let ready = ReadyExpr::compile(expression).unwrap();
    let object = |version: &str| {
        json!({"metadata": {"labels": {"app/version": version}},
               "status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    };
    assert_eq!(ready.evaluate(&object("1"), &object("1")), Ok(true));
    assert_eq!(ready.evaluate(&object("1"), &object("2")), Ok(false));
    assert!(ready.evaluate(&object("1"), &json!({})).is_err());
}

#[test]
fn a_ready_expression_must_be_a_boolean_over_self_and_dep() {
    let text = |expression| ReadyExpr::compile(expression).unwrap_err().to_string();
    assert_eq!(text("dep.status"), "CEL expression output type mismatch: expected bool, got dyn");
    assert_eq!(text("'a'"), "CEL expression output type mismatch: expected bool, got string");
    assert!(
        text("other.status == 1").ends_with("undeclared reference to 'other' (in container '')")
    );
    assert!(text("self.").starts_with("failed to parse the CEL expression 'self.': "));
    for expression in [
        "has(dep.status.a)",
        "dep.spec.list.exists(x, x == self.spec.y)",
        "sets.contains(dep.a, self.b)",
        "dep.a.startsWith('x')",
        "type(dep.a) == int ? true : false",
        "!(1 in dep.list)",
        "dep.list.all(x, x.y.all(z, z == 1))",
    ] {
        assert!(ReadyExpr::compile(expression).is_ok(), "{expression}");
    }
}

#[test]
fn hostile_expressions_are_refused() {
    let chain = format!("a{}", ".b".repeat(200_000));
    let nested = "a.all(b, b.all(c, c.all(d, d.all(e, e.all(f, f)))))".to_owned();
    for hostile in [chain, nested, "[".repeat(50_000), "a?b:".repeat(2_000)] {
        assert!(Expression::parse(&hostile).is_err());
    }
    // What the bounds let through, the parser can take.
    for long in [
        format!("a{}", ".b".repeat(46)),
        format!("a{}", " + b".repeat(46)),
        format!("a{}", " || b".repeat(400)),
        format!("a{}", "[0]".repeat(46)),
        format!("{}a{}", "(".repeat(500), ")".repeat(500)),
        format!("{}a", "!".repeat(8_000)),
        format!("{}a", "-".repeat(8_000)),
        format!("{}a", "- ".repeat(4_000)),
        format!("a{}", ".b".repeat(4_000)),
        format!("a{}", "+b".repeat(4_000)),
        format!("a{}", "&&b".repeat(2_500)),
        format!("a{}", " in b".repeat(1_500)),
        format!("{}c", "a ? b : ".repeat(46)),
        format!("{}c{}", "[".repeat(46), "]".repeat(46)),
    ] {
        let _ = Expression::parse(&long).and_then(|e| e.evaluate_object(&json!({"a": 1, "b": 2})));
    }
}

#[test]
fn expressions_evaluate_as_flux_evaluates_them() {
    #[derive(serde::Deserialize)]
    struct Set {
        object: Value,
        expressions: Vec<String>,
    }
    let set: Set = serde_norway::from_str(include_str!("../cases/cel.yaml")).unwrap();
    let recorded: std::collections::BTreeMap<String, String> =
        serde_json::from_str(include_str!("../cases/cel.flux.json")).unwrap();
    let mut differences = Vec::new();
    for text in &set.expressions {
        let flux = recorded.get(text).expect("every expression has a baseline");
        // Of errors only that there is one is compared; the words are tested where Flux shows them.
        let flux = match flux.as_str() {
            "true" | "false" | "no expression" => flux.as_str(),
            _ => "error",
        };
        let ours = match Expression::parse(text).map(|e| e.evaluate_object(&set.object)) {
            Err(_) => "no expression",
            Ok(Ok(true)) => "true",
            Ok(Ok(false)) => "false",
            Ok(Err(_)) => "error",
        };
        if ours != flux {
            differences.push(format!("{text}: {ours}, Flux says {flux}"));
        }
    }
    assert_eq!(differences, Vec::<String>::new());
}
