//! Journeys: those that `cargo xtask journeys` built, and small ones made here by hand.
//!
//! A hand-made one is a component in the text format, without an SDK. It makes options and faults possible that no SDK
//! would produce, and needs no guest toolchain.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Returns the path of a journey from `examples/` or `tests/journeys/`.
#[track_caller]
pub fn journey(name: &str) -> PathBuf {
    journey_if_built(name)
        .unwrap_or_else(|| panic!("`target/journeys/{name}.wasm` is missing: run `cargo xtask journeys` first"))
}

/// Returns the path of a journey that only some machines can build.
pub fn journey_if_built(name: &str) -> Option<PathBuf> {
    let path = target_folder().join("journeys").join(format!("{name}.wasm"));
    path.exists().then_some(path)
}

/// The target folder this very test was built into.
pub fn target_folder() -> PathBuf {
    // `target/PROFILE/squall`
    let squall = Path::new(env!("CARGO_BIN_EXE_squall"));
    squall.ancestors().nth(2).expect("the binary lies two folders deep").to_owned()
}

/// What one of a hand-made journey's functions does.
#[derive(Clone, Copy)]
pub enum Behaviour {
    /// Returns.
    Returns,
    /// Returns the error `on purpose`.
    Fails,
    /// Executes `unreachable`.
    Traps,
    /// Never returns and never calls the host.
    Loops,
}

/// A journey made by hand.
pub struct Guest {
    options: String,
    imports: String,
    /// More fields of the core module, which come first, and what its instance is given.
    core: String,
    given: String,
    body: Option<String>,
    setup: Behaviour,
    iterate: Behaviour,
    teardown: Behaviour,
}

impl Guest {
    /// A journey that does nothing and exports these options.
    pub fn with_options(options: &str) -> Self {
        Self {
            options: options.to_owned(),
            imports: String::new(),
            core: String::new(),
            given: String::new(),
            body: None,
            setup: Behaviour::Returns,
            iterate: Behaviour::Returns,
            teardown: Behaviour::Returns,
        }
    }

    /// A journey that does nothing and has no options.
    pub fn idle() -> Self {
        Self::with_options("")
    }

    /// Adds imports, in the text format of components.
    pub fn imports(mut self, text: &str) -> Self {
        self.imports.push_str(text);
        self
    }

    /// Adds fields to the core module, in the text format; imports of its own among them.
    pub fn core(mut self, text: &str) -> Self {
        self.core.push_str(text);
        self
    }

    /// Gives the core module what it imports, in the text format of components.
    pub fn given(mut self, text: &str) -> Self {
        self.given.push_str(text);
        self
    }

    /// Writes `iterate` in instructions, which leave what `(call $return)` does.
    pub fn iterate_with(mut self, text: &str) -> Self {
        self.body = Some(text.to_owned());
        self
    }

    /// Sets what `setup` does.
    pub fn setup(mut self, behaviour: Behaviour) -> Self {
        self.setup = behaviour;
        self
    }

    /// Sets what `iterate` does.
    pub fn iterate(mut self, behaviour: Behaviour) -> Self {
        self.iterate = behaviour;
        self
    }

    /// Sets what `teardown` does.
    pub fn teardown(mut self, behaviour: Behaviour) -> Self {
        self.teardown = behaviour;
        self
    }

    /// Writes the component into a folder and returns its path.
    pub fn build(&self, folder: &Path) -> PathBuf {
        build_component(folder, "hand-made.wasm", &self.text())
    }

