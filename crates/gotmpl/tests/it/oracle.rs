//! Every case under `tests/cases` gives the output or the error that Go gave.

use std::path::Path;

use borax_gotmpl::{
    Context, Elem, Func, FuncMap, IntType, Limits, List, Map, MissingKey, Templates, Type,
    UintType, Value,
};
use serde_json::Value as Json;

pub(crate) fn decode(json: &Json) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(n) => Value::Float(n.as_f64().unwrap()),
        Json::String(s) => Value::str(s.as_str()),
        Json::Array(items) => Value::list(items.iter().map(decode).collect()),
        Json::Object(entries) => {
            if let (1, Some((key, arg))) = (entries.len(), entries.iter().next()) {
                let strings = || arg.as_array().unwrap().iter().map(|s| s.as_str().unwrap());
                match key.as_str() {
                    "$int" => return Value::Int(arg.as_i64().unwrap(), IntType::Int),
                    "$int64" => return Value::Int(arg.as_i64().unwrap(), IntType::Int64),
                    "$uint" => return Value::Uint(arg.as_u64().unwrap(), UintType::Uint),
                    "$bytes" => return Value::Bytes(arg.as_str().unwrap().as_bytes().into()),
                    "$strs" => return Value::strings(strings()),
                    "$ints" => {
                        let ints = arg.as_array().unwrap().iter();
                        let ints = ints.map(|n| Value::int(n.as_i64().unwrap())).collect();
                        return Value::List(List::new(Elem::Int, ints));
                    }
                    "$strmap" => {
                        let map = Map::typed(Elem::Str);
                        for (k, v) in arg.as_object().unwrap() {
                            map.set(k.as_str(), decode(v));
                        }
                        return Value::Map(map);
                    }
                    _ => {}
                }
            }
            Value::Map(entries.iter().map(|(k, v)| (k.as_str().into(), decode(v))).collect())
        }
    }
}

fn int(v: &Value) -> i64 {
    match v {
        Value::Int(n, _) => *n,
        _ => panic!("not an int"),
    }
}

fn text(v: &Value) -> String {
    v.as_str().unwrap().to_text().into_owned()
}

pub(crate) fn funcs() -> FuncMap {
    let mut f = FuncMap::new();
    f.insert("add", Func::variadic(&[Type::Int], |_, a| Ok(Value::int(a.iter().map(int).sum()))));
    f.insert("echo", Func::fixed(&[Type::Any], |_, a| Ok(a[0].clone())));
    f.insert("typeOf", Func::fixed(&[Type::Any], |_, a| Ok(a[0].type_name().into())));
    f.insert("zeroArgs", Func::fixed(&[], |_, _| Ok("zeroArgs".into())));
    f.insert(
        "oneArg",
        Func::fixed(&[Type::Str], |_, a| Ok(format!("oneArg={}", text(&a[0])).into())),
    );
    f.insert(
        "twoArgs",
        Func::fixed(&[Type::Str, Type::Str], |_, a| {
            Ok(format!("twoArgs={}{}", text(&a[0]), text(&a[1])).into())
        }),
    );
    f.insert("die", Func::fixed(&[], |_, _| Err("die".into())));
    f.insert("floats", Func::fixed(&[Type::Float], |_, a| Ok(a[0].clone())));
    f.insert("int64s", Func::fixed(&[Type::Int64], |_, a| Ok(a[0].clone())));
    f.insert("uints", Func::fixed(&[Type::Uint], |_, a| Ok(a[0].clone())));
    f.insert("bools", Func::fixed(&[Type::Bool], |_, a| Ok(a[0].clone())));
    f.insert(
        "keyed",
        Func::fixed(&[Type::Map, Type::Str], |_, a| {
            let entry = a[0].as_map().and_then(|m| m.get(text(&a[1])));
            Ok(entry.unwrap_or(Value::Nil))
        }),
    );
    f.insert(
        "lists",
        Func::fixed(&[Type::List], |_, a| match &a[0] {
            Value::List(l) => Ok(Value::int(l.items().len().try_into().unwrap())),
            _ => Ok(Value::int(0)),
        }),
    );
    f.insert(
        "dict",
        Func::variadic(&[Type::Any], |_, a| {
            let map = Map::new();
            for pair in a.chunks_exact(2) {
                map.set(borax_gotmpl::sprint(&pair[..1], 1 << 20).unwrap(), pair[1].clone());
            }
            Ok(Value::Map(map))
        }),
    );
    f.insert("list", Func::variadic(&[Type::Any], |_, a| Ok(Value::list(a.to_vec()))));
    f.insert(
        "makemap",
        Func::variadic(&[Type::Str], |_, a| {
            let map = Map::typed(Elem::Str);
            for pair in a.chunks_exact(2) {
                map.set(text(&pair[0]), pair[1].clone());
            }
            Ok(Value::Map(map))
        }),
    );
    f.insert(
        "adder",
        Func::fixed(&[Type::Int], |_, a| {
            let n = int(&a[0]);
            let func = Func::fixed(&[Type::Int], move |_, a| Ok(Value::int(n + int(&a[0]))));
            Ok(Value::Func(func.into()))
        }),
    );
    f
}

fn run(file: &Json, case: &Json) -> Result<String, String> {
    let funcs = funcs();
    let mut templates = Templates::new();
    if let Some(also) = case["also"].as_object() {
        for (name, text) in also {
            let text = text.as_str().unwrap().as_bytes();
            templates.parse(name, text, &funcs).map_err(|e| e.to_string())?;
        }
    }
    let main = case["template"].as_str().unwrap();
    templates.parse("main", main.as_bytes(), &funcs).map_err(|e| e.to_string())?;
    let missing = match file["missingkey"].as_str() {
        Some("zero") => MissingKey::Zero,
        Some("error") => MissingKey::Error,
        _ => MissingKey::Invalid,
    };
    let mut cx = Context::new(templates.into(), &funcs, missing, Limits::default());
    let data = file.get("data").map_or(Value::Nil, decode);
    let out = cx.execute("main", data).map_err(|e| e.to_string())?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

fn check(dir: &Path) -> (usize, Vec<String>) {
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let (mut total, mut wrong) = (0, Vec::new());
    for file in files.iter().filter(|f| f.extension().is_some_and(|e| e == "json")) {
        let content: Json = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        for case in content["cases"].as_array().unwrap() {
            total += 1;
            let expected = match (case["out"].as_str(), case["err"].as_str()) {
                (Some(out), None) => Ok(out.to_owned()),
                (None, Some(err)) => Err(err.to_owned()),
                _ => panic!("{}: a case without a recorded result: {case}", file.display()),
            };
            let got = run(&content, case);
            if got != expected {
                let name = file.file_stem().unwrap().to_string_lossy();
                wrong.push(format!(
                    "{name}: {}\n    want {expected:?}\n    got  {got:?}",
                    case["template"]
                ));
            }
        }
    }
    (total, wrong)
}

#[test]
fn every_case_gives_what_go_gave() {
    let (total, wrong) = check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases"));
    assert!(wrong.is_empty(), "{} of {total} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(total > 200, "only {total} cases found");
}

/// Cases that are not part of the project, in the same format: `BORAX_GOTMPL_CASES` names their folder.
#[test]
fn further_cases_give_what_go_gave() {
    let Ok(dir) = std::env::var("BORAX_GOTMPL_CASES") else {
        return;
    };
    let (total, wrong) = check(Path::new(&dir));
    assert!(wrong.is_empty(), "{} of {total} differ:\n{}", wrong.len(), wrong.join("\n"));
}
