//! Records from the ring buffer: bytes in, [`Record`]s out. Total: what cannot be read is `None`.

use bytes::Buf as _;
use stall_common::actor::{ARGS_LEN, COMM_LEN};
use stall_common::disk::NAME_LEN;
use stall_common::record::Kind;
use stall_common::request::Request;

use stall_capture::Waker;

/// A record, in user space's terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    Process(Process),
    NewDisk { disk: u32, dev: u32, name: String },
    Task(Task),
    SlowRequest(EndedRequest),
    Discard(EndedRequest),
    LongSleep(EndedSleep),
    Exit(Exit),
}

/// `stall_common::record::Process`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    pub actor: u32,
    pub tgid: u32,
    pub start_boottime_ns: u64,
    pub kernel_thread: bool,
    pub comm: String,
    pub args: Vec<String>,
    pub args_truncated: bool,
}

/// `stall_common::record::Exit`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    pub actor: u32,
    pub time_ns: u64,
    pub comm: String,
}

/// `stall_common::record::Task`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    pub task: u32,
    pub tid: u32,
    pub tgid: u32,
    pub start_boottime_ns: u64,
    pub kernel_thread: bool,
    pub comm: String,
}

/// `stall_common::record::EndedRequest`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedRequest {
    pub completed_ns: u64,
    pub request: Request,
    pub overlap_ns: u64,
    pub service_ns: u64,
}

/// `stall_common::record::EndedSleep`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedSleep {
    pub end_ns: u64,
    pub start_ns: u64,
    pub stack: u64,
    pub task: u32,
    pub killable: bool,
    pub waker: Option<Waker>,
}

/// Reads one record.
#[must_use]
pub fn decode(mut bytes: &[u8]) -> Option<Record> {
    let bytes = &mut bytes;
    let kind = Kind::from_number(bytes.try_get_u32_ne().ok()?)?;
    let _reserved = bytes.try_get_u32_ne().ok()?;
    let time_ns = bytes.try_get_u64_ne().ok()?;
    Some(match kind {
        Kind::Process => Record::Process(process(bytes)?),
        Kind::NewDisk => Record::NewDisk {
            disk: bytes.try_get_u32_ne().ok()?,
            dev: bytes.try_get_u32_ne().ok()?,
            name: text(bytes, NAME_LEN)?,
        },
        Kind::Task => Record::Task(task(bytes)?),
        Kind::SlowRequest => Record::SlowRequest(ended_request(bytes, time_ns)?),
        Kind::Discard => Record::Discard(ended_request(bytes, time_ns)?),
        Kind::LongSleep => Record::LongSleep(ended_sleep(bytes, time_ns)?),
        Kind::Exit => Record::Exit(exit(bytes, time_ns)?),
    })
}

fn exit(bytes: &mut &[u8], time_ns: u64) -> Option<Exit> {
    let actor = bytes.try_get_u32_ne().ok()?;
    let _tgid = bytes.try_get_u32_ne().ok()?;
    Some(Exit {
        actor,
        time_ns,
        comm: text(bytes, COMM_LEN)?,
    })
}

fn process(bytes: &mut &[u8]) -> Option<Process> {
    let start_boottime_ns = bytes.try_get_u64_ne().ok()?;
    let _cgroup = bytes.try_get_u64_ne().ok()?;
    let actor = bytes.try_get_u32_ne().ok()?;
    let tgid = bytes.try_get_u32_ne().ok()?;
    let _tid = bytes.try_get_u32_ne().ok()?;
    let kernel_thread = bytes.try_get_u32_ne().ok()? != 0;
    let args_len = bytes.try_get_u32_ne().ok()? as usize;
    let args_total = bytes.try_get_u32_ne().ok()? as usize;
    let comm = text(bytes, COMM_LEN)?;
    let args = bytes.get(..args_len.min(ARGS_LEN))?;
    Some(Process {
        actor,
        tgid,
        start_boottime_ns,
        kernel_thread,
        comm,
        args: arguments(args),
        args_truncated: args_total > args_len,
    })
}

