//! Beside the real helm: which version it takes of an index, and what it packs of a folder.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use borax_source::helm_repo::Repositories;
use borax_testkit::charts::{ChartRepository, ChartRepositoryOptions};
use borax_testkit::oracle;

use super::build::{files, local, options, tree};
use super::{connection, fetch, storage};

fn helm(program: &Path, home: &Path, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(args)
        .env("HELM_CACHE_HOME", home.join("cache"))
        .env("HELM_CONFIG_HOME", home.join("config"))
        .env("HELM_DATA_HOME", home.join("data"))
        .output()
        .expect("helm runs");
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn helm_takes_the_same_version() {
    let Some(program) = oracle::require("helm") else { return };
    let home = tempfile::tempdir().expect("a folder");
    let repository = ChartRepository::start(ChartRepositoryOptions::default());
    for version in [
        "0.9.0",
        "1.0.0",
        "1.2.3",
        "1.10.0",
        "1.10.1-rc.1",
        "2.0.0-alpha",
        "2.0.0",
        "2.1.0",
        "3.0.0-beta.2",
    ] {
        repository.add("app", version, &[]);
    }
    let (_dir, storage) = storage();
    let index = fetch(&Repositories::default(), &connection(&repository), &storage).await.unwrap();
    let url = repository.url();
    for range in [
        "*",
        "1.x",
        "~1.2",
        "^1",
        ">=1.0.0 <2.0.0",
        "<1.0.0 || >2.0.0",
        "1.0 - 1.5",
        "!=2.1.0",
        ">2.1.0-0",
        "1.2.3",
        "1.10",
        ">3",
        "2.0.0-alpha",
        "=1.0.0",
        "~2.0.0-0",
    ] {
        let args = ["show", "chart", "app", "--repo", &*url, "--version", range];
        let theirs = helm(&program, home.path(), &args);
        let theirs = theirs.ok().and_then(|text| {
            text.lines().find_map(|line| line.strip_prefix("version: ").map(str::to_owned))
        });
        let ours = index.choose("app", range).ok().map(|version| version.version.to_string());
        assert_eq!(ours, theirs, "{range:?}");
    }
}

#[test]
fn helm_packs_the_same_files() {
    let Some(program) = oracle::require("helm") else { return };
    let home = tempfile::tempdir().expect("a folder");
    let chart = [
        (
            "app/Chart.yaml",
            "apiVersion: v2\nname: app\nversion: 1.2.3\nappVersion: 1.10\nkubeVersion: '>=1.20.0-0'\ndescription: \"a <chart>: with words\"\ntype: application\nkeywords: [one, two]\nhome: https://example.com\nmaintainers:\n- name: someone\n  email: a@example.com\nannotations:\n  b: \"1\"\n  a: yes it is\ndependencies:\n- name: sub\n  version: 0.x\n  condition: sub.enabled\n  tags: [x]\n  import-values: [data, {child: a, parent: b}]\n",
        ),
        (
            "app/Chart.lock",
            "dependencies:\n- name: sub\n  repository: \"\"\n  version: 0.1.0\ndigest: sha256:0\ngenerated: \"2024-05-06T07:08:09.1Z\"\n",
        ),
        ("app/values.yaml", "# kept\na: 1000000\n"),
        ("app/values.schema.json", "{\"type\": \"object\"}\n"),
        ("app/.helmignore", "*.bak\n/local/\n"),
        ("app/README.md", "hello\n"),
        ("app/x.bak", "out"),
        ("app/local/secret", "out"),
        ("app/files/deep/a.txt", "text"),
        ("app/crds/crd.yaml", "kind: X\n"),
        ("app/templates/a.yaml", "kind: A\n"),
        ("app/templates/_h.tpl", "x"),
        ("app/templates/tests/t.yaml", "kind: T\n"),
        ("app/charts/sub/Chart.yaml", "apiVersion: v1\nname: sub\nversion: 0.1.0\nengine: gotpl\n"),
        ("app/charts/sub/values.yaml", "b: 2\n"),
        ("app/charts/sub/templates/NOTES.txt", "note\n"),
    ];
    for (path, text) in &chart {
        let path = home.path().join(path);
        std::fs::create_dir_all(path.parent().expect("it is in a folder")).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let folder = home.path().join("app").display().to_string();
    let out = home.path().join("out").display().to_string();
    helm(&program, home.path(), &["package", &folder, "-d", &out]).unwrap();
    let theirs = std::fs::read(home.path().join("out/app-1.2.3.tgz")).unwrap();
    let ours = local(&tree(&chart), "app", &options(&[], "")).unwrap();
    let (ours, theirs): (BTreeMap<_, _>, BTreeMap<_, _>) = (files(&ours.archive), files(&theirs));
    assert_eq!(ours, theirs);
    // Helm reads what we pack.
    let packed = local(&tree(&chart), "app", &options(&[], "1")).unwrap();
    let path = home.path().join("packed.tgz");
    std::fs::write(&path, &packed.archive).unwrap();
    let shown =
        helm(&program, home.path(), &["show", "chart", &path.display().to_string()]).unwrap();
    assert!(shown.contains("version: 1.2.3+1"), "{shown}");
}

#[test]
fn an_index_that_helm_wrote_is_stored_byte_for_byte() {
    let Some(program) = oracle::require("helm") else { return };
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("charts");
    std::fs::create_dir(&folder).unwrap();
    let odd = "apiVersion: v2\nname: odd\nversion: 0.1.0+meta\nappVersion: \"<1 & 2>\"\ndescription: 'ä \"quoted\" text'\ndeprecated: true\nicon: https://example.com/?a=1&b=2\nkeywords: [b, a]\nmaintainers: [{name: m, url: https://example.com}]\nannotations: {z: '1', a: \"2\"}\ntype: library\ndependencies:\n- {name: x, version: 1.x, repository: https://example.com, tags: [t], import-values: [a, {child: c, parent: p}], alias: y}\n";
    for (name, version, files) in [
        ("app", "1.10.0", &[][..]),
        ("app", "1.2.0", &[]),
        ("app", "2.0.0-rc.1", &[]),
        ("odd", "0.1.0+meta", &[("Chart.yaml", odd)]),
    ] {
        let archive = borax_testkit::charts::chart(name, version, files);
        std::fs::write(folder.join(format!("{name}-{version}.tgz")), archive).unwrap();
    }
    let path = folder.display().to_string();
    helm(&program, home.path(), &["repo", "index", &path, "--json"]).unwrap();
    let json = std::fs::read_to_string(folder.join("index.yaml")).unwrap();
    assert_eq!(super::read(json.as_bytes()).unwrap().1, json);
    // Written in YAML it is the same index, but for the time of writing.
    helm(&program, home.path(), &["repo", "index", &path]).unwrap();
    let yaml = std::fs::read(folder.join("index.yaml")).unwrap();
    let without_times = |text: &str| {
        let kept =
            text.lines().filter(|l| !l.contains("\"created\"") && !l.contains("\"generated\""));
        kept.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(without_times(&super::read(&yaml).unwrap().1), without_times(&json));
}
