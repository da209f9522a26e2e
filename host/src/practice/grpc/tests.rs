//! Calls as a client makes them, over real connections.

use std::num::NonZeroUsize;

use bytes::{Bytes, BytesMut};
use h2::client::SendRequest;
use http::{HeaderMap, Request};
use prost::Message;
use tokio::net::TcpStream;

use super::super::{Options, Server, serve};
use super::call::framed;
use super::wire::*;

fn start(options: &Options) -> Server {
    serve(options, NonZeroUsize::MIN).expect("the server should start")
}

/// What came of a call.
struct Came {
    headers: HeaderMap,
    messages: Vec<Bytes>,
    trailers: HeaderMap,
}

impl Came {
    fn status(&self) -> (&str, &str) {
        let at = |name| self.trailers.get(name).or_else(|| self.headers.get(name));
        let text = |name| at(name).map_or("", |value: &http::HeaderValue| value.to_str().unwrap());
        (text("grpc-status"), text("grpc-message"))
    }

    fn read<M: Message + Default>(&self) -> Vec<M> {
        self.messages.iter().map(|message| M::decode(message.clone()).unwrap()).collect()
    }
}

async fn connect(server: &Server) -> SendRequest<Bytes> {
    let stream = std::net::TcpStream::connect(server.addr()).unwrap();
    stream.set_nonblocking(true).unwrap();
    let stream = TcpStream::from_std(stream).unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn call(server: &Server, path: &str, metadata: &[(&str, &str)], messages: &[Bytes]) -> Came {
    let mut client = connect(server).await.ready().await.unwrap();
    let uri = format!("{}/{path}", server.url());
    let mut request = Request::post(uri).header("content-type", "application/grpc").header("te", "trailers");
    for (name, value) in metadata {
        request = request.header(*name, *value);
    }
    let (response, mut upload) = client.send_request(request.body(()).unwrap(), false).unwrap();
    for message in messages {
        upload.send_data(message.clone(), false).unwrap();
    }
    upload.send_data(Bytes::new(), true).unwrap();
    let (parts, mut body) = response.await.unwrap().into_parts();
    let mut all = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        all.extend_from_slice(&data);
    }
    let mut messages = Vec::new();
    while !all.is_empty() {
        let prefix = all.split_to(5);
        messages.push(all.split_to(u32::from_be_bytes(prefix[1..].try_into().unwrap()) as usize).freeze());
    }
    Came { headers: parts.headers, messages, trailers: body.trailers().await.unwrap().unwrap_or_default() }
}

#[tokio::test]
async fn what_is_said_comes_back_with_its_metadata() {
    let server = start(&Options::default());
    let said = framed(&SayRequest { text: "hello".to_owned(), data: "\0\u{1}".into(), ..SayRequest::default() });
    let metadata = [("x-who", "ann"), ("x-key-bin", "AAE"), ("other", "no")];
    let came = call(&server, "squall.practice.v1.Echo/Say", &metadata, &[said]).await;
    let [reply] = &came.read::<SayReply>()[..] else { panic!("there should be one message") };
    assert_eq!((reply.text.as_str(), reply.data.as_ref()), ("hello", &b"\0\x01"[..]));
    assert_eq!(reply.metadata.len(), 2);
    assert_eq!((reply.metadata["x-who"].as_str(), reply.metadata["x-key-bin"].as_str()), ("ann", "AAE"));
    assert!(came.headers["x-who"] == "ann" && came.trailers["x-who"] == "ann");
    assert_eq!((came.status(), came.trailers["squall-received"].as_bytes()), (("0", ""), &b"1"[..]));
    let stats = server.stats();
    assert_eq!((stats.by_route["/squall.practice.v1.Echo/{method}"], stats.by_status[&200]), (1, 1));
}

