//! What a component can do, in words: derived from what it imports, which is all that it can reach.
//!
//! A component has no other way out: what a component inside of it imports, its outer one has to hand on.

use serde::{Deserialize, Serialize};

use super::LoadError;
use super::anatomy::{Anatomy, Import};
use crate::plan::{ComponentLimits, Policy};

/// The packages whose interfaces squall provides.
const PACKAGES: &[&str] =
    &["squall:journey/", "squall:websocket/", "squall:grpc/", "squall:events/", "squall:socket/", "wasi:"];

/// Everything that a component can do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Manifest {
    /// What it can do, in the order of its imports.
    pub capabilities: Vec<Capability>,
}

impl Manifest {
    /// Reads it from a component's bytes; nothing is compiled or run.
    pub fn read(bytes: &[u8], limits: &ComponentLimits, policy: &Policy) -> Result<Self, LoadError> {
        Ok(Self::of(&Anatomy::of(bytes, limits)?, policy))
    }

    pub(super) fn of(anatomy: &Anatomy, policy: &Policy) -> Self {
        let capability = |import: &Import| Capability::of(import, policy.grants_import(&import.name));
        Self { capabilities: anatomy.imports.iter().map(capability).collect() }
    }

    /// Returns an error that names what the component imports and squall does not have, or the policy does not grant.
    pub fn check(&self) -> Result<(), LoadError> {
        let is_known = |import: &str| PACKAGES.iter().any(|package| import.starts_with(package));
        if let Some(unknown) = self.capabilities.iter().find(|one| !is_known(&one.import)) {
            return Err(LoadError::UnknownImport { import: unknown.import.clone() });
        }
        let is_other = |import: &str| {
            import.starts_with("wasi:")
                && import.split_once('@').is_some_and(|(_, version)| !version.starts_with("0.2."))
        };
        if let Some(other) = self.capabilities.iter().find(|one| is_other(&one.import)) {
            return Err(LoadError::OtherImport { import: other.import.clone() });
        }
        let imports: Vec<_> =
            self.capabilities.iter().filter(|one| !one.granted).map(|one| one.import.clone()).collect();
        if imports.is_empty() { Ok(()) } else { Err(LoadError::Refused { imports, manifest: self.clone() }) }
    }
}

/// One thing that a component can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capability {
    /// The import that it comes with: `squall:journey/http@0.1.1`.
    pub import: String,
    /// Its short name: `http`, `env`, `wasi:clocks`.
    pub capability: String,
    /// What it can do, in words that follow "can".
    pub can: String,
    /// The functions of the interface that the component asks for; it can call no others.
    pub functions: Vec<String>,
    /// Whether the policy grants it.
    pub granted: bool,
}

/// What an interface gives, and what each of its functions; one without words of its own is named by the interface's.
struct Words {
    interface: &'static str,
    can: &'static str,
    functions: &'static [(&'static str, &'static str)],
}

const fn words(interface: &'static str, can: &'static str) -> Words {
    Words { interface, can, functions: &[] }
}

const WORDS: &[Words] = &[
    words("squall:journey/http", "send HTTP requests"),
    words("squall:journey/cookies", "read and set cookies"),
    words("squall:journey/streams", "send HTTP requests and answers piece by piece"),
    words("squall:journey/extract", "search the answers it got"),
    Words {
        interface: "squall:journey/vu",
        can: "know which virtual user it is",
        functions: &[
            ("sleep", "wait"),
            ("now", "tell the time"),
            ("wall-clock", "tell the time"),
            ("random", "draw random numbers"),
            ("random-bytes", "draw random numbers"),
        ],
    },
    words("squall:grpc/grpc", "make gRPC calls"),
    words("squall:journey/check", "count checks"),
    words("squall:journey/group", "name groups"),
    words("squall:journey/metric", "declare metrics and add to them"),
    words("squall:journey/log", "write to the log"),
    words("squall:journey/tls", "show client certificates of its own"),
    Words {
        interface: "squall:journey/env",
        can: "read variables granted to it",
        functions: &[
            ("get", "read variables granted to it by their name"),
            ("all", "list all variables granted to it"),
        ],
    },
    Words {
        interface: "squall:journey/test",
        can: "judge the run",
        functions: &[("abort", "end the run"), ("fail", "mark the run as failed")],
    },
    words("squall:journey/secret", "name secrets granted to it, which the host puts in"),
    words("squall:events/events", "read streams of events over HTTP"),
    words("squall:websocket/websocket", "open WebSockets, and talk on them"),
    words("squall:socket/socket", "open TCP connections and exchange datagrams"),
    words("wasi:cli/environment", "read variables and arguments granted to it"),
    words("wasi:cli/exit", "end itself"),
    words("wasi:cli/stdin", "read from an empty input"),
    words("wasi:cli/stdout", "write to the log"),
    words("wasi:cli/stderr", "write to the log"),
    words("wasi:cli/terminal", "ask for a terminal, which there is not"),
    words("wasi:clocks/", "tell the time, and wait"),
    words("wasi:filesystem/", "ask for files, of which there are none"),
    words("wasi:http/", "send HTTP requests through WASI"),
    words("wasi:io/", "wait, read and write where another capability lets it"),
    words("wasi:random/", "draw random numbers"),
    words("wasi:sockets/", "open sockets of its own, if they are granted by name"),
];

