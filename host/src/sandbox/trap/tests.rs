use std::time::Instant;

use super::*;

#[test]
fn a_name_cannot_move_the_cursor_or_forge_a_line() {
    assert_eq!(readable("\x1b[2Ja\nerror: b\u{202e}\0"), "\\u{1b}[2Ja\\nerror: b\\u{202e}\\u{0}");
    assert_eq!(readable(&"x".repeat(10_000)), format!("{}…", "x".repeat(200)));
    assert_eq!(readable("_ZN4core9panicking5panic17h0123456789abcdefE"), "core::panicking::panic");
}

#[test]
fn a_recursion_is_told_of_once() {
    let frame = |name: &str| Frame { name: name.to_owned(), offset: None };
    let trap = Trap {
        cause: "stack overflow".to_owned(),
        after: None,
        frames: vec![frame("f"), frame("f"), frame("f"), frame("g")],
    };
    assert_eq!(trap.summary(), "stack overflow\n    at f … 3 times\n    at g");
}

#[test]
fn the_last_words_and_the_journey_stand_below_the_stack() {
    let trap = Trap { cause: "unreachable".to_owned(), after: None, frames: Vec::new() };
    let symbols = Symbols::of(&Arc::new(Vec::new()), Some("shop.wasm".to_owned()));
    let said = ["warning: panicked at src/lib.rs:4:5:".to_owned(), "warning: no\nsuch item".to_owned()];
    assert_eq!(
        trap.full(&said, &symbols),
        "unreachable\n    in `shop.wasm`\n  it had logged:\n    warning: panicked at src/lib.rs:4:5:\n    warning: no\\nsuch item"
    );
}

/// A component around a module with these debug sections.
fn component(sections: &[(&str, Vec<u8>)]) -> Arc<Vec<u8>> {
    let mut custom = String::new();
    for (name, bytes) in sections {
        let _ = write!(custom, "(@custom \"{name}\" \"");
        for byte in bytes {
            let _ = write!(custom, "\\{byte:02x}");
        }
        custom.push_str("\")");
    }
    Arc::new(wat::parse_str(format!("(component (core module (func) {custom}))")).unwrap())
}

#[test]
fn debug_information_that_takes_too_long_is_given_up_once_and_for_all() {
    // Every unit is tiny and has the whole table of abbreviations parsed again.
    let unit = [8, 0, 0, 0, 4, 0, 0, 0, 0, 0, 4, 0];
    let mut abbreviations = Vec::new();
    for code in 1..200_000_u32 {
        let code = [code as u8 | 0x80, (code >> 7) as u8 | 0x80, (code >> 14) as u8 & 0x7f];
        abbreviations.extend(code);
        abbreviations.extend([0x11, 0, 0, 0]);
    }
    abbreviations.push(0);
    let bytes = component(&[(".debug_info", unit.repeat(100_000)), (".debug_abbrev", abbreviations)]);
    let symbols = Symbols::of(&bytes, None);
    let start = Instant::now();
    assert_eq!(symbols.places(vec![Some(30)]), Vec::<Vec<Place>>::new());
    assert_eq!(symbols.places(vec![Some(30)]), Vec::<Vec<Place>>::new());
    let took = start.elapsed().as_secs_f64();
    assert!(took < 1.9, "waited twice: {took} s");
}

#[test]
fn damaged_debug_information_is_no_debug_information() {
    let bytes = component(&[(".debug_info", vec![0xff; 4096]), (".debug_abbrev", vec![0x7f; 4096])]);
    assert_eq!(Symbols::of(&bytes, None).places(vec![Some(30), None]), [vec![], vec![]]);
}
