//! `.Files`: the chart's other files, by name, glob or line. Source: Helm `pkg/engine/files.go`;
//! globs as the gobwas library reads them.

use std::any::Any;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use borax_gotmpl::{Elem, Func, FuncError, Map, Object, Shape, Str, Type, Value};

use crate::chart::File;
use crate::glob::Glob;
use crate::yaml;

/// A set of files.
#[derive(Clone)]
pub(crate) struct Files(Rc<BTreeMap<String, Arc<[u8]>>>);

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

fn text(v: &Value) -> String {
    v.as_str().map(|s| s.to_text().into_owned()).unwrap_or_default()
}

impl Files {
    pub(crate) fn value(files: &[File]) -> Value {
        let all = files.iter().map(|f| (f.path.clone(), Arc::clone(&f.data))).collect();
        Value::Object(Rc::new(Files(Rc::new(all))))
    }

    fn get(&self, name: &str) -> &[u8] {
        self.0.get(name).map_or(&[], |data| data)
    }

    fn glob(&self, pattern: &str) -> Files {
        let glob = Glob::parse(pattern);
        let matching = self.0.iter().filter(|(name, _)| match &glob {
            Some(glob) => glob.matches(name),
            None => true,
        });
        Files(Rc::new(matching.map(|(k, v)| (k.clone(), Arc::clone(v))).collect()))
    }

    fn mapping(&self, show: impl Fn(&[u8]) -> Value) -> Value {
        let map = Map::typed(Elem::Str);
        for (name, data) in self.0.iter() {
            map.set(crate::funcs::base_path(name), show(data));
        }
        Value::str(yaml::write(&Value::Map(map)).unwrap_or_default())
    }

    fn lines(&self, name: &str) -> Result<Value, FuncError> {
        let Some(data) = self.0.get(name) else {
            return Ok(Value::strings(Vec::<Str>::new()));
        };
        if data.is_empty() {
            // Helm looks at the last byte without asking whether there is one.
            return Err("runtime error: index out of range [-1]".into());
        }
        let data = data.strip_suffix(b"\n").unwrap_or(data);
        Ok(Value::strings(data.split(|&b| b == b'\n')))
    }
}

impl Object for Files {
    fn type_name(&self) -> Cow<'static, str> {
        "engine.files".into()
    }

    fn shape(&self) -> Shape {
        let entry =
            |(k, v): (&String, &Arc<[u8]>)| (Str::from(k.as_str()), Value::Bytes(Rc::from(&v[..])));
        Shape::Map(self.0.iter().map(entry).collect())
    }

    fn field(&self, name: &str) -> Option<Value> {
        self.0.get(name).map(|data| Value::Bytes(Rc::from(&data[..])))
    }

    fn missing_entry(&self) -> Value {
        Value::Bytes(Rc::from(&[][..]))
    }

    fn truth(&self) -> bool {
        !self.0.is_empty()
    }

    fn method(&self, name: &str) -> Option<Rc<Func>> {
        let files = self.clone();
        let one = |f: Func| Some(Rc::new(f));
        match name {
            "Get" => {
                one(Func::fixed(&[Type::Str], move |_, a| Ok(Value::str(files.get(&text(&a[0]))))))
            }
            "GetBytes" => one(Func::fixed(&[Type::Str], move |_, a| {
                Ok(Value::Bytes(Rc::from(files.get(&text(&a[0])))))
            })),
            "Glob" => one(Func::fixed(&[Type::Str], move |_, a| {
                Ok(Value::Object(Rc::new(files.glob(&text(&a[0])))))
            })),
            "Lines" => one(Func::fixed(&[Type::Str], move |_, a| files.lines(&text(&a[0])))),
            "AsConfig" => {
                one(Func::fixed(&[], move |_, _| Ok(files.mapping(|data| Value::str(data)))))
            }
            "AsSecrets" => one(Func::fixed(&[], move |_, _| {
                Ok(files.mapping(|data| Value::str(STANDARD.encode(data))))
            })),
            _ => None,
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
