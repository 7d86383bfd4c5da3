//! Any text may be a chart's template, with all of Helm's functions; any bytes may be a chart archive.
#![no_main]

use std::sync::Arc;

use borax_gotmpl::Limits;
use borax_helm::{Chart, FixedEnv, Options, render};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = Chart::from_archive(data);
    let files = [
        ("Chart.yaml", &b"apiVersion: v2\nname: c\nversion: 1.0.0\n"[..]),
        ("values.yaml", b"s: text\nn: 42\nlist: [1, a, null]\nm: {a: {b: c}}\n"),
        ("templates/t.yaml", data),
    ];
    let files = files.map(|(path, text)| (path.to_owned(), text.to_vec()));
    let Ok(chart) = Chart::from_folder(files) else {
        return;
    };
    let mut options = Options::new("rel", Arc::new(FixedEnv::at(0)));
    options.limits = Limits { depth: 100, output: 1 << 16, steps: 20_000 };
    let _ = render(&Arc::new(chart), &serde_json::Map::new(), &options);
});
