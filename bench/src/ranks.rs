//! The Mann-Whitney U test: whether two samples are from one distribution, whatever its form.

/// The probability (two-sided) that samples of one distribution differ as much as these by chance,
/// in the normal approximation with the correction for ties: for a dozen values and more of each.
pub(crate) fn mann_whitney(one: &[f64], other: &[f64]) -> f64 {
    let (n1, n2) = (one.len() as f64, other.len() as f64);
    let n = n1 + n2;
    let mut all: Vec<(f64, bool)> = Vec::with_capacity(one.len() + other.len());
    all.extend(one.iter().map(|value| (*value, true)));
    all.extend(other.iter().map(|value| (*value, false)));
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut ranks, mut ties, mut before) = (0.0, 0.0, 0.0);
    for alike in all.chunk_by(|a, b| a.0 == b.0) {
        let count = alike.len() as f64;
        // Those that are alike share the mean of their ranks.
        let rank = before + (count + 1.0) / 2.0;
        ranks += rank * alike.iter().filter(|(_, first)| *first).count() as f64;
        ties += count.powi(3) - count;
        before += count;
    }
    let u = ranks - n1 * (n1 + 1.0) / 2.0;
    let variance = n1 * n2 / 12.0 * (n + 1.0 - ties / (n * (n - 1.0)));
    if variance <= 0.0 {
        return 1.0;
    }
    let z = ((u - n1 * n2 / 2.0).abs() - 0.5).max(0.0) / variance.sqrt();
    both_tails(z)
}

/// How much of the normal distribution is at least so far from its middle, to 1.5e-7 (Abramowitz and
/// Stegun, 7.1.26).
fn both_tails(z: f64) -> f64 {
    let x = z / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let factors = [
        1.061_405_429,
        -1.453_152_027,
        1.421_413_741,
        -0.284_496_736,
        0.254_829_592,
    ];
    let sum = factors.iter().fold(0.0, |sum, factor| (sum + factor) * t);
    sum * (-x * x).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Noise;

    #[test]
    fn tails_of_the_normal_distribution() {
        for (z, expected) in [(0.0, 1.0), (1.0, 0.3173), (1.959_964, 0.05), (3.0, 0.0027)] {
            assert!((both_tails(z) - expected).abs() < 1e-4, "{z}");
        }
    }

    #[test]
    fn a_published_example() {
        // Without ties: U of 25 is all that there is between two samples of 5 that are apart.
        let p = mann_whitney(&[1.0, 2.0, 3.0, 4.0, 5.0], &[6.0, 7.0, 8.0, 9.0, 10.0]);
        assert!((p - 0.012_186).abs() < 1e-4, "{p}");
    }

    #[test]
    fn what_is_alike_is_not_told_apart_and_a_small_shift_is() {
        let mut noise = Noise::new(3);
        let mut sample = |shift: f64| -> Vec<f64> {
            (0..1_000)
                .map(|_| noise.below(10_000) as f64 + shift)
                .collect()
        };
        let (one, other, later) = (sample(0.0), sample(0.0), sample(500.0));
        assert!(mann_whitney(&one, &other) > 0.01);
        assert!(mann_whitney(&one, &later) < 0.01);
        assert_eq!(mann_whitney(&[1.0; 50], &[1.0; 50]), 1.0);
    }
}
