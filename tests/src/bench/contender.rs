//! Who is measured: nothing, empty programs, the agent, and what people use otherwise.

use std::path::{Path, PathBuf};

use super::options::Options;

/// What one does on the block layer and the scheduler at once, as a user of bpftrace would write it.
const SCRIPT: &str = "\
tracepoint:block:block_rq_issue { @issued[args.dev, args.sector] = nsecs; }
tracepoint:block:block_rq_complete /@issued[args.dev, args.sector]/ {
  @us[args.dev, args.rwbs] = hist((nsecs - @issued[args.dev, args.sector]) / 1000);
  delete(@issued, (args.dev, args.sector));
}
tracepoint:sched:sched_switch {
  if (args.prev_state & 2) { @asleep[args.prev_pid] = nsecs; }
  if (@asleep[args.next_pid]) {
    @blocked_us[args.next_comm] = sum((nsecs - @asleep[args.next_pid]) / 1000);
    delete(@asleep, args.next_pid);
  }
}";

const BLOCK: &[&str] = &["block_rq_issue", "block_rq_complete"];
const SWITCH: &[&str] = &["sched_switch"];
const BOTH: &[&str] = &["block_rq_issue", "block_rq_complete", "sched_switch"];

/// One of them.
pub(super) struct Contender {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// The hooks whose programs must have run before it counts as attached.
    pub(super) hooks: &'static [&'static str],
}

/// How it is run.
pub(super) enum Kind {
    Nothing,
    /// A program that returns at once on each hook of the agent's that is busy.
    Empty,
    /// A program that finds the request in a hash map, on each of a request's hooks.
    Finding,
    /// The agent, which is given a file to report to.
    Agent(PathBuf),
    /// Any other program with its arguments.
    Peer(Vec<String>),
}

impl Contender {
    /// As one could type it, without the way to a peer's libraries.
    pub(super) fn command_line(&self) -> String {
        match &self.kind {
            Kind::Nothing | Kind::Empty | Kind::Finding => String::new(),
            Kind::Agent(_) => "stall-agent trace".to_owned(),
            Kind::Peer(words) => {
                let from = words
                    .iter()
                    .position(|word| word.contains("bin/"))
                    .unwrap_or(0);
                let words = words.iter().skip(from);
                let words: Vec<_> = words
                    .map(|word| word.rsplit("bin/").next().unwrap_or(word))
                    .collect();
                words.join(" ")
            }
        }
    }
}

/// All that can be run.
pub(super) fn all(options: &Options) -> Vec<Contender> {
    let contender = |name, kind, hooks| Contender { name, kind, hooks };
    let mut all = vec![
        contender("nothing", Kind::Nothing, &[]),
        contender("empty programs", Kind::Empty, BOTH),
        contender("one look-up", Kind::Finding, BLOCK),
        contender("stall-agent", Kind::Agent(options.agent.clone()), BOTH),
    ];
    if let Some(peers) = &options.peers {
        all.extend([
            contender(
                "biolatency",
                libbpf(peers, &["biolatency", "-D", "-F"]),
                BLOCK,
            ),
            contender(
                "offcputime",
                libbpf(peers, &["offcputime", "--state", "2"]),
                SWITCH,
            ),
            contender("bpftrace", bpftrace(peers), BOTH),
        ]);
    }
    all
}

/// Debian calls them `NAME-libbpf` where they are not the only ones of that name.
fn libbpf(peers: &Path, words: &[&str]) -> Kind {
    let program = peers.join("usr/sbin").join(format!("{}-libbpf", words[0]));
    let arguments = words[1..].iter().map(|word| (*word).to_owned());
    Kind::Peer(with_libraries(peers, &program).chain(arguments).collect())
}

/// It wants tracefs, which is mounted for it alone where it is not yet.
fn bpftrace(peers: &Path) -> Kind {
    let mounting = "mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing && exec \"$@\"";
    let shell = ["unshare", "--mount", "sh", "-c", mounting, "sh"].map(str::to_owned);
    let program = with_libraries(peers, &peers.join("usr/bin/bpftrace"));
    let script = ["-e", SCRIPT].map(str::to_owned);
    Kind::Peer(shell.into_iter().chain(program).chain(script).collect())
}

/// From another release than this machine's, with the loader and the libraries of that one.
fn with_libraries(peers: &Path, program: &Path) -> impl Iterator<Item = String> + use<> {
    let words = [
        peers.join("usr/lib64/ld-linux-x86-64.so.2"),
        PathBuf::from("--library-path"),
        peers.join("usr/lib/x86_64-linux-gnu"),
        program.to_path_buf(),
    ];
    words.map(|word| word.display().to_string()).into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_called_what_one_would_type() {
        let peers = Path::new("/lab/peers");
        let peer = |kind| Contender {
            name: "x",
            kind,
            hooks: &[],
        };
        let line = peer(libbpf(peers, &["biolatency", "-D", "-F"])).command_line();
        assert_eq!(line, "biolatency-libbpf -D -F");
        let line = peer(bpftrace(peers)).command_line();
        assert!(line.starts_with("bpftrace -e tracepoint:block:"), "{line}");
    }
}
