//! Slabs of equal slots for linear memories and fiber stacks.
//!
//! wasmtime's defaults take six memory mappings per instance and end at about 10,900 VUs, at Linux's limit of 65,530
//! mappings. A slab is a few large mappings for all of them: 100,000 VUs fit without changing a system setting, and a
//! waiting VU costs the pages it touched (ADR 0004).
//!
//! This is the one module of squall with `unsafe` memory in it. What it relies on:
//! - A slot is handed out once at a time: it is in `free`, or owned by exactly one [`Memory`] or [`Stack`].
//! - A slot outlives its use: both own an `Arc` of the slab, and mappings go only when the slab does.
//! - A memory slot is zero when handed out: it is fresh, or its used part was given back with `MADV_DONTNEED`, after
//!   which a private anonymous mapping reads as zero (madvise(2)).

#![allow(unsafe_code, reason = "wasmtime's traits for host memory are unsafe; the proofs stand beside each use")]

use std::io;
use std::ops::Range;
use std::ptr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use wasmtime::{LinearMemory, MemoryCreator, MemoryType, StackCreator, StackMemory};

/// Slots of one mapping, where there is as much address space.
const SLOTS_PER_MAPPING: usize = 4096;
/// `MADV_GUARD_INSTALL` of Linux 6.13: pages that fault when touched, without a mapping of their own.
const MADV_GUARD_INSTALL: libc::c_int = 102;

/// Equal slots out of a few large mappings.
#[derive(Debug)]
struct Slab {
    slot: usize,
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    free: Vec<usize>,
    /// Slots of the newest mapping that were never handed out.
    fresh: Range<usize>,
    /// Address and length.
    mappings: Vec<(usize, usize)>,
}

impl Slab {
    fn new(slot: usize) -> Arc<Self> {
        Arc::new(Self { slot: slot.next_multiple_of(page()), slots: Mutex::default() })
    }

    /// Hands a slot out, and says whether it was used before.
    fn take(&self) -> io::Result<(usize, bool)> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        // The slot given back last is the one whose pages are most likely in the cache.
        if let Some(address) = slots.free.pop() {
            return Ok((address, true));
        }
        if slots.fresh.is_empty() {
            let (start, length) = self.map_slots()?;
            slots.mappings.push((start, length));
            slots.fresh = start..start + length;
        }
        let address = slots.fresh.start;
        slots.fresh.start += self.slot;
        Ok((address, false))
    }

    fn give_back(&self, address: usize) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).free.push(address);
    }

    /// Maps as many slots as there is address space for: a limit on it (`ulimit -v`, strict overcommit) makes for more and
    /// smaller mappings, not for an end.
    fn map_slots(&self) -> io::Result<(usize, usize)> {
        let mut slots = SLOTS_PER_MAPPING;
        loop {
            let length = self.slot * slots;
            match map(length) {
                Ok(start) => return Ok((start, length)),
                Err(error) if slots == 1 => return Err(error),
                Err(_) => slots /= 2,
            }
        }
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        let slots = self.slots.get_mut().unwrap_or_else(PoisonError::into_inner);
        for &(start, length) in &slots.mappings {
            // SAFETY: `map` made this mapping with this length, and no slot of it is in use, because its owner would
            // keep the slab alive.
            unsafe { libc::munmap(start as *mut libc::c_void, length) };
        }
    }
}

/// Asked for with every call of a guest, so the system is asked once.
fn page() -> usize {
    static PAGE: OnceLock<usize> = OnceLock::new();
    *PAGE.get_or_init(rustix::param::page_size)
}

