//! The rules as data. Change them here and in `docs/architecture.md` together.

/// A module and the modules it may use beside itself. The longest matching name counts, so a row for a file inside a
/// folder is stricter than the folder's.
pub const MAY_USE: &[(&str, &[&str])] = &[
    (
        "run",
        &["scheduler", "vu", "collector", "output", "plan", "platform", "redact", "verdict", "aggregate", "metrics"],
    ),
    (
        "isolate",
        &[
            "run",
            "sandbox",
            "protocol",
            "collector",
            "output",
            "plan",
            "platform",
            "redact",
            "verdict",
            "aggregate",
            "metrics",
            "vu",
        ],
    ),
    ("scheduler", &["plan", "vu", "metrics", "platform"]),
    ("scheduler::pacer", &["plan", "platform"]),
    ("scheduler::executor", &["plan", "vu", "metrics"]),
    ("vu", &["metrics", "redact"]),
    ("vu::journey", &["metrics", "redact"]),
    ("sandbox", &["plan", "vu", "capability", "metrics", "wit", "platform"]),
    ("capability", &["wit", "protocol", "plan", "redact", "metrics"]),
    ("wit", &[]),
    ("service", &["plan"]),
    ("protocol", &["plan", "platform"]),
    ("protocol::door", &["plan"]),
    ("collector", &["plan", "vu", "aggregate", "verdict", "output", "metrics", "platform"]),
    ("output", &["plan", "vu", "aggregate", "verdict", "metrics"]),
    ("config", &["plan", "verdict", "metrics"]),
    ("artifact", &[]),
    ("practice", &[]),
    ("platform", &[]),
    ("redact", &[]),
    ("plan", &["verdict", "metrics", "redact"]),
    ("verdict", &["aggregate", "metrics"]),
    ("aggregate", &["metrics"]),
    ("metrics", &[]),
    // The binary: it uses the library as any embedder would, by the name `squall`.
    ("cli", &[]),
];

/// Files that tie the others together and may name every module.
pub const ROOTS: &[&str] = &["lib.rs", "main.rs"];

/// Third-party crates that have a home, and the homes. Crates not listed may be used anywhere.
pub const HOMES: &[(&str, &[&str])] = &[
    ("wasmtime", &["sandbox", "capability", "wit", "service"]),
    ("wasmtime_wasi", &["sandbox", "capability", "wit", "service"]),
    ("wasmtime_wasi_http", &["sandbox", "capability", "service"]),
    ("addr2line", &["sandbox"]),
    ("rustc_demangle", &["sandbox"]),
    ("hyper", &["protocol", "capability", "practice", "service"]),
    ("httparse", &["protocol"]),
    ("rustls", &["protocol", "practice"]),
    ("tokio_rustls", &["protocol", "practice"]),
    ("rustls_native_certs", &["protocol"]),
    ("h2", &["protocol"]),
    ("h3", &["protocol", "practice"]),
    ("h3_quinn", &["protocol", "practice"]),
    ("quinn", &["protocol", "practice"]),
    ("tokio_tungstenite", &["protocol", "practice"]),
    ("prost", &["protocol", "practice"]),
    ("prost_reflect", &["protocol", "practice"]),
    ("protox", &["protocol", "practice"]),
    ("rcgen", &["practice"]),
    ("http_auth", &["protocol"]),
    ("cookie_store", &["protocol"]),
    ("hickory_resolver", &["protocol"]),
    ("tokio_socks", &["protocol"]),
    ("flate2", &["protocol"]),
    ("brotli", &["protocol"]),
    ("ruzstd", &["protocol"]),
    ("pkcs8", &["protocol"]),
    ("scraper", &["capability"]),
    ("html5ever", &["capability"]),
    ("serde_json_path", &["capability"]),
    ("serde_json_path_macros", &["capability"]),
    ("aho_corasick", &["redact"]),
    ("regex", &["capability"]),
    ("reqwest", &["output", "artifact"]),
    ("indicatif", &["output", "cli"]),
    ("axum", &["practice"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("anyhow", &["cli"]),
    ("toml", &["config"]),
    ("hdrhistogram", &["aggregate"]),
    ("libc", &["sandbox", "platform"]),
    ("landlock", &["platform"]),
    ("seccompiler", &["platform"]),
    ("rmp_serde", &["isolate"]),
    ("rustix", &["platform", "sandbox"]),
];

/// Modules with no clock, no file, no socket, no `await` and no spawn.
pub const PURE: &[&str] = &["plan", "verdict", "aggregate", "metrics", "redact"];

/// What a pure module may not name: these paths and everything below them.
pub const IMPURE: &[&str] = &[
    "std::fs",
    // Addresses are values; what opens or asks for something is not.
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::UdpSocket",
    "std::net::ToSocketAddrs",
    "std::env",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "tokio",
];

/// Words that say a function waits or starts something.
pub const IMPURE_WORDS: &[&str] = &["async", "await", "spawn"];

/// Names that say nothing about what is inside.
pub const VAGUE: &[&str] = &["util", "utils", "common", "helper", "helpers", "manager", "base"];
