//! Bodies: encoded both ways, forms and files, thrown away.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use brotli::enc::BrotliEncoderParams;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use serde_json::{Value, json};

use crate::support::{Finished, Nginx, Received, Scripted, Squall, exit, left_out, write};

fn text() -> String {
    let lines: Vec<String> = (0..150).map(|number| format!("line {number} of it\n")).collect();
    lines.concat()[..1900].to_owned()
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn zlib(body: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn deflate(body: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn br(mut body: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::new();
    let params = BrotliEncoderParams { quality: 5, ..BrotliEncoderParams::default() };
    brotli::BrotliCompress(&mut body, &mut encoded, &params).unwrap();
    encoded
}

/// What the command-line tool `zstd` makes of a body; `None`, loudly, where it is missing.
fn zstd(flags: &[&str], body: &[u8]) -> Option<Vec<u8>> {
    let child = Command::new("zstd").args(flags).arg("-cq").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        left_out("the command `zstd` is missing");
        return None;
    };
    let (mut stdin, body) = (child.stdin.take().unwrap(), body.to_vec());
    let writer = std::thread::spawn(move || stdin.write_all(&body));
    let mut output = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut output).unwrap();
    writer.join().unwrap().unwrap();
    assert!(child.wait().unwrap().success());
    Some(output)
}

/// FNV-1a, as the journey counts it.
fn sum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, &byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// Fetches a body that is encoded so and shows it.
#[track_caller]
fn fetched(coding: &str, body: Vec<u8>) -> Finished {
    let target = Scripted::answering(format!("content-encoding: {coding}\r\n"), body);
    let run = Squall::fetch(&json!([{ "url": target.url(), "show": ["body", "details"] }])).finish();
    assert_eq!(target.seen()[0].header("accept-encoding"), "", "nobody asked for it\n{run}");
    run.expect(exit::PASSED)
}

/// The codes of errors that samples were tagged with.
#[track_caller]
fn error_codes(steps: &Value, flags: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("points.json");
    let run = Squall::fetch(steps).flags(flags).arg("--out").arg(format!("json={}", file.display())).finish();
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("no points: {error}\n{run}"));
    let points = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let points = points.filter(|point| point["type"] == "Point" && point["metric"] == "http_reqs");
    points.map(|point| point["data"]["tags"]["error_code"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn an_encoded_answer_is_decoded_before_the_journey_sees_it() {
    let text = text();
    let body = text.as_bytes();
    let mut cases = vec![
        ("gzip", gzip(body)),
        ("x-gzip", gzip(body)),
        ("deflate", zlib(body)),
        ("deflate", deflate(body)),
        ("br", br(body)),
        ("identity", body.to_vec()),
        ("gzip, br", br(&gzip(body))),
        ("br,identity, GZIP", gzip(&br(body))),
    ];
    cases.extend(zstd(&["-3"], body).map(|encoded| ("zstd", encoded)));
    cases.extend(
        zstd(&["-19", "--check"], body).map(|encoded| ("deflate, zstd", zstd(&[], &zlib(body)).unwrap_or(encoded))),
    );
    for (coding, encoded) in cases {
        let length = encoded.len();
        let run = fetched(coding, encoded);
        let answer = &run.answers()[0];
        assert_eq!(answer["body"], text, "{coding}\n{run}");
        assert_eq!(
            (&answer["body_len"], &answer["details"]["encoded_len"]),
            (&json!(text.len()), &json!(length)),
            "{coding}"
        );
    }
}

#[test]
fn a_large_answer_of_real_zstd_is_decoded_to_the_last_byte() {
    let body: Vec<u8> = (0..3_000_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> (at % 24)) as u8).collect();
    for level in ["-1", "-19"] {
        let Some(encoded) = zstd(&[level, "--check"], &body) else { return };
        let target = Scripted::answering("content-encoding: zstd\r\n", encoded);
        let run = Squall::fetch(&json!([{ "url": target.url(), "show": ["sum"] }])).finish().expect(exit::PASSED);
        let answer = &run.answers()[0];
        assert_eq!((&answer["body_len"], &answer["sum"]), (&json!(3_000_000), &json!(sum(&body))), "{level}\n{run}");
    }
}

#[test]
fn what_nginx_compresses_is_decoded() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "page.txt", text());
    let server = format!("gzip on; gzip_types *; gzip_min_length 1; root {};", folder.path().display());
    let Some(nginx) = Nginx::start(folder.path(), &[("", &server)]) else { return };
    let url = format!("http://127.0.0.1:{}/page.txt", nginx.port(0));
    let step = json!({ "url": url, "headers": { "accept-encoding": "gzip" }, "show": ["body", "details", "headers"] });
    let run = Squall::fetch(&json!([step])).finish().expect(exit::PASSED);
    let answer = &run.answers()[0];
    assert_eq!(answer["body"], text(), "{run}");
    assert!(answer["details"]["encoded_len"].as_u64() < Some(1000), "{run}");
    assert!(answer["headers"].as_array().unwrap().contains(&json!(["content-encoding", "gzip"])), "{run}");
}

