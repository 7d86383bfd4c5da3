//! Indexes: what is read, what is left out, what is refused, and which version is chosen.

use borax_source::helm_repo::{ChooseError, IndexError};

use super::read;

const PLAIN: &str = r#"apiVersion: v1
entries:
  app:
  - apiVersion: v2
    created: "2024-01-02T03:04:05.100Z"
    description: |
      Lines that look like keys:
      app:
      - entries:
    digest: "01"
    name: app
    urls:
    - app-1.0.0.tgz
    version: 1.0.0
  - apiVersion: v2
    created: "2024-01-03T00:00:00Z"
    description: 'a "quoted" # one'
    name: app
    urls:
    - https://cdn.example.com/app-1.10.0.tgz
    version: 1.10.0
  # A comment between.
  - apiVersion: v2
    name: app
    version: 1.9.0
  - apiVersion: v2
    name: app
    version: 2.0.0-rc.1
  "other":
    - name: other
      version: 0.1.0
      appVersion: 1.10
  none: []
generated: "2024-01-04T00:00:00.000000001Z"
"#;

fn versions(text: &str, chart: &str, ranges: &[&str]) -> Vec<String> {
    let (index, _) = read(text.as_bytes()).expect("an index");
    let chosen = |range: &&str| match index.choose(chart, range) {
        Ok(version) => version.version.to_string(),
        Err(error) => error.to_string(),
    };
    ranges.iter().map(chosen).collect()
}

#[test]
fn the_newest_version_in_the_range_is_chosen() {
    assert_eq!(
        versions(
            PLAIN,
            "app",
            &["", "*", "1.x", "~1.9", "<1.5", ">1.10.0-0", "1.9.0", "3.x", "what?"]
        ),
        [
            "1.10.0",
            "1.10.0",
            "1.10.0",
            "1.9.0",
            "1.0.0",
            "2.0.0-rc.1",
            "1.9.0",
            "no 'app' chart with version matching '3.x' found",
            "improper constraint: \"what?\"",
        ]
    );
    let (index, _) = read(PLAIN.as_bytes()).unwrap();
    assert_eq!(index.choose("missing", ""), Err(ChooseError::NoChart));
    assert_eq!(index.choose("none", ""), Err(ChooseError::NoVersion));
    assert_eq!(
        index.choose("app", "1.10.0").unwrap().url.as_deref(),
        Some("https://cdn.example.com/app-1.10.0.tgz")
    );
    assert_eq!(index.choose("app", "1.9.0").unwrap().url, None);
    assert_eq!(index.size(), (3, 5));
}

#[test]
fn of_versions_that_differ_in_metadata_only_the_last_made_is_chosen() {
    let entry = |version: &str, created: &str| {
        format!("  - {{name: app, version: {version}, created: \"{created}\"}}\n")
    };
    let text = format!(
        "apiVersion: v1\nentries:\n  app:\n{}{}{}",
        entry("1.0.0+a", "2024-01-01T00:00:00Z"),
        entry("1.0.0+c", "2024-01-03T00:00:00Z"),
        entry("1.0.0+b", "2024-01-02T00:00:00Z"),
    );
    assert_eq!(versions(&text, "app", &["1.0.0", "1.0.0+a"]), ["1.0.0+c", "1.0.0+a"]);
}

