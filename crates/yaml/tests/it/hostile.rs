//! Texts made to break a reader end in an error or in a value, soon.

use borax_yaml::{
    ErrorKind, Format, Options, Root, decode, parse, parse_documents, to_json, to_string, write,
};

fn options() -> Options {
    Options::default()
}

#[test]
fn depth_is_limited() {
    for text in ["[".repeat(100_000), "{a: ".repeat(100_000), "- ".repeat(100_000)] {
        let error = parse(&text, &options()).unwrap_err();
        assert_eq!((error.kind, error.line), (ErrorKind::Limit, 1), "{error}");
        assert!(to_json(&text).is_err());
    }
    let deep = format!("{}{}", "[".repeat(499), "]".repeat(499));
    let nodes = parse(&deep, &options()).unwrap();
    assert!(decode(&nodes[0], Root::Any).is_ok());
    assert_eq!(write(&nodes[0], Format::KYAML).unwrap().trim_end(), deep);
    assert!(to_json(&deep).is_ok());
}

#[test]
fn depth_by_way_of_aliases_is_limited() {
    let mut text = String::from("a0: &a0 x\n");
    for level in 1..5_000 {
        text.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
    }
    let mut node = parse(&text, &options()).unwrap().remove(0);
    assert_eq!(decode(&node, Root::Any).unwrap_err().kind, ErrorKind::Limit);
    assert_eq!(to_json(&text).unwrap_err().kind, ErrorKind::Limit);
    assert_eq!(node.expand_aliases().unwrap_err().kind, ErrorKind::Limit);
}

#[test]
fn a_small_text_cannot_become_a_large_value() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let before = format!("*a{}", level - 1);
        text.push_str(&format!("a{level}: &a{level} [{}]\n", [before.as_str(); 10].join(", ")));
    }
    let mut node = parse(&text, &options()).unwrap().remove(0);
    for message in [
        decode(&node, Root::Any).unwrap_err().to_string(),
        to_json(&text).unwrap_err().to_string(),
        node.expand_aliases().unwrap_err().to_string(),
    ] {
        assert_eq!(message, "yaml: document contains excessive aliasing");
    }
}

#[test]
fn the_number_of_values_is_limited() {
    let small = Options { max_nodes: 4, ..options() };
    // The sequence and its three items; the second document has a count of its own.
    assert!(parse("[a, b, c]\n---\n[a, b, c]\n", &small).is_ok());
    let error = parse("[a, b,\n c, d]\n", &small).unwrap_err();
    assert_eq!((error.kind, error.line), (ErrorKind::Limit, 2), "{error}");
    let many = "a,".repeat(5_000_000);
    assert_eq!(to_json(format!("[{many}]")).unwrap_err().kind, ErrorKind::Limit);
}

#[test]
fn size_is_limited() {
    let small = Options { max_bytes: 10, ..options() };
    assert!(parse("a: 1\n", &small).is_ok());
    assert_eq!(parse("a: 12345678\n", &small).unwrap_err().kind, ErrorKind::Limit);
}

#[test]
fn time_grows_with_the_text_and_not_faster() {
    let many = 20_000;
    let texts = [
        "# comment\n".repeat(many),
        "a: 1 # c\n# d\n\n".repeat(many),
        "- ".repeat(400) + &"x ".repeat(many),
        format!("[{}]", "a, ".repeat(many)),
        format!("{{{}}}", "a: b, ".repeat(many)),
        "\"".to_owned() + &"\\n".repeat(many) + "\"",
        "a\n\n".repeat(many),
        "? ".repeat(300) + "\n",
        "---\n".repeat(many),
        "\u{feff}".repeat(many),
        " ".repeat(many) + "a",
        "\t".repeat(many),
        "'".repeat(many),
        "&a ".repeat(many),
        "!t ".repeat(many),
        "|".to_owned() + &"\n".repeat(many),
        "é".repeat(many) + ": x",
        "%TAG !a! b\n".repeat(many),
    ];
    for text in texts {
        if let Ok(documents) = parse_documents(&text, &options()) {
            for document in documents {
                let _ = write(&document.root, Format::KYAML);
                let _ = decode(&document.root, Root::Any);
            }
        }
        let _ = to_json(&text);
    }
}

/// A generator whose numbers look random and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit.max(1)
    }
}

#[test]
fn any_bytes_are_read_and_what_is_written_means_the_same() {
    let seeds: [&[u8]; 6] = [
        include_bytes!("../cases/objects/deployment.yaml"),
        include_bytes!("../cases/objects/list.yaml"),
        include_bytes!("../cases/objects/crd.yaml"),
        b"a: &x [1, {b: *x}]\n? - c\n: |+\n  d\n\n<<: {e: ~}\n",
        "é: \"\\u00e9\\\n  x\"\n# c\n- 'a''b'\n---\n%TAG ! a\n".as_bytes(),
        b"\xef\xbb\xbf!!binary aGk=: >-\n  x\r\n\r\n   y\n...\n",
    ];
    let pieces: &[&[u8]] = &[
        b"\n",
        b" ",
        b": ",
        b"- ",
        b"? ",
        b"#",
        b"[",
        b"]",
        b"{",
        b"}",
        b",",
        b"&a ",
        b"*a",
        b"!",
        b"|",
        b">",
        b"'",
        b"\"",
        b"\\",
        b"%",
        b"@",
        b"\t",
        b"\r",
        b"\0",
        b"\xff",
        b"\xc2\x85",
        b"<<: ",
        b"\xe2\x80\xa8",
        b"---",
        b"0x",
        b"~",
    ];
    let mut numbers = Numbers(1);
    for _ in 0..3_000 {
        let mut text = seeds[numbers.below(seeds.len())].to_vec();
        for _ in 0..=numbers.below(6) {
            let at = numbers.below(text.len() + 1);
            let end = (at + numbers.below(4)).min(text.len());
            text.splice(at..end, pieces[numbers.below(pieces.len())].iter().copied());
        }
        if let Ok(documents) = parse_documents(&text, &options()) {
            for document in &documents {
                let _ = decode(&document.root, Root::StringMap);
                let _ = document.root.clone().expand_aliases();
                let _ = write(&document.root, Format::WIDE);
            }
        }
        if let Ok(value) = to_json(&text) {
            let written = to_string(&value);
            let again = to_json(&written).unwrap_or_else(|error| panic!("{error}:\n{written}"));
            assert_eq!(to_string(&again), written);
        }
    }
}