impl Capability {
    fn of(import: &Import, granted: bool) -> Self {
        let name = import.name.split('@').next().unwrap_or_default();
        Self {
            import: import.name.clone(),
            capability: short(name).to_owned(),
            can: can(name, &import.functions),
            functions: import.functions.clone(),
            granted,
        }
    }
}

/// `http` for squall's own interfaces, the package's name for others.
fn short(name: &str) -> &str {
    match name.strip_prefix("squall:journey/") {
        Some(own) => own,
        None if name.starts_with("wasi:cli/") => name,
        None => name.split('/').next().unwrap_or(name),
    }
}

fn can(name: &str, functions: &[String]) -> String {
    let fits = |words: &&Words| {
        // What ends with a slash or is a beginning of several names stands for all that begin so.
        name == words.interface || (words.interface.starts_with("wasi:") && name.starts_with(words.interface))
    };
    let Some(words) = WORDS.iter().find(fits) else {
        return "do what squall does not know".to_owned();
    };
    if functions.is_empty() {
        return format!("use types only: {}", words.can);
    }
    let mut said: Vec<&str> = Vec::new();
    for function in functions {
        let own = words.functions.iter().find(|(name, _)| name == function).map_or(words.can, |(_, can)| can);
        if !said.contains(&own) {
            said.push(own);
        }
    }
    said.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(component: &str, policy: &Policy) -> Result<(), String> {
        let bytes = wat::parse_str(component).unwrap();
        let manifest = Manifest::read(&bytes, &ComponentLimits::default(), policy).unwrap();
        manifest.check().map_err(|error| error.to_string())
    }

    #[test]
    fn an_import_that_is_not_granted_is_refused_by_its_name() {
        let untrusted = Policy { untrusted: true, ..Policy::default() };
        let component = r#"(component
            (import "squall:journey/log@0.1.1" (instance))
            (import "wasi:sockets/tcp@0.2.6" (instance))
            (import "wasi:http/types@0.2.6" (instance)))"#;
        let refused = check(component, &untrusted).unwrap_err();
        assert_eq!(refused, "imports `wasi:sockets/tcp@0.2.6`, `wasi:http/types@0.2.6`, which are not granted");
        assert_eq!(check(component, &Policy::default()), Ok(()));
        let granted = ["squall:journey/*", "wasi:sockets/*", "wasi:http/types"].map(|text| text.parse().unwrap());
        assert_eq!(check(component, &Policy { imports: Some(granted.into()), ..untrusted }), Ok(()));
    }

    #[test]
    fn what_squall_does_not_have_cannot_be_granted() {
        let granted = Policy { imports: Some(["*".parse().unwrap()].into()), ..Policy::default() };
        let refused = check(r#"(component (import "acme:door/open" (instance)))"#, &granted).unwrap_err();
        assert_eq!(refused, "imports `acme:door/open`, which squall does not provide");
    }

    #[test]
    fn what_an_inner_component_imports_comes_from_the_outer_one() {
        // Without a grant of its own the inner one has what it is handed, whatever it calls that.
        let handed_on = r#"(component
            (import "squall:journey/env@0.1.1" (instance $env (export "all" (func))))
            (component $inner (import "wasi:sockets/tcp@0.2.6" (instance (export "all" (func)))))
            (instance (instantiate $inner (with "wasi:sockets/tcp@0.2.6" (instance $env)))))"#;
        let untrusted = Policy { untrusted: true, ..Policy::default() };
        assert_eq!(check(handed_on, &untrusted), Ok(()));
        // What it is not handed it does not have: such a component is not valid.
        let missing = r#"(component
            (component $inner (import "wasi:sockets/tcp@0.2.6" (instance (export "all" (func)))))
            (instance (instantiate $inner)))"#;
        let loaded = super::super::Component::load(wat::parse_str(missing).unwrap(), None);
        assert!(matches!(loaded.err(), Some(LoadError::Compile { message }) if message.contains("wasi:sockets/tcp")));
        // Nor can it reach over its outer one's head.
        let reached = r#"(component $outer
            (import "wasi:sockets/tcp@0.2.6" (instance $tcp (export "all" (func))))
            (component (export "f" (func $outer $tcp))))"#;
        assert!(wat::parse_str(reached).is_err());
    }

    fn says(name: &str, functions: &[&str]) -> String {
        can(name, &functions.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn what_a_component_can_do_depends_on_the_functions_it_asks_for() {
        assert_eq!(says("squall:journey/vu", &["sleep"]), "wait");
        assert_eq!(
            says("squall:journey/vu", &["id", "now", "wall-clock"]),
            "know which virtual user it is, tell the time"
        );
        assert_eq!(says("squall:journey/env", &["get"]), "read variables granted to it by their name");
        assert_eq!(says("wasi:clocks/monotonic-clock", &["now"]), "tell the time, and wait");
        assert_eq!(says("wasi:cli/terminal-input", &[]), "use types only: ask for a terminal, which there is not");
        assert_eq!(says("wasi:nn/tensor", &["run"]), "do what squall does not know");
    }

    #[test]
    fn every_interface_of_the_world_has_words() {
        let world = include_str!("../../../wit/journey.wit");
        let interfaces = world.lines().filter_map(|line| line.strip_prefix("interface ")?.split(' ').next());
        let mut seen = 0;
        for interface in interfaces {
            let name = format!("squall:journey/{interface}");
            assert!(WORDS.iter().any(|words| words.interface == name), "{name}");
            seen += 1;
        }
        assert!(seen > 10, "{seen}");
    }
}
