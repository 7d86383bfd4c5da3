//! `semver` and `semverCompare`.

use std::any::Any;
use std::borrow::Cow;
use std::rc::Rc;

use borax_gotmpl::{Func, FuncMap, IntType, Object, Shape, Str, Type, UintType, Value};

use super::args::text;
use super::fixed;
use crate::semver::{Constraint, Version};

const TYPE: &str = "*semver.Version";

pub(super) fn add(f: &mut FuncMap) {
    use Type::Str as S;
    fixed(f, "semver", &[S], |_, a| {
        Ok(Value::Object(Rc::new(SemVer(Version::parse(&text(&a[0]))?))))
    });
    fixed(f, "semverCompare", &[S, S], |_, a| {
        let constraint = Constraint::parse(&text(&a[0]))?;
        let version = Version::parse(&text(&a[1]))?;
        Ok(Value::Bool(constraint.check(&version)))
    });
}

#[derive(Debug)]
struct SemVer(Version);

fn wrap(v: Version) -> Value {
    Value::Object(Rc::new(SemVer(v)))
}

fn other(v: &Value) -> Option<&Version> {
    match v {
        Value::Object(o) => o.as_any().downcast_ref::<SemVer>().map(|s| &s.0),
        _ => None,
    }
}

impl SemVer {
    fn getter(&self, value: Value) -> Rc<Func> {
        Rc::new(Func::fixed(&[], move |_, _| Ok(value.clone())))
    }

    fn comparison(&self, test: fn(std::cmp::Ordering) -> Value) -> Rc<Func> {
        let version = self.0.clone();
        Rc::new(Func::fixed(&[Type::Pointer(TYPE)], move |_, a| match other(&a[0]) {
            Some(o) => Ok(test(version.compare(o))),
            None => Err("invalid memory address or nil pointer dereference".into()),
        }))
    }
}

impl Object for SemVer {
    fn type_name(&self) -> Cow<'static, str> {
        TYPE.into()
    }

    fn shape(&self) -> Shape {
        // Every field is unexported; only methods read them.
        Shape::Pointer(Vec::new())
    }

    fn method(&self, name: &str) -> Option<Rc<Func>> {
        use std::cmp::Ordering;
        let v = &self.0;
        let number = |n: u64| self.getter(Value::Uint(n, UintType::Uint64));
        let bump = |v: Version| self.getter(wrap(Version { original: v.to_string(), ..v }));
        Some(match name {
            "Major" => number(v.major),
            "Minor" => number(v.minor),
            "Patch" => number(v.patch),
            "Prerelease" => self.getter(Value::str(v.pre.as_str())),
            "Metadata" => self.getter(Value::str(v.metadata.as_str())),
            "Original" => self.getter(Value::str(v.original.as_str())),
            "String" => self.getter(Value::str(v.to_string())),
            "Compare" => self.comparison(|o| Value::Int(o as i64, IntType::Int)),
            "LessThan" => self.comparison(|o| Value::Bool(o == Ordering::Less)),
            "LessThanEqual" => self.comparison(|o| Value::Bool(o != Ordering::Greater)),
            "GreaterThan" => self.comparison(|o| Value::Bool(o == Ordering::Greater)),
            "GreaterThanEqual" => self.comparison(|o| Value::Bool(o != Ordering::Less)),
            "Equal" => self.comparison(|o| Value::Bool(o == Ordering::Equal)),
            "IncPatch" => {
                let mut next = Version { metadata: String::new(), ..v.clone() };
                if next.pre.is_empty() {
                    next.patch += 1;
                }
                next.pre.clear();
                bump(next)
            }
            "IncMinor" | "IncMajor" => {
                let mut next =
                    Version { metadata: String::new(), pre: String::new(), patch: 0, ..v.clone() };
                if name == "IncMinor" {
                    next.minor += 1;
                } else {
                    next.major += 1;
                    next.minor = 0;
                }
                bump(next)
            }
            _ => return None,
        })
    }

    fn stringer(&self) -> Option<Str> {
        Some(Str::from(self.0.to_string()))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
