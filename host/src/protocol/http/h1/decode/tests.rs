//! What becomes of answers, whole and in pieces, good and bad.

use super::*;

fn decode(method: &str, pieces: &[&[u8]], closed: bool) -> Result<(u16, Vec<u8>, bool), Error> {
    let copied = decode_by(method, pieces, closed, Decoder::feed);
    let kept = decode_by(method, pieces, closed, |decoder, piece| decoder.feed_or_keep(&mut piece.to_vec()));
    assert_eq!(copied, kept, "it is all the same whether the buffer is kept");
    copied
}

fn decode_by(
    method: &str,
    pieces: &[&[u8]],
    closed: bool,
    feed: impl Fn(&mut Decoder, &[u8]) -> Result<(), Error>,
) -> Result<(u16, Vec<u8>, bool), Error> {
    let mut decoder = Decoder::new(method, 1 << 20, true, Vec::new());
    for piece in pieces {
        feed(&mut decoder, piece)?;
    }
    if closed {
        decoder.end()?;
    }
    assert!(decoder.is_done(), "not done: {decoder:?}");
    let (status, reusable) = (decoder.status(), decoder.is_reusable());
    let length = decoder.body_length();
    let (raw, head) = decoder.into_raw();
    assert_eq!(length, (raw.len() - head) as u64);
    Ok((status, raw[head..].to_vec(), reusable))
}

#[test]
fn the_buffer_of_a_long_answer_is_kept_where_it_can_be() {
    let answer =
        |body: usize, more: &str| format!("HTTP/1.1 200 OK\r\ncontent-length: {body}\r\n\r\n{}{more}", "x".repeat(100));
    let begun = |method: &str, answer: &str| {
        let mut bytes = Vec::with_capacity(64 << 10);
        bytes.extend_from_slice(answer.as_bytes());
        let mut decoder = Decoder::new(method, 1 << 20, true, Vec::new());
        decoder.feed_or_keep(&mut bytes).unwrap();
        (bytes.is_empty(), decoder.raw.capacity(), decoder.is_done(), decoder.is_reusable())
    };
    let head = answer(100, "").len() - 100;
    assert_eq!(begun("GET", &answer(100, "")), (true, head + 100, true, true), "and has no room that it does not need");
    assert_eq!(begun("GET", &answer(999, "")), (true, head + 999, false, true), "and room for the rest");
    assert!(!begun("GET", &answer(100, "HTTP/1.1 200 OK\r\n")).3, "bytes that nobody asked for");
    assert!(!begun("HEAD", &answer(100, "")).0, "there is no body");
}

const CHUNKED: &[u8] =
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: 1\r\n\r\n";

#[test]
fn a_body_of_known_length_ends_where_it_says() {
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
    assert_eq!(decode("GET", &[answer], false).unwrap(), (200, b"hello".to_vec(), true));
}

#[test]
fn however_an_answer_is_cut_it_is_the_same() {
    for cut in 0..CHUNKED.len() {
        let (first, second) = CHUNKED.split_at(cut);
        assert_eq!(
            decode("GET", &[first, second], false).unwrap(),
            (200, b"hello world".to_vec(), true),
            "cut at {cut}"
        );
    }
    let bytes: Vec<&[u8]> = CHUNKED.chunks(1).collect();
    assert_eq!(decode("GET", &bytes, false).unwrap().1, b"hello world");
}

#[test]
fn a_body_without_a_length_ends_with_the_connection() {
    assert_eq!(
        decode("GET", &[b"HTTP/1.1 200 OK\r\n\r\nall of it"], true).unwrap(),
        (200, b"all of it".to_vec(), false)
    );
}

