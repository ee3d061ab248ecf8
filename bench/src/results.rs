//! What a run has to show: a case that fails is told of, and the others go on.

use anyhow::{Result, bail};

use crate::case::Case;
use crate::figure::Figure;
use crate::table::{self, Outcome};

/// Outcomes and failures so far.
#[derive(Default)]
pub(crate) struct Results {
    outcomes: Vec<Outcome>,
    failed: Vec<&'static str>,
}

impl Results {
    /// Takes what each server did in a case, by the server's name.
    pub(crate) fn take(&mut self, case: &'static Case, figures: Result<Vec<(String, Figure)>>) {
        match figures {
            Ok(figures) => self.outcomes.push(Outcome { case, figures }),
            Err(error) => {
                eprintln!("{} failed: {error:#}", case.name);
                self.failed.push(case.name);
            }
        }
    }

    /// Both tables, in Markdown.
    pub(crate) fn tables(&self) -> String {
        let (ratios, details) = (
            table::ratios(&self.outcomes),
            table::details(&self.outcomes),
        );
        format!("{ratios}\n{details}")
    }

    /// # Errors
    /// Where a case failed.
    pub(crate) fn conclude(&self) -> Result<()> {
        if self.failed.is_empty() {
            return Ok(());
        }
        bail!("failed: {}", self.failed.join(", "))
    }
}

/// The order of one round: each server is the first in turn.
pub(crate) fn order(round: u32, servers: usize) -> impl Iterator<Item = usize> {
    let first = round as usize;
    (0..servers).map(move |place| (place + first) % servers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::CASES;

    #[test]
    fn a_failure_is_told_of_at_the_end() {
        let (one, two) = (&CASES[0], &CASES[1]);
        let mut results = Results::default();
        results.take(one, Ok(vec![("Roadstead".to_owned(), Figure::default())]));
        assert!(results.conclude().is_ok());
        results.take(two, Err(anyhow::anyhow!("gone")));
        let said = results.conclude().unwrap_err().to_string();
        assert_eq!(said, format!("failed: {}", two.name));
        assert!(results.tables().contains(one.title));
    }

    #[test]
    fn every_server_has_its_turn_in_every_round() {
        assert_eq!(order(1, 3).collect::<Vec<_>>(), [1, 2, 0]);
        assert_eq!(order(3, 3).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(order(5, 0).count(), 0);
    }
}
