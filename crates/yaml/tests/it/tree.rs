//! The tree's own rules: positions, access, change and what styles survive.

use borax_yaml::{
    Comments, ErrorKind, Format, Node, Options, Style, Tag, Text, for_each_document, parse,
    parse_documents, parse_first, write,
};

fn first(text: &str) -> Node {
    parse_first(text, &Options::default()).unwrap().unwrap()
}

#[test]
fn positions_say_which_bytes_to_replace() {
    let text = "é: x\nimage: \"nginx:1\" # c\nlist: [a, 'b c', *x, &x !!str d]\n";
    let text = text.replace("*x, ", "");
    let root = first(&text);
    for (path, raw) in [(vec!["image"], "\"nginx:1\""), (vec!["é"], "x")] {
        let position = root.at(path).unwrap().position;
        assert_eq!(&text[position.start as usize..position.end as usize], raw);
    }
    let list = root.get("list").unwrap().items().unwrap();
    let raw: Vec<&str> = list
        .iter()
        .map(|item| &text[item.position.start as usize..item.position.end as usize])
        .collect();
    assert_eq!(raw, ["a", "'b c'", "d"]);
    assert_eq!((list[1].position.line, list[1].position.column), (3, 11));
}

#[test]
fn a_changed_tree_keeps_what_was_not_changed() {
    let text = "# head\na: 'x' # line\nb:\n- 1\n- {c: \"2\"}\n- 3\n# foot\n\nd: |\n  e\n";
    let mut root = first(text);
    assert_eq!(write(&root, Format::KYAML).unwrap(), text);
    *root.at_mut(["a"]).unwrap() = Node::string("yes").with_style(Style::DOUBLE);
    root.get_mut("b").unwrap().items_mut().unwrap().push(Node::bool(true));
    assert!(root.set("new", Node::int(7)).unwrap().is_none());
    assert_eq!(root.remove("d").unwrap().1.text(), Some("e\n"));
    assert_eq!(
        write(&root, Format::KYAML).unwrap(),
        "# head\na: \"yes\"\nb:\n- 1\n- {c: \"2\"}\n- 3\n# foot\n\n- true\nnew: 7\n"
    );
    root.clear_comments();
    assert_eq!(
        write(&root, Format::WIDE).unwrap(),
        "a: \"yes\"\nb:\n  - 1\n  - {c: \"2\"}\n  - 3\n  - true\nnew: 7\n"
    );
}

#[test]
fn scalars_know_their_types() {
    let root =
        first("[1, '1', 1.5, true, ~, 2001-01-01, 0o17, yes, !!str 2, 99999999999999999999]");
    let items = root.items().unwrap();
    let tags: Vec<Tag> = items.iter().map(Node::short_tag).collect();
    use Tag::{Bool, Float, Int, Null, Str, Timestamp};
    assert_eq!(tags, [Int, Str, Float, Bool, Null, Timestamp, Int, Str, Str, Float]);
    assert_eq!(items[0].as_i64(), Some(1));
    assert_eq!(items[1].as_str(), Some("1"));
    assert_eq!(items[2].as_f64(), Some(1.5));
    assert_eq!(items[3].as_bool(), Some(true));
    assert!(items[4].is_null());
    assert_eq!(items[6].as_i64(), Some(15));
    assert_eq!(items[1].as_i64(), None);
}

#[test]
fn constructed_strings_are_quoted_where_needed() {
    let root = Node::mapping(vec![
        (Node::string("a"), Node::string("123")),
        (Node::string("on"), Node::string("x\ny\n")),
        (Node::string("~"), Node::sequence(vec![Node::null(), Node::scalar("123")])),
    ]);
    assert_eq!(
        write(&root, Format::KYAML).unwrap(),
        "a: \"123\"\non: |\n  x\n  y\n\"~\":\n- null\n- 123\n"
    );
}

#[test]
fn aliases_expand_to_the_nearest_anchor_before_them() {
    let mut root = first("a: &x [1]\nb: &y [*x]\nc: &x [2]\nd: [*x, *y]\n");
    root.expand_aliases().unwrap();
    assert_eq!(write(&root, Format::KYAML).unwrap(), "a: [1]\nb: [[1]]\nc: [2]\nd: [[2], [[1]]]\n");
    let mut own = first("a: &a {b: *a}\n");
    let error = own.expand_aliases().unwrap_err();
    assert_eq!(error.to_string(), "yaml: anchor 'a' value contains itself");
}

#[test]
fn documents_come_one_by_one_until_told_to_stop() {
    let text = "a: 1\n---\nb: 2\n---\nc: [\n";
    let mut seen = 0;
    for_each_document(text, &Options::default(), |_| {
        seen += 1;
        seen < 2
    })
    .unwrap();
    assert_eq!(seen, 2);
    assert!(parse(text, &Options::default()).is_err());
}

#[test]
fn errors_name_the_place() {
    let error = parse("a: 1\nb:\n  - c: d: e\n", &Options::default()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Syntax);
    assert_eq!((error.line, error.column), (3, 9));
    assert_eq!(error.to_string(), "yaml: line 3: mapping values are not allowed in this context");
}

#[test]
fn comments_can_be_left_out_and_put_in() {
    let without = Options { comments: false, ..Options::default() };
    let documents = parse_documents("# a\n\n# b\nx: 1 # c\n# d\n", &without).unwrap();
    let mut root = documents[0].root.clone();
    assert_eq!(write(&root, Format::KYAML).unwrap(), "x: 1\n");
    let head = Text::from("# new");
    root.set_comments(Comments { head, ..Comments::default() });
    assert_eq!(write(&root, Format::KYAML).unwrap(), "# new\nx: 1\n");
}
