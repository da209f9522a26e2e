//! `cookies`: the jars of a VU.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};

use send_wrapper::SendWrapper;

use super::Host;
use super::secret::Secrets;
use crate::metrics::Excess;
use crate::protocol::Error;
use crate::protocol::http::{Cookie, Jar, Response, Target};
use crate::wit::cookies;

/// The most jars that an iteration makes.
const MAX_JARS: usize = 1000;
/// The most bytes that all jars of a VU take together; the oldest cookies of the jar that grows make room.
const MAX_BYTES: usize = 8 << 20;

/// The jars of a VU. One that has no cookies has no jar.
#[derive(Debug)]
pub(super) struct Jars {
    // A VU lives on one thread; the wrapper exists because wasmtime wants a store's data to be `Send`. It costs more to
    // look into than the switch beside it, which is all that most requests ask.
    set: SendWrapper<RefCell<Option<Box<Set>>>>,
    is_used: AtomicBool,
}

/// The VU's own jar and those its guest made, which are numbered from 1.
#[derive(Debug, Default)]
struct Set {
    own: Jar,
    further: Vec<Jar>,
}

impl Default for Jars {
    fn default() -> Self {
        Self { set: SendWrapper::new(RefCell::default()), is_used: AtomicBool::new(false) }
    }
}

impl Jars {
    /// Whether there is no jar: nothing has set a cookie in this iteration.
    pub(super) fn is_empty(&self) -> bool {
        !self.is_used.load(Ordering::Relaxed)
    }

    /// Whether there is a jar of this number. The VU's own always is.
    pub(super) fn has(&self, jar: u32) -> bool {
        jar == 0 || self.set.borrow().as_ref().is_some_and(|set| set.further.len() >= jar as usize)
    }

    /// Calls back with name and value of each cookie that goes to a URL.
    pub(super) fn each(&self, jar: u32, to: &Target, mut call: impl FnMut(&str, &str)) {
        if let Some(jar) = self.set.borrow().as_ref().and_then(|set| set.get(jar)) {
            jar.pairs(to).for_each(|(name, value)| call(name, value));
        }
    }

    /// Takes in the cookies that an answer set.
    pub(super) fn receive(&self, jar: u32, response: &Response, from: &Target) {
        // A jar of no number was refused before the request was sent.
        let _ = self.change(jar, |jar| {
            for set_cookie in response.header_all("set-cookie") {
                jar.receive(&set_cookie, from);
            }
        });
    }

    /// Forgets the jars that the guest made, and the VU's own unless it is kept.
    pub(super) fn end_iteration(&mut self, is_kept: bool) {
        if !*self.is_used.get_mut() {
            return;
        }
        let set = &mut *self.set.borrow_mut();
        match set {
            Some(set) if is_kept => set.further = Vec::new(),
            _ => {
                *set = None;
                *self.is_used.get_mut() = false;
            }
        }
    }

    fn new_jar(&self) -> Option<u32> {
        let mut set = self.set.borrow_mut();
        let further = &mut self.used(&mut set).further;
        (further.len() < MAX_JARS).then(|| {
            further.push(Jar::default());
            further.len() as u32
        })
    }

    /// Calls back with a jar that may be changed.
    fn change<R>(&self, jar: u32, change: impl FnOnce(&mut Jar) -> R) -> Result<R, cookies::Error> {
        let mut set = self.set.borrow_mut();
        let set = self.used(&mut set);
        let changed = set.get_mut(jar).map(change).ok_or(cookies::Error::UnknownJar(jar))?;
        let over = set.bytes().saturating_sub(MAX_BYTES);
        if let Some(jar) = set.get_mut(jar).filter(|_| over > 0) {
            jar.make_room(over);
        }
        Ok(changed)
    }

    fn used<'s>(&self, set: &'s mut Option<Box<Set>>) -> &'s mut Set {
        self.is_used.store(true, Ordering::Relaxed);
        set.get_or_insert_default()
    }
}

impl Set {
    fn bytes(&self) -> usize {
        self.own.bytes() + self.further.iter().map(Jar::bytes).sum::<usize>()
    }

    fn get(&self, jar: u32) -> Option<&Jar> {
        match jar.checked_sub(1) {
            None => Some(&self.own),
            Some(index) => self.further.get(index as usize),
        }
    }

    fn get_mut(&mut self, jar: u32) -> Option<&mut Jar> {
        match jar.checked_sub(1) {
            None => Some(&mut self.own),
            Some(index) => self.further.get_mut(index as usize),
        }
    }
}

impl cookies::Host for Host {
    fn new_jar(&mut self) -> u32 {
        self.jars.new_jar().unwrap_or_else(|| {
            let why = || format!("an iteration may make {MAX_JARS} cookie jars; the VU's own is used instead");
            self.warn_once(Excess::Jars, why);
            0
        })
    }

    fn for_url(&mut self, jar: u32, url: String) -> Result<Vec<cookies::Cookie>, cookies::Error> {
        let target = target(&url)?;
        if !self.jars.has(jar) {
            return Err(cookies::Error::UnknownJar(jar));
        }
        if self.jars.is_empty() {
            return Ok(Vec::new());
        }
        let cookies = self.jars.change(jar, |jar| jar.cookies(&target))?;
        let unseen = |cookie: Cookie| Cookie {
            name: self.unseen(cookie.name),
            value: self.unseen(cookie.value),
            path: cookie.path.map(|path| self.unseen(path)),
            ..cookie
        };
        Ok(cookies.into_iter().map(unseen).map(to_guest).collect())
    }

    fn set(&mut self, jar: u32, url: String, cookie: cookies::Cookie) -> Result<(), cookies::Error> {
        let target = target(&url)?;
        if self.run.secrets.is_some() && Secrets::is_named(cookie.value.as_bytes()) {
            let message = "a jar's cookie cannot name a secret: a cookie of the request can";
            return Err(cookies::Error::InvalidCookie(message.to_owned()));
        }
        let set = self.jars.change(jar, |jar| jar.set(&from_guest(cookie), &target))?;
        set.map_err(|refused| cookies::Error::InvalidCookie(refused.to_string()))
    }

    fn delete(&mut self, jar: u32, url: String, name: String) -> Result<(), cookies::Error> {
        let target = target(&url)?;
        self.jars.change(jar, |jar| jar.delete(&target, &name))
    }

    fn clear(&mut self, jar: u32, url: String) -> Result<(), cookies::Error> {
        let target = target(&url)?;
        self.jars.change(jar, |jar| jar.clear(&target))
    }

    fn of_response(&mut self, id: u32) -> Result<Vec<cookies::Cookie>, crate::wit::http::LookupError> {
        let response = self.responses.response(id)?;
        if !response.has_cookies {
            return Ok(Vec::new());
        }
        let set_cookies = response.header_all("set-cookie");
        Ok(set_cookies.iter().filter_map(|text| Cookie::parse(text)).map(to_guest).collect())
    }
}

fn target(url: &str) -> Result<Target, cookies::Error> {
    Target::parse(url).map_err(|error| match error {
        Error::InvalidUrl(why) => cookies::Error::InvalidUrl(why),
        other => cookies::Error::Other(other.to_string()),
    })
}

fn to_guest(cookie: Cookie) -> cookies::Cookie {
    let Cookie { name, value, domain, path, expires, secure, http_only } = cookie;
    cookies::Cookie { name, value, domain, path, expires, secure, http_only }
}

fn from_guest(cookie: cookies::Cookie) -> Cookie {
    let cookies::Cookie { name, value, domain, path, expires, secure, http_only } = cookie;
    Cookie { name, value, domain, path, expires, secure, http_only }
}
