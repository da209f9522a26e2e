//! Servers that answer questions about themselves well, badly and without end.

use std::collections::VecDeque;

use prost_reflect::prost_types::{DescriptorProto, FileDescriptorProto, MethodDescriptorProto, ServiceDescriptorProto};

use super::wire::{Files, Refusal, Service, Services};
use super::*;

/// A server that answers as a function says; `None` ends the call well.
struct Server<F> {
    answer: F,
    waiting: VecDeque<Asked>,
    asked: usize,
    is_ended: bool,
}

impl<F: FnMut(&Asked) -> Option<Result<Bytes, Status>>> Exchange for Server<F> {
    async fn send(&mut self, message: Bytes) {
        self.asked += 1;
        self.waiting.extend(Question::decode(message).unwrap().asked);
    }

    async fn receive(&mut self) -> Result<Option<Bytes>, Status> {
        let asked = self.waiting.pop_front().expect("an answer is waited for after a question");
        (self.answer)(&asked).transpose()
    }

    fn end(&mut self) {
        self.is_ended = true;
    }
}

async fn interviewed(
    answer: impl FnMut(&Asked) -> Option<Result<Bytes, Status>>,
) -> (Result<Schema, ReflectionError>, usize) {
    let mut server = Server { answer, waiting: VecDeque::new(), asked: 0, is_ended: false };
    let found = interview(&mut server).await;
    assert!(found.is_err() || server.is_ended);
    (found, server.asked)
}

fn services(names: &[&str]) -> Bytes {
    let service = names.iter().map(|name| Service { name: (*name).to_owned() }).collect();
    encoded(Answered::ListServices(Services { service }))
}

fn files(files: &[FileDescriptorProto]) -> Bytes {
    let file_descriptor_proto = files.iter().map(|file| file.encode_to_vec().into()).collect();
    encoded(Answered::FileDescriptor(Files { file_descriptor_proto }))
}

fn refused() -> Bytes {
    encoded(Answered::Error(Refusal { error_code: 5, error_message: "not\nfound".to_owned() }))
}

fn encoded(answered: Answered) -> Bytes {
    Answer { answered: Some(answered) }.encode_to_vec().into()
}

fn file(name: &str, imports: &[&str]) -> FileDescriptorProto {
    FileDescriptorProto {
        name: Some(name.to_owned()),
        dependency: imports.iter().map(|import| (*import).to_owned()).collect(),
        ..FileDescriptorProto::default()
    }
}

/// A file with a service whose method takes and gives a message of another file.
fn service(name: &str, message: &str, imports: &[&str]) -> FileDescriptorProto {
    let method = MethodDescriptorProto {
        name: Some("Do".to_owned()),
        input_type: Some(message.to_owned()),
        output_type: Some(message.to_owned()),
        ..MethodDescriptorProto::default()
    };
    let service = ServiceDescriptorProto {
        name: Some(name.to_owned()),
        method: vec![method],
        ..ServiceDescriptorProto::default()
    };
    FileDescriptorProto { service: vec![service], ..file(&format!("{name}.proto"), imports) }
}

#[tokio::test]
async fn services_files_and_what_they_import_become_a_schema() {
    let message = DescriptorProto { name: Some("M".to_owned()), ..DescriptorProto::default() };
    let message =
        FileDescriptorProto { message_type: vec![message], ..file("m.proto", &["google/protobuf/any.proto"]) };
    let mut questions = Vec::new();
    let (schema, asked) = interviewed(|asked| {
        questions.push(asked.clone());
        Some(Ok(match asked {
            Asked::ListServices(_) => services(&["grpc.reflection.v1.ServerReflection", "S", "T", "Ghost"]),
            Asked::FileContainingSymbol(symbol) if symbol == "Ghost" => refused(),
            Asked::FileContainingSymbol(symbol) => files(&[service(symbol, ".M", &["m.proto"])]),
            Asked::FileByFilename(_) => files(std::slice::from_ref(&message)),
        }))
    })
    .await;
    assert_eq!(schema.unwrap().methods(), ["S/Do", "T/Do"]);
    // Nobody is asked about reflection itself, twice for a file, or for a file that everybody has.
    assert_eq!(asked, 5);
    assert_eq!(questions.last(), Some(&Asked::FileByFilename("m.proto".to_owned())));
}

