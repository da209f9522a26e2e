//! The value at a JSON pointer, found without making a tree of the document.
//!
//! [`find`] walks the text along the pointer and passes over everything else, so it allocates nothing for what nobody
//! asked for, and numbers keep every digit. The text that is passed over must still be JSON.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Returns the text of the value at a pointer (RFC 6901), a part of `body`; `None` if there is none. As in a tree, the last
/// of equal names counts.
pub(in super::super) fn find<'b>(body: &'b [u8], pointer: &str) -> Result<Option<&'b str>, serde_json::Error> {
    // Checked at once, because what is passed over is not checked byte by byte.
    let text = std::str::from_utf8(body).map_err(serde_json::Error::custom)?;
    let mut document = serde_json::Deserializer::from_str(text);
    let found = match pointer.as_bytes().first() {
        None | Some(b'/') => Step::new(pointer).deserialize(&mut document)?,
        Some(_) => {
            IgnoredAny::deserialize(&mut document)?;
            None
        }
    };
    document.end()?;
    Ok(found)
}

/// What is left of the pointer: empty, or a `/` and at least one token.
#[derive(Clone, Copy)]
struct Step<'p, 'b> {
    token: &'p str,
    rest: &'p str,
    arrived: bool,
    found: PhantomData<&'b str>,
}

impl<'p> Step<'p, '_> {
    fn new(pointer: &'p str) -> Self {
        let (token, rest) = match pointer.strip_prefix('/') {
            Some(tokens) => tokens.split_at(tokens.find('/').unwrap_or(tokens.len())),
            None => ("", ""),
        };
        Self { token, rest, arrived: pointer.is_empty(), found: PhantomData }
    }

    fn next(&self) -> Self {
        Self::new(self.rest)
    }

    /// The token as a place in an array: digits without a leading zero.
    fn index(&self) -> Option<usize> {
        let plain = self.token == "0" || !self.token.starts_with(['0', '+']);
        if plain { self.token.parse().ok() } else { None }
    }
}

impl<'b> DeserializeSeed<'b> for Step<'_, 'b> {
    type Value = Option<&'b str>;

