//! Where else a server says that it is: by HTTP/3, at another port of the same host (`alt-svc`, RFC 7838).
//!
//! A VU knows what it was told itself, as a browser does; others may be told otherwise.

use std::cell::RefCell;
use std::time::{Duration, Instant};

/// How many origins a VU remembers; the oldest makes room.
const MOST: usize = 64;
/// How long an offer holds that does not say so (RFC 7838, 3.1).
const USUAL_AGE: Duration = Duration::from_hours(24);
/// The longest that is believed.
const LONGEST_AGE: Duration = Duration::from_hours(24 * 365);
/// How long one that could not be reached is not tried again.
const GIVEN_UP: Duration = Duration::from_mins(5);

/// What one VU was told; nothing until then.
#[derive(Debug, Default)]
pub(super) struct Alternatives(RefCell<Vec<Alternative>>);

#[derive(Debug)]
struct Alternative {
    authority: Box<str>,
    port: u16,
    until: Instant,
    /// Not to be tried before.
    from: Instant,
}

/// What an `alt-svc` header says about HTTP/3.
#[derive(Debug, PartialEq, Eq)]
enum Offer {
    /// It is at this port, for so long.
    At(u16, Duration),
    /// What was said before holds no more.
    Clear,
}

impl Alternatives {
    /// The port at which an origin speaks HTTP/3.
    pub(super) fn find(&self, authority: &str, now: Instant) -> Option<u16> {
        let known = self.0.borrow();
        let found = known.iter().find(|known| *known.authority == *authority)?;
        (found.from <= now && now < found.until).then_some(found.port)
    }

    /// Takes in what an answer of an origin says; returns whether that is a way that was not known.
    pub(super) fn learn(&self, authority: &str, host: &str, header: &str, now: Instant) -> bool {
        let Some(offer) = parse(header, host) else { return false };
        let mut known = self.0.borrow_mut();
        let at = known.iter().position(|known| *known.authority == *authority);
        let Offer::At(port, age) = offer else {
            at.map(|at| known.remove(at));
            return false;
        };
        if let Some(at) = at {
            let known = &mut known[at];
            let is_new = known.until <= now;
            (known.port, known.until) = (port, now + age);
            return is_new;
        }
        if known.len() == MOST {
            known.remove(0);
        }
        known.push(Alternative { authority: authority.into(), port, until: now + age, from: now });
        true
    }

    /// Does without one that could not be reached, for a while.
    pub(super) fn give_up(&self, authority: &str, now: Instant) {
        if let Some(known) = self.0.borrow_mut().iter_mut().find(|known| *known.authority == *authority) {
            known.from = now + GIVEN_UP;
        }
    }
}

/// Reads an `alt-svc` header. Of its offers the first counts that is HTTP/3 on the same host: another host would be
/// somebody else for whoever may be reached.
fn parse(header: &str, host: &str) -> Option<Offer> {
    if header.trim() == "clear" {
        return Some(Offer::Clear);
    }
    outside_quotes(header, ',').find_map(|offer| {
        let mut parts = outside_quotes(offer, ';').map(str::trim);
        let authority = parts.next()?.strip_prefix("h3=")?.strip_prefix('"')?.strip_suffix('"')?;
        let (other, port) = authority.rsplit_once(':')?;
        let port = port.parse().ok().filter(|&port| port > 0)?;
        let other = other.trim_start_matches('[').trim_end_matches(']');
        if !other.is_empty() && !other.eq_ignore_ascii_case(host) {
            return None;
        }
        let age = parts.find_map(|part| part.strip_prefix("ma="));
        let age = match age {
            Some(seconds) => Duration::from_secs(seconds.trim_matches('"').parse().ok()?),
            None => USUAL_AGE,
        };
        Some(Offer::At(port, age.min(LONGEST_AGE)))
    })
}

/// Splits a text where a character is in no quotes.
fn outside_quotes(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    text.split(move |char| {
        is_quoted ^= char == '"';
        char == separator && !is_quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16, seconds: u64) -> Offer {
        Offer::At(port, Duration::from_secs(seconds))
    }

    #[test]
    fn the_first_offer_of_http_3_on_the_same_host_counts() {
        for (header, offer) in [
            ("h3=\":443\"; ma=2592000,h3-29=\":443\"; ma=2592000", Some(at(443, 2_592_000))),
            ("h2=\"other.test:443\", h3=\":8443\";persist=1", Some(at(8443, 86_400))),
            ("h3=\"other.test:443\", h3=\"A.test:1\"; ma=5", Some(at(1, 5))),
            ("h3-29=\":443\"", None),
            ("h3=\":0\"", None),
            ("h3=\":65536\"", None),
            ("h3=443", None),
            ("h3=\":443\"; ma=x", None),
            ("h3=\":443\"; ma=18446744073709551615", Some(at(443, LONGEST_AGE.as_secs()))),
            (" clear ", Some(Offer::Clear)),
            ("", None),
            ("\"", None),
        ] {
            assert_eq!(parse(header, "a.test"), offer, "{header}");
        }
    }

    #[test]
    fn an_offer_holds_as_long_as_it_says_and_is_given_up_when_it_leads_nowhere() {
        let (known, now) = (Alternatives::default(), Instant::now());
        let later = |seconds| now + Duration::from_secs(seconds);
        assert!(known.learn("a", "a", "h3=\":1\"; ma=10", now));
        assert!(!known.learn("a", "a", "h3=\":2\"; ma=10", now), "nothing is new about it");
        assert_eq!(
            (known.find("a", later(9)), known.find("a", later(10)), known.find("b", now)),
            (Some(2), None, None)
        );
        assert!(known.learn("a", "a", "h3=\":1\"", later(10)));
        known.give_up("a", later(20));
        assert_eq!((known.find("a", later(21)), known.find("a", later(321))), (None, Some(1)));
        assert!(!known.learn("a", "a", "clear", now));
        assert_eq!(known.find("a", later(321)), None);
    }

    #[test]
    fn a_server_makes_a_vu_remember_no_more_than_some() {
        let (known, now) = (Alternatives::default(), Instant::now());
        for number in 0..=MOST {
            known.learn(&number.to_string(), "a", "h3=\":1\"", now);
        }
        assert_eq!((known.find("0", now), known.find("1", now), known.0.borrow().len()), (None, Some(1), MOST));
    }
}
