//! A control group of a test's own, of either version: a limit on the memory or on the processor
//! time of one registry. Only root can make one, and not in every container.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::harness::{Builder, Registry, SOON, until};

/// A group with one limit. Dropped, it is removed: declare it before the registry.
pub(crate) struct Group {
    at: PathBuf,
    second: bool,
}

impl Group {
    /// One whose processes have this many bytes together, page cache included.
    ///
    /// # Errors
    /// Why there can be none here.
    pub(crate) fn memory(bytes: u64) -> Result<Self, String> {
        let group = Self::new("memory")?;
        let file = group.name("memory.limit_in_bytes", "memory.max");
        group.set(file, &bytes.to_string())?;
        // Swapping would hide what does not fit. Neither file is there where there is no swap.
        let _ = match group.second {
            true => group.set("memory.swap.max", "0"),
            false => group.set("memory.memsw.limit_in_bytes", &bytes.to_string()),
        };
        Ok(group)
    }

    /// One whose processes have this share of one processor.
    ///
    /// # Errors
    /// Why there can be none here.
    pub(crate) fn processor(percent: u32) -> Result<Self, String> {
        const PERIOD_MICROSECONDS: u32 = 100_000;
        let group = Self::new("cpu")?;
        let quota = PERIOD_MICROSECONDS / 100 * percent;
        if group.second {
            group.set("cpu.max", &format!("{quota} {PERIOD_MICROSECONDS}"))?;
        } else {
            group.set("cpu.cfs_period_us", &PERIOD_MICROSECONDS.to_string())?;
            group.set("cpu.cfs_quota_us", &quota.to_string())?;
        }
        Ok(group)
    }

    fn new(controller: &str) -> Result<Self, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !rustix::process::geteuid().is_root() {
            return Err("not root".to_owned());
        }
        let (root, second) = hierarchy(controller)?;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("roadstead-test-{}-{number}", std::process::id());
        let at = root.join(name);
        fs::create_dir(&at).map_err(|error| format!("{}: {error}", at.display()))?;
        Ok(Self { at, second })
    }

    /// What to say of it in a test's output.
    pub(crate) fn version(&self) -> &'static str {
        match self.second {
            true => "cgroup v2",
            false => "cgroup v1",
        }
    }

    /// Starts a registry that is in the group before its first instruction.
    pub(crate) fn start(&self, builder: Builder) -> Registry {
        let enter = format!(
            "echo $$ > {}/cgroup.procs && exec \"$0\" \"$@\"",
            self.at.display()
        );
        let registry = builder.through(&["sh", "-c", &enter]).start();
        let inside = fs::read_to_string(self.at.join("cgroup.procs")).unwrap();
        let pid = registry.pid().to_string();
        assert!(inside.lines().any(|line| line == pid), "{inside:?}");
        registry
    }

    /// Processes that the kernel has killed for want of memory.
    pub(crate) fn killed(&self) -> u64 {
        let file = self.name("memory.oom_control", "memory.events");
        self.count(file, "oom_kill")
    }

    /// Periods in which the quota was used up.
    pub(crate) fn throttled(&self) -> u64 {
        self.count("cpu.stat", "nr_throttled")
    }

    fn name<'a>(&self, first: &'a str, second: &'a str) -> &'a str {
        if self.second { second } else { first }
    }

    fn set(&self, file: &str, value: &str) -> Result<(), String> {
        let path = self.at.join(file);
        fs::write(&path, value).map_err(|error| format!("{}: {error}", path.display()))
    }

    fn count(&self, file: &str, name: &str) -> u64 {
        let text = fs::read_to_string(self.at.join(file)).unwrap();
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        let found = lines.find(|(key, _)| *key == name);
        let (_, value) = found.unwrap_or_else(|| panic!("no {name} in {file}: {text}"));
        value.parse().unwrap()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A process that has ended leaves its group a moment later.
        let removed = || fs::remove_dir(&self.at).ok();
        if std::thread::panicking() {
            removed();
        } else {
            until("the group is empty", SOON, removed);
        }
    }
}

/// Where groups with this controller are made, and whether they are of the second version.
fn hierarchy(controller: &str) -> Result<(PathBuf, bool), String> {
    let mounts = fs::read_to_string("/proc/self/mounts").map_err(|error| error.to_string())?;
    let mounts = || {
        mounts.lines().filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            Some((Path::new(words.next()?), words.next()?, words.next()?))
        })
    };
    let first = mounts().find(|(_, kind, options)| {
        *kind == "cgroup" && options.split(',').any(|option| option == controller)
    });
    if let Some((at, ..)) = first {
        return Ok((at.to_owned(), false));
    }
    let (at, ..) = mounts()
        .find(|(_, kind, _)| *kind == "cgroup2")
        .ok_or("no control groups here")?;
    let delegate = at.join("cgroup.subtree_control");
    fs::write(&delegate, format!("+{controller}"))
        .map_err(|error| format!("{} does not give {controller}: {error}", delegate.display()))?;
    Ok((at.to_owned(), true))
}