    fn deserialize<D: Deserializer<'b>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        if self.arrived {
            return Ok(Some(<&RawValue>::deserialize(deserializer)?.get()));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'b> Visitor<'b> for Step<'_, 'b> {
    type Value = Option<&'b str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_map<A: MapAccess<'b>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(is_ours) = map.next_key_seed(IsToken(self.token))? {
            if is_ours {
                found = map.next_value_seed(self.next())?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'b>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        if let Some(index) = self.index() {
            let mut passed = 0;
            while passed < index && list.next_element::<IgnoredAny>()?.is_some() {
                passed += 1;
            }
            if passed == index {
                found = list.next_element_seed(self.next())?.flatten();
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }

    // The pointer goes on, but there is nothing inside a value that is no object and no array.

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// Reads a name and says whether it is what the token, with its escapes, stands for.
struct IsToken<'p>(&'p str);

impl<'b> DeserializeSeed<'b> for IsToken<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'b>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for IsToken<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(stands_for(self.0, name))
    }
}

/// Whether a token is this name: `~1` in it is a slash and `~0` a tilde.
fn stands_for(token: &str, name: &str) -> bool {
    let mut parts = token.split('~');
    let mut rest = parts.next().and_then(|first| name.strip_prefix(first));
    for part in parts {
        let (read, after) = match part.as_bytes().first() {
            Some(b'0') => ("~", &part[1..]),
            Some(b'1') => ("/", &part[1..]),
            _ => ("~", part),
        };
        rest = rest.and_then(|name| name.strip_prefix(read)?.strip_prefix(after));
    }
    rest == Some("")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn at<'b>(body: &'b str, pointer: &str) -> Option<&'b str> {
        find(body.as_bytes(), pointer).unwrap()
    }

    #[test]
    fn the_examples_of_the_rfc_are_found() {
        let body = r#"{ "foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, "k\"l": 6, " ": 7, "m~n": 8 }"#;
        for (pointer, text) in [
            ("", body),
            ("/foo", r#"["bar", "baz"]"#),
            ("/foo/0", r#""bar""#),
            ("/", "0"),
            ("/a~1b", "1"),
            ("/c%d", "2"),
            ("/e^f", "3"),
            ("/g|h", "4"),
            ("/i\\j", "5"),
            ("/k\"l", "6"),
            ("/ ", "7"),
            ("/m~0n", "8"),
        ] {
            assert_eq!(at(body, pointer), Some(text), "{pointer}");
        }
        for pointer in ["foo", "/foo/2", "/foo/-", "/foo/00", "/foo/+0", "/foo/0/0", "/foo/", "/none", "/a/b", "/m~1n"]
        {
            assert_eq!(at(body, pointer), None, "{pointer}");
        }
    }

    #[test]
    fn what_is_found_is_a_part_of_the_body_and_no_copy() {
        let body = r#"{"a": [{"b": "x"}, {"b": "\u00e4"}], "c": {"d": [[]]}}"#;
        let found = at(body, "/a/1/b").unwrap();
        assert!(body.as_bytes().as_ptr_range().contains(&found.as_ptr()));
        assert_eq!(found, r#""\u00e4""#);
    }

    #[test]
    fn numbers_keep_every_digit() {
        let body = r#"{"id": 12345678901234567890123, "price": 10.00, "huge": 1e999}"#;
        assert_eq!(at(body, "/id"), Some("12345678901234567890123"));
        assert_eq!((at(body, "/price"), at(body, "/huge")), (Some("10.00"), Some("1e999")));
    }

    #[test]
    fn a_body_that_is_not_json_is_an_error_wherever_the_fault_is() {
        for body in ["", "{", "nonsense", r#"{"a": 1} x"#, r#"{"a": 1, "b": }"#, r#"{"a": 1, "b": [01]}"#, "[1,]"] {
            for pointer in ["", "/a", "/none", "a"] {
                assert!(find(body.as_bytes(), pointer).is_err(), "{body} at {pointer}");
            }
        }
        assert!(find(b"{\"a\": 1, \"b\": \"\xff\"}", "/a").is_err());
    }

    #[test]
    fn a_document_may_be_deeper_than_a_tree_could_be() {
        let body = format!(r#"{{"deep": {}{}, "a": 1}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(at(&body, "/a"), Some("1"));
    }

    /// JSON texts with spaces, escapes and names that come twice.
    fn document() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just(" true ".to_owned()),
            any::<i64>().prop_map(|number| number.to_string()),
            any::<f64>().prop_map(|number| Value::from(number).to_string()),
            ".{0,3}".prop_map(|text| Value::from(text).to_string()),
        ];
        let name = prop_oneof!["[ab/~01]{0,2}", Just("\u{e9}".to_owned())];
        leaf.prop_recursive(4, 32, 5, move |inner| {
            let list = prop::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[ {} ]", items.join(" ,")));
            let pair = (name.clone(), inner).prop_map(|(name, value)| format!("{}: {value}", Value::from(name)));
            let object = prop::collection::vec(pair, 0..5).prop_map(|pairs| format!("{{\n{}}}", pairs.join(",\t")));
            prop_oneof![list, object]
        })
    }

    fn pointer() -> impl Strategy<Value = String> {
        let token =
            prop_oneof!["[ab/~01]{0,3}", Just("\u{e9}".to_owned()), (0..6_u32).prop_map(|index| index.to_string())];
        prop::collection::vec(token, 0..4).prop_map(|tokens| tokens.iter().flat_map(|token| ["/", token]).collect())
    }

    proptest! {
        #[test]
        fn it_finds_what_a_tree_holds(body in document(), pointer in pointer()) {
            let tree: Value = serde_json::from_str(&body).unwrap();
            let found = at(&body, &pointer).map(|text| serde_json::from_str::<Value>(text).unwrap());
            prop_assert_eq!(found.as_ref(), tree.pointer(&pointer));
        }

        #[test]
        fn a_body_that_a_tree_takes_is_never_refused(body in r#"[\[\]{}",: a0-9.e-]{0,12}"#, pointer in pointer()) {
            let tree = serde_json::from_str::<Value>(&body);
            let found = find(body.as_bytes(), &pointer);
            // A number out of range is JSON, though a tree cannot hold it.
            let only_large = tree.as_ref().is_err_and(|error| error.to_string().contains("out of range"));
            prop_assert!(found.is_ok() == tree.is_ok() || only_large, "{body}");
        }
    }
}
