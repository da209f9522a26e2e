//! `log`, `env` and `test`: words for the person, variables from them, and the run as a whole.

use super::Host;
use crate::wit::{env, log, test};

/// A longer message is cut, in bytes.
const LONGEST_MESSAGE: usize = 8 << 10;

impl log::Host for Host {
    fn write(&mut self, level: log::Level, mut message: String) {
        self.called();
        if message.len() > LONGEST_MESSAGE {
            message.truncate(message.floor_char_boundary(LONGEST_MESSAGE));
            message.push('…');
        }
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
        self.run.sink.abort(&reason);
    }

    fn fail(&mut self, reason: String) {
        self.run.sink.fail(&reason);
    }
}
