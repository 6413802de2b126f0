//! Metrics of the process, under the names that every Prometheus client library uses. They are read from
//! `/proc` for each scrape, and left out on systems without it.

use std::fs;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
};

/// Clock ticks per second, which Linux reports to user space on every machine (`USER_HZ`).
const TICKS: f64 = 100.0;

#[derive(Debug, Clone, Copy, PartialEq)]
struct Process {
    cpu_seconds: f64,
    start_time_seconds: f64,
    threads: u64,
    resident_bytes: u64,
    virtual_bytes: u64,
}

#[derive(Debug)]
pub(super) struct ProcessCollector;

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let mut gauge = |name: &str, help: &str, value: f64| {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
        };
        if let Some(process) = read() {
            gauge("process_resident_memory_bytes", "Resident memory", number(process.resident_bytes))?;
            gauge("process_virtual_memory_bytes", "Virtual memory", number(process.virtual_bytes))?;
            gauge("process_start_time_seconds", "When the process started, in seconds since 1970", process.start_time_seconds)?;
            gauge("process_threads", "Threads of the process", number(process.threads))?;
        }
        if let Ok(descriptors) = fs::read_dir("/proc/self/fd") {
            // Without the descriptor of the folder that is being read.
            gauge("process_open_fds", "Open file descriptors", number(descriptors.count().saturating_sub(1) as u64))?;
        }
        if let Some(most) = fs::read_to_string("/proc/self/limits").ok().and_then(|limits| open_files(&limits)) {
            gauge("process_max_fds", "Maximum number of open file descriptors", number(most))?;
        }
        if let Some(process) = read() {
            let counter = ConstCounter::new(process.cpu_seconds);
            let help = "User and system CPU time of the process";
            counter.encode(encoder.encode_descriptor("process_cpu_seconds", help, None, counter.metric_type())?)?;
        }
        Ok(())
    }
}

fn read() -> Option<Process> {
    let read = |path| fs::read_to_string(path).ok();
    parse(&read("/proc/self/stat")?, &read("/proc/self/status")?, &read("/proc/stat")?)
}

/// Parses files in the formats that proc(5) describes.
fn parse(stat: &str, status: &str, system: &str) -> Option<Process> {
    // The program name is in parentheses and can itself contain parentheses.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    // The first field here is field 3 in proc(5).
    let ticks = |field: usize| fields.get(field - 3)?.parse::<u64>().ok().map(|ticks| number(ticks) / TICKS);
    let kilobytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1_024)
    };
    let booted: u64 = system.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(Process {
        cpu_seconds: ticks(14)? + ticks(15)?,
        start_time_seconds: number(booted) + ticks(22)?,
        threads: fields.get(20 - 3)?.parse().ok()?,
        resident_bytes: kilobytes("VmRSS")?,
        virtual_bytes: kilobytes("VmSize")?,
    })
}

/// The soft limit for open files.
fn open_files(limits: &str) -> Option<u64> {
    limits.lines().find_map(|line| line.strip_prefix("Max open files"))?.split_whitespace().next()?.parse().ok()
}

#[expect(clippy::cast_precision_loss, reason = "bytes and ticks beyond 2^53 are not met")]
fn number(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_writes_is_read_whatever_the_program_is_called() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 900 0 0 0 150 50 0 0 20 0 9 0 1000 123 456 18446744073709551615";
        let status = "Name:\ta) b (c)\nVmPeak:\t  9 kB\nVmSize:\t  2048 kB\nVmRSS:\t    12 kB\n";
        let read = parse(stat, status, "cpu 1 2 3\nbtime 1700000000\n").unwrap();
        let expected = Process {
            cpu_seconds: 2.0,
            start_time_seconds: 1_700_000_010.0,
            threads: 9,
            resident_bytes: 12_288,
            virtual_bytes: 2_097_152,
        };
        assert_eq!(read, expected);
        assert_eq!(parse("", status, ""), None);
        let limits =
            "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 4096                 files\n";
        assert_eq!(open_files(limits), Some(1_024));
        assert_eq!(open_files("Max open files  unlimited  unlimited  files\n"), None);
    }
}
