//! Every case of `tests/cases/NAME.cases.json` against `NAME.recorded.json`, which the oracle
//! program in `tests/oracles/envsubst` of the repository wrote.

use std::path::Path;

use borax_substitute::{Error, Vars, object, text};
use serde_json::Value;

#[test]
fn substitutes_as_the_original_does() {
    let failures = compare(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases"));
    assert!(failures.is_empty(), "{} differences:\n{}", failures.len(), failures.join("\n"));
}

/// `BORAX_SUBSTITUTE_CASES=DIR cargo test -p borax-substitute -- --ignored`
#[test]
#[ignore = "compares the folder that BORAX_SUBSTITUTE_CASES names"]
fn substitutes_other_texts_as_the_original_does() {
    let dir = std::env::var_os("BORAX_SUBSTITUTE_CASES").expect("a folder is named");
    let failures = compare(Path::new(&dir));
    let shown: Vec<_> = failures.iter().take(20).cloned().collect();
    assert!(failures.is_empty(), "{} differences:\n{}", failures.len(), shown.join("\n"));
}

fn compare(dir: &Path) -> Vec<String> {
    let mut failures = Vec::new();
    let mut files = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let Some(stem) = name.strip_suffix(".cases.json") else { continue };
        files += 1;
        let read = |path: &Path| -> Vec<Value> {
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
        };
        let cases = read(&path);
        let records = read(&dir.join(format!("{stem}.recorded.json")));
        assert_eq!(cases.len(), records.len(), "{stem}: record the baselines again");
        for (case, record) in cases.iter().zip(&records) {
            let (result, error) = ours(case);
            let their_error = record["error"].as_str().unwrap_or_default();
            let same = if their_error.starts_with("panic: ") {
                error.contains("negative length")
            } else {
                error == their_error && (!error.is_empty() || is_same(&result, &record["result"]))
            };
            if !same {
                failures
                    .push(format!("{stem} {case}\n  ours:   {result} {error}\n  theirs: {record}"));
            }
        }
    }
    assert!(files > 0, "no cases in {}", dir.display());
    failures
}

/// The original's result as JSON has replacement characters where a character was cut in two.
fn is_same(ours: &Value, theirs: &Value) -> bool {
    ours == theirs || (ours == "not text" && theirs.to_string().contains('\u{FFFD}'))
}

fn ours(case: &Value) -> (Value, String) {
    let vars = case["vars"].as_object().unwrap();
    let strict = case["strict"].as_bool().unwrap();
    let outcome = if let Some(input) = case["text"].as_str() {
        let lookup = |name: &str| vars.get(name).map(|value| value.as_str().unwrap().to_owned());
        match text(input, &lookup, strict) {
            Err(Error::NotText) => Ok(Value::from("not text")),
            other => other.map(Value::from),
        }
    } else {
        let mut set = Vars::new();
        set.add(vars.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())));
        object(&case["object"], &set, strict)
    };
    match outcome {
        Ok(value) => (value, String::new()),
        Err(error) => (Value::Null, error.to_string()),
    }
}
