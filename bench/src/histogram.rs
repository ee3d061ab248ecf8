//! Latencies, counted in buckets that are 1/64 of their own size wide: constant memory, and no
//! quantile that is wrong by more than 2 %.

use std::time::Duration;

/// Buckets of one power of two.
const STEPS: u64 = 64;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// All buckets that 64 bits of nanoseconds need.
const BUCKETS: usize = (64 - STEP_BITS as usize + 1) * STEPS as usize;

/// How many of what duration.
#[derive(Clone)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            total: 0,
        }
    }

    /// Counts one.
    pub(crate) fn record(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get_mut(bucket(nanos)) {
            *count += 1;
            self.total += 1;
        }
    }

    /// Adds the counts of another one.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
    }

    /// How many were counted.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// What this share (0 to 1) of all did not exceed; zero where nothing was counted.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let wanted = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_nanos(highest(index));
            }
        }
        Duration::ZERO
    }
}

fn bucket(nanos: u64) -> usize {
    if nanos < STEPS {
        return nanos as usize;
    }
    let power = nanos.ilog2() - STEP_BITS;
    let step = (nanos >> power) - STEPS;
    ((u64::from(power) + 1) * STEPS + step) as usize
}

/// The highest value of a bucket.
fn highest(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let (power, step) = (bucket / STEPS, bucket % STEPS);
    if power == 0 {
        return step;
    }
    let next = u128::from(STEPS + step + 1) << (power - 1);
    u64::try_from(next - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_is_within_its_bucket() {
        for nanos in
            (0..64).flat_map(|bit| [1_u64 << bit, (1 << bit) - 1, (1 << bit) + (1 << bit) / 3])
        {
            let top = highest(bucket(nanos));
            assert!(top >= nanos, "{nanos} {top}");
            assert!(top as f64 <= nanos as f64 * 1.02, "{nanos} {top}");
        }
        assert_eq!(highest(bucket(u64::MAX)), u64::MAX);
    }

    #[test]
    fn quantiles_of_a_thousand() {
        let mut histogram = Histogram::new();
        for micros in 1..=1_000 {
            histogram.record(Duration::from_micros(micros));
        }
        for (share, micros) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1_000.0)] {
            let found = histogram.quantile(share).as_secs_f64() * 1e6;
            assert!((micros..micros * 1.02).contains(&found), "{share}: {found}");
        }
    }

    #[test]
    fn a_merge_counts_both() {
        let (mut one, mut two) = (Histogram::new(), Histogram::new());
        one.record(Duration::from_millis(1));
        two.record(Duration::from_millis(9));
        one.merge(&two);
        assert_eq!(one.total(), 2);
        assert!(one.quantile(1.0) >= Duration::from_millis(9));
        assert_eq!(Histogram::new().quantile(0.5), Duration::ZERO);
    }
}