#[tokio::test]
async fn servers_that_do_not_answer_are_told_apart() {
    let status = |code: u32| Status { code: Code(code), message: "why".to_owned(), details: Vec::new(), cause: None };
    let of = async |answer: Option<Result<Bytes, Status>>| interviewed(|_| answer.clone()).await.0.unwrap_err();
    assert_eq!(of(Some(Err(status(12)))).await, ReflectionError::Unsupported);
    assert_eq!(of(Some(Err(status(4)))).await, ReflectionError::Ended(status(4)));
    assert_eq!(of(None).await, ReflectionError::Silent);
    let refusal = of(Some(Ok(refused()))).await.to_string();
    assert_eq!(refusal, "the server does not say what `the list of services` is: not found (code 5)");
    for answer in [&b"\xff"[..], b"", b"\x22\x00"] {
        let error = of(Some(Ok(Bytes::from_static(answer)))).await;
        assert!(matches!(error, ReflectionError::Garbled { .. }), "{error}");
    }
    let all_ghosts = interviewed(|asked| {
        Some(Ok(if matches!(asked, Asked::ListServices(_)) { services(&["A", "B"]) } else { refused() }))
    });
    assert!(matches!(all_ghosts.await.0, Err(ReflectionError::Refused { .. })));
}

/// A server with one service, of whose files a function tells.
async fn hostile(mut file_by_name: impl FnMut(&str) -> Bytes) -> (String, usize) {
    let (found, asked) = interviewed(|asked| {
        Some(Ok(match asked {
            Asked::ListServices(_) => services(&["S"]),
            Asked::FileContainingSymbol(name) | Asked::FileByFilename(name) => file_by_name(name),
        }))
    })
    .await;
    (found.unwrap_err().to_string(), asked)
}

#[tokio::test]
async fn whatever_a_server_says_there_is_an_end_to_it() {
    let circle = hostile(|name| if name == "S" { files(&[file("a", &["b"])]) } else { files(&[file("b", &["a"])]) });
    assert_eq!(circle.await.0, "the server describes its methods wrongly: b: the imports go in a circle: a -> b -> a");

    let missing = hostile(|name| if name == "S" { files(&[file("a", &["b"])]) } else { refused() });
    assert_eq!(missing.await.0, "the server does not say what `b` is: not found (code 5)");
    let another = hostile(|_| files(&[file("a", &["b"])]));
    assert_eq!(another.await.0, "the server's answer about `b` cannot be used: the file is not in it");

    let mut n = 0;
    let (error, asked) = hostile(|name| {
        n += 1;
        files(&[file(name, &[&format!("{n}.proto")])])
    })
    .await;
    assert_eq!((error.as_str(), asked), ("the server describes more files than can be taken: at most 2000", 2002));

    let garbage =
        hostile(|_| encoded(Answered::FileDescriptor(Files { file_descriptor_proto: vec!["\u{7f}".into()] })));
    assert!(garbage.await.0.starts_with("the server's answer about `S` cannot be used: not a set of file descriptors"));

    let large = Bytes::from(vec![b' '; 20 << 20]);
    let large = FileDescriptorProto { package: Some(String::from_utf8(large.to_vec()).unwrap()), ..file("l", &["m"]) };
    let (error, _) = hostile(|_| files(std::slice::from_ref(&large))).await;
    assert_eq!(error, "the server describes more bytes of descriptors than can be taken: at most 33554432");

    let many: Vec<String> = (0..1_500).map(|n| n.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let (found, asked) = interviewed(|_| Some(Ok(services(&many)))).await;
    let error = found.unwrap_err().to_string();
    assert_eq!((error.as_str(), asked), ("the server describes more services than can be taken: at most 1000", 1));
}

#[tokio::test]
async fn garbled_descriptors_are_refused_and_nothing_breaks() {
    let message = DescriptorProto { name: Some("M".to_owned()), ..DescriptorProto::default() };
    let whole = FileDescriptorProto { message_type: vec![message], ..service("S", ".M", &[]) }.encode_to_vec();
    let mut random = 0x9e37_79b9_u32;
    for _ in 0..3_000 {
        let mut bytes = whole.clone();
        for _ in 0..3 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = (random >> 8) as usize % bytes.len();
            bytes[at] = (random >> 24) as u8;
        }
        let _ = Schema::from_descriptors(vec![bytes.into()]);
    }
}