#[test]
fn an_answer_that_is_not_encoded_as_it_says_is_an_error_of_its_own() {
    let body = text().into_bytes();
    let mut broken = gzip(&body);
    broken.truncate(100);
    for (coding, body) in
        [("gzip", broken), ("br", b"\xff\xff\xff\xff".to_vec()), ("zstd", body.clone()), ("deflate", body)]
    {
        let target = Scripted::answering(format!("content-encoding: {coding}\r\n"), body);
        let steps = json!([{ "url": target.url() }]);
        assert_eq!(error_codes(&steps, ""), ["1701"], "{coding}");
        let run = Squall::fetch(&steps).finish();
        let error = run.answers()[0]["error"].as_str().unwrap_or_default().to_owned();
        assert!(error.contains(coding), "{error}\n{run}");
        assert_eq!(run.summary().value("http_req_failed", "value"), 1.0, "{run}");
    }
}

#[test]
fn answers_without_a_body_are_not_decoded() {
    let target = Scripted::start(|request, stream| {
        let status = request.path.trim_start_matches('/');
        let status = if status == "head" { "200 OK\r\ncontent-length: 7" } else { status };
        let length = if status == "200" { "content-length: 0\r\n" } else { "" };
        stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-encoding: gzip\r\n{length}\r\n").as_bytes()).is_ok()
    });
    let url = |path: &str| target.url() + path;
    let steps = json!([
        { "url": url("/204") }, { "url": url("/304") }, { "url": url("/200") }, { "url": url("/head"), "method": "HEAD" }
    ]);
    let run = Squall::fetch(&steps).finish().expect(exit::PASSED);
    let answers: Vec<_> =
        run.answers().iter().map(|answer| (answer["status"].clone(), answer["body_len"].clone())).collect();
    assert_eq!(answers, [204, 304, 200, 200].map(|status| (json!(status), json!(0))), "{run}");
}

