//! The few functions of C's library through which Rust's standard library would reach WASI.
//!
//! The linker takes a definition from here before it looks into wasi-libc, so a journey imports nothing of WASI for a
//! panic message or a `println!`: text goes to the host's log, and the process environment is empty, as the contract
//! says. Only wasm32-wasip2 has this; the names and signatures are those of wasi-libc.

#![allow(unsafe_code, reason = "the symbols of a C library take raw pointers; nothing else in the crate does")]

use std::cell::RefCell;
use std::ffi::{c_char, c_int};

use super::lines::Lines;
use crate::log;

const STDOUT: c_int = 1;
const STDERR: c_int = 2;

thread_local! {
    static STDOUT_LINES: RefCell<Lines> = const { RefCell::new(Lines::new()) };
    static STDERR_LINES: RefCell<Lines> = const { RefCell::new(Lines::new()) };
}

/// A part of what `writev` writes.
#[repr(C)]
struct IoVec {
    base: *const u8,
    len: usize,
}

fn append(fd: c_int, bytes: &[u8]) {
    match fd {
        STDOUT => STDOUT_LINES.with_borrow_mut(|lines| lines.append(bytes, log::info)),
        STDERR => STDERR_LINES.with_borrow_mut(|lines| lines.append(bytes, log::warn)),
        _ => {}
    }
}

/// # Safety
///
/// As for `write(2)`: `base` points to `len` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn write(fd: c_int, base: *const u8, len: usize) -> isize {
    if !base.is_null() {
        // SAFETY: the caller's promise above.
        append(fd, unsafe { std::slice::from_raw_parts(base, len) });
    }
    len.cast_signed()
}

/// # Safety
///
/// As for `writev(2)`: `parts` points to `count` parts, each of which points to `len` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn writev(fd: c_int, parts: *const IoVec, count: c_int) -> isize {
    let mut written = 0;
    for part in 0..usize::try_from(count).unwrap_or(0) {
        // SAFETY: the caller's promise above.
        written += unsafe {
            let part = &*parts.add(part);
            write(fd, part.base, part.len)
        };
    }
    written
}

/// No variable of the process is visible.
#[unsafe(no_mangle)]
extern "C" fn getenv(_name: *const c_char) -> *mut c_char {
    std::ptr::null_mut()
}

/// Names no error: nothing here fails, and the names of all errors would be 2 KiB in every instance.
#[unsafe(no_mangle)]
extern "C" fn strerror_r(_error: c_int, text: *mut c_char, len: usize) -> c_int {
    if len > 0 && !text.is_null() {
        // SAFETY: as for `strerror_r(3)`, `text` points to `len` bytes.
        unsafe { text.write(0) };
    }
    0
}
