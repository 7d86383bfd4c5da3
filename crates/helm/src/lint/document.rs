//! The documents of a rendered template as the linter reads them. Source: apimachinery
//! `pkg/util/yaml/decoder.go`.

use serde_json::Value as Json;

use crate::metadata::scalar_text;
use crate::yaml;

/// The few fields the linter looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) name: String,
}

/// A text's documents, one after the other; `None` is an empty one. Nothing follows a mistake.
pub(super) struct Documents<'t> {
    texts: yaml::Documents<'t>,
    broken: bool,
}

impl<'t> Documents<'t> {
    pub(super) fn of(text: &'t [u8]) -> Documents<'t> {
        Documents { texts: yaml::documents(text), broken: false }
    }
}

impl Iterator for Documents<'_> {
    type Item = Result<Option<Head>, String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.broken {
            return None;
        }
        let head = self.texts.next()?.and_then(|text| head(&text));
        self.broken = head.is_err();
        Some(head)
    }
}

const DECODING: &str = "error unmarshaling JSON: while decoding JSON: ";

fn head(text: &[u8]) -> Result<Option<Head>, String> {
    let json =
        borax_yaml::to_json(text).map_err(|e| format!("error converting YAML to JSON: {e}"))?;
    let object = match &json {
        Json::Null => return Ok(None),
        Json::Object(object) => object,
        other => {
            let words = crate::funcs::json_mismatch(other, "rules.k8sYamlStruct");
            return Err(format!("{DECODING}{words}"));
        }
    };
    let get = |object: &serde_json::Map<String, Json>, name: &str| {
        let any = || object.iter().find(|(k, _)| k.eq_ignore_ascii_case(name)).map(|(_, v)| v);
        object.get(name).or_else(any).cloned().unwrap_or(Json::Null)
    };
    let refuse = |json: &Json, field: &str, want: &str| {
        let words = crate::funcs::json_mismatch(json, want);
        let words = words.replace("Go value", &format!("Go struct field {field}"));
        format!("{DECODING}{words}")
    };
    let text = |json: Json, field: &str| match &json {
        Json::Null => Ok(String::new()),
        other => scalar_text(other).ok_or_else(|| refuse(other, field, "string")),
    };
    let mut head = Head {
        api_version: text(get(object, "apiVersion"), "k8sYamlStruct.apiVersion")?,
        kind: text(get(object, "Kind"), "k8sYamlStruct.Kind")?,
        name: String::new(),
    };
    match &get(object, "Metadata") {
        Json::Null => {}
        Json::Object(metadata) => {
            text(get(metadata, "Namespace"), "k8sYamlStruct.Metadata.Namespace")?;
            head.name = text(get(metadata, "Name"), "k8sYamlStruct.Metadata.Name")?;
        }
        other => return Err(refuse(other, "k8sYamlStruct.Metadata", "rules.k8sYamlMetadata")),
    }
    Ok(Some(head))
}
