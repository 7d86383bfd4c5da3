//! Command lines as Helm's command reads them; the words are pflag's.

use std::sync::Arc;

use borax_helm::{FixedEnv, TemplateFlags};

fn parse(line: &[&str]) -> Result<TemplateFlags, String> {
    TemplateFlags::parse(line.iter().map(|s| (*s).to_owned())).map_err(|e| e.to_string())
}

#[test]
fn flags_are_read_as_pflag_reads_them() {
    let flags = parse(&["-nfoo", "-f", "a.yaml,\"b,c.yaml\"", "-f=d.yaml", "n", "c", "--wait"]);
    let flags = flags.unwrap();
    assert_eq!(flags.namespace.as_deref(), Some("foo"));
    assert_eq!(flags.values.values, ["a.yaml", "b,c.yaml", "d.yaml"]);
    assert_eq!((flags.name.as_deref(), flags.chart.as_str()), (Some("n"), "c"));
    let flags = parse(&["--include-crds=f", "--no-hooks=1", "c", "--", "--x"]).unwrap();
    assert!(!flags.include_crds && flags.no_hooks);
    assert_eq!((flags.name.as_deref(), flags.chart.as_str()), (Some("c"), "--x"));
    assert!(parse(&["c", "-gh"]).unwrap().help);
    assert!(parse(&["c", "--dry-run=server"]).unwrap().server);
    assert!(parse(&["c", "--validate"]).unwrap().server);
}

#[test]
fn what_does_not_fit_is_told_in_pflags_words() {
    for (line, words) in [
        (&["c", "--nope"][..], "unknown flag: --nope"),
        (&["c", "-ng", "-zx"], "unknown shorthand flag: 'z' in -zx"),
        (&["c", "--set"], "flag needs an argument: --set"),
        (&["c", "-f"], "flag needs an argument: 'f' in -f"),
        (&["c", "--=x"], "bad flag syntax: --=x"),
        (
            &["c", "--no-hooks=maybe"],
            "invalid argument \"maybe\" for \"--no-hooks\" flag: strconv.ParseBool: parsing \"maybe\": invalid syntax",
        ),
        (
            &["c", "-l", "a"],
            "invalid argument \"a\" for \"-l, --labels\" flag: a must be formatted as key=value",
        ),
        (
            &["c", "--force", "--force-conflicts"],
            "if any flags in the group [force force-conflicts] are set none of the others can be; [force force-conflicts] were all set",
        ),
        (&["n", "c", "-g"], "cannot set --generate-name and also specify a name"),
        (&["n", "c", "--name-template", "x"], "cannot set --name-template and also specify a name"),
        (
            &["c", "--dry-run=none"],
            "invalid dry-run value (\"none\"). Must be \"server\" or \"client\"",
        ),
        (
            &["c", "-f", "a\"b"],
            "invalid argument \"a\\\"b\" for \"-f, --values\" flag: parse error on line 1, column 2: bare \" in non-quoted-field",
        ),
    ] {
        assert_eq!(parse(line).unwrap_err(), words);
    }
    assert!(parse(&["c", "--post-renderer", "x"]).unwrap_err().contains("not supported"));
    assert!(parse(&["c", "--verify"]).unwrap_err().contains("not supported"));
}

#[test]
fn a_generated_name_is_the_default_one() {
    let options = parse(&["c", "-g"]).unwrap().options(Arc::new(FixedEnv::at(0))).unwrap();
    assert_eq!(options.release_name, "release-name");
}
