//! The data of setup, decoded once.

use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;

use serde::de::DeserializeOwned;

thread_local! {
    static DECODED: RefCell<Decoded> = const { RefCell::new(Decoded { data: Vec::new(), values: Vec::new() }) };
}

/// `data` as a `T`, decoded once for each instance.
pub(super) fn decoded<T: DeserializeOwned + 'static>(data: Vec<u8>) -> Result<Rc<T>, String> {
    DECODED.with_borrow_mut(|decoded| decoded.get(data))
}

/// The data of setup in the types that the author's functions take. The host hands over the same bytes each time, so
/// each type is decoded once.
struct Decoded {
    data: Vec<u8>,
    values: Vec<Rc<dyn Any>>,
}

impl Decoded {
    fn get<T: DeserializeOwned + 'static>(&mut self, data: Vec<u8>) -> Result<Rc<T>, String> {
        if data != self.data {
            self.values.clear();
            self.data = data;
        }
        // A journey takes its data in one or two types.
        let known = self.values.iter().find_map(|value| Rc::clone(value).downcast::<T>().ok());
        if let Some(value) = known {
            return Ok(value);
        }
        // Without a setup there are no bytes; `()` and options can still be read.
        let text: &[u8] = if self.data.is_empty() { b"null" } else { &self.data };
        let value =
            serde_json::from_slice(text).map_err(|error| format!("the data of setup cannot be read: {error}"))?;
        let value = Rc::new(value);
        self.values.push(Rc::<T>::clone(&value));
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use serde::Deserialize;

    use super::*;

    thread_local! {
        static DECODINGS: Cell<u32> = const { Cell::new(0) };
    }

    #[derive(Debug, PartialEq)]
    struct Token(String);

    impl<'de> Deserialize<'de> for Token {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            DECODINGS.set(DECODINGS.get() + 1);
            String::deserialize(deserializer).map(Token)
        }
    }

    #[test]
    fn the_data_of_setup_is_decoded_once() {
        let mut decoded = Decoded { data: Vec::new(), values: Vec::new() };
        for _ in 0..3 {
            assert_eq!(decoded.get::<Token>(br#""a""#.to_vec()).as_deref(), Ok(&Token("a".into())));
        }
        assert_eq!(DECODINGS.get(), 1);
    }

    #[test]
    fn other_data_is_decoded_again() {
        let mut decoded = Decoded { data: Vec::new(), values: Vec::new() };
        assert_eq!(decoded.get::<u32>(b"1".to_vec()).as_deref(), Ok(&1));
        assert_eq!(decoded.get::<u32>(b"2".to_vec()).as_deref(), Ok(&2));
    }

    #[test]
    fn functions_may_take_the_data_in_different_types() {
        let mut decoded = Decoded { data: Vec::new(), values: Vec::new() };
        assert_eq!(decoded.get::<u32>(b"1".to_vec()).as_deref(), Ok(&1));
        assert_eq!(decoded.get::<f64>(b"1".to_vec()).map(|value| value.to_string()), Ok("1".into()));
        assert_eq!(decoded.get::<u32>(b"1".to_vec()).as_deref(), Ok(&1));
    }

    #[test]
    fn data_of_another_type_is_an_error_not_a_panic() {
        let mut decoded = Decoded { data: Vec::new(), values: Vec::new() };
        let error = decoded.get::<u32>(br#""x""#.to_vec()).expect_err("text is no number");
        assert!(error.starts_with("the data of setup cannot be read: invalid type"), "{error}");
    }
}
