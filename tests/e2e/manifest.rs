//! What a component can do and is made of: looked at before anything of it runs.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Guest, Squall, build_component, exit, squall, write};

/// An interface of sockets, of which a guest asks for one function.
const SOCKETS: &str = r#"(import "wasi:sockets/instance-network@0.2.6" (instance $net
    (export "network" (type $network (sub resource)))
    (export "instance-network" (func (result (own $network))))))"#;
/// The variables, of which a guest asks for those it can name.
const ENV: &str = r#"(import "squall:journey/env@0.1.1" (instance $env
    (export "get" (func (param "name" string) (result (option string))))))"#;

fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).map(|entries| entries.map(|entry| entry.unwrap().path()).collect::<Vec<_>>());
    entries.unwrap_or_default().into_iter().filter(|path| path.extension().is_some_and(|has| has == end)).collect()
}

#[test]
fn inspect_says_what_a_component_can_do_by_function() {
    let folder = tempfile::tempdir().unwrap();
    let path = Guest::idle().imports(ENV).build(folder.path());
    let path = path.to_str().unwrap();
    let can = "can       read variables granted to it by their name (env: get)\n";
    squall(["inspect", path]).finish().expect(exit::PASSED).prints(&[can]);
    let json = squall(["inspect", "--json", path]).finish().expect(exit::PASSED);
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    let can = &json["component"]["capabilities"][0];
    assert_eq!((&can["import"], &can["capability"]), (&"squall:journey/env@0.1.1".into(), &"env".into()));
    assert_eq!((&can["functions"][0], &can["granted"]), (&"get".into(), &true.into()));
}

#[test]
fn an_import_that_is_not_granted_is_refused_by_its_name_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    // Were it asked for its options, there would be another error.
    let path = Guest::with_options("not JSON").imports(SOCKETS).build(folder.path());
    for command in ["run", "inspect"] {
        let refused = squall([command, "--untrusted", path.to_str().unwrap()]).finish().expect(exit::REFUSED);
        let refused = refused.says(&[
            "imports `wasi:sockets/instance-network@0.2.6`, which is not granted",
            "hint: grant it with `--allow-import wasi:sockets/instance-network` if you know what it is for",
        ]);
        assert_eq!(refused.stdout.contains("(not granted)"), command == "inspect", "{refused}");
    }
    let config = write(folder.path(), "own.toml", "[policy]\nimports = [\"squall:journey/*\"]\n");
    let own = Squall::run(&path).arg("--config").arg(config).finish();
    own.expect(exit::REFUSED).says(&["`wasi:sockets/instance-network@0.2.6`"]);
}

#[test]
fn a_component_that_is_too_much_is_refused_with_value_and_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = Guest::idle().build(folder.path());
    let size = fs::metadata(&path).unwrap().len();
    let large = Squall::run(&path).flags("--component-bytes=100").finish().expect(exit::JOURNEY);
    large.says(&["more than 100 bytes (`limits.componentBytes`)"]);
    assert!(size > 100);
    let many = Squall::run(&path).flags("--functions=3").finish().expect(exit::JOURNEY);
    many.says(&["functions, but may have at most 3 (`limits.functions`)", "raise `limits.functions`"]);
    let long = Squall::run(&path).flags("--function-bytes=9").finish().expect(exit::JOURNEY);
    long.says(&["has a function of ", " bytes, but may have at most 9 (`limits.functionBytes`)"]);
}

#[test]
fn a_proposal_that_is_not_granted_is_refused_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = build_component(folder.path(), "wide.wasm", "(component (core module (memory i64 1)))");
    let refused = Squall::run(&path).flags("--untrusted").finish().expect(exit::REFUSED);
    refused.says(&[
        "wide.wasm` uses the WebAssembly proposal `memory64`, which is not granted",
        "--allow-proposal memory64",
    ]);
    let granted = Squall::run(&path).flags("--untrusted --allow-proposal=memory64").finish();
    granted.expect(exit::JOURNEY).says(&["exports neither what a journey does nor `wasi:cli/run`"]);
}

#[test]
fn machine_code_is_taken_from_nobody_and_kept_code_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = Guest::idle().build(folder.path());
    let kept = folder.path().join("cache/squall/components");
    let run = || Squall::run(&path).env("XDG_CACHE_HOME", folder.path().join("cache")).flags("-i 1").finish();
    run().expect(exit::PASSED);
    let [code] = &files(&kept, "cwasm")[..] else { panic!("{:?}", files(&kept, "cwasm")) };
    let first = fs::read(code).unwrap();

    // The code without its tag is what wasmtime itself would take.
    let given = write(folder.path(), "given.cwasm", &first[32..]);
    let refused = Squall::run(&given).finish().expect(exit::JOURNEY);
    refused.says(&["given.cwasm` is compiled machine code, which squall takes from nobody"]);

    // One bit of it changed, and it is compiled again and replaced.
    let mut wrong = first.clone();
    let last = wrong.len() - 1;
    wrong[last] ^= 1;
    fs::write(code, &wrong).unwrap();
    run().expect(exit::PASSED);
    assert!(fs::read(code).unwrap() == first, "the file was not replaced");

    // What is right is used as it is.
    let before = fs::metadata(code).unwrap().modified().unwrap();
    run().expect(exit::PASSED);
    assert_eq!(fs::metadata(code).unwrap().modified().unwrap(), before);
}
