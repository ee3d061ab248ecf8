//! What a table was measured on.

use std::fs;

/// Cores, processor, kernel and load of this machine, in one line.
pub(crate) fn description() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let processor = fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| value(&text, "model name"))
        .unwrap_or_else(|| "an unknown processor".to_owned());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| value(&text, "MemTotal"))
        .and_then(|text| text.strip_suffix(" kB")?.parse::<f64>().ok())
        .unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<&str> = load.split_whitespace().take(3).collect();
    format!(
        "{cores} cores of {processor}, {:.0} GiB, Linux {}, load average {} at the start",
        memory / 1_048_576.0,
        kernel.trim(),
        load.join(" ")
    )
}

/// The value of the first line with this key.
fn value(text: &str, key: &str) -> Option<String> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = lines.find(|(found, _)| found.trim() == key)?;
    Some(value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_proc_are_found() {
        let text = "processor\t: 0\nmodel name\t: A B C\nmodel name\t: D\n";
        assert_eq!(value(text, "model name").as_deref(), Some("A B C"));
        assert_eq!(value(text, "model"), None);
    }

    #[test]
    fn this_machine_is_described() {
        let text = description();
        assert!(!text.contains(" 0 GiB") && !text.starts_with('0'), "{text}");
    }
}
