//! The cases: what each is called, in what it is measured, and what it has to reach.

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    /// So many a second; more is better.
    PerSecond(&'static str),
    /// Bytes a second; more is better.
    BytesPerSecond,
    /// Less is better, as with all below.
    Seconds,
    Milliseconds,
    Bytes,
    /// A part of 1; more is better.
    Share,
}

/// What a figure has to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Bound {
    /// At least so many times that of the reference.
    AtLeast(f64),
    /// At most so many times that of the reference.
    AtMost(f64),
    /// Below this, whatever others do, in the unit of the measure.
    Below(f64),
    /// Above this, likewise.
    Above(f64),
}

/// The server that a case is held against.
pub(crate) const NGINX: &str = "nginx";
/// The server that a case is held against.
pub(crate) const DISTRIBUTION: &str = "distribution 3";
/// The server that the cases are about.
pub(crate) const ROADSTEAD: &str = "Roadstead";
/// The same with a line of log a request.
pub(crate) const AS_IT_COMES: &str = "Roadstead, request log on";

/// Roadstead without anybody to know: the reference of the cases of access.
pub(crate) const OPEN: &str = "open access";
/// Roadstead before it is attacked.
pub(crate) const IN_PEACE: &str = "without them";

/// A case.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) group: &'static str,
    pub(crate) title: &'static str,
    pub(crate) measure: Measure,
    /// `None`: only to be known.
    pub(crate) bound: Option<Bound>,
    /// The reference of ratios.
    pub(crate) reference: &'static str,
    /// Processor time at most so many times that of the reference.
    pub(crate) cpu_at_most: Option<f64>,
}

const fn read(name: &'static str, title: &'static str, at_least: f64, cpu: Option<f64>) -> Case {
    Case {
        name,
        group: "reads",
        title,
        measure: Measure::PerSecond("req"),
        bound: Some(Bound::AtLeast(at_least)),
        reference: NGINX,
        cpu_at_most: cpu,
    }
}

const fn bulk(name: &'static str, title: &'static str, at_least: f64, cpu: Option<f64>) -> Case {
    Case {
        measure: Measure::BytesPerSecond,
        ..read(name, title, at_least, cpu)
    }
}

const fn push(name: &'static str, title: &'static str, at_most: f64) -> Case {
    Case {
        name,
        group: "writes",
        title,
        measure: Measure::Seconds,
        bound: Some(Bound::AtMost(at_most)),
        reference: DISTRIBUTION,
        cpu_at_most: Some(0.9),
    }
}

const fn many(name: &'static str, title: &'static str, unit: &'static str) -> Case {
    Case {
        name,
        group: "writes",
        title,
        measure: Measure::PerSecond(unit),
        bound: Some(Bound::AtLeast(5.0)),
        reference: DISTRIBUTION,
        cpu_at_most: None,
    }
}

const fn alone(
    name: &'static str,
    group: &'static str,
    title: &'static str,
    measure: Measure,
    bound: Option<Bound>,
) -> Case {
    Case {
        name,
        group,
        title,
        measure,
        bound,
        reference: "",
        cpu_at_most: None,
    }
}

/// What a way to come in costs beside open access.
const fn access(name: &'static str, title: &'static str, most: Option<f64>) -> Case {
    Case {
        name,
        group: "access",
        title,
        measure: Measure::PerSecond("req"),
        bound: match most {
            Some(most) => Some(Bound::AtLeast(1.0 - most)),
            None => None,
        },
        reference: OPEN,
        cpu_at_most: match most {
            Some(most) => Some(1.0 + most),
            None => None,
        },
    }
}

const fn below(limit: f64) -> Option<Bound> {
    Some(Bound::Below(limit))
}

const MIB: f64 = 1_048_576.0;

