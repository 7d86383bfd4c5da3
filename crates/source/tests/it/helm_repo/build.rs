//! What becomes of charts: passed on, stamped, given other values, completed with dependencies, packaged.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::Arc;

use borax_artifact::unpack::unpack_tar_gz;
use borax_artifact::unpacked::UnpackedTree;
use borax_source::helm_repo::Limits;
use borax_source::helm_repo::build::{BuildError, BuildOptions, Built, check_name, remote, stamp};
use borax_source::helm_repo::folder::{Local, dependency_repository};
use borax_testkit::charts::chart;
use borax_testkit::registry::tar_gz;

use super::storage;

pub(super) fn options(values_files: &[&str], metadata: &str) -> BuildOptions {
    BuildOptions {
        values_files: values_files.iter().map(|name| (*name).to_owned()).collect(),
        ignore_missing: false,
        version_metadata: metadata.to_owned(),
    }
}

/// The files of an archive.
pub(super) fn files(archive: &[u8]) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    let read = |entry: std::io::Result<tar::Entry<'_, _>>| {
        let mut entry = entry.expect("an entry");
        let mut text = String::new();
        entry.read_to_string(&mut text).expect("a text");
        (entry.path().expect("a path").display().to_string(), text)
    };
    archive.entries().expect("an archive").map(read).collect()
}

pub(super) fn tree(files: &[(&str, &str)]) -> Arc<UnpackedTree> {
    let (_dir, storage) = storage();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(p, text)| (*p, text.as_bytes())).collect();
    let mut staging = storage.stage().expect("a staging");
    let archive = tar_gz(&files);
    unpack_tar_gz(&*archive, &storage.options().limits, &mut staging).expect("an archive");
    Arc::new(staging.finish().expect("a tree"))
}

pub(super) fn local(
    tree: &Arc<UnpackedTree>,
    path: &str,
    options: &BuildOptions,
) -> Result<Built, BuildError> {
    let local = Local::open(Arc::clone(tree), path, options, Limits::default())?;
    if !local.packages {
        return local.as_it_is();
    }
    local.load(options)?.finish(&local)
}

#[test]
fn a_chart_that_is_not_changed_is_passed_on_byte_for_byte() {
    let archive = chart("app", "1.0.0", &[]);
    let built = remote("app", "1.0.0", archive.clone(), &options(&[], "")).unwrap();
    assert_eq!(built.archive, archive);
    assert_eq!(built.summary(), "pulled 'app' chart with version '1.0.0'");
    let own = remote("app", "1.0.0", archive.clone(), &options(&["./values.yaml"], "")).unwrap();
    assert_eq!(own.archive, archive, "its own values are no others");
    let broken = remote("app", "1.0.0", b"no archive".to_vec(), &options(&[], "")).unwrap_err();
    let text = broken.to_string();
    assert!(
        text.starts_with("chart pull error: failed to load chart metadata from written chart: "),
        "{text}"
    );
    let nameless = chart("app", "1.0.0", &[("Chart.yaml", "apiVersion: v2\nversion: 1.0.0\n")]);
    assert_eq!(
        remote("app", "1.0.0", nameless, &options(&[], "")).unwrap_err().to_string(),
        "chart pull error: failed to validate metadata of written chart: validation: chart.metadata.name is required"
    );
}

#[test]
fn values_files_of_a_pulled_chart_are_merged_in_their_order() {
    let archive = chart(
        "app",
        "1.0.0",
        &[
            ("values.yaml", "a: 1\nb: {c: x, d: w}\n"),
            ("prod.yaml", "b:\n  c: z\nlist: [1]\n"),
            ("bad.yaml", "- a\n"),
        ],
    );
    let with = options(&["values.yaml", "./prod.yaml"], "3");
    let version = stamp("1.0.0", &with).unwrap();
    let built = remote("app", &version, archive.clone(), &with).unwrap();
    assert_eq!(
        built.summary(),
        "packaged 'app' chart with version '1.0.0+3' and merged values files [values.yaml ./prod.yaml]"
    );
    let files = files(&built.archive);
    assert_eq!(files["app/values.yaml"], "a: 1\nb:\n  c: z\n  d: w\nlist:\n- 1\n");
    assert_eq!(files["app/Chart.yaml"], "apiVersion: v2\nname: app\nversion: 1.0.0+3\n");
    let missing =
        remote("app", &version, archive.clone(), &options(&["none.yaml"], "3")).unwrap_err();
    assert_eq!(
        missing.to_string(),
        "values files merge error: failed to merge chart values: no values file found at path 'none.yaml'"
    );
    assert!(missing.reason.is_persistent() && missing.chart.is_some());
    let lenient =
        BuildOptions { ignore_missing: true, ..options(&["none.yaml", "prod.yaml"], "3") };
    let built = remote("app", &version, archive.clone(), &lenient).unwrap();
    assert_eq!(built.values_files, ["prod.yaml"]);
    let bad =
        remote("app", &version, archive, &options(&["bad.yaml"], "3")).unwrap_err().to_string();
    assert!(bad.contains("unmarshaling values from 'bad.yaml' failed: "), "{bad}");
    let without = chart("app", "1.0.0", &[("prod.yaml", "a: 1\n")]);
    assert_eq!(
        remote("app", &version, without, &options(&["prod.yaml"], "3")).unwrap_err().to_string(),
        "values files merge error: failed to locate values file: values.yaml"
    );
}

