//! Random numbers that are the same wherever and whenever an iteration runs.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// A sequence for each iteration. Costs nothing until the first number is asked for.
#[derive(Debug)]
pub(super) struct Random {
    base: u64,
    stream: u64,
    generator: Option<Xoshiro256PlusPlus>,
}

impl Random {
    /// Chooses the scenario's family of sequences.
    pub(super) fn new(seed: u64, scenario: &str) -> Self {
        // FNV-1a: written down here because it must never change, or a seed would mean something else.
        let name = scenario
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        Self { base: seed ^ name.rotate_left(32), stream: 0, generator: None }
    }

    /// Goes to the start of an iteration's sequence.
    pub(super) fn restart(&mut self, stream: u64) {
        self.stream = stream;
        self.generator = None;
    }

    /// A generator that goes its own way from here, for runtimes that keep one of their own.
    pub(super) fn fork(&self, salt: u64) -> Xoshiro256PlusPlus {
        seeded(self.base, self.stream ^ salt.rotate_left(17))
    }

    /// A number in [0, 1) with 53 random bits.
    pub(super) fn number(&mut self) -> f64 {
        (self.generator().next_u64() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    pub(super) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.generator().fill_bytes(&mut bytes);
        bytes
    }

    fn generator(&mut self) -> &mut Xoshiro256PlusPlus {
        let (base, stream) = (self.base, self.stream);
        self.generator.get_or_insert_with(|| seeded(base, stream))
    }
}

fn seeded(base: u64, stream: u64) -> Xoshiro256PlusPlus {
    // The golden ratio spreads neighbouring streams; SplitMix64 in `seed_from_u64` does the rest.
    Xoshiro256PlusPlus::seed_from_u64(base.wrapping_add(stream.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_iteration_has_the_same_sequence_whoever_runs_it() {
        let mut here = Random::new(42, "browse");
        here.restart(7);
        let first = [here.number(), here.number()];
        let mut there = Random::new(42, "browse");
        there.restart(3);
        let _ = there.number();
        there.restart(7);
        assert_eq!([there.number(), there.number()].map(f64::to_bits), first.map(f64::to_bits));
    }

    #[test]
    fn seeds_scenarios_and_iterations_differ() {
        let first = |seed, scenario, stream| {
            let mut random = Random::new(seed, scenario);
            random.restart(stream);
            random.number().to_bits()
        };
        let all = [first(1, "a", 0), first(2, "a", 0), first(1, "b", 0), first(1, "a", 1)];
        let distinct: std::collections::BTreeSet<_> = all.into_iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn the_first_numbers_of_a_seed_never_change() {
        let mut random = Random::new(42, "default");
        random.restart(0);
        let numbers: Vec<String> = (0..3).map(|_| format!("{:.12}", random.number())).collect();
        assert_eq!(numbers.join(" "), "0.411999764081 0.862221601837 0.660269279572");
    }
}
