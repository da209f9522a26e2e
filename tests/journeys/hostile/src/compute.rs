//! Takes the processor, the stack and the memory.

use std::hint::black_box;
use std::time::Duration;

use squall_sdk::vu::{self, sleep};

use crate::Attempt;

pub fn attack(name: &str) -> Option<Attempt> {
    Some(match name {
        "nothing" => Ok("nothing".to_owned()),
        "loop" => spin(),
        "loop-with-calls" => spin_and_call(),
        "fill" => fill(),
        "recursion" => Ok(format!("{}", recurse(1))),
        "grow" => grow(),
        "grow-by-hand" => Ok(grow_by_hand()),
        "panic" => Ok(look_for(&[])),
        "wait-for-ever" => Ok(wait_for_ever()),
        "sleep-flood" => Ok(sleep_flood()),
        _ => return None,
    })
}

fn spin() -> ! {
    let mut number = 0_u64;
    loop {
        number = black_box(number.wrapping_add(1));
    }
}

/// Never computes for long without calling the host, and never waits.
fn spin_and_call() -> ! {
    loop {
        black_box(vu::now());
    }
}

/// Spends its time inside one instruction, `memory.fill`.
fn fill() -> ! {
    let mut memory = vec![0_u8; 40 << 20];
    loop {
        memory.fill(black_box(7));
        black_box(&memory);
    }
}

#[inline(never)]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 16]);
    if frame[0] == 0 {
        return 0;
    }
    frame[0] + recurse(black_box(depth + 1)) + frame[15]
}

fn grow() -> ! {
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    loop {
        blocks.push(vec![1; 1 << 20]);
        black_box(&blocks);
    }
}

/// Takes all the memory that it is given, page by page, and writes into it.
#[cfg(target_family = "wasm")]
#[allow(unsafe_code, reason = "the instruction is the attack")]
fn grow_by_hand() -> String {
    let mut pages = 0_usize;
    loop {
        let before = core::arch::wasm32::memory_grow::<0>(16);
        if before == usize::MAX {
            return format!("refused after {} MiB", pages / 16);
        }
        // SAFETY: the pages are new, and nobody else knows of them.
        unsafe { core::ptr::write_bytes((before << 16) as *mut u8, 1, 16 << 16) };
        pages = before + 16;
    }
}

#[cfg(not(target_family = "wasm"))]
fn grow_by_hand() -> String {
    String::new()
}

#[inline(never)]
fn look_for(items: &[u32]) -> String {
    let item = items.iter().find(|item| **item == black_box(7)).expect("item 7 is in the \x1b[31mcart\x1b[0m");
    item.to_string()
}

fn wait_for_ever() -> String {
    sleep(Duration::from_secs(u64::MAX / 1000));
    "woke up".to_owned()
}

fn sleep_flood() -> String {
    for _ in 0..1_000_000 {
        sleep(Duration::ZERO);
    }
    "slept 1,000,000 times".to_owned()
}
