//! Schemas and messages, good and hostile.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message as _;
use prost_reflect::prost_types::{DescriptorProto, FileDescriptorProto, FileDescriptorSet};

use super::*;

type Sources<'a> = &'a [(&'a str, &'a str)];

fn compile(names: &[&str], files: Sources<'_>) -> Result<Schema, SchemaError> {
    let files: BTreeMap<_, _> = files.iter().copied().collect();
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    Schema::compile(&names, &|name| files.get(name).map(|text| Arc::from(text.as_bytes())))
}

/// A schema with one method, whose messages are those of a body.
fn one(body: &str) -> Method {
    let source = format!(
        "syntax = \"proto3\"; package t;
        import \"google/protobuf/any.proto\"; import \"google/protobuf/struct.proto\";
        import \"google/protobuf/timestamp.proto\"; import \"google/protobuf/wrappers.proto\";
        service S {{ rpc Do(M) returns (M); }} {body}"
    );
    compile(&["t.proto"], &[("t.proto", &source)]).unwrap().method("t.S/Do").unwrap().clone()
}

#[test]
fn files_import_each_other_by_name_and_the_well_known_ones() {
    let files = [
        (
            "protos/api/shop.proto",
            "syntax = \"proto3\"; package shop.v1;
            import \"common/money.proto\"; import \"item.proto\"; import \"google/protobuf/timestamp.proto\";
            service Shop {
              rpc Buy(Item) returns (common.Money);
              rpc Watch(Item) returns (stream google.protobuf.Timestamp);
              rpc Sell(stream Item) returns (common.Money);
              rpc Haggle(stream common.Money) returns (stream common.Money);
            }",
        ),
        ("protos/api/item.proto", "syntax = \"proto3\"; package shop.v1; message Item { string name = 1; }"),
        ("protos/common/money.proto", "syntax = \"proto3\"; package common; message Money { int64 cents = 1; }"),
    ];
    let schema = compile(&["protos/api/shop.proto", "protos/common/money.proto"], &files).unwrap();
    let names = ["shop.v1.Shop/Buy", "shop.v1.Shop/Haggle", "shop.v1.Shop/Sell", "shop.v1.Shop/Watch"];
    assert_eq!(schema.methods(), names);
    let streaming = names.map(|name| {
        let method = schema.method(&format!("/{name}")).unwrap();
        assert_eq!(method.path(), name);
        (method.client_streaming(), method.server_streaming())
    });
    assert_eq!(streaming, [(false, false), (true, true), (true, false), (false, true)]);

    let buy = schema.method(names[0]).unwrap();
    assert_eq!(buy.encode_json(r#"{"name":"tea"}"#).unwrap(), &b"\x0a\x03tea"[..]);
    assert_eq!(buy.decode_json(b"\x08\x96\x01").unwrap(), r#"{"cents":"150"}"#);
}

#[test]
fn json_is_that_of_proto3() {
    let method = one("message M {
          int64 big = 1; bytes data = 2; repeated double ratio = 3; map<int32, bool> flags = 4; Colour colour = 5;
          google.protobuf.Timestamp at = 6; optional string note = 7; google.protobuf.Struct free = 8;
          google.protobuf.Int32Value boxed = 9; oneof choice { string left = 10; M right = 11; } string snake_case = 12;
        }
        enum Colour { NONE = 0; RED = 1; }");
    let json = r#"{"big":"9007199254740993","data":"AAEC","ratio":[1.5,"Infinity"],"flags":{"7":true},"colour":"RED","at":"2026-01-02T03:04:05Z","note":"","free":{"a":[null,1.0]},"boxed":5,"right":{"big":"1"},"snakeCase":"x"}"#;
    let back = method.decode_json(&method.encode_json(json).unwrap()).unwrap();
    let (mut back, json): (serde_json::Value, serde_json::Value) =
        (serde_json::from_str(&back).unwrap(), serde_json::from_str(json).unwrap());
    // Fields that are not set are there with their defaults, as in k6.
    assert_eq!(back["right"]["colour"], "NONE");
    back["right"] = serde_json::json!({ "big": "1" });
    assert_eq!(back, json);
    // What is understood as well.
    for json in [r#"{"big":1,"colour":1,"snake_case":"x","note":null}"#, "{}", " { } "] {
        assert!(method.encode_json(json).is_ok(), "{json}");
    }
    assert!(method.decode_json(b"").unwrap().starts_with(r#"{"big":"0","data":"""#));
}

#[test]
fn what_does_not_fit_its_type_is_refused_with_its_place() {
    let method = one(
        "message M { repeated Item items = 1; int32 count = 2; } message Item { string name = 1; int32 price = 2; }",
    );
    for (json, path, reason) in [
        (r#"{"items":[{"name":"a"},{"name":"b","price":"dear"}]}"#, "items[1].price", "invalid digit"),
        ("{\n  \"items\": [\n    {\"name\": 5}]}", "items[0].name", "string"),
        (r#"{"count": 3000000000}"#, "count", "out of range"),
        (r#"{"cuont": 3}"#, "", "unrecognized field name 'cuont'"),
        (r#"{"items": {}}"#, "items", "list"),
        (r#"{"count": 1"#, "count", "EOF"),
        ("", "", "EOF"),
        ("[1]", "", "map"),
        (r#"{} x"#, "", "trailing"),
    ] {
        let error = method.encode_json(json).unwrap_err();
        let SchemaError::Json { message, path: found, reason: why } = &error else { panic!("{error}") };
        assert!(message == "t.M" && found == path && why.contains(reason), "{json}: {error}");
    }
    let error = method.decode_json(b"\x0a\xff").unwrap_err();
    assert!(error.to_string().starts_with("the 2 bytes are no `t.M`: "), "{error}");
}

#[test]
fn an_error_in_a_file_names_file_line_and_column() {
    let broken = |files: Sources<'_>| compile(&["a.proto"], files).unwrap_err().to_string();
    let head = "syntax = \"proto3\";\n";
    for (rest, expected) in [
        ("message A {\n  strin name = 1;\n}", "a.proto:3:3: name 'strin' is not defined"),
        ("message A {\n  string name = ;\n}", "a.proto:3:17: expected an integer, but found ';'"),
        ("message A {\n  string a = 1;\n  string b = 1;\n}", "a.proto:4:"),
        ("message A {}\nmessage A {}", "a.proto:3:9: name 'A' is defined twice"),
        ("import \"b.proto\";", "a.proto:2:1: there is no file `b.proto` to import"),
        ("import \"a.proto\";", "a.proto:2:1: the imports go in a circle: a.proto -> a.proto"),
        ("service S {\n  rpc Do(In) returns (Out);\n}", "a.proto:3:"),
        ("service S {", "a.proto"),
        ("\u{1}", "a.proto:2:1: "),
    ] {
        let source = format!("{head}{rest}");
        let error = broken(&[("a.proto", &source)]);
        assert!(error.starts_with(expected), "{rest}: {error}");
    }
    let circle = [
        ("a.proto", "syntax = \"proto3\";\nimport \"b.proto\";"),
        ("b.proto", "syntax = \"proto3\";\n\nimport \"a.proto\";"),
    ];
    assert_eq!(broken(&circle), "b.proto:3:1: the imports go in a circle: a.proto -> b.proto -> a.proto");
    assert!(broken(&[]).starts_with("there is no file `a.proto`; hint: "));
    let files = |_: &str| Some(Arc::from(&b"syntax = \"proto3\";\n// \xff"[..]));
    let error = Schema::compile(&["a.proto".to_owned()], &files).unwrap_err();
    assert_eq!(error.to_string(), "a.proto:2:4: not valid UTF-8");
}

#[test]
fn unknown_methods_are_told_from_the_nearest() {
    let source = "syntax = \"proto3\"; package p; message M {}
        service Cart { rpc Add(M) returns (M); rpc Remove(M) returns (M); rpc Show(M) returns (M); rpc Pay(M) returns (M); }";
    let schema = compile(&["c.proto"], &[("c.proto", source)]).unwrap();
    let error = schema.method("p.Cart/Shwo").unwrap_err().to_string();
    assert!(error.starts_with("there is no method `p.Cart/Shwo`; the nearest of 4: `p.Cart/Show`, "), "{error}");
    let error = Schema::default().method("x").unwrap_err().to_string();
    assert!(error.contains("no methods are known: load a `.proto` file"), "{error}");
}

#[test]
fn sets_are_read_in_any_order_and_merged() {
    let schema = |method: &str| {
        let source = format!("syntax = \"proto3\"; message M {{}} service S {{ rpc {method}(M) returns (M); }}");
        compile(&["s.proto"], &[("s.proto", &source)]).unwrap()
    };
    let mut both = schema("One");
    both.merge(&schema("Two"));
    assert_eq!(both.methods(), ["S/One", "S/Two"]);

    let file = |name: &str, imports: &[&str]| FileDescriptorProto {
        name: Some(name.to_owned()),
        dependency: imports.iter().map(|import| (*import).to_owned()).collect(),
        ..FileDescriptorProto::default()
    };
    let set = |file: Vec<FileDescriptorProto>| Schema::from_set(&FileDescriptorSet { file }.encode_to_vec());
    assert!(set(vec![file("a", &["b", "google/protobuf/any.proto"]), file("b", &[])]).is_ok());
    let circle = set(vec![file("a", &["b"]), file("b", &["a"])]).unwrap_err().to_string();
    assert_eq!(circle, "b: the imports go in a circle: a -> b -> a");
    let missing = set(vec![file("a", &["b"])]).unwrap_err().to_string();
    assert!(missing.starts_with("a: there is no file `b` to import"), "{missing}");
    for (bytes, reason) in
        [(&b""[..], "there are no files"), (b"\x0a\x05", ""), (b"hello", ""), (b"\x0a\x00", "no name")]
    {
        let error = Schema::from_set(bytes).unwrap_err().to_string();
        assert!(error.starts_with("not a set of file descriptors: ") && error.contains(reason), "{error}");
    }
}

#[test]
fn there_is_an_end_to_files_definitions_and_nesting() {
    let endless = |name: &str| {
        let n: usize = name.strip_suffix(".proto").unwrap().parse().ok()?;
        Some(Arc::from(format!("syntax = \"proto3\"; import \"{}.proto\";", n + 1).as_bytes()))
    };
    let error = Schema::compile(&["0.proto".to_owned()], &endless).unwrap_err();
    assert_eq!(error.to_string(), "`.proto` files: at most 2000");

    let long = format!("syntax = \"proto3\"; // {}", "x".repeat(MAX_SOURCE));
    assert!(matches!(compile(&["a.proto"], &[("a.proto", &long)]), Err(SchemaError::TooMuch { .. })));

    let many = "\x22\x00".repeat(300_000);
    let set = [b"\x0a\x01a", many.as_bytes()].concat();
    let error = Schema::from_descriptors(vec![set.into()]).unwrap_err();
    assert_eq!(error.to_string(), "definitions: at most 200000");

    let mut nested = DescriptorProto { name: Some("M".to_owned()), ..DescriptorProto::default() };
    for _ in 0..50 {
        let inner = std::mem::take(&mut nested);
        nested = DescriptorProto { name: Some("M".to_owned()), nested_type: vec![inner], ..DescriptorProto::default() };
    }
    let file = FileDescriptorProto {
        name: Some("a".to_owned()),
        message_type: vec![nested],
        ..FileDescriptorProto::default()
    };
    let error = Schema::from_descriptors(vec![file.encode_to_vec().into()]).unwrap_err();
    assert_eq!(error.to_string(), "messages nested in each other: at most 40");
}

#[test]
fn a_message_does_not_become_much_more_than_it_was() {
    let method = one("message M { repeated E list = 1; repeated bool flags = 2; } message E {}");
    let flags = [&b"\x12"[..], &varint(9_000_000), &[1; 9_000_000]].concat();
    for bytes in [b"\x0a\x00".repeat(8_100_000), b"\x78\x00".repeat(8_100_000), flags] {
        let error = method.decode_json(&bytes).unwrap_err().to_string();
        assert!(error.ends_with("it has more than 8000000 fields and elements"), "{error}");
    }
}

#[test]
fn options_are_not_read_deeper_than_they_should_be() {
    let file = |depth: usize| {
        let value = format!("{}{}", "m {".repeat(depth), "}".repeat(depth));
        let source = format!(
            "syntax = \"proto2\"; import \"google/protobuf/descriptor.proto\"; message M {{ optional M m = 1; }}
            extend google.protobuf.FileOptions {{ optional M deep = 50000; }} option (deep) = {{ {value} }};"
        );
        compile(&["o.proto"], &[("o.proto", &source)])
    };
    assert!(file(40).is_ok());
    let wrong = "syntax = \"proto2\"; import \"google/protobuf/descriptor.proto\"; message M { optional int32 n = 1; }
        extend google.protobuf.FileOptions { optional M deep = 50000; } option (deep) = { nope: 1 };";
    let error = compile(&["o.proto"], &[("o.proto", wrong)]).unwrap_err().to_string();
    assert!(error.starts_with("o.proto:2:"), "{error}");
    // Options that are something else than options.
    let own = "syntax = \"proto2\"; package google.protobuf; message FileOptions { optional string java_package = 10; }
        option optimize_for = SPEED;";
    let error = compile(&["o.proto"], &[("o.proto", own)]).unwrap_err().to_string();
    assert!(error.starts_with("o.proto:1:"), "{error}");
    for depth in [60, 100_000] {
        let error = file(depth).unwrap_err().to_string();
        assert_eq!(error, "brackets within each other in an option: at most 50");
    }
}

#[test]
fn deep_messages_fit_into_the_stack_that_a_guest_leaves() {
    let deep = || {
        let method = one(
            "message M { M m = 1; google.protobuf.Value v = 2; google.protobuf.Any any = 3; repeated M list = 4; map<string, M> map = 5; int32 n = 6; }",
        );
        let nested = |open: &str, close: &str, n: usize| format!("{}{}", open.repeat(n), close.repeat(n));
        for (open, close) in [("{\"m\":{\"n\":1},\"list\":[", "]}"), ("{\"map\":{\"a\":", "}}"), ("{\"m\":", "}")] {
            for n in [10, 49, 99, 1000, 100_000] {
                let json = nested(open, close, n);
                // Whatever comes of it: it comes.
                if let Ok(bytes) = method.encode_json(&json) {
                    let _ = method.decode_json(&bytes);
                }
            }
        }
        for n in [10, 40, 60, 100, 100_000] {
            for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
                let inner = nested(open, close, n);
                let json = format!("{{\"v\":{}}}", inner.replace("\"a\":}", "\"a\":1}"));
                if let Ok(bytes) = method.encode_json(&json) {
                    let _ = method.decode_json(&bytes);
                }
            }
            let any = nested("{\"any\":{\"@type\":\"x/t.M\",\"m\":", "}}", n).replace(":}", ":{}}");
            let _ = method.encode_json(&any);
        }
        // Bytes, nested as deep as they go, and messages in messages whose types only they name.
        let mut plain = Vec::new();
        for _ in 0..5_000 {
            plain = [&[0x0a][..], &varint(plain.len()), &plain].concat();
        }
        assert!(method.decode_json(&plain).is_err());
        let mut any = Vec::new();
        for depth in 0..300 {
            let value = [&b"\x0a\x05x/t.M\x12"[..], &varint(any.len()), &any].concat();
            any = [&[0x1a][..], &varint(value.len()), &value].concat();
            assert_eq!(method.decode_json(&any).is_ok(), depth < 99, "{depth}");
        }
    };
    // A guest may have taken all of its own part; the host's part is as large.
    let thread = std::thread::Builder::new().stack_size(384 << 10).spawn(deep);
    thread.unwrap().join().unwrap();
}

fn varint(n: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::encode_varint(n as u64, &mut bytes);
    bytes
}