fn task(bytes: &mut &[u8]) -> Option<Task> {
    Some(Task {
        start_boottime_ns: bytes.try_get_u64_ne().ok()?,
        task: bytes.try_get_u32_ne().ok()?,
        tid: bytes.try_get_u32_ne().ok()?,
        tgid: bytes.try_get_u32_ne().ok()?,
        kernel_thread: bytes.try_get_u32_ne().ok()? != 0,
        comm: text(bytes, COMM_LEN)?,
    })
}

fn ended_request(bytes: &mut &[u8], completed_ns: u64) -> Option<EndedRequest> {
    Some(EndedRequest {
        completed_ns,
        request: request(bytes)?,
        overlap_ns: bytes.try_get_u64_ne().ok()?,
        service_ns: bytes.try_get_u64_ne().ok()?,
    })
}

fn request(bytes: &mut &[u8]) -> Option<Request> {
    Some(Request {
        queued_ns: bytes.try_get_u64_ne().ok()?,
        issued_ns: bytes.try_get_u64_ne().ok()?,
        discard_clock_ns: bytes.try_get_u64_ne().ok()?,
        sector: bytes.try_get_u64_ne().ok()?,
        stack: bytes.try_get_u64_ne().ok()?,
        bytes: bytes.try_get_u32_ne().ok()?,
        done_bytes: bytes.try_get_u32_ne().ok()?,
        row: bytes.try_get_u32_ne().ok()?,
        actor: bytes.try_get_u32_ne().ok()?,
        tid: bytes.try_get_u32_ne().ok()?,
        disk: bytes.try_get_u16_ne().ok()?,
        series: bytes.try_get_u16_ne().ok()?,
        op: bytes.try_get_u8().ok()?,
        flags: bytes.try_get_u8().ok()?,
        requeues: bytes.try_get_u16_ne().ok()?,
        cgroup: bytes.try_get_u32_ne().ok()?,
    })
}

fn ended_sleep(bytes: &mut &[u8], end_ns: u64) -> Option<EndedSleep> {
    let start_ns = bytes.try_get_u64_ne().ok()?;
    let _seen_ns = bytes.try_get_u64_ne().ok()?;
    Some(EndedSleep {
        end_ns,
        start_ns,
        stack: bytes.try_get_u64_ne().ok()?,
        task: bytes.try_get_u32_ne().ok()?,
        killable: bytes.try_get_u32_ne().ok()? != 0,
        waker: waker(bytes)?,
    })
}

/// The inner `None` is an idle CPU.
fn waker(bytes: &mut &[u8]) -> Option<Option<Waker>> {
    let start_boottime_ns = bytes.try_get_u64_ne().ok()?;
    let tid = bytes.try_get_u32_ne().ok()?;
    let waker = Waker {
        tid,
        pid: bytes.try_get_u32_ne().ok()?,
        start_boottime_ns,
        kernel_thread: bytes.try_get_u32_ne().ok()? != 0,
        comm: {
            let _reserved = bytes.try_get_u32_ne().ok()?;
            text(bytes, COMM_LEN)?
        },
    };
    Some((tid != 0).then_some(waker))
}

/// A fixed-size field up to its NUL.
fn text(bytes: &mut &[u8], len: usize) -> Option<String> {
    let field = bytes.get(..len)?;
    bytes.advance(len);
    Some(until_nul(field))
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
        let mut name = [0; NAME_LEN];
        name[..5].copy_from_slice(b"loop2");
        body.extend(name);
        let expected = Record::NewDisk {
            disk: 3,
            dev: 7 << 20 | 2,
            name: "loop2".to_owned(),
        };
        assert_eq!(decode(&bytes_of(Kind::NewDisk, &body)), Some(expected));
    }

    #[test]
    fn every_cut_of_a_record_is_none() {
        let mut body = [[1, 0, 0, 0], [7, 0, 0, 0]].concat();
        body.extend(*b"dd\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        let whole = bytes_of(Kind::Exit, &body);
        for len in 0..whole.len() {
            assert_eq!(decode(&whole[..len]), None);
        }
        let exit = Exit {
            actor: 1,
            time_ns: 77,
            comm: "dd".to_owned(),
        };
        assert_eq!(decode(&whole), Some(Record::Exit(exit)));
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
