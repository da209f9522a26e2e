//! Counts of quantised values with three significant digits, in HDR histogram's layout.
//!
//! Values below 2048 have a bucket each; above, each power of two has 1024. The crate `hdrhistogram` has the same
//! layout and is what the tests compare with, but it keeps one array for the whole range and gives no way to read it
//! but an iterator over every bucket. A page per power of two, made when it is first needed, takes a tenth of the memory
//! for latencies that lie close together, and emptying it once a second costs one pass over the pages in use.

/// Significant bits of a bucket's index within its power of two.
const BITS: u32 = 10;
const PAGE: usize = 1 << BITS;
/// Buckets that are looked at together.
const GROUP: usize = 16;
/// Values are cut to this. In tenths of a microsecond: 3,600 years.
pub(super) const LARGEST: u64 = (1 << 60) - 1;
/// The pages of values up to [`LARGEST`]: two for values below 2048, one for each power of two above.
const PAGES: usize = (60 - BITS) as usize + 1;

/// Returns the bucket of a value.
fn bucket(value: u64) -> usize {
    let value = value.min(LARGEST);
    // Below 2 * PAGE nothing is shifted away, so those values are their own bucket.
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(BITS + 1);
    (shift as usize) * PAGE + (value >> shift) as usize
}

/// Returns the middle of a bucket, which is what its values are taken for.
fn middle(bucket: usize) -> u64 {
    let shift = (bucket / PAGE).saturating_sub(1);
    let lowest = ((bucket - shift * PAGE) as u64) << shift;
    lowest + ((1 << shift) >> 1)
}

/// Returns the value that stands for `value` and all others of its bucket.
pub(super) fn representative(value: u64) -> u64 {
    middle(bucket(value))
}

/// Counts by bucket.
#[derive(Debug, Clone, Default)]
pub(super) struct Histogram {
    pages: Vec<Option<Box<[u64; PAGE]>>>,
}

impl Histogram {
    /// Counts a value `count` times.
    #[inline]
    pub(super) fn record(&mut self, value: u64, count: u64) {
        let bucket = bucket(value);
        if let Some(Some(page)) = self.pages.get_mut(bucket / PAGE) {
            page[bucket % PAGE] += count;
        } else {
            self.record_on_new_page(bucket, count);
        }
    }

    #[cold]
    fn record_on_new_page(&mut self, bucket: usize, count: u64) {
        if self.pages.is_empty() {
            self.pages.resize_with(PAGES, || None);
        }
        self.pages[bucket / PAGE].get_or_insert_with(|| Box::new([0; PAGE]))[bucket % PAGE] += count;
    }

    /// Representatives and counts of the buckets that are not empty, in the order of the values.
    pub(super) fn entries(&self) -> Vec<(u64, u64)> {
        let mut entries = Vec::new();
        for (number, page) in self.pages.iter().enumerate() {
            let Some(page) = page else { continue };
            for (group, counts) in page.chunks_exact(GROUP).enumerate() {
                // Latencies lie close together, so most groups are empty, and that is a matter of few instructions.
                if counts.iter().fold(0, |any, count| any | count) == 0 {
                    continue;
                }
                let first = number * PAGE + group * GROUP;
                let used = counts.iter().enumerate().filter(|(_, count)| **count > 0);
                entries.extend(used.map(|(index, count)| (middle(first + index), *count)));
            }
        }
        entries
    }

    /// Takes the counts out and keeps the pages, zeroed.
    pub(super) fn drain(&mut self) -> Vec<(u64, u64)> {
        let entries = self.entries();
        self.pages.iter_mut().flatten().for_each(|page| page.fill(0));
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_values_are_exact_and_the_largest_has_a_page() {
        for value in 0..2048 {
            assert_eq!(representative(value), value);
        }
        assert_eq!(bucket(u64::MAX) / PAGE, PAGES - 1);
        let mut histogram = Histogram::default();
        histogram.record(u64::MAX, 3);
        assert_eq!(histogram.drain().len(), 1);
        assert_eq!(histogram.entries().len(), 0, "draining empties it");
    }

    proptest! {
        #[test]
        fn buckets_are_those_of_an_hdr_histogram_with_three_digits(value in 1_u64..(1 << 40)) {
            let reference = hdrhistogram::Histogram::<u64>::new(3).unwrap();
            prop_assert_eq!(representative(value), reference.median_equivalent(value));
        }

        #[test]
        fn a_representative_is_its_own_and_close(value in 0..LARGEST) {
            let middle = representative(value);
            prop_assert_eq!(representative(middle), middle);
            prop_assert!(middle.abs_diff(value) as f64 <= value as f64 * 0.0005 + 0.5);
        }
    }
}
