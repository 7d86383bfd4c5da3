//! Every snippet under `tests/cases/snippets` gives the output or the error that Helm gave.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use borax_helm::{Chart, FixedEnv, Options, ValueOptions, render};
use serde_json::Value as Json;

pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files
}

/// The template is wrapped in a manifest so that its output is never taken for YAML: a marker block
/// in front, and what the engine rendered after it.
fn run(file: &Json, case: &Json) -> Result<String, String> {
    let mut files = vec![
        (
            "Chart.yaml".to_owned(),
            b"apiVersion: v2\nname: c\nversion: 1.2.3\nappVersion: \"4.5\"\n".to_vec(),
        ),
        ("templates/t.yaml".to_owned(), case["template"].as_str().unwrap().into()),
    ];
    for (key, prefix) in [("also", "templates/"), ("files", "")] {
        for (name, text) in file[key].as_object().into_iter().flatten() {
            files.push((format!("{prefix}{name}"), text.as_str().unwrap().into()));
        }
    }
    let chart = Arc::new(Chart::from_folder(files).map_err(|e| e.to_string())?);
    let values = ValueOptions {
        files: vec![("values".into(), file["values"].as_str().unwrap().into())],
        ..ValueOptions::default()
    };
    let values = values.merge(&|_| Err("no files".into())).map_err(|e| e.to_string())?;
    let mut options = Options::new("rel", Arc::new(FixedEnv::at(1_700_000_000)));
    options.namespace = "ns".into();
    let rendered =
        borax_helm::render_templates(&chart, &values, &options).map_err(|e| e.to_string())?;
    Ok(rendered["c/templates/t.yaml"].clone())
}

#[test]
fn every_snippet_gives_what_helm_gave() {
    let only = std::env::var("BORAX_SNIPPETS").ok();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/snippets");
    let (mut total, mut wrong) = (0, Vec::new());
    for path in files(&dir) {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if only.as_ref().is_some_and(|only| *only != name) {
            continue;
        }
        let file: Json = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        for case in file["cases"].as_array().unwrap() {
            total += 1;
            let expected = match (case["out"].as_str(), case["err"].as_str()) {
                (Some(out), None) => Ok(out.to_owned()),
                (None, Some(err)) => Err(err.to_owned()),
                _ => panic!("{name}: a case without a recorded result: {case}"),
            };
            let got = run(&file, case);
            if got != expected {
                let template = &case["template"];
                wrong.push(format!("{name}: {template}\n  want {expected:?}\n  got  {got:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {total} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn rendering_again_gives_the_same() {
    let files = [
        ("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.2.3\n"),
        ("values.yaml", "a: {b: 1}\n"),
        (
            "templates/t.yaml",
            "kind: X\n{{ $_ := set .Values.a \"c\" 2 }}a: {{ toJson .Values.a }}\n",
        ),
    ];
    let files = files.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
    let chart = Arc::new(Chart::from_folder(files).unwrap());
    let options = Options::new("rel", Arc::new(FixedEnv::at(0)));
    let once = render(&chart, &serde_json::Map::new(), &options).unwrap();
    let twice = render(&chart, &serde_json::Map::new(), &options).unwrap();
    assert_eq!(once, twice);
}
