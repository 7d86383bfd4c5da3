//! `.Files`: the chart's other files, by name, glob or line. Source: Helm `pkg/engine/files.go`;
//! globs as the gobwas library reads them.

use std::any::Any;
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use borax_gotmpl::{Context, Elem, Func, FuncError, Map, Object, Shape, Str, Type, Value};

use crate::chart::File;
use crate::glob::Glob;
use crate::yaml;

/// A set of files.
#[derive(Clone)]
pub(crate) struct Files {
    all: Rc<BTreeMap<String, Arc<[u8]>>>,
    /// Files that were looked at, as values, which share the bytes.
    seen: Rc<RefCell<HashMap<String, Str>>>,
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.all.keys()).finish()
    }
}

/// What a line of a file, or a file of a set, takes beside its bytes.
const LINE: usize = 128;

fn text(v: &Value) -> String {
    v.as_str().map(|s| s.to_text().into_owned()).unwrap_or_default()
}

impl Files {
    pub(crate) fn value(files: &[File]) -> Value {
        let all = files.iter().map(|f| (f.path.clone(), Arc::clone(&f.data))).collect();
        Value::Object(Rc::new(Files { all: Rc::new(all), seen: Rc::default() }))
    }

    fn get(&self, name: &str) -> Str {
        let Some(data) = self.all.get(name) else { return Str::default() };
        let mut seen = self.seen.borrow_mut();
        seen.entry(name.to_owned()).or_insert_with(|| Str::from(&data[..])).clone()
    }

    fn glob(&self, pattern: &str) -> Files {
        let glob = Glob::parse(pattern);
        let matching = self.all.iter().filter(|(name, _)| match &glob {
            Some(glob) => glob.matches(name),
            None => true,
        });
        let all = matching.map(|(k, v)| (k.clone(), Arc::clone(v))).collect();
        Files { all: Rc::new(all), seen: Rc::clone(&self.seen) }
    }

    fn mapping(
        &self,
        cx: &mut Context<'_>,
        show: impl Fn(&[u8]) -> Value,
    ) -> Result<Value, FuncError> {
        // Each is copied, encoded, and copied into the text.
        let bytes: usize = self.all.values().map(|data| data.len()).sum();
        cx.make(bytes.saturating_mul(3))?;
        let map = Map::typed(Elem::Str);
        for (name, data) in self.all.iter() {
            map.set(crate::funcs::base_path(name), show(data));
        }
        let mut room = cx.room();
        match yaml::write(&Value::Map(map), &mut room) {
            Ok(text) => Ok(Value::str(text)),
            Err(e @ FuncError::Limit(..)) => Err(e),
            Err(_) => Ok(Value::str("")),
        }
    }

    fn lines(&self, cx: &mut Context<'_>, name: &str) -> Result<Value, FuncError> {
        let Some(data) = self.all.get(name) else {
            return Ok(Value::strings(Vec::<Str>::new()));
        };
        if data.is_empty() {
            // Helm looks at the last byte without asking whether there is one.
            return Err("runtime error: index out of range [-1]".into());
        }
        let data = data.strip_suffix(b"\n").unwrap_or(data);
        let lines = memchr::memchr_iter(b'\n', data).count() + 1;
        cx.make(data.len() + lines.saturating_mul(LINE))?;
        Ok(Value::strings(data.split(|&b| b == b'\n')))
    }
}

impl Object for Files {
    fn type_name(&self) -> Cow<'static, str> {
        "engine.files".into()
    }

    fn shape(&self) -> Shape {
        let entry = |name: &String| (Str::from(name.as_str()), Value::Bytes(self.get(name)));
        Shape::Map(self.all.keys().map(entry).collect())
    }

    fn field(&self, name: &str) -> Option<Value> {
        self.all.contains_key(name).then(|| Value::Bytes(self.get(name)))
    }

    fn missing_entry(&self) -> Value {
        Value::Bytes(Str::default())
    }

    fn truth(&self) -> bool {
        !self.all.is_empty()
    }

    fn weight(&self) -> usize {
        self.all.len().saturating_mul(LINE)
    }

    fn method(&self, name: &str) -> Option<Rc<Func>> {
        let files = self.clone();
        let one = |f: Func| Some(Rc::new(f));
        match name {
            "Get" => {
                one(Func::fixed(&[Type::Str], move |_, a| Ok(Value::Str(files.get(&text(&a[0]))))))
            }
            "GetBytes" => one(Func::fixed(&[Type::Str], move |_, a| {
                Ok(Value::Bytes(files.get(&text(&a[0]))))
            })),
            "Glob" => one(Func::fixed(&[Type::Str], move |cx, a| {
                cx.spend(files.all.len() as u64)?;
                Ok(Value::Object(Rc::new(files.glob(&text(&a[0])))))
            })),
            "Lines" => one(Func::fixed(&[Type::Str], move |cx, a| files.lines(cx, &text(&a[0])))),
            "AsConfig" => {
                one(Func::fixed(&[], move |cx, _| files.mapping(cx, |data| Value::str(data))))
            }
            "AsSecrets" => one(Func::fixed(&[], move |cx, _| {
                files.mapping(cx, |data| Value::str(STANDARD.encode(data)))
            })),
            _ => None,
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
