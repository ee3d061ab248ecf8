//! What one server did in one case.

use std::time::Duration;

use crate::procfs::Memory;

/// One measurement, or the middle of several.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Figure {
    /// In the unit of the case's measure.
    pub(crate) value: f64,
    /// Seconds of processor time for one unit of work: a request, a byte, a push.
    pub(crate) cpu: Option<f64>,
    pub(crate) p50: Option<Duration>,
    pub(crate) p99: Option<Duration>,
    /// The highest resident memory, in bytes.
    pub(crate) peak: u64,
    /// How far that was above what was resident before, in bytes.
    pub(crate) growth: u64,
}

impl Figure {
    /// With the memory before and after the case.
    pub(crate) fn memory(mut self, before: Memory, after: Memory) -> Self {
        self.peak = after.peak;
        self.growth = after.peak.saturating_sub(before.resident);
        self
    }

    /// The middle of several rounds, each part for itself; of memory the highest.
    pub(crate) fn middle(rounds: &[Self]) -> Self {
        let all = |part: fn(&Self) -> Option<f64>| median(rounds.iter().filter_map(part).collect());
        let time = |part: fn(&Self) -> Option<f64>| all(part).map(Duration::from_secs_f64);
        Self {
            value: all(|round| Some(round.value)).unwrap_or_default(),
            cpu: all(|round| round.cpu),
            p50: time(|round| round.p50.map(|time| time.as_secs_f64())),
            p99: time(|round| round.p99.map(|time| time.as_secs_f64())),
            peak: rounds
                .iter()
                .map(|round| round.peak)
                .max()
                .unwrap_or_default(),
            growth: rounds
                .iter()
                .map(|round| round.growth)
                .max()
                .unwrap_or_default(),
        }
    }
}

/// The middle one; of an even number the mean of both.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle), values.len() % 2) {
        (Some(value), 1) => Some(*value),
        (Some(upper), _) => Some((upper + values.get(middle - 1)?) / 2.0),
        (None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn the_middle_takes_each_part_for_itself() {
        let round = |value: f64, cpu: f64, peak: u64| Figure {
            value,
            cpu: Some(cpu),
            peak,
            ..Figure::default()
        };
        let middle = Figure::middle(&[round(1.0, 9.0, 5), round(2.0, 8.0, 7), round(3.0, 7.0, 6)]);
        assert_eq!(middle, round(2.0, 8.0, 7));
    }
}
