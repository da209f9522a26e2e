//! `extract`: what a journey wants to know of an answer, read on the host.
//!
//! One file per way to read. The calls run on the worker's thread while its other virtual users wait, so each has a limit
//! to what it may cost, and says which one it met.

mod cost;
mod css;
mod json_path;
mod kept;
mod pattern;
mod pick;
mod pointer;

use sha2::Digest as _;

use super::Host;
use super::http::Answer;
use crate::wit::{extract, http};
use css::Css;
use extract::Error;
use json_path::JsonPath;
pub(super) use kept::Kept;
use pattern::Pattern;
use pick::Found;
pub(super) use pointer::find as find_pointer;

impl extract::Host for Host {
    fn json_path(&mut self, id: u32, path: String, nth: i32) -> Result<Vec<String>, Error> {
        self.called();
        let kept = self.local.extract();
        let compiled = kept.paths.get(&path, JsonPath::new)?;
        let body = self.answer(id)?.response.body();
        let found = kept.json((self.serial, id), body, |document| compiled.find(&path, document, nth))?;
        Ok(self.choose(found))
    }

    fn regex(&mut self, id: u32, pattern: String, group: String, nth: i32) -> Result<Vec<String>, Error> {
        self.called();
        let pattern = self.local.extract().patterns.get(&pattern, Pattern::new)?;
        let found = pattern.find(self.answer(id)?.response.body(), &group, nth)?;
        Ok(self.choose(found))
    }

    fn regex_captures(&mut self, id: u32, pattern: String, nth: i32) -> Result<Vec<Vec<Option<String>>>, Error> {
        self.called();
        let pattern = self.local.extract().patterns.get(&pattern, Pattern::new)?;
        let found = pattern.captures(self.answer(id)?.response.body(), nth)?;
        Ok(self.choose(found))
    }

    fn boundary(&mut self, id: u32, left: String, right: String, nth: i32) -> Result<Vec<String>, Error> {
        self.called();
        let found = pattern::between(self.answer(id)?.response.body(), &left, &right, nth)?;
        Ok(self.choose(found))
    }

    fn css(&mut self, id: u32, selector: String, attribute: Option<String>, nth: i32) -> Result<Vec<String>, Error> {
        self.called();
        let kept = self.local.extract();
        let css = kept.selectors.get(&selector, Css::new)?;
        let body = self.answer(id)?.response.body();
        let found = kept.html((self.serial, id), body, |page| css.find(page, attribute.as_deref(), nth))?;
        Ok(self.choose(found))
    }

    fn header_values(&mut self, id: u32, name: String) -> Result<Vec<String>, Error> {
        let headers = self.answer(id)?.response.headers();
        let values = headers.into_iter().filter(|(known, _)| known.eq_ignore_ascii_case(&name));
        Ok(values.map(|(_, value)| value).collect())
    }

    fn contains(&mut self, id: u32, text: String) -> Result<bool, Error> {
        self.called();
        Ok(memchr::memmem::find(self.answer(id)?.response.body(), text.as_bytes()).is_some())
    }

    fn body_slice(&mut self, id: u32, start: u32, length: u32) -> Result<Vec<u8>, Error> {
        self.called();
        let body = self.answer(id)?.response.body();
        let rest = body.get(start as usize..).unwrap_or_default();
        Ok(rest[..rest.len().min(length as usize)].to_vec())
    }

    fn hash(&mut self, id: u32, digest: extract::Digest) -> Result<String, Error> {
        self.called();
        let body = self.answer(id)?.response.body();
        Ok(match digest {
            extract::Digest::Md5 => hexadecimal(&md5::Md5::digest(body)),
            extract::Digest::Sha1 => hexadecimal(&sha1::Sha1::digest(body)),
            extract::Digest::Sha256 => hexadecimal(&sha2::Sha256::digest(body)),
            extract::Digest::Sha512 => hexadecimal(&sha2::Sha512::digest(body)),
        })
    }

    fn size(&mut self, id: u32) -> Result<u32, Error> {
        Ok(u32::try_from(self.answer(id)?.response.body().len()).unwrap_or(u32::MAX))
    }
}

impl Host {
    fn answer(&self, id: u32) -> Result<&Answer, Error> {
        self.responses.get(id).map_err(|error| match error {
            http::LookupError::Stale(id) => Error::Stale(id),
            http::LookupError::NotJson(why) => Error::NotJson(why),
            http::LookupError::Other(why) => Error::Other(why),
        })
    }

    fn choose<T>(&mut self, found: Found<T>) -> Vec<T> {
        found.choose(|| self.random.number())
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = |byte: &u8| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]].map(char::from);
    bytes.iter().flat_map(digits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_lower_case_hexadecimal() {
        assert_eq!(hexadecimal(&md5::Md5::digest(b"")), "d41d8cd98f00b204e9800998ecf8427e");
    }

    #[test]
    fn deep_bodies_and_expressions_fit_into_the_stack_that_a_guest_leaves() {
        let deep = || {
            let body = format!("{}1{}", r#"{"a":["#.repeat(63), "]}".repeat(63));
            let document = json_path::Document::parse(body.as_bytes()).unwrap();
            let nested = format!("$..[?@..{}a{}", "a[?@.".repeat(6), "]".repeat(7));
            assert!(JsonPath::new(&nested).is_ok());
            for path in ["$..*", "$..a..a", "$..[?@.a]"] {
                assert!(JsonPath::new(path).unwrap().find(path, &document, 1).is_ok(), "{path}");
            }
            let endless = "[".repeat(1 << 20);
            assert!(json_path::Document::parse(endless.as_bytes()).is_err());
            let list = format!("{endless}{}", "]".repeat(1 << 20));
            assert!(find_pointer(list.as_bytes(), &"/0".repeat(100)).is_ok_and(|found| found.is_some()));
            assert!(find_pointer(list.as_bytes(), &"/0".repeat(1000)).is_err());

            let pattern = format!("{}a{}", "(?:b|".repeat(15), ")+".repeat(15));
            assert!(Pattern::new(&pattern).unwrap().find(b"ba", "0", 1).is_ok());
            let page = css::parse("<div>".repeat(1000).as_bytes()).unwrap();
            for selector in
                ["* ".repeat(510) + "*", ":not(".repeat(16) + "a" + &")".repeat(16), "div > ".repeat(150) + "div"]
            {
                assert!(Css::new(&selector).unwrap().find(&page, None, 1).is_ok(), "{selector}");
            }
        };
        // A guest may have taken all of its own part; the host's part is as large.
        let thread = std::thread::Builder::new().stack_size(384 << 10).spawn(deep);
        thread.unwrap().join().unwrap();
    }
}
