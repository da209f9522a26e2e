//! Components that nobody wrote, loaded and inspected: each works, or is an error.
//!
//! Some are valid and strange (`wasm-smith`), some were journeys before bits, bytes and sections of them were changed.

use std::ops::Range;
use std::sync::OnceLock;
use std::{env, fs};

use arbitrary::Unstructured;
use wasm_smith::Config;

use super::{Component, Manifest};
use crate::fuzz::{Choices, cases};
use crate::plan::{ComponentLimits, Limits, Policy, Proposal};

/// Where a component's header ends.
const HEADER: usize = 8;
/// Journeys larger than this take too long to compile, again and again.
const LARGEST_SEED: u64 = 200 << 10;

/// The smallest journey there can be.
const JOURNEY: &str = r#"(component
    (type $log (instance
        (type $l (enum "debug" "info" "warn" "error")) (export "level" (type $level (eq $l)))
        (export "write" (func (param "level" $level) (param "message" string)))))
    (import "squall:journey/log@0.1.1" (instance $log (type $log)))
    (core module $m
        (import "log" "write" (func $write (param i32 i32 i32)))
        (memory (export "memory") 1 4)
        (table 2 funcref) (elem (i32.const 0) $zero)
        (global $g (mut i32) (i32.const 1024))
        (data (i32.const 8) "\10\00\00\00\00\00\00\00") (data (i32.const 32) "hello")
        (func $zero (result i32) i32.const 0)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) global.get $g)
        (func (export "options") (result i32) i32.const 48)
        (func (export "setup") (result i32) i32.const 48)
        (func (export "iterate") (param i32 i32 i32 i32) (result i32)
            (loop $again (br_if $again (call_indirect (result i32) (i32.const 0))))
            (call $write (i32.const 1) (i32.const 32) (i32.const 5)) i32.const 48)
        (func (export "teardown") (param i32 i32) (result i32) i32.const 48)
        (func (export "summary") (param i32 i32) (result i32) i32.const 48))
    (core module $memory (memory (export "memory") 1) (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 0))
    (core instance $shared (instantiate $memory))
    (alias export $log "write" (func $log-write))
    (alias core export $shared "memory" (core memory $shared-memory))
    (core func $write (canon lower (func $log-write) (memory $shared-memory)))
    (core instance $i (instantiate $m (with "log" (instance (export "write" (func $write))))))
    (alias core export $i "memory" (core memory $memory))
    (alias core export $i "realloc" (core func $realloc))
    (alias core export $i "options" (core func $options-core))
    (func $options (result string)
        (canon lift (core func $options-core) (memory $memory)))
    (alias core export $i "setup" (core func $setup-core))
    (func $setup (result (result (list u8) (error string)))
        (canon lift (core func $setup-core) (memory $memory)))
    (alias core export $i "iterate" (core func $iterate-core))
    (func $iterate (param "scenario" string) (param "data" (list u8)) (result (result (error string)))
        (canon lift (core func $iterate-core) (memory $memory) (realloc $realloc)))
    (alias core export $i "teardown" (core func $teardown-core))
    (func $teardown (param "data" (list u8)) (result (result (error string)))
        (canon lift (core func $teardown-core) (memory $memory) (realloc $realloc)))
    (alias core export $i "summary" (core func $summary-core))
    (func $summary (param "summary" string) (result (list (tuple string string)))
        (canon lift (core func $summary-core) (memory $memory) (realloc $realloc)))
    (export "options" (func $options)) (export "setup" (func $setup)) (export "iterate" (func $iterate))
    (export "teardown" (func $teardown)) (export "handle-summary" (func $summary)))"#;