#[test]
fn versions_are_stamped() {
    for (version, metadata, want) in [
        ("1.0.0", "abc", "1.0.0+abc"),
        ("v1.2", "a.3", "1.2.0+a.3"),
        ("1.0.0-rc.1+old", "new", "1.0.0-rc.1+new"),
        ("v1", "", "v1"),
    ] {
        assert_eq!(stamp(version, &options(&[], metadata)).unwrap(), want);
    }
    let error = stamp("one", &options(&[], "a")).unwrap_err().to_string();
    assert_eq!(
        error,
        "chart metadata patch error: failed to parse version from chart metadata as SemVer: invalid semantic version"
    );
    assert!(stamp("1.0.0", &options(&[], "a b")).is_err());
}

#[test]
fn names_are_those_that_flux_takes() {
    for good in ["app", "a-1", "org/app", "a.b", "a/.b", "-"] {
        assert!(check_name(good).is_ok(), "{good}");
    }
    for bad in ["", "App", "a_b", "/a", "a//b", "a..b", "a b", "../a"] {
        assert!(check_name(bad).is_err(), "{bad}");
    }
    assert_eq!(
        check_name("App").unwrap_err().to_string(),
        "invalid chart reference: invalid chart name 'App': a valid name must be lower case letters and numbers and MAY be separated with dashes (-), slashes (/) or periods (.)"
    );
}

const APP: &str = "apiVersion: v2\nname: app\nversion: 1.0.0\n";

#[test]
fn a_folder_is_packaged() {
    let tree = tree(&[
        ("charts/app/Chart.yaml", APP),
        ("charts/app/values.yaml", "a: 1\n"),
        ("charts/app/.helmignore", "*.md\n"),
        ("charts/app/README.md", "left out"),
        ("charts/app/templates/a.yaml", "kind: A\n"),
        ("charts/app/crds/b.yaml", "kind: B\n"),
        ("values/prod.yaml", "a: 2\n"),
    ]);
    let built = local(&tree, "./charts/app", &options(&[], "0123456789ab")).unwrap();
    assert_eq!(built.summary(), "packaged 'app' chart with version '1.0.0+0123456789ab'");
    let names: Vec<String> = files(&built.archive).into_keys().collect();
    assert_eq!(
        names,
        [
            "app/.helmignore",
            "app/Chart.yaml",
            "app/crds/b.yaml",
            "app/templates/a.yaml",
            "app/values.yaml"
        ]
    );
    // Values files are the source's, not the chart's.
    let built =
        local(&tree, "charts/app", &options(&["charts/app/values.yaml", "values/prod.yaml"], "1"))
            .unwrap();
    assert_eq!(files(&built.archive)["app/values.yaml"], "a: 2\n");
    assert_eq!(built.values_files, ["charts/app/values.yaml", "values/prod.yaml"]);
    for (path, files, want) in [
        (
            "charts/none",
            &[][..],
            "invalid chart reference: stat charts/none: no such file or directory",
        ),
        (
            "values",
            &[],
            "invalid chart reference: open values/Chart.yaml: no such file or directory",
        ),
        (
            "/charts/app",
            &[],
            "invalid chart reference: local chart reference path is expected to be relative",
        ),
        ("", &[], "invalid chart reference: no path set for local chart reference"),
        (
            "../../charts/app",
            &["no.yaml"],
            "values files merge error: no values file found at path '/no.yaml' (reference 'no.yaml')",
        ),
    ] {
        assert_eq!(local(&tree, path, &options(files, "")).unwrap_err().to_string(), want);
    }
}

#[test]
fn an_archive_in_a_source_is_passed_on() {
    let archive = chart("app", "1.0.0", &[("values.yaml", "a: 1\n")]);
    let (_dir, storage) = storage();
    let mut staging = storage.stage().unwrap();
    let outer = tar_gz(&[("app.tgz", &archive), ("prod.yaml", b"a: 2\n")]);
    unpack_tar_gz(&*outer, &storage.options().limits, &mut staging).unwrap();
    let tree = Arc::new(staging.finish().unwrap());
    let built = local(&tree, "app.tgz", &options(&[], "")).unwrap();
    assert_eq!(built.archive, archive);
    let built = local(&tree, "app.tgz", &options(&["prod.yaml"], "2")).unwrap();
    assert_eq!((built.packaged, &*built.version), (true, "1.0.0+2"));
    assert_eq!(files(&built.archive)["app/values.yaml"], "a: 2\n");
}

