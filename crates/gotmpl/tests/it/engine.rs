//! Limits, sharing and robustness: what no recorded output can show.

use std::sync::Arc;

use borax_gotmpl::{Context, FuncMap, Limits, Map, MissingKey, Templates, Value};

use crate::oracle::funcs;

fn parse(text: &str, funcs: &FuncMap) -> Arc<Templates> {
    let mut templates = Templates::new();
    templates.parse("main", text.as_bytes(), funcs).unwrap();
    Arc::new(templates)
}

fn render(text: &str, limits: Limits) -> Result<String, String> {
    let funcs = funcs();
    let mut cx = Context::new(parse(text, &funcs), &funcs, MissingKey::Zero, limits);
    cx.execute("main", Value::Map(Map::new()))
        .map(|out| String::from_utf8(out).unwrap())
        .map_err(|e| e.to_string())
}

#[test]
fn templates_are_shared_between_threads() {
    let funcs = FuncMap::new();
    let templates = parse("{{range 3}}{{.}}{{end}}", &funcs);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let templates = Arc::clone(&templates);
            scope.spawn(move || {
                let funcs = FuncMap::new();
                let limits = Limits::default();
                let mut cx = Context::new(templates, &funcs, MissingKey::Zero, limits);
                assert_eq!(cx.execute("main", Value::Nil).unwrap(), b"012");
            });
        }
    });
}

#[test]
fn endless_recursion_ends_in_an_error() {
    let error = render(r#"{{template "main" .}}"#, Limits::default()).unwrap_err();
    assert!(error.contains("exceeded maximum template depth (5000)"), "{error}");
}

#[test]
fn endless_loops_end_in_an_error() {
    let limits = Limits { steps: 10_000, ..Limits::default() };
    let error = render("{{range 1000000000}}{{end}}", limits).unwrap_err();
    assert!(error.contains("limit of 10000 steps"), "{error}");
}

#[test]
fn output_is_bounded() {
    let limits = Limits { output: 1000, ..Limits::default() };
    let error = render("{{range 100}}0123456789abcdef{{end}}", limits).unwrap_err();
    assert!(error.contains("limit of 1000 bytes of output"), "{error}");
    let error = render(r#"{{printf "%1000000d" 1}}"#, limits).unwrap_err();
    assert!(error.contains("limit of 1000 bytes of output"), "{error}");
}

#[test]
fn deep_nesting_neither_overflows_nor_hangs() {
    let funcs = funcs();
    let mut templates = Templates::new();
    let deep = format!("{{{{{}1{}}}}}", "(".repeat(100_000), ")".repeat(100_000));
    let error = templates.parse("deep", deep.as_bytes(), &funcs).unwrap_err();
    assert_eq!(error.message, "max expression depth exceeded");
    let deep = "{{if true}}".repeat(100_000);
    assert!(templates.parse("deep", deep.as_bytes(), &funcs).is_err());
    let fine = format!("{{{{{}1{}}}}}", "(".repeat(900), ")".repeat(900));
    assert_eq!(render(&fine, Limits::default()).unwrap(), "1");
}

#[test]
fn deeply_nested_values_are_dropped_and_refused_for_printing() {
    let nest = "{{$d := dict}}{{range 100000}}{{$d = dict `a` $d}}{{end}}";
    assert_eq!(render(nest, Limits::default()).unwrap(), "");
    let error = render(&format!("{nest}{{{{$d}}}}"), Limits::default()).unwrap_err();
    assert!(error.contains("too deeply nested"), "{error}");
}

#[test]
fn a_change_to_a_map_is_seen_through_every_handle() {
    let map = Map::new();
    let other = map.clone();
    map.set("a", Value::int(1));
    assert!(other.contains("a"));
}

#[test]
fn a_blank_definition_does_not_replace_a_body() {
    let funcs = FuncMap::new();
    let mut templates = Templates::new();
    templates.parse("a", b"{{define \"x\"}}X{{end}}", &funcs).unwrap();
    templates.parse("b", b"{{define \"x\"}} {{/* nothing */}} {{end}}", &funcs).unwrap();
    templates.parse("main", b"{{template \"x\"}}", &funcs).unwrap();
    let mut cx = Context::new(templates.into(), &funcs, MissingKey::Zero, Limits::default());
    assert_eq!(cx.execute("main", Value::Nil).unwrap(), b"X");
}
