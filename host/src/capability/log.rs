//! `log`, `env` and `test`: words for the person, variables from them, and the run as a whole.

use super::Host;
use crate::wit::{env, log, test};

/// A longer message is cut, in bytes.
const LONGEST_MESSAGE: usize = 8 << 10;

/// Cuts what a guest says to so many bytes, and shows that it did: the host may keep it for long, and many like it.
pub(crate) fn shorten(mut text: String, longest: usize) -> String {
    if text.len() > longest {
        text.truncate(text.floor_char_boundary(longest));
        text.push('…');
        text.shrink_to_fit();
    }
    text
}

impl log::Host for Host {
    fn write(&mut self, level: log::Level, message: String) {
        self.called();
        let message = shorten(message, LONGEST_MESSAGE);
        self.recent.get_or_insert_default().remember(level, &message);
        self.run.sink.log(self.identity.vu, &self.identity.scenario, level, message);
    }
}

impl env::Host for Host {
    fn get(&mut self, name: String) -> Option<String> {
        self.identity.env.get(&name).cloned()
    }

    fn all(&mut self) -> Vec<(String, String)> {
        self.identity.env.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

impl test::Host for Host {
    fn abort(&mut self, reason: String) {
        self.run.sink.abort(&shorten(reason, LONGEST_MESSAGE));
    }

    fn fail(&mut self, reason: String) {
        self.run.sink.fail(&shorten(reason, LONGEST_MESSAGE));
    }
}
