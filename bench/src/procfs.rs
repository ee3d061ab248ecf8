//! What the kernel says of a process: processor time, memory, children.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// Fields of `/proc/<pid>/stat` behind the program's name, which may hold spaces and brackets.
struct Stat {
    parent: u32,
    /// User and system time, in clock ticks.
    ticks: u64,
}

/// Memory of a process, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Memory {
    /// Resident now.
    pub(crate) resident: u64,
    /// The most that was resident since the start or the last [`forget_peak`].
    pub(crate) peak: u64,
}

impl Memory {
    fn plus(self, other: Self) -> Self {
        Self {
            resident: self.resident + other.resident,
            peak: self.peak + other.peak,
        }
    }
}

/// Processor time of a process and its children, user and system.
///
/// # Errors
/// Where the process is gone.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration> {
    let own = stat(pid)?;
    let children: u64 = children(pid)
        .into_iter()
        .filter_map(|child| stat(child).ok())
        .map(|stat| stat.ticks)
        .sum();
    let per_second = rustix::param::clock_ticks_per_second();
    let seconds = (own.ticks + children) as f64 / per_second as f64;
    Ok(Duration::from_secs_f64(seconds))
}

/// Memory of a process and its children.
///
/// # Errors
/// Where the process is gone.
pub(crate) fn memory(pid: u32) -> Result<Memory> {
    let own = memory_of_one(pid)?;
    Ok(children(pid)
        .into_iter()
        .filter_map(|child| memory_of_one(child).ok())
        .fold(own, Memory::plus))
}

/// Makes what is resident now the peak. Where the kernel does not allow it the peak stays, and
/// growth is then counted from an older one.
pub(crate) fn forget_peak(pid: u32) {
    for one in children(pid).into_iter().chain([pid]) {
        let _ = fs::write(format!("/proc/{one}/clear_refs"), "5");
    }
}

/// Processes that have this one as their parent.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|candidate| stat(*candidate).is_ok_and(|stat| stat.parent == pid))
        .collect()
}

fn stat(pid: u32) -> Result<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("process {pid} is gone"))?;
    parse_stat(&text).with_context(|| format!("/proc/{pid}/stat cannot be read"))
}

fn parse_stat(text: &str) -> Option<Stat> {
    let (_, fields) = text.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Stat {
        parent: u32::try_from(number(1)?).ok()?,
        ticks: number(11)? + number(12)?,
    })
}

fn memory_of_one(pid: u32) -> Result<Memory> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))
        .with_context(|| format!("process {pid} is gone"))?;
    parse_status(&text).with_context(|| format!("/proc/{pid}/status has no memory"))
}

fn parse_status(text: &str) -> Option<Memory> {
    let kibibytes = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    Some(Memory {
        resident: kibibytes("VmRSS:")? * 1024,
        peak: kibibytes("VmHWM:")? * 1024,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_may_hold_anything() {
        let text = "71 (a) b (c) S 7 71 71 0 -1 4194304 9 8 7 6 250 50 3 4 20 0 1 0 99 1 2";
        let stat = parse_stat(text).unwrap();
        assert_eq!((stat.parent, stat.ticks), (7, 300));
        assert!(parse_stat("71 (a S 7").is_none());
    }

    #[test]
    fn memory_is_in_kibibytes() {
        let text = "Name:\ta\nVmHWM:\t    2048 kB\nVmRSS:\t     512 kB\n";
        let expected = Memory {
            resident: 512 << 10,
            peak: 2 << 20,
        };
        assert_eq!(parse_status(text), Some(expected));
        assert_eq!(parse_status("Name:\ta\n"), None);
    }

    #[test]
    fn this_process_has_memory_and_time() {
        let memory = memory(std::process::id()).unwrap();
        assert!(memory.resident > 0 && memory.peak >= memory.resident);
        cpu_time(std::process::id()).unwrap();
        assert!(cpu_time(u32::MAX).is_err());
    }
}