#[test]
fn dependencies_in_the_source_are_put_in() {
    let app = "apiVersion: v2\nname: app\nversion: 1.0.0\ndependencies:\n- name: lib\n  alias: two\n  version: 1.x\n  repository: file://../lib\n- name: sub\n  version: 0.1.0\n  repository: \"\"\n- name: far\n  version: '*'\n  repository: https://example.com/charts\n";
    let tree = tree(&[
        ("app/Chart.yaml", app),
        ("app/charts/sub/Chart.yaml", "apiVersion: v2\nname: sub\nversion: 0.1.0\n"),
        ("lib/Chart.yaml", "apiVersion: v2\nname: lib\nversion: 1.2.0\n"),
        ("lib/templates/_a.tpl", "{{ define \"a\" }}{{ end }}"),
    ]);
    let options = options(&[], "");
    let opened = Local::open(Arc::clone(&tree), "app", &options, Limits::default()).unwrap();
    let mut loaded = opened.load(&options).unwrap();
    let far = loaded.missing.clone();
    assert_eq!(far.iter().map(|d| &*d.name).collect::<Vec<_>>(), ["far"]);
    loaded.add(&far[0], "2.0.0", &chart("far", "2.0.0", &[])).unwrap();
    let built = loaded.finish(&opened).unwrap();
    assert_eq!(built.dependencies, 2);
    let names: Vec<String> = files(&built.archive).into_keys().collect();
    assert_eq!(
        names,
        [
            "app/Chart.yaml",
            "app/charts/far/Chart.yaml",
            "app/charts/sub/Chart.yaml",
            "app/charts/two/Chart.yaml",
            "app/charts/two/templates/_a.tpl",
        ]
    );
    let wrong = tree_with_dependency("2.x", "file://../lib");
    assert_eq!(
        local(&wrong, "app", &options).unwrap_err().to_string(),
        "dependency build error: failed to add local dependency 'lib': can't get a valid version for constraint '2.x'"
    );
    let outside = tree_with_dependency("1.x", "file://../../../nowhere");
    assert_eq!(
        local(&outside, "app", &options).unwrap_err().to_string(),
        "dependency build error: failed to add local dependency 'lib': no chart found at '/nowhere' (reference 'file://../../../nowhere')"
    );
}

fn tree_with_dependency(version: &str, repository: &str) -> Arc<UnpackedTree> {
    let app = format!(
        "{APP}dependencies:\n- name: lib\n  version: {version}\n  repository: {repository}\n"
    );
    tree(&[
        ("app/Chart.yaml", &app),
        ("lib/Chart.yaml", "apiVersion: v2\nname: lib\nversion: 1.2.0\n"),
    ])
}

#[test]
fn the_lock_file_goes_before_chart_yaml() {
    let app = format!(
        "{APP}dependencies:\n- name: far\n  version: '*'\n  repository: https://example.com\n"
    );
    let lock = "dependencies:\n- name: far\n  repository: https://example.com\n  version: 1.2.3\ndigest: d\ngenerated: \"2024-01-01T00:00:00Z\"\n";
    let tree = tree(&[("app/Chart.yaml", &app), ("app/Chart.lock", lock)]);
    let options = options(&[], "");
    let opened = Local::open(tree, "app", &options, Limits::default()).unwrap();
    let loaded = opened.load(&options).unwrap();
    assert_eq!(loaded.missing[0].version, "1.2.3");
    let built = loaded.finish(&opened).unwrap();
    assert_eq!(files(&built.archive)["app/Chart.lock"], lock);
}

#[test]
fn repositories_of_dependencies_are_real_addresses() {
    assert_eq!(dependency_repository("https://example.com").unwrap(), "https://example.com/");
    assert_eq!(dependency_repository("oci://example.com/a/").unwrap(), "oci://example.com/a");
    assert_eq!(
        dependency_repository("@stable").unwrap_err(),
        "invalid dependency repository URL: aliased repository dependency is not supported: @stable"
    );
    assert_eq!(
        dependency_repository("s3://bucket").unwrap_err(),
        "invalid dependency repository URL: s3://bucket"
    );
}

#[test]
fn a_file_that_is_too_large_is_named() {
    let tree = tree(&[("app/Chart.yaml", APP), ("app/big", &"x".repeat(200))]);
    let options = options(&[], "");
    let limits = Limits { file: 100, ..Limits::default() };
    let opened = Local::open(tree, "app", &options, limits).unwrap();
    let Err(error) = opened.load(&options) else { panic!("it is too large") };
    assert_eq!(
        error.to_string(),
        "chart package error: failed to load chart from app: chart file \"big\" is larger than the maximum file size 100"
    );
}
