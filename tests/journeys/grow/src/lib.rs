//! Allocates and writes until the host refuses, then traps as a journey out of memory does.

use std::hint::black_box;

fn grow() {
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    loop {
        blocks.push(vec![1; 1 << 20]);
        black_box(&blocks);
    }
}

squall_sdk::journey!(grow);