/// Journeys to begin with: the smallest one, and those that were built.
fn seeds() -> &'static [Vec<u8>] {
    static SEEDS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    SEEDS.get_or_init(|| {
        let mut seeds = vec![wat::parse_str(JOURNEY).unwrap()];
        let target = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "../target".into());
        let folder = std::path::Path::new(&target).join("journeys");
        // In a test among others the one that is always there is enough, and the same everywhere.
        let entries = env::var_os("SQUALL_FUZZ_SECONDS").and_then(|_| fs::read_dir(folder).ok());
        let mut paths: Vec<_> = entries.into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in paths.iter().filter(|path| path.extension().is_some_and(|end| end == "wasm")) {
            if fs::metadata(path).unwrap().len() <= LARGEST_SEED {
                seeds.push(fs::read(path).unwrap());
            }
        }
        seeds
    })
}

/// A valid component or module by `wasm-smith`, the module inside of a component.
fn smith(choices: &mut Choices) -> Option<Vec<u8>> {
    let length = 1 << (4 + choices.below(11));
    let bytes = choices.bytes(length);
    let mut source = Unstructured::new(&bytes);
    let on = choices.one_in(2);
    let config = Config {
        gc_enabled: on,
        exceptions_enabled: on,
        threads_enabled: on,
        memory64_enabled: on,
        relaxed_simd_enabled: on,
        custom_page_sizes_enabled: choices.one_in(8),
        wide_arithmetic_enabled: choices.one_in(8),
        shared_everything_threads_enabled: choices.one_in(16),
        max_memories: 1 + choices.below(100),
        max_tables: 1 + choices.below(100),
        max_instructions: 1 << choices.below(12),
        max_nesting_depth: 1 + choices.below(60),
        allow_invalid_funcs: choices.one_in(4),
        ..Config::default()
    };
    if choices.one_in(2) {
        return Some(wasm_smith::Component::new(config, &mut source).ok()?.to_bytes());
    }
    let module = wasm_smith::Module::new(config, &mut source).ok()?.to_bytes();
    let mut component = wat::parse_str("(component)").unwrap();
    push_section(&mut component, 1, &module);
    Some(component)
}

fn push_section(to: &mut Vec<u8>, id: u8, content: &[u8]) {
    to.push(id);
    let mut length = content.len();
    while length >= 128 {
        to.push((length & 127) as u8 | 128);
        length >>= 7;
    }
    to.push(length as u8);
    to.extend(content);
}

/// The sections of a component, as far as they can be told apart.
fn sections(bytes: &[u8]) -> Vec<(u8, Range<usize>)> {
    let (mut sections, mut at) = (Vec::new(), HEADER);
    while let Some(&id) = bytes.get(at) {
        let (mut length, mut shift) = (0_usize, 0);
        loop {
            at += 1;
            let Some(&byte) = bytes.get(at) else { return sections };
            length |= usize::from(byte & 127) << shift;
            shift += 7;
            if byte < 128 || shift > 28 {
                break;
            }
        }
        let end = (at + 1).saturating_add(length);
        if end > bytes.len() {
            return sections;
        }
        sections.push((id, at + 1..end));
        at = end;
    }
    sections
}

fn mutated(choices: &mut Choices) -> Vec<u8> {
    let mut bytes = choices.one_of(seeds()).clone();
    for _ in 0..=choices.below(4) {
        let length = bytes.len();
        match choices.below(9) {
            0 => bytes[choices.below(length)] ^= 1 << choices.below(8),
            1 => bytes[choices.below(length)] = *choices.one_of(&[0, 1, 2, 0x3f, 0x40, 0x41, 0x42, 0x7f, 0x80, 0xff]),
            2 => bytes.truncate(HEADER + choices.below(length)),
            3 => {
                let (from, more) = (choices.below(length), choices.below(64));
                bytes.drain(from..(from + more).min(length));
            }
            4 => {
                let (at, number) = (choices.below(length), choices.below(32));
                let more = choices.bytes(number);
                bytes.splice(at..at, more);
            }
            5 => {
                let other = choices.one_of(seeds()).clone();
                let (from, at) = (choices.below(other.len()), choices.below(length));
                let end = (from + choices.below(4096)).min(other.len());
                bytes.splice(at..at, other[from..end].iter().copied());
            }
            // A number that is longer than it looks, or larger than what follows.
            6 => {
                let at = choices.below(length);
                bytes.splice(
                    at..at,
                    choices.one_of(&[&[0xff, 0xff, 0xff, 0xff, 0x0f][..], &[0x80, 0x80, 0x00]]).iter().copied(),
                );
            }
            _ => bytes = with_other_sections(choices, &bytes),
        }
        if bytes.len() <= HEADER {
            break;
        }
    }
    bytes
}