#[test]
fn it_is_stored_as_flux_stores_it() {
    let (_, stored) = read(PLAIN.as_bytes()).unwrap();
    let value: serde_json::Value = serde_json::from_str(&stored).expect("JSON");
    let order: Vec<&str> = value["entries"]["app"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["version"].as_str().unwrap())
        .collect();
    assert_eq!(order, ["2.0.0-rc.1", "1.10.0", "1.9.0", "1.0.0"], "newest first");
    assert!(stored.starts_with("{\n  \"apiVersion\": \"v1\",\n  \"generated\": \"2024-01-04T00:00:00.000000001Z\",\n  \"entries\": {\n    \"app\": [\n      {\n        \"name\": \"app\","));
    assert!(stored.contains("        \"created\": \"2024-01-02T03:04:05.1Z\",\n        \"digest\": \"01\"\n      }\n    ],\n    \"none\": [],\n"));
    assert!(stored.contains("\"urls\": null,\n        \"created\": \"0001-01-01T00:00:00Z\"\n"));
    assert!(stored.contains("\"appVersion\": \"1.1\""), "an unquoted 1.10 is a number");
    assert!(stored.ends_with("  }\n}"), "{stored}");
    // What was stored reads as the same, so that it need not be fetched after a restart.
    let (again, twice) = read(stored.as_bytes()).unwrap();
    assert_eq!(again, read(PLAIN.as_bytes()).unwrap().0);
    assert_eq!(twice, stored);
}

#[test]
fn every_layout_of_yaml_reads_as_the_same() {
    let entry = "{name: app, version: 1.0.0, urls: [a.tgz]}";
    let layouts = [
        "apiVersion: v1\nentries:\n  app:\n  - name: app\n    version: 1.0.0\n    urls: [a.tgz]\n".to_owned(),
        "---\napiVersion: v1\nentries:\n    app:\n        -   name: app\n            version: 1.0.0\n            urls:\n            -   a.tgz\n...\nignored".to_owned(),
        format!("entries:\n app: [{entry}]\napiVersion: v1\n"),
        format!("entries: {{app: [{entry}]}}\napiVersion: v1\n"),
        format!("{{apiVersion: v1, entries: {{app: [{entry}]}}}}"),
        "# a comment\n---\napiVersion: v1\nentries:\n  app:\n  - &a {name: app, version: 1.0.0, urls: [a.tgz]}\n".to_owned(),
        "apiVersion: v1\nentries:\n  app:\n  - name: app\n    version: 1.0.0\n    description: \"one\n\n  - two\n      three\"\n    urls: [a.tgz]\n".to_owned(),
        "apiVersion: v1\r\nentries:\r\n  app:\r\n  - name: app\r\n    version: 1.0.0\r\n    urls:\r\n    - a.tgz\r\n".to_owned(),
        "{\"apiVersion\":\"v1\",\"entries\":{\"app\":[{\"name\":\"app\",\"version\":\"1.0.0\",\"urls\":[\"a.tgz\"],\"more\":1}]}}".to_owned(),
        "apiVersion: v1\nentries:\n  app:\n    # first\n\n  - name: app # one\n\n    version: 1.0.0\n    urls: [a.tgz]\n\n# last\n".to_owned(),
    ];
    for layout in layouts {
        let (index, _) = read(layout.as_bytes()).unwrap_or_else(|e| panic!("{e}:\n{layout}"));
        let version = index.choose("app", "").unwrap_or_else(|e| panic!("{e}:\n{layout}"));
        assert_eq!(
            (&*version.version, version.url.as_deref()),
            ("1.0.0", Some("a.tgz")),
            "{layout}"
        );
    }
}

#[test]
fn aliases_across_entries_are_followed() {
    let text = "apiVersion: v1\nentries:\n  app:\n  - name: app\n    version: 1.0.0\n    urls: &urls [a.tgz]\n  - name: app\n    version: 1.1.0\n    urls: *urls\n";
    assert_eq!(versions(text, "app", &[""]), ["1.1.0"]);
    assert_eq!(
        read(text.as_bytes()).unwrap().0.choose("app", "").unwrap().url.as_deref(),
        Some("a.tgz")
    );
}

