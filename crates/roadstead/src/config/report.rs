//! What loading has to say: problems that stop the start, warnings, and notes.
//!
//! Loading goes on after a problem, so that one run names all of them, each in one line.

use std::cell::RefCell;
use std::fmt;

use super::node::Origin;

/// Collects while the configuration is read.
#[derive(Debug, Default)]
pub(crate) struct Report(RefCell<Lines>);

/// The collected lines, in the order in which they came up.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<String>,
    pub(crate) notes: Vec<String>,
}

/// One reason why the configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    place: String,
    message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

impl Report {
    /// Stops the start, once everything is read.
    pub(crate) fn refuse(&self, origin: &Origin, message: &str) {
        let problem = Problem {
            place: origin.to_string(),
            message: one_line(message),
        };
        self.0.borrow_mut().problems.push(problem);
    }

    /// Something that works, but is perhaps not meant.
    pub(crate) fn warn(&self, line: &str) {
        self.0.borrow_mut().warnings.push(one_line(line));
    }

    /// Something that the operator may want to know.
    pub(crate) fn note(&self, line: &str) {
        self.0.borrow_mut().notes.push(one_line(line));
    }

    pub(crate) fn into_lines(self) -> Lines {
        self.0.into_inner()
    }
}

/// Names and values come from files and variables: control characters in them must neither break
/// the line nor colour the terminal.
fn one_line(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let escape = c.is_control();
            let plain = (!escape).then_some(c);
            let escaped = escape.then(|| c.escape_default()).into_iter().flatten();
            plain.into_iter().chain(escaped)
        })
        .collect()
}
