//! The peak of this process' memory, asked for with a third argument.

pub fn print(asked: Option<String>) {
    if asked.is_some() {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        println!("{}", peak.trim().trim_end_matches(" kB"));
    }
}
