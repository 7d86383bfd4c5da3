//! Every chart under `tests/cases/charts` prints what `helm template` printed, or fails as it failed.
//! `tests/oracles/helm/record-charts.sh` says how a case is written.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use borax_helm::{
    Chart, Error, FixedEnv, TemplateFlags, check_installable, render, template_output,
};

use crate::snippets::files;

/// The sections of a case, by name.
pub(crate) fn sections(text: &str) -> BTreeMap<String, String> {
    let mut out: BTreeMap<String, String> = BTreeMap::new();
    let mut name = String::new();
    for line in text.split_inclusive('\n') {
        let header = line.trim_end().strip_prefix("-- ").and_then(|l| l.strip_suffix(" --"));
        // The last section is the recorder's; whatever it holds is its text.
        match header {
            Some(header) if name != "want" && name != "error" => {
                name = header.to_owned();
                out.insert(name.clone(), String::new());
            }
            _ => out.entry(name.clone()).or_default().push_str(line),
        }
    }
    out
}

fn archive(files: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    for (path, data) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, data.as_slice()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

/// The chart's files, archives put together.
pub(crate) fn chart_files(sections: &BTreeMap<String, String>) -> Vec<(String, Vec<u8>)> {
    let mut plain = Vec::new();
    let mut archives: BTreeMap<String, BTreeMap<String, Vec<u8>>> = BTreeMap::new();
    for (name, text) in sections {
        let Some(path) = name.strip_prefix("chart/") else {
            continue;
        };
        match path.split_once(".tgz/") {
            Some((archive, inner)) => {
                let files = archives.entry(format!("{archive}.tgz")).or_default();
                files.insert(inner.to_owned(), text.clone().into_bytes());
            }
            None => plain.push((path.to_owned(), text.clone().into_bytes())),
        }
    }
    plain.extend(archives.iter().map(|(path, files)| (path.clone(), archive(files))));
    plain
}

fn run(sections: &BTreeMap<String, String>) -> Result<String, Error> {
    let flags = TemplateFlags::parse(sections["args"].lines().map(str::to_owned))?;
    let contents = flags.values.values.iter().map(|f| sections[f].clone().into_bytes()).collect();
    let values = flags
        .values
        .options(contents)
        .merge(&|f| Ok(sections.get(f).cloned().unwrap_or_default()))?;
    let options = flags.options(Arc::new(FixedEnv::at(1_700_000_000)))?;
    let chart = Arc::new(Chart::from_folder(chart_files(sections))?);
    check_installable(&chart)?;
    template_output(&render(&chart, &values, &options)?, &flags.output())
}

#[test]
fn every_chart_prints_what_helm_printed() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/charts");
    let (mut total, mut wrong) = (0, Vec::new());
    for path in files(&dir) {
        total += 1;
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let sections = sections(&std::fs::read_to_string(&path).unwrap());
        let expected = match (sections.get("want"), sections.get("error")) {
            (Some(out), None) => Ok(out.clone()),
            (None, Some(error)) => Err(error.trim().to_owned()),
            _ => panic!("{name}: a case without a recorded result"),
        };
        // Helm adds its advice about a flag this engine has not.
        let advice = "\n\nUse --debug flag to render out invalid YAML";
        let expected = expected.map_err(|e| e.replace(advice, ""));
        let got = run(&sections).map_err(|e| e.to_string().trim().to_owned());
        if got != expected {
            wrong.push(format!("{name}\n  want {expected:?}\n  got  {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {total} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(total >= 40, "only {total} cases found");
}
