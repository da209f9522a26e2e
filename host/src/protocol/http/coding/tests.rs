use std::io::Write as _;

use proptest::prelude::*;

use super::super::Body;
use super::*;

const ALL: [Coding; 4] = [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd];

/// What a decoder makes of a body that comes in pieces of this size.
fn decoded(coding: &str, body: &[u8], cut: usize) -> Result<Vec<u8>, Error> {
    let mut decoder = Decoder::new(&[coding.to_owned()])?.expect("a coding that is known");
    let (mut output, mut piece) = (Vec::new(), [0; 777]);
    for mut input in body.chunks(cut.max(1)) {
        loop {
            match decoder.read(&mut input, &mut piece)? {
                0 => break,
                made => output.extend_from_slice(&piece[..made]),
            }
        }
        assert!(input.is_empty(), "it asks for more and leaves {} bytes", input.len());
    }
    decoder.finish()?;
    Ok(output)
}

fn encoded(codings: &[Coding], body: &[u8]) -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (first, second) = body.split_at(body.len() / 3);
    runtime.block_on(encode(codings, Body::Pieces(&[first.into(), second.into()]))).unwrap()
}

fn answer(coding: &str, body: &[u8]) -> Response {
    let mut response = Response::of(&format!("HTTP/1.1 200 OK\ncontent-encoding: {coding}"), body);
    response.is_encoded = true;
    response
}

/// Decodes an answer within a limit.
fn decode(coding: &str, body: &[u8], limit: u64) -> Result<Response, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut response = answer(coding, body);
    runtime.block_on(response.decode(limit))?;
    Ok(response)
}

fn text(length: usize) -> Vec<u8> {
    (0..length).map(|at| b"the quick brown fox "[(at * at / 7 + at / 31) % 20]).collect()
}

#[test]
fn what_is_encoded_decodes_to_itself_however_it_is_cut() {
    for coding in ALL {
        for length in [0, 1, 2, 100, 20_000, 700_000] {
            let body = text(length);
            let encoded = encoded(&[coding], &body);
            for cut in [1, 2, 3, 1000, encoded.len()] {
                assert!(decoded(coding.name(), &encoded, cut).unwrap() == body, "{coding:?} {length} {cut}");
            }
        }
    }
}

#[test]
fn several_codings_come_off_in_reverse() {
    let body = text(50_000);
    let bytes = encoded(&ALL, &body);
    assert!(decoded("gzip, deflate,br ,ZSTD", &bytes, 999).unwrap() == body);
    let twice = encoded(&[Coding::Gzip, Coding::Gzip], &body);
    assert!(decoded("identity, x-gzip, gzip", &twice, 10).unwrap() == body);
}

#[test]
fn deflate_without_zlib_around_it_is_known_by_its_first_bytes() {
    for body in [text(0), text(1), text(40_000)] {
        let mut raw = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(6));
        raw.write_all(&body).unwrap();
        let raw = raw.finish().unwrap();
        for cut in [1, 2, 3, raw.len()] {
            assert!(decoded("deflate", &raw, cut).unwrap() == body, "{} {cut}", body.len());
        }
    }
}

#[test]
fn gzip_may_have_every_field_of_a_head_and_several_members() {
    let mut bytes = Vec::new();
    for part in ["one ", "two"] {
        let head = flate2::GzBuilder::new().filename("a").comment("b").extra(vec![1, 2, 3]).mtime(7);
        let mut encoder = head.write(bytes, flate2::Compression::fast());
        encoder.write_all(part.as_bytes()).unwrap();
        bytes = encoder.finish().unwrap();
    }
    assert_eq!(decoded("gzip", &bytes, 1).unwrap(), b"one two");
}

