//! How fast texts are read and written; run by hand, in release.
//!
//! `BORAX_YAML_SPEED=FILE [BORAX_YAML_SPEED_OF=parse] cargo test --release -p borax-yaml -- --ignored --nocapture speed`

use std::time::Instant;

use borax_yaml::{Format, Options, Root, decode, parse, to_json, to_string, write};

#[test]
#[ignore = "a measurement"]
fn speed_of_reading_and_writing() {
    let file = std::env::var_os("BORAX_YAML_SPEED").expect("BORAX_YAML_SPEED names a file");
    let text = std::fs::read_to_string(file).unwrap();
    let megabytes = text.len() as f64 / 1e6;
    let only = std::env::var("BORAX_YAML_SPEED_OF").unwrap_or_default();
    let measure = |what: &str, run: &mut dyn FnMut()| {
        if !what.starts_with(&only) {
            return;
        }
        run();
        let best = (0..7)
            .map(|_| {
                let start = Instant::now();
                run();
                start.elapsed().as_secs_f64()
            })
            .fold(f64::INFINITY, f64::min);
        println!("{what:<12} {:6.1} MB/s", megabytes / best);
    };
    let options = Options::default();
    let nodes = parse(&text, &options).unwrap();
    let values: Vec<_> = nodes.iter().map(|node| decode(node, Root::Any).unwrap()).collect();
    println!("{megabytes:.1} MB, {} documents", nodes.len());
    measure("parse", &mut || drop(parse(&text, &options)));
    measure("clone", &mut || drop(nodes.clone()));
    measure("decode", &mut || nodes.iter().for_each(|node| drop(decode(node, Root::Any))));
    measure("to_json", &mut || drop(to_json(&text)));
    measure("write", &mut || nodes.iter().for_each(|node| drop(write(node, Format::KYAML))));
    measure("to_string", &mut || values.iter().for_each(|value| drop(to_string(value))));
}