#[test]
fn answers_without_a_body_have_none() {
    assert_eq!(decode("HEAD", &[b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"], false).unwrap(), (200, vec![], true));
    assert_eq!(decode("GET", &[b"HTTP/1.1 204 No Content\r\n\r\n"], false).unwrap(), (204, vec![], true));
    assert_eq!(decode("GET", &[b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n"], false).unwrap().0, 304);
}

#[test]
fn interim_answers_are_skipped() {
    let answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx";
    for cut in 0..answer.len() {
        let (first, second) = answer.split_at(cut);
        assert_eq!(decode("GET", &[first, second], false).unwrap(), (200, b"x".to_vec(), true), "cut at {cut}");
    }
}

#[test]
fn a_connection_is_reused_only_where_both_sides_agree() {
    for (head, reusable) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nConnection: keep-alive, Close\r\n\r\n", false),
        ("HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", false),
        ("HTTP/1.0 200 OK\r\ncontent-length: 0\r\nconnection: Keep-Alive\r\n\r\n", true),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nextra", false),
    ] {
        assert_eq!(decode("GET", &[head.as_bytes()], false).unwrap().2, reusable, "{head}");
    }
}

#[test]
fn what_is_not_http_is_a_protocol_error() {
    for answer in [
        "SSH-2.0-OpenSSH\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;a\rb\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\x0c\r\n",
        "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 099 Odd\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ] {
        let error = decode("GET", &[answer.as_bytes()], true).unwrap_err();
        assert!(matches!(error, Error::Protocol(_)), "{answer}: {error}");
    }
}

#[test]
fn an_answer_cut_short_is_a_reset() {
    for answer in [
        "",
        "HTTP/1.1 200",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhe",
    ] {
        assert_eq!(decode("GET", &[answer.as_bytes()], true).unwrap_err(), Error::Reset, "{answer}");
    }
}

#[test]
fn a_body_over_the_limit_is_refused_and_a_dropped_one_is_not() {
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n123456789";
    let mut decoder = Decoder::new("GET", 8, true, Vec::new());
    assert_eq!(decoder.feed(answer), Err(Error::TooLarge(8)));
    let mut decoder = Decoder::new("GET", 8, false, Vec::new());
    decoder.feed(answer).unwrap();
    assert_eq!((decoder.body_length(), decoder.is_done()), (9, true));
}

#[test]
fn interim_answers_are_limited_in_number_and_in_bytes() {
    let with = |count: usize, interim: &str| {
        let answer = interim.repeat(count) + "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        decode("GET", &answer.as_bytes().chunks(1000).collect::<Vec<_>>(), false)
    };
    let hint = "HTTP/1.1 103 Early Hints\r\n\r\n";
    assert_eq!(with(100, hint).unwrap().0, 200);
    assert!(matches!(with(101, hint), Err(Error::Protocol(why)) if why.contains("100 interim answers")));
    let large = format!("HTTP/1.1 103 Early Hints\r\nlink: {}\r\n\r\n", "x".repeat(100_000));
    assert_eq!(with(2, &large).unwrap().0, 200);
    assert!(matches!(with(3, &large), Err(Error::Protocol(why)) if why.contains("larger than 262144 bytes")));
}

#[test]
fn empty_lines_before_the_head_are_skipped_and_limited() {
    let answer = "\r\n\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx";
    for cut in 0..answer.len() {
        let (first, second) = answer.as_bytes().split_at(cut);
        assert_eq!(decode("GET", &[first, second], false).unwrap(), (200, b"x".to_vec(), true), "cut at {cut}");
    }
    let mut decoder = Decoder::new("GET", 1 << 20, true, Vec::new());
    let refused = (0..300 << 10).find_map(|_| decoder.feed(b"\r").and_then(|()| decoder.feed(b"\n")).err());
    assert!(matches!(refused, Some(Error::Protocol(_))), "{refused:?}");
    assert!(decoder.raw.capacity() < 1 << 10);
}

// Parsing it anew for each byte would look at 25 billion bytes.
#[test]
fn a_large_head_that_comes_byte_by_byte_is_not_parsed_for_each_byte() {
    let answer =
        format!("HTTP/1.1 200 OK\r\n{}content-length: 0\r\n\r\n", format!("a: {}\r\n", "b".repeat(1200)).repeat(200));
    assert!(answer.len() > 230_000);
    let started = std::time::Instant::now();
    assert_eq!(decode("GET", &answer.as_bytes().chunks(1).collect::<Vec<_>>(), false).unwrap().0, 200);
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
}

#[test]
fn what_is_wrong_in_an_unfinished_head_is_told_when_the_connection_ends() {
    let head = format!("HTTP/1.1 200 OK\r\n{}", "a: b\r\n".repeat(20));
    let error = decode("GET", &[head.as_bytes(), b"wrong\x00"], true).unwrap_err();
    assert!(matches!(error, Error::Protocol(_)), "{error}");
}

#[test]
fn what_the_chunked_coding_adds_is_limited_in_total() {
    let with = |chunks: &str, trailers: &str| {
        let answer = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}0\r\n{trailers}\r\n");
        decode("GET", &answer.as_bytes().chunks(100).collect::<Vec<_>>(), false)
    };
    assert_eq!(with(&"1\r\na\r\n".repeat(50_000), "").unwrap().1.len(), 50_000, "sizes do not count");
    let extension = format!("1;{}\r\na\r\n", "x".repeat(1000));
    assert_eq!(with(&extension.repeat(16), "").unwrap().1.len(), 16);
    for (chunks, trailers) in [
        (extension.repeat(17), String::new()),
        (format!("1{}\r\na\r\n", " ".repeat(20_000)), String::new()),
        (String::new(), format!("a: {}\r\n", "x".repeat(20_000))),
        (String::new(), "a: b\r\n".repeat(5000)),
    ] {
        let error = with(&chunks, &trailers).unwrap_err();
        assert!(error.to_string().contains("more than 16384 bytes"), "{error}");
    }
    // Without an end of the line in sight.
    let mut decoder = Decoder::new("GET", 1 << 20, true, Vec::new());
    decoder.feed(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;").unwrap();
    assert!(matches!(decoder.feed(&vec![b'x'; 20_000]), Err(Error::Protocol(_))));
}

#[test]
fn many_headers_are_read_and_far_too_many_are_not() {
    let with = |count: usize| format!("HTTP/1.1 200 OK\r\n{}content-length: 0\r\n\r\n", "a: b\r\n".repeat(count));
    assert_eq!(decode("GET", &[with(200).as_bytes()], false).unwrap().0, 200);
    assert!(matches!(decode("GET", &[with(2000).as_bytes()], false), Err(Error::Protocol(_))));
}
