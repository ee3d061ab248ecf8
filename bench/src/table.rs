//! What is printed: one table of ratios, and one with everything that was measured.

use std::fmt::Write as _;
use std::time::Duration;

use crate::case::{AS_IT_COMES, Bound, Case, Measure, ROADSTEAD};
use crate::figure::Figure;

/// A case with what each server did in it.
pub(crate) struct Outcome {
    pub(crate) case: &'static Case,
    /// By the server's name, in the order of the columns.
    pub(crate) figures: Vec<(String, Figure)>,
}

impl Outcome {
    fn of(&self, server: &str) -> Option<&Figure> {
        let found = self.figures.iter().find(|(name, _)| name == server);
        found.map(|(_, figure)| figure)
    }

    /// Roadstead's value over that of the reference.
    fn ratio(&self, server: &str) -> Option<f64> {
        ratio(self.of(server)?.value, self.of(self.case.reference)?.value)
    }

    fn cpu_ratio(&self, server: &str) -> Option<f64> {
        ratio(self.of(server)?.cpu?, self.of(self.case.reference)?.cpu?)
    }

    /// Whether the bound holds; `None` where there is nothing to compare with.
    fn holds(&self) -> Option<bool> {
        match self.case.bound? {
            Bound::AtLeast(least) => self.ratio(ROADSTEAD).map(|ratio| ratio >= least),
            Bound::AtMost(most) => self.ratio(ROADSTEAD).map(|ratio| ratio <= most),
            Bound::Below(limit) => self.of(ROADSTEAD).map(|figure| figure.value < limit),
            Bound::Above(limit) => self.of(ROADSTEAD).map(|figure| figure.value > limit),
        }
    }

    fn cpu_holds(&self) -> Option<bool> {
        let most = self.case.cpu_at_most?;
        self.cpu_ratio(ROADSTEAD).map(|ratio| ratio <= most)
    }
}

fn ratio(one: f64, other: f64) -> Option<f64> {
    (other > 0.0).then(|| one / other)
}

/// The table of ratios, in Markdown. What misses its target is set in bold.
pub(crate) fn ratios(outcomes: &[Outcome]) -> String {
    let mut servers: Vec<&str> = vec![ROADSTEAD];
    for (name, _) in outcomes.iter().flat_map(|outcome| &outcome.figures) {
        if !servers.contains(&name.as_str()) && name != AS_IT_COMES {
            servers.push(name);
        }
    }
    let mut head = vec!["case"];
    head.extend(&servers);
    head.extend(["ratio", "target", "CPU ratio", "target"]);
    let mut text = row(head.iter().map(|cell| (*cell).to_owned()));
    text.push_str(&format!("|---|{}\n", "---:|".repeat(head.len() - 1)));
    for outcome in outcomes {
        let mut cells = vec![outcome.case.title.to_owned()];
        for server in &servers {
            let figure = outcome.of(server);
            cells.push(figure.map_or_else(String::new, |figure| {
                let text = amount(outcome.case.measure, figure.value);
                let alone = matches!(outcome.case.bound, Some(Bound::Below(_) | Bound::Above(_)));
                if alone && *server == ROADSTEAD {
                    marked(text, outcome.holds())
                } else {
                    text
                }
            }));
        }
        cells.push(times(outcome.ratio(ROADSTEAD), outcome.holds()));
        cells.push(bound(outcome.case));
        cells.push(times(outcome.cpu_ratio(ROADSTEAD), outcome.cpu_holds()));
        cells.push(
            outcome
                .case
                .cpu_at_most
                .map_or_else(String::new, |most| format!("≤ {most:.2}")),
        );
        text.push_str(&row(cells));
    }
    text
}

/// Everything that was measured, in Markdown.
pub(crate) fn details(outcomes: &[Outcome]) -> String {
    let head = [
        "case",
        "server",
        "figure",
        "ratio",
        "p50",
        "p99",
        "CPU",
        "CPU ratio",
        "peak RSS",
        "growth",
    ];
    let mut text = row(head.map(str::to_owned));
    text.push_str(&format!("|---|---|{}\n", "---:|".repeat(head.len() - 2)));
    for outcome in outcomes {
        for (server, figure) in &outcome.figures {
            text.push_str(&row([
                outcome.case.name.to_owned(),
                server.clone(),
                amount(outcome.case.measure, figure.value),
                times(outcome.ratio(server), None),
                figure.p50.map_or_else(String::new, time),
                figure.p99.map_or_else(String::new, time),
                figure
                    .cpu
                    .map_or_else(String::new, |cpu| cost(outcome.case.measure, cpu)),
                times(outcome.cpu_ratio(server), None),
                memory(figure, figure.peak),
                memory(figure, figure.growth),
            ]));
        }
    }
    text
}

fn row(cells: impl IntoIterator<Item = String>) -> String {
    let mut text = String::from("|");
    for cell in cells {
        let _ = write!(text, " {cell} |");
    }
    text.push('\n');
    text
}

