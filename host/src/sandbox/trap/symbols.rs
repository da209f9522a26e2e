//! From places in a component to file and line, by its debug information.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use addr2line::Context;
use addr2line::gimli::{Dwarf, EndianSlice, LittleEndian};
use wasmparser::{Parser, Payload};

use super::{SHOWN, readable, short};

/// Debug information of more bytes is not read.
const MOST_DWARF: usize = 64 << 20;
/// How long file and line are waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// A place in the guest's source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) function: Option<String>,
    pub(super) file: String,
    pub(super) line: u32,
}

/// What is known of a component's source.
#[derive(Debug, Default)]
pub(in crate::sandbox) struct Symbols {
    /// The component's bytes, if there is debug information in them.
    bytes: Option<Arc<Vec<u8>>>,
    /// The journey's name.
    pub(super) journey: Option<String>,
    /// Reading took too long once, so it is not tried again.
    gave_up: AtomicBool,
}

impl Symbols {
    /// Looks whether a component has debug information.
    pub(in crate::sandbox) fn of(bytes: &Arc<Vec<u8>>, journey: Option<String>) -> Self {
        let modules = modules(bytes);
        let total: usize = modules.iter().flat_map(|module| &module.sections).map(|(_, range)| range.len()).sum();
        let has_any = (1..=MOST_DWARF).contains(&total);
        Self { bytes: has_any.then(|| Arc::clone(bytes)), journey, gave_up: AtomicBool::new(false) }
    }

    /// What the component is called, if it was named.
    pub(in crate::sandbox) fn journey(&self) -> Option<&str> {
        self.journey.as_deref()
    }

    /// Finds file and line of places in the component; no answer is an empty one.
    pub(super) fn places(&self, offsets: Vec<Option<usize>>) -> Vec<Vec<Place>> {
        let Some(bytes) = self.bytes.clone().filter(|_| !self.gave_up.load(Ordering::Relaxed)) else {
            return Vec::new();
        };
        let (sender, receiver) = mpsc::channel();
        let reader = thread::Builder::new().name("squall-symbols".to_owned()).spawn(move || {
            // Nobody waits any more if it took too long.
            let _ = sender.send(read(&bytes, &offsets));
        });
        let Ok(reader) = reader else { return Vec::new() };
        let Ok(places) = receiver.recv_timeout(PATIENCE) else {
            // It cannot be stopped; it ends with the process, and is the only one.
            self.gave_up.store(true, Ordering::Relaxed);
            return Vec::new();
        };
        let _ = reader.join();
        places
    }
}

/// A core module in a component, and its debug information.
#[derive(Debug)]
struct Module {
    range: Range<usize>,
    /// Where its code section's content starts, which addresses in DWARF count from.
    code: usize,
    sections: Vec<(String, Range<usize>)>,
}

fn modules(bytes: &[u8]) -> Vec<Module> {
    let mut modules: Vec<Module> = Vec::new();
    for payload in Parser::new(0).parse_all(bytes).filter_map(Result::ok) {
        match payload {
            Payload::ModuleSection { unchecked_range, .. } => {
                modules.push(Module { range: unchecked_range, code: 0, sections: Vec::new() });
            }
            Payload::CodeSectionStart { range, .. } => {
                if let Some(module) = modules.last_mut().filter(|module| module.range.contains(&range.start)) {
                    module.code = range.start;
                }
            }
            Payload::CustomSection(section) if section.name().starts_with(".debug_") => {
                let range = section.data_offset()..section.data_offset() + section.data().len();
                if let Some(module) = modules.last_mut().filter(|module| module.range.contains(&range.start)) {
                    module.sections.push((section.name().to_owned(), range));
                }
            }
            _ => {}
        }
    }
    modules
}

fn read(bytes: &[u8], offsets: &[Option<usize>]) -> Vec<Vec<Place>> {
    let modules = modules(bytes);
    let mut contexts: Vec<Option<Context<_>>> = Vec::new();
    contexts.resize_with(modules.len(), || None);
    let mut place = |offset: usize| {
        let number = modules.iter().position(|module| module.range.contains(&offset))?;
        let module = &modules[number];
        if contexts[number].is_none() {
            contexts[number] = context(bytes, module);
        }
        let address = u64::try_from(offset.checked_sub(module.code)?).ok()?;
        Some(places_of(contexts[number].as_ref()?, address))
    };
    offsets.iter().map(|offset| offset.and_then(&mut place).unwrap_or_default()).collect()
}

fn context<'a>(bytes: &'a [u8], module: &Module) -> Option<Context<EndianSlice<'a, LittleEndian>>> {
    let section = |id: addr2line::gimli::SectionId| {
        let found = module.sections.iter().find(|(name, _)| name == id.name());
        let data = found.and_then(|(_, range)| bytes.get(range.clone())).unwrap_or_default();
        Ok::<_, addr2line::gimli::Error>(EndianSlice::new(data, LittleEndian))
    };
    Context::from_dwarf(Dwarf::load(section).ok()?).ok()
}

fn places_of(context: &Context<EndianSlice<'_, LittleEndian>>, address: u64) -> Vec<Place> {
    let mut places = Vec::new();
    let Ok(mut frames) = context.find_frames(address).skip_all_loads() else { return places };
    while let Ok(Some(frame)) = frames.next() {
        let function = frame.function.as_ref().and_then(|name| name.raw_name().ok()).map(|name| readable(&name));
        let Some((file, line)) = frame.location.and_then(|place| Some((place.file?, place.line?))) else { continue };
        places.push(Place { function, file: short(file), line });
        if places.len() == SHOWN {
            break;
        }
    }
    places
}
