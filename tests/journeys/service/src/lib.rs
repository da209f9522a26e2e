//! No journey but a service: what `squall target --component` is tried with. It answers with 200 and a text, and
//! misbehaves as the path says.

#![cfg_attr(not(target_family = "wasm"), allow(dead_code, reason = "nothing is exported but to a component"))]
#![cfg_attr(target_family = "wasm", allow(unsafe_code, reason = "generated: the canonical ABI is raw pointers"))]

use std::io::Write as _;

use wasip2::http::types::{
    Fields, IncomingRequest, Method, OutgoingBody, OutgoingRequest, OutgoingResponse, ResponseOutparam, Scheme,
};

struct Service;

#[cfg(target_family = "wasm")]
wasip2::http::proxy::export!(Service);

impl wasip2::exports::http::incoming_handler::Guest for Service {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        let (path, query) = path.split_once('?').unwrap_or((&path, ""));
        let number = query.parse::<usize>().unwrap_or_default();
        match path {
            "/trap" => panic!("as ordered"),
            "/loop" => spin(),
            "/grow" => grow(),
            "/silent" => {}
            "/half" => {
                let body = begin(out, 200, Some(1000));
                body.write().expect("it is open").write_all(b"not so much").expect("it is taken");
                panic!("in the middle of the body");
            }
            "/status" => answer(out, u16::try_from(number).unwrap_or(500), b"a status"),
            "/bytes" => {
                let body = begin(out, 200, None);
                let mut stream = body.write().expect("it is open");
                let piece = [b'x'; 4096];
                let mut left = number;
                while left > 0 {
                    let length = left.min(piece.len());
                    stream.write_all(&piece[..length]).expect("it is taken");
                    left -= length;
                }
                stream.flush().expect("it is taken");
                drop(stream);
                OutgoingBody::finish(body, None).expect("it is whole");
            }
            "/length" => {
                let body = request.consume().expect("it has a body");
                let stream = body.stream().expect("it can be read");
                let mut total = 0;
                // The end of the body is an error of its stream.
                while let Ok(piece) = stream.blocking_read(64 << 10) {
                    total += piece.len();
                }
                answer(out, 200, total.to_string().as_bytes());
            }
            "/out" => answer(out, 200, ask(query).as_bytes()),
            "/env" => {
                let all: Vec<String> = std::env::vars().map(|(name, value)| format!("{name}={value}")).collect();
                let arguments = std::env::args().count();
                answer(out, 200, format!("{} {arguments}", all.join(" ")).as_bytes());
            }
            "/files" => answer(out, 200, format!("{:?}", std::fs::read_dir("/").err()).as_bytes()),
            _ => answer(out, 200, b"hello from a component"),
        }
    }
}

fn begin(out: ResponseOutparam, status: u16, length: Option<usize>) -> OutgoingBody {
    let headers = Fields::new();
    headers.append("content-type", b"text/plain").expect("it may be set");
    if let Some(length) = length {
        headers.append("content-length", length.to_string().as_bytes()).expect("it may be set");
    }
    let response = OutgoingResponse::new(headers);
    response.set_status_code(status).expect("it is a status");
    let body = response.body().expect("it is asked for once");
    ResponseOutparam::set(out, Ok(response));
    body
}

fn answer(out: ResponseOutparam, status: u16, text: &[u8]) {
    let body = begin(out, status, Some(text.len()));
    let mut stream = body.write().expect("it is open");
    stream.write_all(text).expect("it is taken");
    stream.flush().expect("it is taken");
    drop(stream);
    OutgoingBody::finish(body, None).expect("it is whole");
}

/// Asks somebody else, which a service may not.
fn ask(authority: &str) -> String {
    let request = OutgoingRequest::new(Fields::new());
    request.set_method(&Method::Get).expect("it is a method");
    request.set_scheme(Some(&Scheme::Http)).expect("it is a scheme");
    request.set_authority(Some(authority)).expect("it is an authority");
    request.set_path_with_query(Some("/")).expect("it is a path");
    let future = match wasip2::http::outgoing_handler::handle(request, None) {
        Ok(future) => future,
        Err(code) => return format!("{code:?}"),
    };
    future.subscribe().block();
    match future.get() {
        Some(Ok(Ok(response))) => format!("status {}", response.status()),
        other => format!("{other:?}"),
    }
}

fn spin() {
    loop {
        std::hint::black_box(0);
    }
}

fn grow() {
    let mut all = Vec::new();
    loop {
        all.push(vec![1_u8; 1 << 20]);
        std::hint::black_box(&all);
    }
}