/// All of them, in the order in which they run.
pub(crate) const CASES: &[Case] = &[
    read(
        "manifest-tag",
        "manifest of 1,200 bytes by tag",
        0.9,
        Some(1.2),
    ),
    read(
        "manifest-head",
        "HEAD of a manifest by digest",
        0.9,
        Some(1.2),
    ),
    read("blob-4k", "blob of 4 KiB", 0.8, Some(1.5)),
    read(
        "range-64k",
        "64 KiB at random places of a blob of 256 MiB",
        0.8,
        Some(1.5),
    ),
    bulk("blob-1m", "blob of 1 MiB", 0.95, Some(1.2)),
    bulk(
        "blob-256m",
        "blob of 256 MiB, 4 connections",
        0.95,
        Some(1.2),
    ),
    read("tls-manifest", "manifest by tag, TLS", 0.9, None),
    bulk("tls-blob-1m", "blob of 1 MiB, TLS", 0.9, None),
    push("push-stream", "push of 256 MiB, streamed", 0.8),
    push("push-monolithic", "push of 256 MiB, whole", 0.6),
    push("push-chunks", "push of 256 MiB in chunks of 64 MiB", 0.5),
    many(
        "small-images",
        "push of small images, 16 at a time",
        "images",
    ),
    many("tags", "new tags of a manifest, 16 at a time", "tags"),
    access("access-basic", "htpasswd, known from before", None),
    access("access-token", "token of the registry", Some(0.1)),
    access("access-external", "token of another issuer", Some(0.1)),
    access("access-robot", "robot's key by Basic", None),
    access(
        "access-certificate",
        "client certificate (both over TLS)",
        None,
    ),
    access("access-rules", "token, and 50 rules for 50 teams", None),
    access(
        "access-conditions",
        "token, and 50 conditions to be told",
        None,
    ),
    alone(
        "access-first",
        "access",
        "first login by htpasswd, bcrypt of cost 10",
        Measure::Milliseconds,
        None,
    ),
    Case {
        name: "access-flood",
        group: "access",
        title: "pulls by token, p99, under 500 parallel bad logins",
        measure: Measure::Milliseconds,
        bound: Some(Bound::AtMost(2.0)),
        reference: IN_PEACE,
        cpu_at_most: None,
    },
    alone(
        "logins-htpasswd",
        "logins",
        "known or unknown user of htpasswd, p of 2,000 timings",
        Measure::Share,
        Some(Bound::Above(0.01)),
    ),
    alone(
        "logins-local",
        "logins",
        "known or unknown local user, p of 2,000 timings",
        Measure::Share,
        Some(Bound::Above(0.01)),
    ),
    alone(
        "start",
        "footprint",
        "start to the first 200",
        Measure::Milliseconds,
        below(100.0),
    ),
    alone(
        "idle",
        "footprint",
        "resident when idle",
        Measure::Bytes,
        below(20.0 * MIB),
    ),
    alone(
        "pulls-200",
        "footprint",
        "growth under 200 pulls of 16 MiB",
        Measure::Bytes,
        below(30.0 * MIB),
    ),
    alone(
        "pulls-1000",
        "footprint",
        "growth under 1,000 pulls of 16 MiB",
        Measure::Bytes,
        below(100.0 * MIB),
    ),
    alone(
        "connections",
        "footprint",
        "resident with 10,000 idle connections",
        Measure::Bytes,
        None,
    ),
    alone(
        "list-tags",
        "lists",
        "100 of 1,000,000 tags, store alone, worst p99",
        Measure::Milliseconds,
        below(5.0),
    ),
    alone(
        "list-repositories",
        "lists",
        "100 of 1,000,000 repositories, store alone, worst p99",
        Measure::Milliseconds,
        below(5.0),
    ),
    alone(
        "list-whole",
        "lists",
        "500,000 tags in one answer",
        Measure::Seconds,
        below(1.0),
    ),
];

/// The cases of these names or groups; all where there is none.
///
/// # Errors
/// The first name that there is not.
pub(crate) fn select(names: &[String]) -> Result<Vec<&'static Case>, String> {
    let is = |case: &Case, name: &str| case.name == name || case.group == name;
    for name in names {
        if !CASES.iter().any(|case| is(case, name)) {
            return Err(name.clone());
        }
    }
    let wanted = |case: &&Case| names.is_empty() || names.iter().any(|name| is(case, name));
    Ok(CASES.iter().filter(wanted).collect())
}