#[test]
fn what_is_no_index_is_refused_with_helm_s_words() {
    let refused = |text: &str| read(text.as_bytes()).unwrap_err();
    assert_eq!(refused(""), IndexError::Empty);
    assert_eq!(refused("entries: {}\n"), IndexError::NoApiVersion);
    assert_eq!(refused("{}"), IndexError::NoApiVersion);
    for (text, want) in [
        ("<html>not found</html>", "not an object"),
        ("- a\n", "not an object"),
        ("apiVersion: v1\nentries: 7\n", "entries are not an object"),
        ("apiVersion: v1\nentries:\n  app: 7\n", "the entries of \"app\" are not a list"),
        ("apiVersion: v1\nentries:\n  app:\n  - 7\n", "an entry is not an object"),
        ("apiVersion: v1\nentries:\n  app:\n  - name: [\n", "YAML"),
        ("apiVersion: v1\nentries:\n  app:\n  - name: app\n    name: app\n", "already set"),
        ("apiVersion: v1\nentries:\n  app: []\n  app: []\n", "already set"),
        (
            "apiVersion: v1\nentries:\n  app:\n  - name: app\n    version: 1.0.0\n    nonsense: 1\n",
            "unknown field \"nonsense\"",
        ),
        ("apiVersion: v1\nnonsense: 1\n", "unknown field \"nonsense\""),
        (
            "apiVersion: v1\nentries:\n  app:\n  - name: app\n    version: 1.0.0\n    created: now\n",
            "\"now\"",
        ),
        ("{\"apiVersion\": \"v1\", \"entries\": {\"app\": 7}}", "a list of versions"),
    ] {
        let error = refused(text).to_string();
        assert!(error.contains(want), "{text:?}: {error}");
    }
}

#[test]
fn entries_that_are_no_charts_are_left_out() {
    let text = "apiVersion: v1\nentries:\n  app:\n  -\n  - name: app\n    version: latest\n  - version: 1.0.0\n  - name: app\n    version: 1.0.0\n    type: nonsense\n  - name: app\n    version: 0.1.0\n";
    assert_eq!(versions(text, "app", &[""]), ["0.1.0"]);
}

/// Descriptions that look like an index, in every style that YAML has.
fn description(style: u8, words: &str, indent: &str) -> String {
    let lines = || words.split('\n').map(|line| format!("\n{indent}  {line}")).collect::<String>();
    match style {
        0 => format!("|{}", lines()),
        1 => format!(">-{}", lines()),
        2 => format!("'{}'", words.replace('\'', "''").replace('\n', &format!("\n\n{indent}  "))),
        3 => {
            format!("\"{}\"", words.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
        }
        4 => format!("\"{}\"", words.replace('\\', "\\\\").replace('"', "\\\"")),
        _ => serde_json::to_string(words).expect("a text"),
    }
}

proptest::proptest! {
    /// Entry by entry or as one document: an index is the same, or no index, either way.
    #[test]
    fn an_index_in_pieces_is_the_index_as_a_whole(
        names in 1usize..4,
        dashes in 0usize..4,
        entries in proptest::collection::vec((0u8..6, "[-a:#'\"| \n]{0,24}", 0u8..4, 0u8..3), 1..8),
    ) {
        let (name_indent, dash_indent) = (" ".repeat(names), " ".repeat(names + dashes));
        let inner = format!("{dash_indent}  ");
        let mut text = "apiVersion: v1\nentries:\n".to_owned();
        for (nth, (style, words, gap, chart)) in entries.iter().enumerate() {
            if nth == 0 || *chart == 0 {
                text += &format!("{name_indent}chart-{nth}:\n");
            }
            let words = words.trim();
            text += &format!("{dash_indent}- name: app\n{inner}version: 1.{nth}.0\n");
            text += &match gap {
                0 => String::new(),
                1 => "\n".to_owned(),
                2 => "# - comment: one\n".to_owned(),
                _ => format!("{inner}# entries:\n"),
            };
            text += &format!("{inner}description: {}\n", description(*style, words, &inner));
        }
        text += "generated: \"2024-01-01T00:00:00Z\"\n";
        let whole = borax_yaml::to_json_strict(&text).ok().map(|value| value.to_string());
        let whole = whole.and_then(|json| read(json.as_bytes()).ok());
        let pieces = read(text.as_bytes()).ok();
        proptest::prop_assert_eq!(pieces, whole, "{}", text);
    }
}