/// Peak memory of a run that fetches this, in MiB.
#[track_caller]
fn peak(steps: &Value, toml: &str) -> (u64, Finished) {
    let folder = tempfile::tempdir().unwrap();
    let config = write(folder.path(), "squall.toml", toml);
    let mut running = Squall::fetch(steps).arg("--config").arg(config).start();
    let peak = std::cell::Cell::new(0);
    running.wait_until("it fetched everything", |running| {
        let status = fs::read_to_string(format!("/proc/{}/status", running.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib: u64 = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0);
        peak.set(peak.get().max(kib / 1024));
        running.has_said("\"step\":1")
    });
    (peak.get(), running.finish())
}

#[test]
#[cfg(target_os = "linux")]
fn a_bomb_ends_at_the_limit_and_takes_little_memory() {
    // 1 GiB each. Members of gzip and frames of zstd may follow each other.
    let zeros = vec![0; 16 << 20];
    let mut bombs = vec![("gzip", gzip(&zeros).repeat(64)), ("br", br(&vec![0; 1 << 30]))];
    bombs.extend(zstd(&["-1"], &zeros).map(|frame| ("zstd", frame.repeat(64))));
    let small = Scripted::answering("", "x");
    let idle = json!([{ "url": small.url() }, { "url": small.url() }, { "sleep_ms": 100 }]);
    let (idle, _) = peak(&idle, "");
    for (coding, bomb) in bombs {
        assert!(bomb.len() < 2 << 20, "{coding}: {}", bomb.len());
        let target = Scripted::answering(format!("content-encoding: {coding}\r\n"), bomb);
        let steps = json!([{ "url": target.url() }, { "url": small.url() }, { "sleep_ms": 100 }]);
        let (peak, run) = peak(&steps, "[limits]\nresponseBytes = \"64MiB\"\n");
        let error = run.answers()[0]["error"].as_str().unwrap_or_default().to_owned();
        assert!(error.contains("67108864"), "{coding}: {error}\n{run}");
        assert_eq!(run.summary().value("http_req_failed", "passes"), 1.0, "{run}");
        assert!(peak < idle + 200, "{coding}: {peak} MiB at the peak, {idle} MiB without a bomb");
    }
}

#[test]
fn a_request_is_encoded_as_asked() {
    let target = Scripted::answering("", "ok");
    let body = text();
    let step = |codings: Value| json!({ "url": target.url(), "method": "POST", "body": body, "compress": codings });
    let steps = json!([
        step(json!(["gzip"])),
        step(json!(["deflate"])),
        step(json!(["br"])),
        step(json!(["zstd"])),
        step(json!(["gzip", "br"]))
    ]);
    Squall::fetch(&steps).finish().expect(exit::PASSED);
    let seen = target.seen();
    let codings: Vec<_> = seen.iter().map(|request| request.header("content-encoding")).collect();
    assert_eq!(codings, ["gzip", "deflate", "br", "zstd", "gzip, br"]);
    let gunzip = |bytes: &[u8]| {
        let mut text = String::new();
        flate2::read::GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
        text
    };
    let unbrotli = |bytes: &[u8]| {
        let mut plain = Vec::new();
        brotli::Decompressor::new(bytes, 4096).read_to_end(&mut plain).unwrap();
        plain
    };
    assert_eq!(gunzip(&seen[0].body), body);
    let mut text = String::new();
    flate2::read::ZlibDecoder::new(&seen[1].body[..]).read_to_string(&mut text).unwrap();
    assert_eq!(text, body);
    assert_eq!(unbrotli(&seen[2].body), body.as_bytes());
    assert_eq!(zstd(&["-d"], &seen[3].body).unwrap_or_else(|| body.clone().into()), body.as_bytes());
    assert_eq!(gunzip(&unbrotli(&seen[4].body)), body);
    assert!(seen.iter().all(|request| request.body.len() < 1000));
}

#[test]
fn a_coding_that_the_journey_names_too_is_refused() {
    let target = Scripted::answering("", "ok");
    let step = json!({ "url": target.url(), "method": "POST", "body": "x", "compress": ["gzip"],
        "headers": { "Content-Encoding": "gzip" } });
    let run = Squall::fetch(&json!([step])).finish();
    assert!(run.answers()[0]["error"].as_str().is_some_and(|error| error.contains("`content-encoding`")), "{run}");
    assert_eq!(target.seen().len(), 0);
}

/// A part as a strict reader of RFC 7578 finds it: its headers and its content.
type Part = (String, Vec<u8>);

/// Reads a form, and fails on whatever the RFC does not allow.
#[track_caller]
fn parts(request: &Received) -> Vec<Part> {
    let boundary = request.header("content-type").strip_prefix("multipart/form-data; boundary=").unwrap();
    assert!(boundary.len() <= 70 && boundary.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
    let delimiter = format!("\r\n--{boundary}");
    let body = [b"\r\n", &request.body[..]].concat();
    let mut rest = body.strip_prefix(delimiter.as_bytes()).unwrap();
    let mut parts = Vec::new();
    while rest != b"--\r\n" {
        let after = rest.strip_prefix(b"\r\n").unwrap();
        let end = after.windows(delimiter.len()).position(|window| window == delimiter.as_bytes()).unwrap();
        let split = after[..end].windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        parts.push((String::from_utf8(after[..split].to_vec()).unwrap(), after[split + 4..end].to_vec()));
        rest = &after[end + delimiter.len()..];
    }
    parts
}

#[test]
fn a_form_with_granted_files_arrives_whole() {
    let folder = tempfile::tempdir().unwrap();
    let photo: Vec<u8> = (0..300_000_u32).map(|at| (at % 256) as u8).collect();
    let photo_path = write(folder.path(), "photo.png", &photo);
    let target = Scripted::answering("", "ok");
    let form = json!([
        { "name": "title", "text": "grüße" },
        { "name": "odd \"name\"", "text": "" },
        { "name": "photo", "file": "photo.png" },
        { "name": "again", "file": "pic", "filename": "a\r\nb.bin", "content_type": "x/y" },
        { "name": "note", "text": "{}", "filename": "note.json" },
    ]);
    let step = json!({ "url": target.url(), "method": "POST", "multipart": form });
    let gzipped = json!({ "url": target.url(), "method": "POST", "multipart": form, "compress": ["gzip"] });
    let run = Squall::fetch(&json!([step, gzipped])).arg("--file").arg(&photo_path);
    run.arg("--file").arg(format!("pic={}", photo_path.display())).finish().expect(exit::PASSED);
    let mut seen = target.seen();
    assert_eq!(seen[0].header("content-length"), seen[0].body.len().to_string());
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&seen[1].body[..]).read_to_end(&mut plain).unwrap();
    seen[1].body = plain;
    let disposition = |rest: &str| format!("Content-Disposition: form-data; {rest}");
    let expected = [
        (disposition("name=\"title\""), "grüße".as_bytes().to_vec()),
        (disposition("name=\"odd %22name%22\""), Vec::new()),
        (disposition("name=\"photo\"; filename=\"photo.png\"\r\nContent-Type: image/png"), photo.clone()),
        (disposition("name=\"again\"; filename=\"a%0D%0Ab.bin\"\r\nContent-Type: x/y"), photo),
        (disposition("name=\"note\"; filename=\"note.json\"\r\nContent-Type: application/json"), b"{}".to_vec()),
    ];
    for request in &seen {
        let parts = parts(request);
        assert_eq!(parts.len(), expected.len());
        for (part, expected) in parts.iter().zip(&expected) {
            assert_eq!(part.0, expected.0);
            assert!(part.1 == expected.1, "the content of {}", part.0);
        }
    }
}

#[test]
fn a_granted_file_is_a_body_that_never_enters_the_journey() {
    let folder = tempfile::tempdir().unwrap();
    // Larger than all the memory a journey may have.
    let bytes: Vec<u8> = (0..80_000_000_u32).map(|at| (at >> 7) as u8).collect();
    let path = write(folder.path(), "large.bin", &bytes);
    let target = Scripted::answering("", "ok");
    let step = json!({ "url": target.url(), "method": "PUT", "body_file": "large" });
    let run = Squall::fetch(&json!([step])).arg("--file").arg(format!("large={}", path.display()));
    let run = run.finish().expect(exit::PASSED);
    assert!(target.seen()[0].body == bytes, "{run}");
    assert!(run.summary().value("data_sent", "count") >= 80_000_000.0, "{run}");
}

#[test]
fn a_file_that_was_not_granted_is_named_and_so_are_those_that_were() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "a.txt", "a");
    let target = Scripted::answering("", "ok");
    let step = json!({ "url": target.url(), "method": "PUT", "body_file": "b.txt" });
    let run = Squall::fetch(&json!([step])).arg("--file").arg(path).finish();
    let error = run.answers()[0]["error"].as_str().unwrap_or_default().to_owned();
    assert!(error.contains("`b.txt`") && error.contains("`a.txt`"), "{error}\n{run}");
    assert_eq!((target.seen().len(), run.summary().count("http_reqs")), (0, 1), "{run}");
}

#[test]
fn a_body_that_is_thrown_away_is_counted_and_not_decoded() {
    let target = Scripted::answering("content-encoding: gzip\r\n", b"this is no gzip".to_vec());
    let steps = json!([{ "url": target.url(), "discard": true, "show": ["body"] }, { "url": target.url() }]);
    let run = Squall::fetch(&steps).finish();
    let answers = run.answers();
    assert_eq!((&answers[0]["body"], &answers[0]["body_len"]), (&json!(""), &json!(15)), "{run}");
    assert!(answers[1]["error"].is_string(), "{run}");
    let kept = Scripted::answering("", "kept");
    let steps =
        json!([{ "url": kept.url(), "show": ["body"] }, { "url": kept.url(), "discard": false, "show": ["body"] }]);
    let folder = tempfile::tempdir().unwrap();
    let config = write(folder.path(), "squall.toml", "discardResponseBodies = true\n");
    let run = Squall::fetch(&steps).arg("--config").arg(config).finish().expect(exit::PASSED);
    let bodies: Vec<_> = run.answers().iter().map(|answer| answer["body"].clone()).collect();
    assert_eq!(bodies, ["", "kept"], "{run}");
}
