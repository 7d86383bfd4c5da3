//! Templates and patterns as Go documents and tests them.

use borax_golang::regexp::{compile, expand};

fn expanded(pattern: &str, text: &str, template: &str) -> String {
    let regex = compile(pattern).unwrap();
    let found = regex.captures(text.as_bytes()).unwrap();
    let mut out = Vec::new();
    expand(template, &found, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn templates_expand_as_in_go() {
    let pattern = r"^main-(?P<sha>[a-f0-9]+)-(?P<ts>\d+)$";
    let text = "main-abc-123";
    for (template, want) in [
        ("$ts", "123"),
        ("${ts}", "123"),
        ("$2", "123"),
        ("${2}.$1", "123.abc"),
        ("$1x", ""),
        ("${1}x", "abcx"),
        ("$ts_", ""),
        ("$0", "main-abc-123"),
        ("$9", ""),
        // A number with a zero in front is a name, and no group has it.
        ("$01", ""),
        ("${00}", ""),
        ("$999999999999", ""),
        ("$$ts", "$ts"),
        ("$", "$"),
        ("${ts", "${ts"),
        ("${}", "${}"),
        ("${t-s}", "${t-s}"),
        ("$-$ts", "$-123"),
        ("x", "x"),
    ] {
        assert_eq!(expanded(pattern, text, template), want, "{template}");
    }
}

#[test]
fn patterns_are_read_and_refused_as_in_go() {
    assert!(compile(r"^v\d+$").unwrap().is_match(b"v12"));
    assert!(!compile(r"^\d$").unwrap().is_match("٣".as_bytes()));
    assert!(compile(r"(?<year>\d{4})").unwrap().is_match(b"2026"));
    for (pattern, want) in [
        ("(", "error parsing regexp: missing closing ): `(`"),
        ("[a", "error parsing regexp: missing closing ]: `[a`"),
        ("*", "error parsing regexp: missing argument to repetition operator: `*`"),
        ("a**", "error parsing regexp: invalid nested repetition operator: `**`"),
        (r"\8", r"error parsing regexp: invalid escape sequence: `\8`"),
    ] {
        assert_eq!(compile(pattern).unwrap_err().to_string(), want);
    }
}
