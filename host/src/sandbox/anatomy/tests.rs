use super::*;

fn anatomy(text: &str) -> Result<Anatomy, LoadError> {
    Anatomy::of(&wat::parse_str(text).unwrap(), &ComponentLimits::default())
}

#[test]
fn instances_multiply_and_are_counted_as_they_do() {
    let leaf = "(component $c0 (core module $m) (core instance (instantiate $m)))";
    let text = (1..=6).fold(leaf.to_owned(), |inner, at| {
        let ten = format!("(instance (instantiate $c{}))", at - 1).repeat(10);
        format!("(component $c{at} {inner} {ten})")
    });
    let error = anatomy(&text.replacen("$c6", "", 1)).unwrap_err().to_string();
    assert_eq!(error, "has up to 21110 instances, those inside others counted, but may have at most 20000");
    let taking = "(component (component (import \"c\" (component))))";
    assert!(anatomy(taking).unwrap_err().to_string().contains("takes another component, `c`"));
}

#[test]
fn blocks_that_lie_too_deep_in_each_other_are_counted_in_large_functions() {
    let nested =
        |depth: usize| format!("(component (core module (func {}{})))", "block ".repeat(depth), "end ".repeat(depth));
    let limits = ComponentLimits { blocks: 100, ..ComponentLimits::default() };
    assert!(Anatomy::of(&wat::parse_str(nested(100)).unwrap(), &limits).is_ok());
    assert_eq!(within(&limits, &nested(101)), "has blocks nested 101 deep in a function, but may have at most 100");
    let beside = format!("(component (core module (func {})))", "block end ".repeat(1000));
    assert!(Anatomy::of(&wat::parse_str(beside).unwrap(), &limits).is_ok());
}

fn within(limits: &ComponentLimits, text: &str) -> String {
    Anatomy::of(&wat::parse_str(text).unwrap(), limits).unwrap_err().to_string()
}

#[test]
fn what_is_no_component_is_named_for_what_it_is() {
    let check = |bytes: &[u8]| Anatomy::of(bytes, &ComponentLimits::default());
    assert!(matches!(check(b""), Err(LoadError::NotWasm { .. })));
    assert!(matches!(check(b"#!/bin/sh"), Err(LoadError::NotWasm { .. })));
    assert!(matches!(check(b"\x7fELF\x02\x01"), Err(LoadError::MachineCode)));
    let module = wat::parse_str("(module)").unwrap();
    assert!(matches!(check(&module), Err(LoadError::CoreModule)));
    let component = wat::parse_str("(component (core module (memory 1)))").unwrap();
    assert!(check(&component).is_ok());
    assert!(matches!(check(&component[..component.len() - 3]), Err(LoadError::Damaged { .. })));
}

#[test]
fn the_data_of_all_modules_is_counted() {
    let text =
        r#"(component (core module (memory 1) (data (i32.const 0) "12345")) (core module (memory 1) (data "123")))"#;
    assert_eq!(anatomy(text).unwrap().data, 8);
}

#[test]
fn imports_are_named_with_the_functions_they_ask_for() {
    let anatomy = anatomy(
        r#"(component
            (type (func))
            (import "a:b/types" (instance (export "t" (type (sub resource))) (export "f" (func))))
            (alias export 0 "t" (type $t))
            (type $later (instance (export "g" (func)) (export "h" (func))))
            (import "a:b/more" (instance (type $later)))
            (component (import "inner:only/x" (instance (export "i" (func))))))"#,
    );
    let import = |name: &str, functions: &[&str]| Import {
        name: name.to_owned(),
        functions: functions.iter().map(|&name| name.to_owned()).collect(),
    };
    assert_eq!(anatomy.unwrap().imports, [import("a:b/types", &["f"]), import("a:b/more", &["g", "h"])]);
}

#[test]
fn what_is_too_much_is_named_with_its_value_and_its_limit() {
    let limits = ComponentLimits::default();
    let small = ComponentLimits { functions: 1, ..limits.clone() };
    assert_eq!(
        within(&small, "(component (core module (func)) (core module (func)))"),
        "has 2 functions, but may have at most 1 (`limits.functions`)"
    );
    let small = ComponentLimits { function_bytes: 2, ..limits.clone() };
    assert!(within(&small, "(component (core module (func nop)))").starts_with("has a function of 3 bytes, but"));
    let small = ComponentLimits { locals: 5, ..limits.clone() };
    assert!(within(&small, "(component (core module (func (local i32 i32 i32 i64 i64 i64))))").contains("6 local"));
    let small = ComponentLimits { memories: 1, ..limits.clone() };
    assert!(within(&small, "(component (core module (memory 1) (memory 1)))").contains("2 memories"));
    let small = ComponentLimits { bytes: 8, ..limits.clone() };
    assert!(within(&small, "(component (core module))").contains("18 bytes, but may have at most 8"));
    let small = ComponentLimits { modules: 1, ..limits.clone() };
    assert!(within(&small, "(component (core module))").contains("2 modules and components"));
    let small = ComponentLimits { nesting: 2, ..limits };
    assert!(within(&small, "(component (component (component)))").contains("components nested 3 deep"));
}

#[test]
fn types_nested_a_million_deep_are_refused_and_not_descended_into() {
    let depth = 1_000_000;
    // A section of types with one type: an instance that declares a type: an instance that declares a type ..
    let mut types = vec![1_u8];
    types.extend(std::iter::repeat_n([0x42, 0x01, 0x01], depth).flatten());
    types.extend([0x42, 0x00]);
    let mut component = wat::parse_str("(component)").unwrap();
    component.push(7);
    let mut length = types.len();
    while length >= 128 {
        component.push((length & 127) as u8 | 128);
        length >>= 7;
    }
    component.push(length as u8);
    component.extend(types);
    let error = Anatomy::of(&component, &ComponentLimits::default()).unwrap_err();
    assert_eq!(error.to_string(), "has types nested 51 deep, but may have at most 50");
}

#[test]
fn types_inside_of_types_are_counted() {
    let limits = ComponentLimits { types: 3, ..ComponentLimits::default() };
    let text = r#"(component (type (component
        (type (instance (type (list u8)) (export "t" (type (eq 0)))))
        (import "a" (func (param "b" (list u8)))) (type (func)))))"#;
    assert!(within(&limits, text).starts_with("has "));
    assert!(anatomy(text).is_ok());
}
