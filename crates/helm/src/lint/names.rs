//! Which names Kubernetes takes for an object of a kind, and its words for those it doesn't. Source:
//! Helm `pkg/chart/v2/lint/rules/template.go`, apimachinery `pkg/util/validation`.

/// Refuses a name, in the words of Kubernetes.
pub(super) fn check(kind: &str, name: &str) -> Result<(), String> {
    let complaints: Vec<String> = match kind.to_lowercase().as_str() {
        "service" => label(name, true),
        "namespace" => label(name, false),
        "certificatesigningrequest" => Vec::new(),
        "role" | "clusterrole" | "rolebinding" | "clusterrolebinding" => path_segment(name),
        _ => subdomain(name),
    };
    let shown = borax_gotmpl::quote(name.as_bytes());
    let each: Vec<String> = complaints
        .iter()
        .map(|text| format!("metadata.name: Invalid value: {shown}: {text}"))
        .collect();
    match each.as_slice() {
        [] => Ok(()),
        [one] => Err(one.clone()),
        many => Err(format!("[{}]", many.join(", "))),
    }
    .map_err(|text| {
        format!("object name does not conform to Kubernetes naming requirements: {shown}: {text}")
    })
}

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";

fn is_label(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    text.bytes().next().is_some_and(plain)
        && text.bytes().next_back().is_some_and(plain)
        && text.bytes().all(|b| plain(b) || b == b'-')
}

fn is_subdomain(text: &str) -> bool {
    text.split('.').all(is_label)
}

fn too_long(name: &str, most: usize) -> Option<String> {
    (name.len() > most).then(|| format!("must be no more than {most} characters"))
}

fn subdomain(name: &str) -> Vec<String> {
    let shape = (!is_subdomain(name)).then(|| {
        format!(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{LABEL}(\\.{LABEL})*')"
        )
    });
    too_long(name, 253).into_iter().chain(shape).collect()
}

fn label(name: &str, letter_first: bool) -> Vec<String> {
    let fits = is_label(name)
        && (!letter_first || name.bytes().next().is_some_and(|b| b.is_ascii_lowercase()));
    let shape = (!fits).then(|| match (letter_first, is_subdomain(name)) {
        (true, _) => "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')".to_owned(),
        (false, true) => "must not contain dots".to_owned(),
        (false, false) => format!(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{LABEL}')"
        ),
    });
    too_long(name, 63).into_iter().chain(shape).collect()
}

fn path_segment(name: &str) -> Vec<String> {
    if name == "." || name == ".." {
        return vec![format!("may not be '{name}'")];
    }
    let parts = ["/", "%"].into_iter().filter(|part| name.contains(part));
    parts.map(|part| format!("may not contain '{part}'")).collect()
}
