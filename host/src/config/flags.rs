//! The layer of the command line.

use super::layer::KEYS;
use super::node::{Node, Place, Value};

/// The flags that were given. Each sets an option, whose key is in camel case as in the journey's options; a dot leads
/// into a table (`limits.memory`).
///
/// # Panics
/// All methods panic when there is no option with the key, which is a bug of the caller.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Flags(pub(super) Vec<(&'static str, Node)>);

impl Flags {
    /// Sets an option to a text as the user wrote it: `flags.set("duration", "--duration", "30s")`.
    pub fn set(&mut self, key: &'static str, flag: &str, text: impl Into<String>) {
        self.push(key, Node::text(flag, Place::CommandLine, text));
    }

    /// Sets an option to true.
    pub fn switch(&mut self, key: &'static str, flag: &str) {
        let mut node = Node::text(flag, Place::CommandLine, "");
        node.value = Value::Bool(true);
        self.push(key, node);
    }

    /// Sets an option to what a repeatable flag was given; does nothing when it was not given.
    pub fn list(&mut self, key: &'static str, flag: &str, texts: &[String]) {
        if !texts.is_empty() {
            self.push(key, Node::texts(flag, &Place::CommandLine, texts));
        }
    }

    /// Sets `tlsAuth` to one certificate for all hosts: the paths of files, or PEM texts. Without a key, it is where the
    /// certificate is.
    pub fn identity(&mut self, (cert_flag, cert): (&str, &str), key: Option<(&str, &str)>) {
        let entry =
            |name: &str, (flag, text): (&str, &str)| (name.to_owned(), Node::text(flag, Place::CommandLine, text));
        let entries = [Some(entry("cert", (cert_flag, cert))), key.map(|key| entry("key", key))];
        let mut node = Node::text(cert_flag, Place::CommandLine, "");
        node.value = Value::Table(entries.into_iter().flatten().collect());
        self.push("tlsAuth", node);
    }

    fn push(&mut self, key: &'static str, node: Node) {
        assert!(KEYS.contains(&key), "`{key}` is not an option");
        self.0.push((key, node));
    }
}