#[test]
fn zstd_may_have_several_frames_and_frames_to_skip() {
    let frame = encoded(&[Coding::Zstd], b"one ");
    let skipped = [&[0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"xyz"].concat();
    let bytes = [&skipped[..], &frame, &skipped, &frame].concat();
    assert_eq!(decoded("zstd", &bytes, 1).unwrap(), b"one one ");
}

#[test]
fn what_is_cut_short_or_goes_on_is_an_error() {
    let body = text(5000);
    for coding in ALL {
        let bytes = encoded(&[coding], &body);
        for length in [1, 2, 9, bytes.len() / 2, bytes.len() - 1] {
            let error = decoded(coding.name(), &bytes[..length], 64).unwrap_err();
            assert!(matches!(error, Error::Decoding(_)), "{coding:?} {length}: {error}");
            assert_eq!(error.code(), 1701);
        }
        let longer = [&bytes[..], b"garbage"].concat();
        assert!(matches!(decoded(coding.name(), &longer, 64), Err(Error::Decoding(_))), "{coding:?}");
    }
}

#[test]
fn what_is_not_encoded_at_all_is_an_error() {
    for coding in ALL {
        let error = decoded(coding.name(), b"<html>this is no such thing</html>", 100).unwrap_err();
        assert!(error.to_string().starts_with(&format!("decoding: {}: ", coding.name())), "{error}");
    }
}

#[test]
fn a_checksum_that_does_not_match_is_an_error() {
    let mut bytes = encoded(&[Coding::Gzip], b"hello");
    let at = bytes.len() - 8;
    bytes[at] ^= 1;
    assert_eq!(decoded("gzip", &bytes, 7), Err(Error::Decoding("gzip: the checksum does not match".to_owned())));
    let mut bytes = encoded(&[Coding::Zstd], b"hello");
    let at = bytes.len() - 1;
    bytes[at] ^= 1;
    assert_eq!(decoded("zstd", &bytes, 7), Err(Error::Decoding("zstd: the checksum does not match".to_owned())));
}

#[test]
fn a_bomb_ends_at_the_limit() {
    let zeros = vec![0; 16 << 20];
    for coding in ALL {
        let bomb = encoded(&[coding], &zeros);
        assert!(bomb.len() < 64 << 10, "{coding:?}: {}", bomb.len());
        assert_eq!(decode(coding.name(), &bomb, 1 << 20).unwrap_err(), Error::TooLarge(1 << 20), "{coding:?}");
        assert_eq!(decode(coding.name(), &bomb, 16 << 20).unwrap().body_length, 16 << 20, "{coding:?}");
    }
}

#[test]
fn six_codings_are_one_too_many() {
    let values = |count| [vec!["gzip"; count].join(", ")];
    assert!(Decoder::new(&values(5)).is_ok());
    assert!(matches!(Decoder::new(&values(6)), Err(Error::Decoding(_))));
}

#[test]
fn a_coding_that_nobody_knows_stays_with_what_is_under_it() {
    for values in ["", "identity", "utf-8", "gzip, aws-chunked"] {
        assert!(Decoder::new(&[values.to_owned()]).unwrap().is_none(), "{values}");
    }
    assert!(decoded("aws-chunked, gzip", &encoded(&[Coding::Gzip], b"x"), 9).unwrap() == b"x");
}

#[test]
fn an_answer_keeps_its_head_and_says_both_lengths() {
    let bytes = encoded(&[Coding::Brotli], &text(900));
    let response = decode("br", &bytes, 1 << 20).unwrap();
    assert_eq!((response.body(), response.header("content-encoding")), (&text(900)[..], Some("br".to_owned())));
    assert_eq!((response.body_length, response.encoded_length), (900, bytes.len() as u64));
    assert_eq!(decode("gzip", b"", 10).unwrap().body_length, 0, "an empty body is not encoded");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn broken_bodies_never_panic_and_never_grow_without_end(
        which in 0_usize..4, at in any::<prop::sample::Index>(), flip in 1_u8.., cut in 1_usize..500,
    ) {
        let mut bytes = encoded(&[ALL[which]], &text(3000));
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(body) = decoded(ALL[which].name(), &bytes, cut) {
            prop_assert!(body.len() < 1 << 20);
        }
    }

    #[test]
    fn random_bytes_after_a_good_start_never_panic(
        which in 0_usize..4, keep in 0_usize..30, tail in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let good = encoded(&[ALL[which]], &text(300));
        let bytes = [&good[..keep.min(good.len())], &tail].concat();
        let _ = decoded(ALL[which].name(), &bytes, 50);
    }
}