    /// The component in the text format.
    pub fn text(&self) -> String {
        let Self { options, imports, core, given, body, setup, iterate, teardown } = self;
        let mut escaped = String::new();
        for byte in options.bytes() {
            write!(escaped, "\\{byte:02x}").unwrap();
        }
        let iterate = body.as_deref().unwrap_or_else(|| iterate.body());
        let (setup, teardown) = (setup.body(), teardown.body());
        let length = options.len();
        // Addresses: 16 the error's text, 32 what `options` returns, 64 results, 4096 the options, 65536 the heap.
        format!(
            r#"(component
  {imports}
  (core module $module
    {core}
    (memory (export "memory") 2)
    (global $heap (mut i32) (i32.const 65536))
    (data (i32.const 16) "on purpose")
    (data (i32.const 4096) "{escaped}")
    ;; Never frees; grows when the heap meets the end. A caller passes (old, old size, alignment, new size).
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 15)) (i32.const -16)))
      (global.set $heap (i32.add (local.get $at) (local.get 3)))
      (loop $more
        (if (i32.gt_u (global.get $heap) (i32.shl (memory.size) (i32.const 16)))
          (then
            (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
            (br $more))))
      (local.get $at))
    (func (export "options") (result i32)
      (i32.store (i32.const 32) (i32.const 4096))
      (i32.store (i32.const 36) (i32.const {length}))
      (i32.const 32))
    (func $return (result i32)
      (i32.store (i32.const 64) (i32.const 0))
      (i32.store (i32.const 68) (i32.const 0))
      (i32.store (i32.const 72) (i32.const 0))
      (i32.const 64))
    (func $fail (result i32)
      (i32.store (i32.const 64) (i32.const 1))
      (i32.store (i32.const 68) (i32.const 16))
      (i32.store (i32.const 72) (i32.const 10))
      (i32.const 64))
    (func $start (global.set $heap (i32.const 65536)))
    (func (export "setup") (result i32) {setup})
    ;; The heap is empty again once the arguments of the iteration are read; nothing reads them here.
    (func (export "iterate") (param i32 i32 i32 i32) (result i32) (call $start) {iterate})
    (func (export "teardown") (param i32 i32) (result i32) {teardown})
    (func (export "handle-summary") (param i32 i32) (result i32) (call $return)))
  (core instance $instance (instantiate $module {given}))
  (alias core export $instance "memory" (core memory $memory))
  (alias core export $instance "realloc" (core func $realloc))
  (func $options (result string)
    (canon lift (core func $instance "options") (memory $memory) (realloc $realloc)))
  (func $setup (result (result (list u8) (error string)))
    (canon lift (core func $instance "setup") (memory $memory) (realloc $realloc)))
  (func $iterate (param "scenario" string) (param "data" (list u8)) (result (result (error string)))
    (canon lift (core func $instance "iterate") (memory $memory) (realloc $realloc)))
  (func $teardown (param "data" (list u8)) (result (result (error string)))
    (canon lift (core func $instance "teardown") (memory $memory) (realloc $realloc)))
  (func $summary (param "summary" string) (result (list (tuple string string)))
    (canon lift (core func $instance "handle-summary") (memory $memory) (realloc $realloc)))
  (export "options" (func $options))
  (export "setup" (func $setup))
  (export "iterate" (func $iterate))
  (export "teardown" (func $teardown))
  (export "handle-summary" (func $summary)))"#
        )
    }
}

impl Behaviour {
    fn body(self) -> &'static str {
        match self {
            Self::Returns => "(call $return)",
            Self::Fails => "(call $fail)",
            Self::Traps => "unreachable",
            Self::Loops => "(loop $for_ever (br $for_ever)) unreachable",
        }
    }
}

/// Writes a module or component given as text into a folder and returns its path.
pub fn build_component(folder: &Path, name: &str, text: &str) -> PathBuf {
    let binary = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    super::write(folder, name, binary)
}

#[test]
fn a_hand_made_journey_is_a_valid_component() {
    for behaviour in [Behaviour::Returns, Behaviour::Fails, Behaviour::Traps, Behaviour::Loops] {
        let folder = tempfile::tempdir().unwrap();
        let path = Guest::with_options(r#"{"vus": 1}"#).iterate(behaviour).build(folder.path());
        let binary = std::fs::read(path).unwrap();
        wasmparser::Validator::new().validate_all(&binary).unwrap();
    }
}

#[test]
fn a_hand_made_journey_says_what_it_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let path = Guest::with_options(r#"{"vus": 1}"#).iterate(Behaviour::Fails).build(folder.path());
    let engine = wasmtime::Engine::default();
    let component = wasmtime::component::Component::from_file(&engine, path).unwrap();
    let mut store = wasmtime::Store::new(&engine, ());
    let instance = wasmtime::component::Linker::new(&engine).instantiate(&mut store, &component).unwrap();

    let options = instance.get_typed_func::<(), (String,)>(&mut store, "options").unwrap();
    assert_eq!(options.call(&mut store, ()).unwrap().0, r#"{"vus": 1}"#);

    let iterate = instance.get_typed_func::<(&str, &[u8]), (Result<(), String>,)>(&mut store, "iterate").unwrap();
    for _ in 0..3 {
        assert_eq!(iterate.call(&mut store, ("default", b"data")).unwrap().0, Err("on purpose".to_owned()));
    }
    let summary = instance.get_typed_func::<(&str,), (Vec<(String, String)>,)>(&mut store, "handle-summary").unwrap();
    assert_eq!(summary.call(&mut store, (&"x".repeat(300_000),)).unwrap().0, []);
}
