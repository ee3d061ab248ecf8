//! The fields of a JSON object, taken one by one; errors name the field by its path.

use std::collections::BTreeMap;

use crate::manifest::ManifestError;
use crate::media_type::MediaType;
use crate::strict_json::Json;

/// Annotations of one object at most.
pub(crate) const ANNOTATIONS_MAX: usize = 1_000;

/// An object on its way to a typed value.
pub(crate) struct Fields<'j, 'a> {
    path: String,
    fields: &'j [(std::borrow::Cow<'a, str>, Json<'a>)],
}

impl<'j, 'a> Fields<'j, 'a> {
    /// `known` are the keys that mean something here: a key that differs from one only in case
    /// would mean something to other readers, and is refused.
    pub(crate) fn of(
        json: &'j Json<'a>,
        path: &str,
        known: &[&str],
    ) -> Result<Self, ManifestError> {
        let Json::Object(fields) = json else {
            return Err(ManifestError::field(path, "is not an object"));
        };
        for (key, _) in fields {
            let twin = |known: &&&str| **known != key.as_ref() && folds_to(key, known);
            if let Some(known) = known.iter().find(twin) {
                let name = join(path, key);
                return Err(ManifestError::Field {
                    name,
                    problem: format!("must be written {known}"),
                });
            }
        }
        Ok(Self {
            path: path.to_owned(),
            fields,
        })
    }

    pub(crate) fn name(&self, key: &str) -> String {
        join(&self.path, key)
    }

    /// A field that is there; null counts as absent, as it does for other readers.
    pub(crate) fn get(&self, key: &str) -> Option<&'j Json<'a>> {
        let field = self
            .fields
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value);
        field.filter(|value| **value != Json::Null)
    }

    pub(crate) fn wrong(&self, key: &str, problem: &str) -> ManifestError {
        ManifestError::Field {
            name: self.name(key),
            problem: problem.to_owned(),
        }
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<&'j str>, ManifestError> {
        match self.get(key) {
            None => Ok(None),
            Some(Json::Text(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(key, "is not a string")),
        }
    }

    pub(crate) fn size(&self, key: &str) -> Result<u64, ManifestError> {
        match self.get(key) {
            Some(Json::Size(size)) => Ok(*size),
            Some(_) => Err(self.wrong(key, "is not a whole number from 0 to 2^63-1")),
            None => Err(self.wrong(key, "is missing")),
        }
    }

    pub(crate) fn media_type(&self, key: &str) -> Result<Option<MediaType>, ManifestError> {
        let parse =
            |text| MediaType::parse(text).map_err(|_| self.wrong(key, "is not a media type"));
        self.text(key)?
            .filter(|text| !text.is_empty())
            .map(parse)
            .transpose()
    }

    /// The media type of the document itself: exactly one, or absent. Unlike a header it has no
    /// parameters to drop.
    pub(crate) fn own_media_type(&self) -> Result<Option<MediaType>, ManifestError> {
        const KEY: &str = "mediaType";
        let media_type = self.media_type(KEY)?;
        if media_type.as_ref().map(MediaType::as_str) == self.text(KEY)?.filter(|t| !t.is_empty()) {
            Ok(media_type)
        } else {
            Err(self.wrong(KEY, "has parameters or spaces around it"))
        }
    }

    /// Whether the key stands in the object, be its value null.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.fields.iter().any(|(name, _)| name == key)
    }

    pub(crate) fn list(&self, key: &str) -> Result<Option<&'j [Json<'a>]>, ManifestError> {
        match self.get(key) {
            None => Ok(None),
            Some(Json::List(items)) => Ok(Some(items)),
            Some(_) => Err(self.wrong(key, "is not a list")),
        }
    }

    pub(crate) fn texts(&self, key: &str) -> Result<Vec<String>, ManifestError> {
        let items = self.list(key)?.unwrap_or_default().iter();
        let text = |item: &Json<'_>| match item {
            Json::Text(text) => Ok(text.to_string()),
            _ => Err(self.wrong(key, "has an item that is not a string")),
        };
        items.map(text).collect()
    }

    pub(crate) fn annotations(&self) -> Result<BTreeMap<String, String>, ManifestError> {
        const KEY: &str = "annotations";
        let fields = match self.get(KEY) {
            None => return Ok(BTreeMap::new()),
            Some(Json::Object(fields)) => fields,
            Some(_) => return Err(self.wrong(KEY, "is not an object")),
        };
        if fields.len() > ANNOTATIONS_MAX {
            return Err(self.wrong(KEY, &format!("has more than {ANNOTATIONS_MAX} entries")));
        }
        let pair = |(name, value): &(std::borrow::Cow<'_, str>, Json<'_>)| match value {
            Json::Text(text) => Ok((name.to_string(), text.to_string())),
            _ => Err(self.wrong(KEY, "has a value that is not a string")),
        };
        fields.iter().map(pair).collect()
    }
}

/// Whether a reader that ignores case, such as Go's, takes `key` for `known`: besides ASCII letters
/// it takes U+017F for s and U+212A for k.
fn folds_to(key: &str, known: &str) -> bool {
    let fold = |c: char| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        _ => c.to_ascii_lowercase(),
    };
    key.chars()
        .map(fold)
        .eq(known.chars().map(|c| c.to_ascii_lowercase()))
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}
