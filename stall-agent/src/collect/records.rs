//! Records from the ring buffer: bytes in, [`Record`]s out. Total: what cannot be read is `None`.

use std::mem::MaybeUninit;

use aya::Pod;
use bytes::Buf;
use stall_common::actor::ARGS_LEN;
use stall_common::record::{self as abi, EndedRequest, EndedSleep, Header, Kind, NewDisk};

/// A record. What names something is in user space's terms, the rest as the programs declare it.
#[derive(Clone, Debug)]
pub enum Record {
    Process(Process),
    NewDisk(NewDisk),
    Task(Task),
    SlowRequest(EndedRequest),
    Discard(EndedRequest),
    LongSleep(EndedSleep),
    Exit(Exit),
}

/// A process that submits its first request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    pub actor: u32,
    pub tgid: u32,
    pub start_boottime_ns: u64,
    /// Id of its control group in the unified hierarchy.
    pub cgroup: u64,
    pub kernel_thread: bool,
    pub comm: String,
    pub args: Vec<String>,
    pub args_truncated: bool,
}

/// An actor's group leader exited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    pub actor: u32,
    pub time_ns: u64,
    pub comm: String,
}

/// A task that was in D for the first time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    pub task: u32,
    pub tid: u32,
    pub tgid: u32,
    pub start_boottime_ns: u64,
    pub kernel_thread: bool,
    pub comm: String,
}

/// The next structure that bytes hold, as the programs declare it.
#[must_use]
pub fn next<T: Pod>(bytes: &mut impl Buf) -> Option<T> {
    let mut value = MaybeUninit::<T>::zeroed();
    // SAFETY: as many bytes as the value has, all of them initialized, for as long as the value is not used.
    let to =
        unsafe { std::slice::from_raw_parts_mut(value.as_mut_ptr().cast::<u8>(), size_of::<T>()) };
    bytes.try_copy_to_slice(to).ok()?;
    // SAFETY: of a `Pod` every bit pattern is a value.
    Some(unsafe { value.assume_init() })
}

/// Reads one record.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<Record> {
    let header: Header = next(&mut &*bytes)?;
    let bytes = &mut &*bytes;
    Some(match Kind::from_number(header.kind)? {
        Kind::Process => Record::Process(process(&next(bytes)?)),
        Kind::NewDisk => Record::NewDisk(next(bytes)?),
        Kind::Task => Record::Task(task(&next(bytes)?)),
        Kind::SlowRequest => Record::SlowRequest(next(bytes)?),
        Kind::Discard => Record::Discard(next(bytes)?),
        Kind::LongSleep => Record::LongSleep(next(bytes)?),
        Kind::Exit => Record::Exit(exit(&next(bytes)?)),
    })
}

fn exit(record: &abi::Exit) -> Exit {
    Exit {
        actor: record.actor,
        time_ns: record.header.time_ns,
        comm: until_nul(&record.comm),
    }
}

fn process(record: &abi::Process) -> Process {
    let args = &record.args[..ARGS_LEN.min(record.args_len as usize)];
    Process {
        actor: record.actor,
        tgid: record.tgid,
        start_boottime_ns: record.start_boottime_ns,
        cgroup: record.cgroup,
        kernel_thread: record.kernel_thread != 0,
        comm: until_nul(&record.comm),
        args: arguments(args),
        args_truncated: record.args_total > record.args_len,
    }
}

fn task(record: &abi::Task) -> Task {
    Task {
        task: record.task,
        tid: record.tid,
        tgid: record.tgid,
        start_boottime_ns: record.start_boottime_ns,
        kernel_thread: record.kernel_thread != 0,
        comm: until_nul(&record.comm),
    }
}

/// Text up to the first NUL; what is not UTF-8 is replaced.
#[must_use]
pub fn until_nul(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0);
    String::from_utf8_lossy(&field[..end.unwrap_or(field.len())]).into_owned()
}

/// A command line as the kernel keeps it: each argument ends in NUL.
fn arguments(bytes: &[u8]) -> Vec<String> {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    if bytes.is_empty() {
        return Vec::new();
    }
    bytes
        .split(|byte| *byte == 0)
        .map(|argument| String::from_utf8_lossy(argument).into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes_of(kind: Kind, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend((kind as u32).to_ne_bytes());
        bytes.extend(0u32.to_ne_bytes());
        bytes.extend(77u64.to_ne_bytes());
        bytes.extend(body);
        bytes
    }

    #[test]
    fn a_disk_is_read() {
        let mut body = Vec::new();
        body.extend(3u32.to_ne_bytes());
        body.extend((7u32 << 20 | 2).to_ne_bytes());
        let mut name = [0; stall_common::disk::NAME_LEN];
        name[..5].copy_from_slice(b"loop2");
        body.extend(name);
        let Some(Record::NewDisk(disk)) = decode(&bytes_of(Kind::NewDisk, &body)) else {
            panic!("no disk");
        };
        assert_eq!((disk.disk, disk.dev, disk.name), (3, 7 << 20 | 2, name));
    }

    #[test]
    fn every_cut_of_a_record_is_none() {
        let mut body = [[1, 0, 0, 0], [7, 0, 0, 0]].concat();
        body.extend(*b"dd\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        let whole = bytes_of(Kind::Exit, &body);
        for len in 0..whole.len() {
            assert!(decode(&whole[..len]).is_none());
        }
        let Some(Record::Exit(exit)) = decode(&whole) else {
            panic!("no exit");
        };
        let expected = Exit {
            actor: 1,
            time_ns: 77,
            comm: "dd".to_owned(),
        };
        assert_eq!(exit, expected);
    }

    #[test]
    fn arguments_are_split_at_their_ends() {
        assert_eq!(
            arguments(b"fstrim\0-v\0\0/mnt\0"),
            ["fstrim", "-v", "", "/mnt"]
        );
        assert!(arguments(b"").is_empty());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), kind in 0u32..9) {
            let mut bytes = bytes;
            if bytes.len() >= 4 { bytes[..4].copy_from_slice(&kind.to_ne_bytes()); }
            let _record = decode(&bytes);
        }
    }
}
