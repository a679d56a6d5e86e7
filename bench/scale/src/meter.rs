//! Memory and time of a piece of work, and how both are shown.

use std::fs;
use std::io::{self, Write as _};
use std::time::Instant;

use stats_alloc::Region;

/// Heap bytes that `work` leaves allocated, and what it made.
pub(crate) fn memory<T>(work: impl FnOnce() -> T) -> (isize, T) {
    let region = Region::new(crate::ALLOCATOR);
    let made = work();
    let change = region.change();
    let [more, less] = [change.bytes_allocated, change.bytes_deallocated]
        .map(|len| isize::try_from(len).unwrap_or(isize::MAX));
    (more - less, made)
}

/// Nanoseconds that one of `count` times `work` takes: the least of three rounds, since whatever
/// disturbs a round makes it longer. `begin` prepares a round and is not measured.
pub(crate) fn time<S>(count: u32, mut begin: impl FnMut() -> S, mut work: impl FnMut(&mut S, u32)) -> f64 {
    let mut least = f64::INFINITY;
    for _ in 0..3 {
        let mut state = begin();
        let start = Instant::now();
        (0..count).for_each(|number| work(&mut state, number));
        least = least.min(start.elapsed().as_secs_f64());
    }
    least * 1e9 / f64::from(count.max(1))
}

/// Private memory of a process in bytes.
pub(crate) fn private_memory(pid: u32) -> io::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).and_then(|kib| kib.parse::<f64>().ok());
    kib.map(|kib| kib * 1024.0).ok_or_else(|| io::Error::other("no RssAnon in status"))
}

/// CPU seconds of a process so far, of all threads, in user space and in the kernel.
pub(crate) fn cpu(pid: u32) -> io::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = [11, 12].map(|at| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0));
    Ok((ticks[0] + ticks[1]) / 100.0)
}

/// Prints a row: what, and a value for each size.
pub(crate) fn row(what: &str, values: &[String]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "| {what:<58}")?;
    values.iter().try_for_each(|value| write!(out, " | {value:>10}"))?;
    writeln!(out, " |")
}

/// Prints a head row and the line under it.
pub(crate) fn head(what: &str, sizes: &[String]) -> io::Result<()> {
    writeln!(io::stdout())?;
    row(what, sizes)?;
    let mut out = io::stdout().lock();
    write!(out, "| {}", "-".repeat(58))?;
    sizes.iter().try_for_each(|_| write!(out, " | ---------:"))?;
    writeln!(out, " |")
}

/// A time in the unit that suits it.
pub(crate) fn nanos(nanos: f64) -> String {
    match nanos {
        ..1e3 => format!("{nanos:.0} ns"),
        ..1e6 => format!("{:.1} µs", nanos / 1e3),
        ..1e9 => format!("{:.1} ms", nanos / 1e6),
        _ => format!("{:.2} s", nanos / 1e9),
    }
}

/// A length in the unit that suits it.
pub(crate) fn bytes(len: f64) -> String {
    match len {
        ..10_240.0 => format!("{len:.0} B"),
        ..10_485_760.0 => format!("{:.1} KiB", len / 1024.0),
        _ => format!("{:.1} MiB", len / 1024.0 / 1024.0),
    }
}
