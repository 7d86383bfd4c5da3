//! Any text may be parsed as a template and executed; it ends, within its limits.
#![no_main]

use borax_gotmpl::{Context, FuncMap, Limits, Map, MissingKey, Templates, Value};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let funcs = FuncMap::new();
    let mut templates = Templates::new();
    if templates.parse("main", text, &funcs).is_err() {
        return;
    }
    let data = Map::new();
    data.set("s", Value::str("text"));
    data.set("n", Value::Float(42.0));
    data.set("list", Value::list(vec![Value::int(1), Value::str("a"), Value::Nil]));
    data.set("m", Value::Map(Map::new()));
    let limits = Limits { depth: 100, output: 1 << 16, steps: 20_000 };
    let mut cx = Context::new(templates.into(), &funcs, MissingKey::Zero, limits);
    if let Ok(out) = cx.execute("main", Value::Map(data)) {
        assert!(out.len() <= 1 << 16);
    }
});
