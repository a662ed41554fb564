//! [`RawObject`]: a JSON object whose keys keep their order and whose values keep their bytes.
//!
//! Spec JSON and other people's keys are passed on as they came: nothing is re-ordered, no number is re-formatted,
//! no escape rewritten.

use std::collections::HashMap;
use std::fmt;

use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The members of a JSON object in order, values as the bytes they were read from.
///
/// A key that occurs twice keeps its first place and its last value, as in Python's `json` and thus in Spack.
/// Works with `serde_json` only.
#[derive(Clone, Default)]
pub struct RawObject {
    members: Vec<(String, Box<RawValue>)>,
}

impl RawObject {
    /// An object without members.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// The value of `key`, as it was written.
    pub fn get(&self, key: &str) -> Option<&RawValue> {
        self.members.iter().find(|(name, _)| name == key).map(|(_, value)| &**value)
    }

    /// The value of `key`, parsed; `None` if it is absent or null.
    ///
    /// # Errors
    /// If the value is not of the shape of `T`.
    pub fn parse<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, serde_json::Error> {
        self.get(key).map_or(Ok(None), |value| serde_json::from_str(value.get()))
    }

    /// Removes `key`; false if it is absent.
    pub fn remove(&mut self, key: &str) -> bool {
        let before = self.members.len();
        self.members.retain(|(name, _)| name != key);
        self.members.len() < before
    }

    /// The members in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.members.iter().map(|(key, value)| (key.as_str(), &**value))
    }

    /// Sets `key` to a JSON text passed on as it is, in the key's place or at the end.
    pub fn set_raw(&mut self, key: impl Into<String>, value: Box<RawValue>) {
        let key = key.into();
        match self.members.iter_mut().find(|(name, _)| *name == key) {
            Some((_, present)) => *present = value,
            None => self.members.push((key, value)),
        }
    }

    /// Sets `key` to the compact JSON of `value`, in the key's place or at the end.
    ///
    /// # Errors
    /// If `value` has no JSON form, such as a map whose keys are not strings.
    pub fn set<T: Serialize + ?Sized>(
        &mut self,
        key: impl Into<String>,
        value: &T,
    ) -> Result<(), serde_json::Error> {
        self.set_raw(key, serde_json::value::to_raw_value(value)?);
        Ok(())
    }

    /// Writes the members into an object that has others before them.
    pub(crate) fn serialize_members<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        self.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))
    }

    /// Removes `key` and parses its value; `None` if it is absent or null.
    ///
    /// # Errors
    /// If the value is not of the shape of `T`.
    pub fn take<T: DeserializeOwned>(&mut self, key: &str) -> Result<Option<T>, serde_json::Error> {
        match self.members.iter().position(|(name, _)| name == key) {
            Some(at) => serde_json::from_str(self.members.remove(at).1.get()),
            None => Ok(None),
        }
    }
}

/// Equal members in the same order, compared as text: `1.0` and `1` differ.
impl PartialEq for RawObject {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self.iter().zip(other.iter()).all(|(a, b)| a.0 == b.0 && a.1.get() == b.1.get())
    }
}

impl Eq for RawObject {}

impl fmt::Debug for RawObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(key, value)| (key, value.get()))).finish()
    }
}

impl Serialize for RawObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for RawObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = RawObject;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawObject, A::Error> {
                let mut members: Vec<(String, Box<RawValue>)> = Vec::new();
                // Looking through the members for each would take a registry's nonsense days.
                let mut places: HashMap<String, usize> = HashMap::new();
                while let Some((key, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    match places.get(&key) {
                        Some(&at) => members[at].1 = value,
                        None => {
                            places.insert(key.clone(), members.len());
                            members.push((key, value));
                        }
                    }
                }
                Ok(RawObject { members })
            }
        }

        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> RawObject {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn order_and_bytes_of_values_are_kept() {
        let text = r#"{"z":1.50,"a":{"\u00e9" : [1, 2 ]},"big":123456789012345678901234567890,"m":"\/"}"#;
        assert_eq!(serde_json::to_string(&parse(text)).unwrap(), text);
    }

    #[test]
    fn a_repeated_key_keeps_its_first_place_and_last_value() {
        assert_eq!(serde_json::to_string(&parse(r#"{"a":1,"b":2,"a":3}"#)).unwrap(), r#"{"a":3,"b":2}"#);
    }

    #[test]
    fn very_many_members_are_read_at_once() {
        let members: Vec<String> = (0..300_000).map(|number| format!("\"k{number}\":0")).collect();
        let start = std::time::Instant::now();
        assert_eq!(parse(&format!("{{{}}}", members.join(","))).len(), members.len());
        assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
    }

    #[test]
    fn taking_parses_and_removes() {
        let mut object = parse(r#"{"n":7,"nothing":null,"word":"x"}"#);
        assert_eq!(object.take::<u64>("n").unwrap(), Some(7));
        assert_eq!(object.take::<u64>("n").unwrap(), None);
        assert_eq!(object.take::<u64>("nothing").unwrap(), None);
        assert!(object.take::<u64>("word").is_err());
        assert!(object.is_empty());
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in ["[]", "1", "null", "\"\"", "{", ""] {
            assert!(serde_json::from_str::<RawObject>(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_compact_object_is_written_as_read(
            map in prop::collection::btree_map("\\PC*", prop::collection::vec(any::<i64>(), 0..3), 0..6),
        ) {
            let text = serde_json::to_string(&map).unwrap();
            prop_assert_eq!(serde_json::to_string(&parse(&text)).unwrap(), text);
        }
    }
}
