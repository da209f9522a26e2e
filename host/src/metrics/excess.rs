//! What a journey had too much of, and how often.

use serde::{Deserialize, Serialize};

/// What a journey may have too much of. What goes beyond a limit is folded into `_other`, cut or dropped, and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Excess {
    /// Look-ups of checks whose names went to `_other`.
    Checks,
    /// Groups that were opened and went to `_other`.
    Groups,
    /// Groups that were not opened because too many were open.
    DeepGroups,
    /// Values of tags that went to `_other`.
    TagValues,
    /// Tags of samples that had too many, or whose name was one too many.
    Tags,
    /// Names and values that were cut.
    LongNames,
    /// Values of metrics that are no numbers, or too large.
    Values,
    /// Results and values for checks and metrics that do not exist.
    Ids,
    /// Cookie jars that were not made.
    Jars,
}

impl Excess {
    /// All of them, in the order in which they are told of.
    pub const ALL: [Self; 9] = [
        Self::Checks,
        Self::Groups,
        Self::DeepGroups,
        Self::TagValues,
        Self::Tags,
        Self::LongNames,
        Self::Values,
        Self::Ids,
        Self::Jars,
    ];
}

/// How often there was too much of each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excesses([u64; Excess::ALL.len()]);

impl Excesses {
    /// Counts one.
    pub fn count(&mut self, what: Excess) {
        self.0[what as usize] += 1;
    }

    /// How many there were of a kind.
    #[must_use]
    pub fn of(&self, what: Excess) -> u64 {
        self.0[what as usize]
    }

    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, count)| *sum += count);
    }
}
