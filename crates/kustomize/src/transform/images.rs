//! Image names, tags and digests.
//!
//! Source of behaviour: kustomize `api/filters/imagetag`, `api/internal/image`.

use regex::Regex;

use crate::decode::Object;
use crate::diag::Result;
use crate::fieldspec::{self, FieldSpec};
use crate::resmap::ResMap;
use crate::resource;
use crate::tree::{Kind, NodeId, Tree};

/// What becomes of an image.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image {
    pub(crate) name: String,
    pub(crate) new_name: String,
    pub(crate) tag_suffix: String,
    pub(crate) new_tag: String,
    pub(crate) digest: String,
}

impl Image {
    pub(crate) fn parse(mut o: Object) -> Result<Image> {
        let image = Image {
            name: o.text("name")?,
            new_name: o.text("newName")?,
            tag_suffix: o.text("tagSuffix")?,
            new_tag: o.text("newTag")?,
            digest: o.text("digest")?,
        };
        o.done()?;
        Ok(image)
    }

    /// Changes the image in all objects: in containers wherever they are, and where the specs lead.
    pub(crate) fn transform(
        &self,
        tree: &mut Tree,
        map: &mut ResMap,
        specs: &[FieldSpec],
    ) -> Result<()> {
        // The name is a regular expression; one that is none matches nothing.
        let pattern = format!(
            "^{}(:[a-zA-Z0-9_.{{}}-]*)?(@[a-zA-Z0-9]+([.+_-][a-zA-Z0-9]+)*:[a-zA-Z0-9_.{{}}-]*)?$",
            self.name
        );
        let Ok(pattern) = Regex::new(&pattern) else { return Ok(()) };
        let mut objects = map.nodes();
        objects.retain(|object| resource::kind(tree, *object) != "CustomResourceDefinition");
        for object in &objects {
            self.in_containers(tree, *object, &pattern, 0)?;
        }
        for object in objects {
            for spec in specs {
                fieldspec::apply(tree, object, spec, None, &mut |tree, at| {
                    self.update(tree, at, &pattern)
                })?;
            }
        }
        Ok(())
    }

    fn in_containers(
        &self,
        tree: &mut Tree,
        node: NodeId,
        pattern: &Regex,
        depth: usize,
    ) -> Result<()> {
        if depth > 1000 {
            return Ok(());
        }
        let content = tree.content(node).to_vec();
        match tree.kind(node) {
            Kind::Scalar => Ok(()),
            Kind::Sequence => content
                .into_iter()
                .try_for_each(|item| self.in_containers(tree, item, pattern, depth + 1)),
            Kind::Mapping => content.chunks_exact(2).try_for_each(|pair| {
                self.in_containers(tree, pair[1], pattern, depth + 1)?;
                let key = tree.text(pair[0]);
                let holds_containers = key == "containers" || key == "initContainers";
                if !holds_containers || tree.kind(pair[1]) != Kind::Sequence {
                    return Ok(());
                }
                for container in tree.content(pair[1]).to_vec() {
                    if let Some(image) = tree.get(container, "image")? {
                        self.update(tree, image, pattern)?;
                    }
                }
                Ok(())
            }),
        }
    }

    fn update(&self, tree: &mut Tree, at: NodeId, pattern: &Regex) -> Result<()> {
        tree.expect(at, Kind::Scalar)?;
        let found = tree.text(at).clone();
        if !pattern.is_match(&found) {
            return Ok(());
        }
        let changed = self.changed(&found);
        let value = tree.scalar(changed);
        tree.set_scalar(at, value)
    }

    fn changed(&self, found: &str) -> String {
        let (name, mut tag, mut digest) = split(found);
        let mut tag_text = tag.to_owned();
        if !self.new_tag.is_empty() {
            tag_text.clone_from(&self.new_tag);
            digest = &self.digest;
        } else if !self.digest.is_empty() {
            tag_text.clear();
            digest = &self.digest;
        } else if !self.tag_suffix.is_empty() {
            tag_text.push_str(&self.tag_suffix);
            digest = "";
        }
        tag = &tag_text;
        let mut changed =
            if self.new_name.is_empty() { name.to_owned() } else { self.new_name.clone() };
        for (mark, part) in [(':', tag), ('@', digest)] {
            if !part.is_empty() {
                changed.push(mark);
                changed.push_str(part);
            }
        }
        changed
    }
}

/// Takes `[[host[:port]/]component/]component[:tag][@digest]` apart into name, tag and digest.
fn split(image: &str) -> (&str, &str, &str) {
    let start = image.find('/').filter(|at| *at > 0).unwrap_or(0);
    let at_digest = image[start..].find('@').map(|at| at + start);
    let at_tag = image[start..].find(':').map(|at| at + start);
    match (at_tag, at_digest) {
        (None, None) => (image, "", ""),
        (None, Some(digest)) => (&image[..digest], "", &image[digest + 1..]),
        (Some(tag), Some(digest)) if digest < tag => (&image[..digest], "", &image[digest + 1..]),
        (Some(tag), Some(digest)) => (&image[..tag], &image[tag + 1..digest], &image[digest + 1..]),
        (Some(tag), None) => (&image[..tag], &image[tag + 1..], ""),
    }
}
