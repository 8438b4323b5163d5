//! Reads a few members of a JSON object and skips the rest.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The wanted members of one object, unparsed. Of a member that occurs twice the last one counts, as in
/// jsonb.
pub(super) struct Members<'w, 'a> {
    wanted: &'w [&'w str],
    found: Vec<Option<&'a RawValue>>,
}

/// A member as text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Member<'a> {
    /// Missing, or of a kind that has no text.
    Absent,
    /// The text of a string, a number or a boolean; never empty.
    Text(Cow<'a, str>),
    /// The JSON text of something that PostgreSQL cannot hold as text, or that is not valid JSON after all.
    Malformed(&'a str),
}

impl<'w, 'a> Members<'w, 'a> {
    /// Reads `text`; `None` when it is not one JSON object.
    pub(super) fn read(text: &'a str, wanted: &'w [&'w str]) -> Option<Self> {
        let mut json = serde_json::Deserializer::from_str(text);
        let found = ObjectSeed { wanted }.deserialize(&mut json).ok()?;
        json.end().ok()?;
        Some(Self { wanted, found })
    }

    /// One of the wanted members.
    pub(super) fn get(&self, name: &str) -> Member<'a> {
        self.raw(name).map_or(Member::Absent, member)
    }

    /// A member at the end of a path whose first step is one of the wanted members.
    pub(super) fn find(&self, path: &[String]) -> Member<'a> {
        let Some((first, steps)) = path.split_first() else { return Member::Absent };
        let Some(mut raw) = self.raw(first) else { return Member::Absent };
        for step in steps {
            if !raw.get().starts_with('{') {
                return Member::Absent;
            }
            // The outer object was skimmed only, so an inner one may still prove to be broken.
            let wanted = [step.as_str()];
            let Some(inner) = Members::read(raw.get(), &wanted) else { return Member::Malformed(raw.get()) };
            match inner.raw(step) {
                Some(next) => raw = next,
                None => return Member::Absent,
            }
        }
        member(raw)
    }

    fn raw(&self, name: &str) -> Option<&'a RawValue> {
        let position = self.wanted.iter().position(|wanted| *wanted == name)?;
        self.found.get(position).copied().flatten()
    }
}

fn member(raw: &RawValue) -> Member<'_> {
    let json = raw.get();
    match json.as_bytes().first() {
        Some(b'"') => match serde_json::from_str::<StringText<'_>>(json) {
            Ok(StringText(text)) if text.contains('\0') => Member::Malformed(json),
            Ok(StringText(text)) if text.is_empty() => Member::Absent,
            Ok(StringText(text)) => Member::Text(text),
            Err(_) => Member::Malformed(json),
        },
        Some(b't' | b'f' | b'-' | b'0'..=b'9') => Member::Text(Cow::Borrowed(json)),
        _ => Member::Absent,
    }
}

/// A JSON string, borrowed when it has no escapes.
#[derive(serde::Deserialize)]
struct StringText<'a>(#[serde(borrow)] Cow<'a, str>);

struct ObjectSeed<'w> {
    wanted: &'w [&'w str],
}

impl<'a> DeserializeSeed<'a> for ObjectSeed<'_> {
    type Value = Vec<Option<&'a RawValue>>;

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for ObjectSeed<'_> {
    type Value = Vec<Option<&'a RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = vec![None; self.wanted.len()];
        while let Some(position) = map.next_key_seed(NameSeed { wanted: self.wanted })? {
            match position.and_then(|position| found.get_mut(position)) {
                Some(slot) => *slot = Some(map.next_value::<&'a RawValue>()?),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }
}

/// Compares a member's name with the wanted ones without keeping it.
struct NameSeed<'w> {
    wanted: &'w [&'w str],
}

impl<'a> DeserializeSeed<'a> for NameSeed<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'a>>(self, name: D) -> Result<Self::Value, D::Error> {
        name.deserialize_str(self)
    }
}

impl Visitor<'_> for NameSeed<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.wanted.iter().position(|wanted| *wanted == name))
    }
}
