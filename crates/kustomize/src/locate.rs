//! Where in a file the field stands that a message names.

use borax_yaml::{Node, Options, Step, parse_first};

use crate::diag::Diagnostics;

/// Adds line and column to findings that name a field of the file with this text, as
/// `Kustomization.images[0].newTag` or `unknown field "x"`.
pub(crate) fn in_file(found: Diagnostics, text: &[u8]) -> Diagnostics {
    let options = Options { comments: false, ..Options::default() };
    let Ok(Some(root)) = parse_first(text, &options) else { return found };
    found.located(|message| {
        let (path, field) = match message.split_once(": unknown field ") {
            Some((path, field)) => (path, Some(field.trim_matches('"'))),
            None => (message.split_whitespace().next().unwrap_or("").trim_end_matches(':'), None),
        };
        let mut path = path.strip_prefix("Kustomization")?.trim_start_matches('.').to_owned();
        if let Some(field) = field {
            path = format!("{path}.{field}");
        }
        let node = find(&root, &path)?;
        Some((node.position.line, node.position.column))
    })
}

/// The key, or the item, at the end of the path; as far as the path leads.
fn find<'n>(root: &'n Node, path: &str) -> Option<&'n Node> {
    let mut at = root;
    let mut place = None;
    for part in path.split(['.', '[']).filter(|part| !part.is_empty()) {
        match part.strip_suffix(']').map(str::parse::<usize>) {
            Some(Ok(index)) => {
                at = at.at([Step::Index(index)])?;
                place = Some(at);
            }
            _ => {
                let entries = at.entries()?;
                let same = |text: &str| text.eq_ignore_ascii_case(part);
                let found = entries.iter().find(|(key, _)| key.text().is_some_and(same));
                let Some((key, value)) = found else { break };
                place = Some(key);
                at = value;
            }
        }
    }
    place
}
