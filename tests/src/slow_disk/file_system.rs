//! The FUSE face of the slow disk.
//!
//! Contract: each read, write, fsync and hole passes the gate, takes its time, is entered in the
//! log; everything else answers at once. Requests of more than one thread run side by side.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, InitFlags,
    KernelConfig, LockOwner, OpenAccMode, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry,
    ReplyOpen, ReplyStatfs, ReplyWrite, Request, WriteFlags,
};

use super::FILE_NAME;
use super::behaviour::Behaviour;
use super::log::Recorder;
use super::op::Op;
use super::store::Store;
use crate::clock::monotonic_ns;

const FILE: INodeNo = INodeNo(2);
const TTL: Duration = Duration::from_secs(3600);
/// The discard granularity that a loop device takes over.
const BLOCK_SIZE: u32 = 4096;

/// The disk itself, shared by the FUSE threads and the control loop.
#[derive(Debug)]
pub struct Disk {
    pub store: Store,
    pub behaviour: Behaviour,
    pub recorder: Recorder,
}

impl Disk {
    /// An empty, fast disk.
    pub fn new(store: Store) -> Self {
        Self {
            store,
            behaviour: Behaviour::default(),
            recorder: Recorder::default(),
        }
    }

    /// Serves one operation in its time; the action runs at the beginning of it.
    fn serve<T>(
        &self,
        (op, offset, length): (Op, u64, u64),
        action: impl FnOnce() -> std::io::Result<T>,
    ) -> Result<T, Errno> {
        let entry = self.recorder.arrive(op, offset, length, monotonic_ns());
        let pass = self.behaviour.gate.enter(op);
        let started = monotonic_ns();
        self.recorder.start(entry, started);
        let service = self.behaviour.begin(op, length);
        // A hang comes before the operation's own time.
        let timed_from = if service.hung {
            monotonic_ns()
        } else {
            started
        };
        let result = if service.fails {
            Err(Errno::EIO)
        } else {
            action().map_err(Errno::from)
        };
        self.behaviour.sleep(timed_from, service.delay_ns);
        let errno = result.as_ref().err().map_or(0, |errno| i32::from(*errno));
        self.recorder.end(entry, monotonic_ns(), errno);
        drop(pass);
        result
    }
}

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The file system with the one file.
#[derive(Debug)]
pub struct SlowDisk {
    disk: Arc<Disk>,
    threads: u16,
}

impl SlowDisk {
    /// The face of a disk that `threads` threads will serve.
    pub fn new(disk: Arc<Disk>, threads: u16) -> Self {
        Self { disk, threads }
    }

    fn attr(&self, ino: INodeNo) -> Option<FileAttr> {
        let (kind, perm, size) = match ino {
            INodeNo::ROOT => (FileType::Directory, 0o700, 0),
            FILE => (FileType::RegularFile, 0o600, self.disk.store.size()),
            _ => return None,
        };
        Some(FileAttr {
            ino,
            size,
            blocks: size / 512,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind,
            perm,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: BLOCK_SIZE,
            flags: 0,
        })
    }
}

impl Filesystem for SlowDisk {
    fn init(&mut self, _req: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        // Without it the loop's worker would wait for each read before it takes the next.
        config
            .add_capabilities(InitFlags::FUSE_ASYNC_DIO)
            .map_err(|missing| std::io::Error::other(format!("FUSE without {missing:?}")))?;
        // Leaves threads for what does not count as background: fsync and holes.
        let background = self.threads.saturating_sub(4).max(1);
        for set in [
            config.set_max_background(background),
            config.set_congestion_threshold(background),
        ] {
            set.map_err(|least| std::io::Error::other(format!("at least {least} threads")))?;
        }
        Ok(())
    }

    fn lookup(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.attr(FILE) {
            Some(attr) if parent == INodeNo::ROOT && name == FILE_NAME => {
                reply.entry(&TTL, &attr, Generation(0));
            }
            _ => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        match self.attr(ino) {
            Some(attr) => reply.attr(&TTL, &attr),
            None => reply.error(Errno::ENOENT),
        }
    }

    /// Who opens it to read alone reads through the page cache, as most programs read a server's files.
    fn open(&self, _req: &Request, _ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let direct = FopenFlags::FOPEN_DIRECT_IO | FopenFlags::FOPEN_PARALLEL_DIRECT_WRITES;
        let cached = flags.acc_mode() == OpenAccMode::O_RDONLY;
        let how = if cached { FopenFlags::empty() } else { direct };
        reply.opened(FileHandle(0), how | FopenFlags::FOPEN_NOFLUSH);
    }

    fn statfs(&self, _req: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        let blocks = self.disk.store.size() / u64::from(BLOCK_SIZE);
        reply.statfs(blocks, 0, 0, 2, 0, BLOCK_SIZE, 255, BLOCK_SIZE);
    }

    fn read(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        BUFFER.with_borrow_mut(|buffer| {
            buffer.resize(buffer.len().max(size as usize), 0);
            let part = &mut buffer[..self.disk.behaviour.length_of_read(size as usize)];
            let read = || self.disk.store.read(offset, part);
            match self.disk.serve((Op::Read, offset, size.into()), read) {
                Ok(there) => reply.data(&buffer[..there]),
                Err(errno) => reply.error(errno),
            }
        });
    }

    fn write(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let length = data.len() as u64;
        let write = || self.disk.store.write(offset, data);
        match self.disk.serve((Op::Write, offset, length), write) {
            // FUSE writes are at most 16 MiB.
            Ok(()) => reply.written(length as u32),
            Err(errno) => reply.error(errno),
        }
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        answer(reply, self.disk.serve((Op::Fsync, 0, 0), || Ok(())));
    }

    fn fallocate(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let op = match mode & !libc::FALLOC_FL_KEEP_SIZE {
            libc::FALLOC_FL_PUNCH_HOLE => Op::Discard,
            libc::FALLOC_FL_ZERO_RANGE => Op::Zero,
            _ => return reply.error(Errno::EOPNOTSUPP),
        };
        let punch = || self.disk.store.punch(offset, length);
        answer(reply, self.disk.serve((op, offset, length), punch));
    }
}

fn answer(reply: ReplyEmpty, result: Result<(), Errno>) {
    match result {
        Ok(()) => reply.ok(),
        Err(errno) => reply.error(errno),
    }
}
