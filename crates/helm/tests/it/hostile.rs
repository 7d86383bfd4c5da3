//! Archives and templates that mean harm: refused with a reason, within bounds.

use std::io::Write as _;
use std::sync::Arc;

use borax_gotmpl::Limits;
use borax_helm::{Chart, FixedEnv, Options, render};

const CHART: &[u8] = b"apiVersion: v2\nname: c\nversion: 1.0.0\n";

fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(gzip);
    for (path, data) in entries {
        let mut header = tar::Header::new_gnu();
        // The name is written raw: the builder would refuse a path that leads outside.
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(data.len() as u64);
        header.set_mode(0o644);
        header.set_entry_type(tar::EntryType::Regular);
        header.set_cksum();
        tar.append(&header, *data).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

fn refusal(entries: &[(&str, &[u8])]) -> String {
    Chart::from_archive(&archive(entries)).unwrap_err().to_string()
}

#[test]
fn archives_cannot_leave_their_folder() {
    assert_eq!(refusal(&[("c/../../x", b"")]), "chart illegally references parent directory");
    assert_eq!(refusal(&[("c//x", b"")]), "chart illegally contains absolute paths");
    assert_eq!(
        refusal(&[("Chart.yaml", CHART)]),
        "chart illegally contains content outside the base directory: \"Chart.yaml\""
    );
    assert_eq!(refusal(&[("c/c:/x", b"")]), "chart contains illegally named files");
}

#[test]
fn archives_are_bounded() {
    let big = vec![b'a'; (5 << 20) + 1];
    assert!(refusal(&[("c/Chart.yaml", CHART), ("c/big", &big)]).contains("maximum file size"));
    let most = vec![b'a'; 5 << 20];
    let names: Vec<String> = (0..21).map(|i| format!("c/{i}")).collect();
    let many: Vec<(&str, &[u8])> = names.iter().map(|n| (n.as_str(), most.as_slice())).collect();
    assert!(refusal(&many).contains("maximum size"));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(b"no tar").unwrap();
    assert!(Chart::from_archive(&gzip.finish().unwrap()).is_err());
    assert!(Chart::from_archive(b"no gzip").is_err());
}

fn rendering(template: &str) -> Result<(), String> {
    let files = [("Chart.yaml", CHART), ("templates/t.yaml", template.as_bytes())];
    let files = files.map(|(path, text)| (path.to_owned(), text.to_vec()));
    let chart = Arc::new(Chart::from_folder(files).unwrap());
    let mut options = Options::new("rel", Arc::new(FixedEnv::at(0)));
    options.limits = Limits { depth: 2000, output: 1 << 20, steps: 1_000_000, memory: 32 << 20 };
    render(&chart, &serde_json::Map::new(), &options).map(|_| ()).map_err(|e| e.to_string())
}

#[test]
fn templates_end_within_their_limits() {
    for template in [
        r#"{{ repeat 1000000000 "x" }}"#,
        r#"{{ until 1000000000 }}"#,
        r#"{{ randAlphaNum 1000000000 }}"#,
        r#"{{ indent 1000000000 "x" }}"#,
        r#"{{ range until 10000 }}{{ range until 10000 }}{{ end }}{{ end }}"#,
        r#"{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ $d }}"#,
        r#"{{ define "a" }}{{ include "a" . }}{{ end }}{{ include "a" . }}"#,
        r#"{{ define "a" }}{{ template "a" . }}{{ end }}{{ template "a" . }}"#,
        r#"{{ tpl (print "{{ tpl .T $ }}") (dict "T" "x") }}"#,
        r#"{{ regexFind "(((a{1000}){1000}){1000})" "a" }}"#,
    ] {
        assert!(rendering(template).is_err(), "{template}");
    }
}

#[test]
fn circles_are_written_as_nothing_and_freed() {
    rendering(
        r#"{{ $d := dict }}{{ $_ := set $d "d" $d }}x: {{ toYaml $d | quote }}{{ toJson $d }}"#,
    )
    .unwrap();
}