/// Leaves a section out, has it twice, somewhere else, or takes one of another component, also nested in new ones.
fn with_other_sections(choices: &mut Choices, bytes: &[u8]) -> Vec<u8> {
    let mut all: Vec<(u8, Vec<u8>)> =
        sections(bytes).into_iter().map(|(id, range)| (id, bytes[range].to_vec())).collect();
    if all.is_empty() {
        return bytes.to_vec();
    }
    let at = choices.below(all.len());
    match choices.below(5) {
        0 => drop(all.remove(at)),
        1 => all.insert(choices.below(all.len()), all[at].clone()),
        2 => {
            let to = choices.below(all.len());
            all.swap(at, to);
        }
        3 => {
            let other = choices.one_of(seeds());
            let found = sections(other);
            let (id, range) = choices.one_of(&found).clone();
            all.insert(at, (id, other[range].to_vec()));
        }
        _ => {
            let mut nested = bytes.to_vec();
            for _ in 0..choices.below(120) {
                let mut outer = bytes[..HEADER].to_vec();
                push_section(&mut outer, 4, &nested);
                nested = outer;
            }
            all.insert(at, (4, nested));
        }
    }
    let mut changed = bytes[..HEADER].to_vec();
    for (id, content) in all {
        push_section(&mut changed, id, &content);
    }
    changed
}

/// Loads it as somebody's own, or as a stranger's.
fn load(choices: &mut Choices, bytes: &[u8]) {
    let untrusted = choices.one_in(2);
    let limits = if untrusted { Limits::untrusted() } else { Limits::default() };
    let granted = Proposal::ALL.iter().copied().filter(|one| super::proposals::is_built(*one) && choices.one_in(2));
    let policy = Policy { untrusted, proposals: granted.collect(), ..Policy::default() };
    let manifest = Manifest::read(bytes, &limits.component, &policy);
    match Component::load_within(bytes.to_vec(), None, &limits, &policy) {
        Ok(component) => {
            let inspection = component.inspect();
            assert_eq!(inspection.manifest, manifest.unwrap());
            assert!(inspection.manifest.capabilities.iter().all(|one| one.granted));
            serde_json::to_string(&inspection).unwrap();
        }
        Err(error) => {
            let text = error.to_string();
            assert!(!text.is_empty() && text.len() < 1 << 20, "{} bytes of message", text.len());
            let _ = error.hint();
        }
    }
}

#[test]
fn the_smallest_journey_loads() {
    for policy in [Policy::default(), Policy { untrusted: true, ..Policy::default() }] {
        let bytes = wat::parse_str(JOURNEY).unwrap();
        let component = Component::load_within(bytes, None, &Limits::untrusted(), &policy);
        let component = component.unwrap_or_else(|error| panic!("{error}"));
        let manifest = component.inspect().manifest;
        assert_eq!(manifest.capabilities[0].can, "write to the log");
        assert_eq!(manifest.capabilities[0].functions, ["write"]);
    }
}

#[test]
fn components_that_nobody_wrote_are_loaded_or_are_errors() {
    cases("components", 120, |choices| {
        let bytes = if choices.one_in(3) { smith(choices) } else { Some(mutated(choices)) };
        if let Some(bytes) = bytes {
            load(choices, &bytes);
        }
    });
}

#[test]
fn bytes_that_are_no_component_at_all_are_errors() {
    let limits = ComponentLimits::default();
    let mut choices = Choices::of(7);
    for length in 0..200 {
        let mut bytes = choices.bytes(length);
        assert!(Manifest::read(&bytes, &limits, &Policy::default()).is_err());
        bytes.splice(0..0, *b"\0asm\x0d\0\x01\0");
        let _ = Manifest::read(&bytes, &limits, &Policy::default());
    }
}
