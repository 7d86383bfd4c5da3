//! Messages compared with recordings of Go's own templates over Flux's own types (`tests/oracles/image`).

use super::*;
use borax_helm::FixedEnv;
use serde::Deserialize;

#[derive(Deserialize)]
struct Recorded {
    object: Named,
    values: BTreeMap<String, String>,
    changes: Vec<Made>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Named {
    namespace: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    file: String,
    api_version: String,
    kind: String,
    namespace: String,
    name: String,
    old: String,
    new: String,
    setter: String,
}

#[derive(Deserialize)]
struct Case {
    template: String,
    out: Option<String>,
    err: Option<String>,
}

fn recorded() -> (Key, Update, BTreeMap<String, String>, Vec<Case>) {
    let text = include_str!("../../../../tests/data/messages.json");
    let recorded: Recorded = serde_json::from_str(text).unwrap();
    let mut update = Update::default();
    for made in recorded.changes {
        let object = ObjectId {
            api_version: made.api_version,
            kind: made.kind,
            namespace: made.namespace,
            name: made.name,
        };
        let policy = String::new();
        let change =
            Change { line: 1, object, policy, old: made.old, new: made.new, setter: made.setter };
        update.add(&made.file, &[change]);
    }
    let key = Key::new(&recorded.object.namespace, &recorded.object.name);
    (key, update, recorded.values, recorded.cases)
}

fn env() -> Arc<dyn Env> {
    Arc::new(FixedEnv::at(0))
}

#[test]
fn messages_are_those_of_flux() {
    let (key, update, values, cases) = recorded();
    assert!(cases.len() > 40);
    let mut wrong = Vec::new();
    for case in cases {
        let rendered = render(&case.template, &key, &update, &values, &env());
        let rendered = rendered.map_err(|error| match error {
            // Flux's own words around what Go says of a field that is gone are tested below.
            MessageError::Removed { .. } => String::new(),
            error => error.to_string(),
        });
        let expected = match (case.out, case.err) {
            (Some(out), _) => Ok(out),
            (None, Some(err))
                if err.contains(" Updated in ") || err.contains(" ImageResult in ") =>
            {
                Err(String::new())
            }
            (None, err) => Err(err.unwrap_or_default()),
        };
        if rendered != expected {
            wrong.push(format!("{}\n  ours   {rendered:?}\n  Flux's {expected:?}", case.template));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn fields_that_are_gone_are_named_with_what_to_use() {
    let (key, update, values, _) = recorded();
    let error =
        |template| render(template, &key, &update, &values, &env()).unwrap_err().to_string();
    assert_eq!(
        error("{{ range .Updated.Images }}{{ . }}{{ end }}"),
        "template uses removed '.Updated' field. Please use '.Changed' instead. See: \
         https://fluxcd.io/flux/components/image/imageupdateautomations/#message-template"
    );
    assert_eq!(
        error("{{ .Changed.ImageResult.Images }}"),
        "template uses removed '.Changed.ImageResult' field. Please use '.Changed.FileChanges' or '.Changed.Objects' \
         instead. See: https://fluxcd.io/flux/components/image/imageupdateautomations/#message-template"
    );
}

#[test]
fn without_a_template_there_is_a_message() {
    let (key, update, values, _) = recorded();
    let message = render("", &key, &update, &values, &env());
    assert_eq!(message.as_deref(), Ok("Update from image update automation"));
}

#[test]
fn a_template_that_never_ends_is_stopped() {
    let (key, update, values, _) = recorded();
    let endless = "{{ define \"t\" }}{{ template \"t\" }}{{ end }}{{ template \"t\" }}";
    assert!(matches!(render(endless, &key, &update, &values, &env()), Err(MessageError::Run(_))));
    let large = "{{ range until 1000000 }}{{ range until 1000000 }}x{{ end }}{{ end }}";
    assert!(matches!(render(large, &key, &update, &values, &env()), Err(MessageError::Run(_))));
}