fn times(ratio: Option<f64>, holds: Option<bool>) -> String {
    ratio.map_or_else(String::new, |ratio| marked(format!("{ratio:.2}"), holds))
}

fn marked(text: String, holds: Option<bool>) -> String {
    if holds == Some(false) {
        format!("**{text}**")
    } else {
        text
    }
}

fn bound(case: &Case) -> String {
    match case.bound {
        None => String::new(),
        Some(Bound::AtLeast(least)) => format!("≥ {least:.2}"),
        Some(Bound::AtMost(most)) => format!("≤ {most:.2}"),
        Some(Bound::Below(limit)) => format!("< {}", amount(case.measure, limit)),
        Some(Bound::Above(limit)) => format!("> {}", amount(case.measure, limit)),
    }
}

fn amount(measure: Measure, value: f64) -> String {
    match measure {
        Measure::PerSecond(unit) => format!("{} {unit}/s", thousands(value)),
        Measure::BytesPerSecond => format!("{} MiB/s", thousands(value / 1_048_576.0)),
        Measure::Seconds => format!("{value:.2} s"),
        Measure::Milliseconds => format!("{value:.1} ms"),
        Measure::Bytes => mebibytes(value),
        Measure::Share => format!("{value:.2}"),
    }
}

/// Processor time for one unit of work.
fn cost(measure: Measure, seconds: f64) -> String {
    match measure {
        Measure::PerSecond(_) => format!("{:.1} µs", seconds * 1e6),
        Measure::BytesPerSecond => format!("{:.1} µs/MiB", seconds * 1e6 * 1_048_576.0),
        _ => format!("{seconds:.2} s"),
    }
}

/// Nothing where memory was not looked at.
fn memory(figure: &Figure, bytes: u64) -> String {
    if figure.peak == 0 {
        return String::new();
    }
    mebibytes(bytes as f64)
}

fn mebibytes(bytes: f64) -> String {
    format!("{:.1} MiB", bytes / 1_048_576.0)
}

fn time(duration: Duration) -> String {
    let micros = duration.as_secs_f64() * 1e6;
    if micros < 1_000.0 {
        format!("{micros:.0} µs")
    } else {
        format!("{:.1} ms", micros / 1e3)
    }
}

/// Without a fraction, in groups of three digits; small numbers with one digit after the point.
fn thousands(value: f64) -> String {
    if value < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{CASES, NGINX};

    fn outcome(name: &str, figures: &[(&str, f64, Option<f64>)]) -> Outcome {
        let case = CASES.iter().find(|case| case.name == name).unwrap();
        let figures = figures.iter().map(|(server, value, cpu)| {
            let figure = Figure {
                value: *value,
                cpu: *cpu,
                ..Figure::default()
            };
            ((*server).to_owned(), figure)
        });
        Outcome {
            case,
            figures: figures.collect(),
        }
    }

    #[test]
    fn a_missed_target_is_bold() {
        let slow = outcome(
            "manifest-tag",
            &[
                (ROADSTEAD, 12_345.0, Some(2e-5)),
                (NGINX, 20_000.0, Some(1e-5)),
            ],
        );
        let text = ratios(&[slow]);
        let last = text.lines().last().unwrap();
        assert_eq!(
            last,
            "| manifest of 1,200 bytes by tag | 12,345 req/s | 20,000 req/s | **0.62** | ≥ 0.90 | \
             **2.00** | ≤ 1.20 |"
        );
    }

    #[test]
    fn a_case_without_its_reference_has_no_ratio() {
        let lonely = outcome("push-stream", &[(ROADSTEAD, 1.5, Some(0.25))]);
        let text = ratios(&[lonely]);
        let last = text.lines().last().unwrap();
        assert!(
            last.contains("| 1.50 s |  | ≤ 0.80 |  | ≤ 0.90 |"),
            "{last}"
        );
    }

    #[test]
    fn a_limit_is_shown_in_the_unit_of_the_figure() {
        let fat = outcome("idle", &[(ROADSTEAD, 30_000_000.0, None)]);
        let text = ratios(&[fat]);
        assert!(text.contains("| **28.6 MiB** |  | < 20.0 MiB |"), "{text}");
    }

    #[test]
    fn rows_have_as_many_cells_as_the_head() {
        let outcomes = [
            outcome(
                "blob-1m",
                &[(ROADSTEAD, 5e8, Some(1e-9)), (AS_IT_COMES, 4e8, None)],
            ),
            outcome("start", &[(ROADSTEAD, 12.0, None)]),
        ];
        for text in [ratios(&outcomes), details(&outcomes)] {
            let cells: Vec<usize> = text.lines().map(|line| line.matches('|').count()).collect();
            assert!(cells.windows(2).all(|pair| pair[0] == pair[1]), "{text}");
        }
    }

    #[test]
    fn numbers_are_grouped() {
        for (value, text) in [
            (9.96, "10.0"),
            (123.4, "123"),
            (1_234.5, "1,234"),
            (1e6, "1,000,000"),
        ] {
            assert_eq!(thousands(value), text);
        }
    }
}