#[tokio::test]
async fn a_call_ends_as_it_asks_to() {
    let server = start(&Options::default());
    let ending = Some(Ending { code: 9, message: "50 % of ärger".to_owned(), details: vec![8, 9] });
    let said = framed(&SayRequest { ending: ending.clone(), ..SayRequest::default() });
    let came = call(&server, "squall.practice.v1.Echo/Say", &[], &[said]).await;
    assert_eq!((came.status(), came.messages.len()), (("9", "50 %25 of %C3%A4rger"), 0));
    assert_eq!(came.headers["grpc-status-details-bin"], "CAk");

    let count = framed(&CountRequest { to: 3, ending, ..CountRequest::default() });
    let came = call(&server, "squall.practice.v1.Echo/Count", &[], &[count]).await;
    assert_eq!(came.read::<CountReply>().iter().map(|reply| reply.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(came.status().0, "9");
}

#[tokio::test]
async fn streams_go_in_either_direction_and_both() {
    let server = start(&Options::default());
    let values = [5, -7, 40].map(|value| framed(&SumRequest { value }));
    let came = call(&server, "squall.practice.v1.Echo/Sum", &[], &values).await;
    assert_eq!(came.read::<SumReply>(), [SumReply { sum: 38, count: 3 }]);
    // As one piece of data, and as many.
    let texts = ["a", "b", "c"].map(|text| ChatMessage { text: text.to_owned(), ..ChatMessage::default() });
    let whole = Bytes::from(texts.iter().flat_map(framed).collect::<Vec<_>>());
    for pieces in [vec![whole.clone()], whole.chunks(1).map(Bytes::copy_from_slice).collect()] {
        let came = call(&server, "squall.practice.v1.Echo/Chat", &[], &pieces).await;
        assert_eq!((came.read::<ChatMessage>(), came.status().0), (texts.to_vec(), "0"));
    }
}

#[tokio::test]
async fn deadlines_are_kept_and_nonsense_is_refused() {
    let server = start(&Options::default());
    let slow = framed(&SayRequest { delay_ms: 60_000, ..SayRequest::default() });
    let came = call(&server, "squall.practice.v1.Echo/Say", &[("grpc-timeout", "20m")], &[slow]).await;
    assert_eq!(came.status().0, "4");
    let slow = framed(&CountRequest { to: 9, interval_ms: 60_000, ..CountRequest::default() });
    let came = call(&server, "squall.practice.v1.Echo/Count", &[("grpc-timeout", "20m")], &[slow]).await;
    assert_eq!(came.status().0, "4");

    let say = "squall.practice.v1.Echo/Say";
    let cut = Bytes::from_static(&[0, 0, 0, 0, 9, 1]);
    for (path, message, status) in [
        (say, cut, "13"),
        (say, Bytes::new(), "13"),
        (say, Bytes::from_static(&[0, 0, 0, 0, 1, 255]), "13"),
        (say, Bytes::from_static(&[1, 0, 0, 0, 0]), "12"),
        (say, Bytes::from_static(&[0, 255, 255, 255, 255]), "8"),
        ("squall.practice.v1.Echo/Shout", Bytes::new(), "12"),
        ("other.Service/Method", Bytes::new(), "12"),
        ("grpc.reflection.v1.ServerReflection/Other", Bytes::new(), "12"),
    ] {
        assert_eq!(
            call(&server, path, &[], std::slice::from_ref(&message)).await.status().0,
            status,
            "{path} {message:?}"
        );
    }
}

#[tokio::test]
async fn the_server_describes_itself_and_errors_come_as_ordered() {
    let server = start(&Options::default());
    let asked = [
        Asked::ListServices(String::new()),
        Asked::FileContainingSymbol("squall.practice.v1.Echo".to_owned()),
        Asked::FileContainingSymbol("squall.practice.v1.Echo.Say".to_owned()),
        Asked::FileByFilename("squall/practice/v1/echo.proto".to_owned()),
        Asked::FileByFilename("other.proto".to_owned()),
    ];
    let asked = asked.map(|asked| framed(&Question { host: "h".to_owned(), asked: Some(asked) }));
    for service in [super::REFLECTION, super::REFLECTION_ALPHA] {
        let came = call(&server, &format!("{service}/ServerReflectionInfo"), &[], &asked).await;
        let answers = came.read::<Answer>();
        let [list, by_service, by_method, by_name, unknown] = &answers[..] else { panic!("{answers:?}") };
        assert!(matches!(&list.answered, Some(Answered::ListServices(list)) if list.service.len() == 3));
        assert!(
            matches!(&by_service.answered, Some(Answered::FileDescriptor(files)) if files.file_descriptor_proto[0].len() > 500)
        );
        assert!(by_service.answered == by_method.answered && by_service.answered == by_name.answered);
        assert!(matches!(&unknown.answered, Some(Answered::Error(error)) if error.error_code == 5));
    }
    let failing = start(&Options { error_rate: 1.0, ..Options::default() });
    let said = framed(&SayRequest::default());
    assert_eq!(call(&failing, "squall.practice.v1.Echo/Say", &[], &[said]).await.status().0, "13");
}
