//! Any text may be substituted, alone and in an object.
#![no_main]

use borax_substitute::{Vars, object, text};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

fuzz_target!(|input: &str| {
    let known = |name: &str| (name.len() < 3).then(|| format!("{name}é/{name}"));
    let strict = text(input, &known, true);
    let lenient = text(input, &known, false);
    if let Ok(strict) = strict {
        assert_eq!(Some(strict), lenient.ok(), "strictness only adds errors");
    }
    let mut vars = Vars::new();
    vars.add([("a", "1"), ("b", "x: y"), ("c", input)]);
    let config = json!({"metadata": {"name": "a"}, "data": {"k": input, "l": "${c}"}});
    let _ = object(&config, &vars, true);
});