fn map(length: usize) -> io::Result<usize> {
    // SAFETY: an anonymous mapping at an address of the kernel's choice overlaps nothing.
    let start = unsafe {
        libc::mmap(
            ptr::null_mut(),
            length,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // A huge page would make 2 MiB of each 4 KiB touched. Where the advice is not known, there are none.
    // SAFETY: the range was mapped above; the advice changes no contents.
    unsafe { libc::madvise(start, length, libc::MADV_NOHUGEPAGE) };
    Ok(start as usize)
}

/// Makes linear memories out of slots of `slot` bytes, which is the most a memory can grow to.
#[derive(Debug)]
pub(super) struct Memories(Arc<Slab>);

impl Memories {
    pub(super) fn new(slot: usize) -> Self {
        Self(Slab::new(slot))
    }
}

#[derive(Debug)]
struct Memory {
    slab: Arc<Slab>,
    address: usize,
    size: usize,
}

// SAFETY: the slot is zero, is not moved, and is as large as `byte_capacity` says. No reservation and no guard are asked
// for (`memory_reservation(0)`, `memory_guard_size(0)` in `engine.rs`; checked here), so compiled code tests bounds itself.
unsafe impl MemoryCreator for Memories {
    fn new_memory(
        &self,
        _ty: MemoryType,
        minimum: usize,
        _maximum: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        if guard != 0 || reserved.is_some_and(|bytes| bytes > self.0.slot) {
            return Err("the engine asks for guard pages, which slots do not have".to_owned());
        }
        if minimum > self.0.slot {
            return Err(format!("a memory of {minimum} bytes is over the limit of {} bytes", self.0.slot));
        }
        let (address, _) = self.0.take().map_err(|error| error.to_string())?;
        Ok(Box::new(Memory { slab: Arc::clone(&self.0), address, size: minimum }))
    }
}

// SAFETY: the slot belongs to this memory until it is dropped, and `size` never passes the slot.
unsafe impl LinearMemory for Memory {
    fn byte_size(&self) -> usize {
        self.size
    }

    fn byte_capacity(&self) -> usize {
        self.slab.slot
    }

    fn grow_to(&mut self, size: usize) -> wasmtime::Result<()> {
        if size > self.slab.slot {
            return Err(wasmtime::format_err!(
                "a memory of {size} bytes is over the limit of {} bytes",
                self.slab.slot
            ));
        }
        self.size = size;
        Ok(())
    }

    fn as_ptr(&self) -> *mut u8 {
        self.address as *mut u8
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let used = self.size.next_multiple_of(page());
        // SAFETY: the range is within this memory's slot, and nothing refers to it any more.
        let given_back = unsafe { libc::madvise(self.address as *mut libc::c_void, used, libc::MADV_DONTNEED) };
        // A slot that could not be cleared is never handed out again: its next owner would see this one's data.
        if used == 0 || given_back == 0 {
            self.slab.give_back(self.address);
        }
    }
}

/// Makes fiber stacks of one size, each with a guard page at its low end.
#[derive(Debug)]
pub(super) struct Stacks(Arc<Slab>);

impl Stacks {
    pub(super) fn new(size: usize) -> Self {
        Self(Slab::new(size + page()))
    }
}

#[derive(Debug)]
struct Stack {
    slab: Arc<Slab>,
    address: usize,
}

// SAFETY: the stack is page-aligned, has at least the size asked for, and a guard page below it that faults.
unsafe impl StackCreator for Stacks {
    fn new_stack(&self, size: usize, zeroed: bool) -> wasmtime::Result<Box<dyn StackMemory>> {
        if size + page() > self.0.slot {
            return Err(wasmtime::format_err!(
                "a stack of {size} bytes is over the limit of {} bytes",
                self.0.slot - page()
            ));
        }
        let (address, used) = self.0.take()?;
        let stack = Stack { slab: Arc::clone(&self.0), address };
        if used && zeroed {
            let length = self.0.slot - page();
            // SAFETY: the range is this slot without its guard page, and nothing runs on it yet.
            let cleared =
                unsafe { libc::madvise((address + page()) as *mut libc::c_void, length, libc::MADV_DONTNEED) };
            if cleared != 0 {
                return Err(io::Error::last_os_error().into());
            }
        }
        if !used {
            guard(address)?;
        }
        Ok(Box::new(stack))
    }
}

/// Makes the page at `address` fault when touched.
fn guard(address: usize) -> io::Result<()> {
    let start = address as *mut libc::c_void;
    // SAFETY: the page is the lowest of a slot that was just handed out and is not in use yet.
    let installed = unsafe { libc::madvise(start, page(), MADV_GUARD_INSTALL) } == 0
        // Before Linux 6.13, a protection does the same and splits the mapping.
        || unsafe { libc::mprotect(start, page(), libc::PROT_NONE) } == 0;
    if installed { Ok(()) } else { Err(io::Error::last_os_error()) }
}

// SAFETY: the slot belongs to this stack until it is dropped; the three ranges are parts of it.
unsafe impl StackMemory for Stack {
    fn top(&self) -> *mut u8 {
        (self.address + self.slab.slot) as *mut u8
    }

    fn range(&self) -> Range<usize> {
        self.address + page()..self.address + self.slab.slot
    }

    fn guard_range(&self) -> Range<*mut u8> {
        self.address as *mut u8..(self.address + page()) as *mut u8
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // The pages stay: the next fiber on this slot will touch the same ones.
        self.slab.give_back(self.address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(slab: &Arc<Slab>, size: usize) -> Memory {
        Memory { slab: Arc::clone(slab), address: slab.take().unwrap().0, size }
    }

    #[test]
    fn a_slot_is_zero_again_when_it_is_handed_out_again() {
        let slab = Slab::new(1 << 20);
        let first = memory(&slab, 1 << 16);
        let address = first.address;
        // SAFETY: the memory owns its slot, which is larger than this.
        unsafe { first.as_ptr().write_bytes(0xff, 1 << 16) };
        drop(first);
        let second = memory(&slab, 1 << 16);
        assert_eq!(second.address, address, "the slot was not used again");
        // SAFETY: as above.
        let bytes = unsafe { std::slice::from_raw_parts(second.as_ptr(), 1 << 16) };
        assert!(bytes.iter().all(|&byte| byte == 0));
    }

    #[test]
    fn slots_do_not_overlap() {
        let slab = Slab::new(1 << 16);
        let mut starts: Vec<usize> = (0..SLOTS_PER_MAPPING + 10).map(|_| slab.take().unwrap().0).collect();
        starts.sort_unstable();
        assert!(starts.windows(2).all(|pair| pair[1] - pair[0] >= 1 << 16));
        assert_eq!(slab.slots.lock().unwrap().mappings.len(), 2);
    }

    #[test]
    fn a_memory_does_not_grow_past_its_slot() {
        let slab = Slab::new(1 << 16);
        let mut memory = memory(&slab, 0);
        memory.grow_to(1 << 16).unwrap();
        assert!(memory.grow_to((1 << 16) + 1).is_err());
        assert_eq!(memory.byte_size(), 1 << 16);
    }

    #[test]
    fn the_page_below_a_stack_is_guarded_and_the_stack_is_not() {
        let stack = Stacks::new(1 << 16).new_stack(1 << 16, false).unwrap();
        assert_eq!(stack.range().len(), 1 << 16);
        // SAFETY: the byte is in the stack, which nothing runs on.
        unsafe { stack.top().sub(1).write(1) };
        // A system call that is given the guard page says EFAULT instead of ending this process.
        // SAFETY: the kernel checks the address.
        let read = unsafe { libc::write(1, stack.guard_range().start.cast(), 0) };
        assert_eq!(read, 0);
        let pipe = io::pipe().unwrap();
        let descriptor = std::os::fd::AsRawFd::as_raw_fd(&pipe.1);
        // SAFETY: the kernel checks the address.
        let written = unsafe { libc::write(descriptor, stack.guard_range().start.cast(), 1) };
        assert_eq!((written, io::Error::last_os_error().raw_os_error()), (-1, Some(libc::EFAULT)));
    }
}
