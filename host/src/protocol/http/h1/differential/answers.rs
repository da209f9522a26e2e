//! Answers, good and hostile.

use proptest::prelude::*;
use proptest::sample::{Index, select};

/// One exchange: what is asked, what comes back and how it is cut.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) method: &'static str,
    pub(super) answer: Vec<u8>,
    cuts: Vec<Index>,
    /// Whether the connection ends after the answer.
    pub(super) ends: bool,
}

impl Case {
    /// The answer in pieces.
    pub(super) fn pieces(&self) -> Vec<&[u8]> {
        let length = self.answer.len();
        let mut at: Vec<usize> = self.cuts.iter().map(|cut| cut.index(length + 1)).chain([0, length]).collect();
        at.sort_unstable();
        at.windows(2).map(|ends| &self.answer[ends[0]..ends[1]]).filter(|piece| !piece.is_empty()).collect()
    }
}

/// Well-formed answers.
pub(super) fn good() -> impl Strategy<Value = Case> {
    let interim = select(vec!["", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"]);
    case(
        (interim, status(), good_fields(), connection(), good_framing(), body()).prop_map(
            |(interim, status, fields, connection, framing, body)| {
                let head = format!("{interim}HTTP/1.1 {status}\r\n{connection}{fields}");
                let (field, coded) = framing.apply(&body);
                let has_body = !status.starts_with("204") && !status.starts_with("304");
                [head.as_bytes(), field.as_bytes(), b"\r\n", if has_body { &coded } else { &[] }].concat()
            },
        ),
        0,
    )
}

/// Answers with something wrong in them, or several things, or perhaps nothing.
pub(super) fn hostile() -> impl Strategy<Value = Case> {
    let version = select(vec!["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "http/1.1", ""]);
    let status = prop_oneof![
        6 => status().prop_map(str::to_owned),
        1 => (0..1100_u16, any::<bool>()).prop_map(|(code, padded)| if padded { format!("{code:03}") } else { code.to_string() }),
    ];
    let end_of_line = select(vec!["\r\n", "\r\n", "\r\n", "\r\n", "\n"]);
    let fields = prop_oneof![3 => good_fields(), 1 => wrong_fields()];
    let framing = prop_oneof![2 => good_framing(), 2 => lying_framing()];
    let second = select(vec!["", "", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx", "\r\n", "x"]);
    let answer = (interims(), version, status, end_of_line, fields, connection(), framing, body(), second);
    let answer = answer.prop_map(|(interims, version, status, end, fields, connection, framing, body, second)| {
        let (field, coded) = framing.apply(&body);
        let head = format!("{interims}{version} {status}\r\n{connection}{fields}{field}\r\n").replace("\r\n", end);
        [head.as_bytes(), &coded, second.as_bytes()].concat()
    });
    case(answer, 4)
}

/// Puts an answer into a case, damaged up to so many times.
fn case(answer: impl Strategy<Value = Vec<u8>>, damages: usize) -> impl Strategy<Value = Case> {
    let method = select(vec!["GET", "GET", "GET", "POST", "HEAD"]);
    let damage = prop::collection::vec(damage(), 0..=damages);
    let cuts = prop::collection::vec(any::<Index>(), 0..6);
    (method, answer, damage, cuts, any::<bool>()).prop_map(|(method, answer, damage, cuts, ends)| {
        let answer = damage.iter().fold(answer, damaged);
        Case { method, answer, cuts, ends }
    })
}

fn status() -> impl Strategy<Value = &'static str> {
    select(vec![
        "200 OK",
        "201 Created",
        "204 No Content",
        "302 Found",
        "304 Not Modified",
        "404",
        "500 ",
        "413 \u{e9}",
    ])
}

fn connection() -> impl Strategy<Value = &'static str> {
    select(vec![
        "",
        "",
        "connection: close\r\n",
        "Connection: Keep-Alive\r\n",
        "connection: keep-alive, close\r\n",
        "connection: close\r\nconnection: keep-alive\r\n",
        "connection: x,\tClose \r\n",
        "connection: closed\r\n",
        "connection: \u{e9}, close\r\n",
        "keep-alive: timeout=0, max=0\r\n",
    ])
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..120)
}

fn lines(choices: Vec<&'static str>) -> impl Strategy<Value = String> {
    prop::collection::vec(select(choices), 0..4)
        .prop_map(|lines| lines.iter().flat_map(|line| [line, "\r\n"]).collect::<String>())
}

fn good_fields() -> impl Strategy<Value = String> {
    lines(vec![
        "server: x",
        "Content-Type:text/plain",
        "set-cookie: a=b; Path=/",
        "Set-Cookie: c=d",
        "empty:",
        "date:  now\t",
        "x: \u{e9}",
    ])
}

fn wrong_fields() -> impl Strategy<Value = String> {
    let many = (90..300_usize).prop_map(|count| "a: b\r\n".repeat(count));
    let wrong = vec![
        " folded",
        "\tfolded",
        "a : b",
        ": b",
        "a",
        "a b: c",
        "a: b\rc",
        "a: b\0c",
        "a\0: b",
        "a: b\nc: d",
        "\u{e9}: x",
        "a: \x7f",
        "a: \x0b",
        "upgrade: x",
        "trailer: a",
        "(a): b",
        "a:\tb\t ",
        "connection",
        "content-length",
    ];
    prop_oneof![8 => lines(wrong), 1 => many]
}

fn interims() -> impl Strategy<Value = String> {
    let one = select(vec![
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 102\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\nlink: </b>\r\n\r\n",
        "HTTP/1.1 199 X\r\ncontent-length: 5\r\n\r\n",
        "HTTP/1.1 100 X\r\ntransfer-encoding: chunked\r\n\r\n",
        "HTTP/1.0 100 X\r\nconnection: close\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n",
        "\r\n",
        "\n",
    ]);
    prop_oneof![3 => Just(String::new()), 2 => prop::collection::vec(one, 1..4).prop_map(|all| all.concat())]
}

/// How a body is delimited: the fields that say so, and the coding.
#[derive(Debug, Clone)]
struct Framing {
    field: Field,
    chunks: Option<Chunks>,
}

#[derive(Debug, Clone)]
enum Field {
    /// The true length, and so much more.
    Length(i64),
    /// What stands here, where `{}` is the length.
    Fixed(&'static str),
}

/// Chunks of about this size, with this after each size and before the last line, and this as the end of each line.
#[derive(Debug, Clone)]
struct Chunks {
    size: usize,
    prefix: &'static str,
    suffix: &'static str,
    trailers: &'static str,
    end: &'static str,
}

impl Framing {
    fn apply(&self, body: &[u8]) -> (String, Vec<u8>) {
        let field = match self.field {
            Field::Length(off) => format!("content-length: {}\r\n", i64::try_from(body.len()).unwrap() + off),
            Field::Fixed(text) => text.replace("{}", &body.len().to_string()),
        };
        (field, self.chunks.as_ref().map_or_else(|| body.to_vec(), |chunks| chunks.apply(body)))
    }
}

impl Chunks {
    fn apply(&self, body: &[u8]) -> Vec<u8> {
        let Self { size, prefix, suffix, trailers, end } = self;
        let mut coded = Vec::new();
        for chunk in body.chunks(*size) {
            coded.extend_from_slice(format!("{prefix}{:X}{suffix}\r\n", chunk.len()).as_bytes());
            coded.extend_from_slice(chunk);
            coded.extend_from_slice(end.as_bytes());
        }
        coded.extend_from_slice(format!("0{suffix}\r\n{trailers}\r\n").as_bytes());
        coded
    }
}

fn good_framing() -> impl Strategy<Value = Framing> {
    let suffix = select(vec!["", ";a=b", ";a=\"b\"", " ;a", "\t"]);
    let trailers = select(vec!["", "checksum: 1\r\n", "a: b\r\nc: d\r\n"]);
    prop_oneof![
        Just(Framing { field: Field::Length(0), chunks: None }),
        Just(Framing { field: Field::Fixed(""), chunks: None }),
        (1..40_usize, suffix, trailers).prop_map(|(size, suffix, trailers)| Framing {
            field: Field::Fixed("Transfer-Encoding: chunked\r\n"),
            chunks: Some(Chunks { size, prefix: "", suffix, trailers, end: "\r\n" }),
        }),
    ]
}

fn lying_framing() -> impl Strategy<Value = Framing> {
    let fixed = select(vec![
        "content-length: {}, {}\r\n",
        "content-length: {}\r\ncontent-length: {}\r\n",
        "content-length: {}\r\ncontent-length: 7\r\n",
        "content-length: {}, 7\r\n",
        "content-length: {},\r\n",
        "content-length: +{}\r\n",
        "content-length: -{}\r\n",
        "content-length: 0x{}\r\n",
        "content-length: {} {}\r\n",
        "content-length: 00{}\r\n",
        "content-length: \r\n",
        "content-length: \u{e9}\r\n",
        "content-length: 18446744073709551615\r\n",
        "content-length: 18446744073709551616\r\n",
        "content-length: {}\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: {}\r\n",
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding: chunked, gzip\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
        "transfer-encoding: identity\r\n",
        "transfer-encoding:\r\n",
        "transfer-encoding: chunked,\r\n",
        "transfer-encoding: ,chunked\r\n",
        "transfer-encoding: chunked;a=b\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding: \u{e9}, chunked\r\n",
        "Transfer-Encoding:\tCHUNKED\t\r\n",
    ]);
    let chunks = (
        1..40_usize,
        select(vec!["", "", "0", "000000000000000000", " ", "-", "+", "0x", "ffffffffffffffff", "\r\n"]),
        select(vec!["", "", " ", "\t \t", ";", ";a\rb", ";a\nb", ";\u{e9}", ";\0", " 5", "\r", "\x0b"]),
        select(vec![
            "",
            "a: b\r\n",
            "a\r\n",
            ": b\r\n",
            " a: b\r\n",
            "a: b\n",
            "a: \0\r\n",
            "content-length: 5\r\n",
            "\r",
        ]),
        select(vec!["\r\n", "\r\n", "\r\n", "", "\n", "\r", "x\r\n"]),
    );
    let chunks =
        chunks.prop_map(|(size, prefix, suffix, trailers, end)| Chunks { size, prefix, suffix, trailers, end });
    let field = prop_oneof![fixed.prop_map(Field::Fixed), (-20..20_i64).prop_map(Field::Length)];
    let chunked = chunks
        .clone()
        .prop_map(|chunks| Framing { field: Field::Fixed("transfer-encoding: chunked\r\n"), chunks: Some(chunks) });
    let any = (field, prop::option::of(chunks)).prop_map(|(field, chunks)| Framing { field, chunks });
    prop_oneof![any, chunked]
}

/// How an answer is damaged.
#[derive(Debug, Clone)]
enum Damage {
    Cut(Index),
    Replace(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Flip(Index, u8),
    Repeat(Index, Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let byte = || prop_oneof![any::<u8>(), select(b"\r\n :;,0123456789aF".to_vec())];
    prop_oneof![
        any::<Index>().prop_map(Damage::Cut),
        (any::<Index>(), byte()).prop_map(|(at, byte)| Damage::Replace(at, byte)),
        (any::<Index>(), byte()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        any::<Index>().prop_map(Damage::Remove),
        (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        any::<(Index, Index)>().prop_map(|(first, last)| Damage::Repeat(first, last)),
    ]
}

fn damaged(mut answer: Vec<u8>, damage: &Damage) -> Vec<u8> {
    if answer.is_empty() {
        return answer;
    }
    match damage {
        Damage::Cut(at) => answer.truncate(at.index(answer.len())),
        Damage::Replace(at, byte) => {
            let at = at.index(answer.len());
            answer[at] = *byte;
        }
        Damage::Insert(at, byte) => answer.insert(at.index(answer.len()), *byte),
        Damage::Remove(at) => {
            answer.remove(at.index(answer.len()));
        }
        Damage::Flip(at, bit) => {
            let at = at.index(answer.len());
            answer[at] ^= 1 << bit;
        }
        Damage::Repeat(first, last) => {
            let (first, last) = (first.index(answer.len()), last.index(answer.len()));
            let part = answer[first.min(last)..first.max(last)].to_vec();
            answer.splice(last..last, part);
        }
    }
    answer
}
