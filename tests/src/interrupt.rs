//! SIGINT, SIGTERM and SIGHUP: an orderly take-down instead of sudden death.
//!
//! Contract: what is registered is taken down, last first, by a thread of its own; then the
//! process ends by the same signal. Once that has begun nothing new can be registered. While a
//! `Hold` lives the signal is only noted for its owner.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::thread;

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction};

const SIGNALS: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// Something that must not outlive the process. Must be idempotent.
pub trait TakeDown: Send + Sync {
    fn take_down(&self);
}

/// What is to be taken down; `None` once that has begun.
static REGISTERED: Mutex<Option<Vec<Weak<dyn TakeDown>>>> = Mutex::new(Some(Vec::new()));
static HOLDS: AtomicUsize = AtomicUsize::new(0);
static COUNT: AtomicUsize = AtomicUsize::new(0);
static NOTED: AtomicI32 = AtomicI32::new(0);
/// The handler's end of the pipe to the thread.
static WAKE: OnceLock<UnixStream> = OnceLock::new();

/// Has the thing taken down on a signal, as long as it lives; an error when it is too late.
pub fn register<T: TakeDown + 'static>(thing: &Arc<T>) -> Result<()> {
    install()?;
    let mut registered = REGISTERED.lock().unwrap_or_else(PoisonError::into_inner);
    let registered = registered.as_mut().context("interrupted by a signal")?;
    registered.retain(|weak| weak.strong_count() > 0);
    let shared: Arc<dyn TakeDown> = Arc::<T>::clone(thing);
    registered.push(Arc::downgrade(&shared));
    Ok(())
}

/// While it lives, signals are noted and its owner sees to the end.
#[derive(Debug)]
pub struct Hold(());

impl Hold {
    /// Begins to hold.
    pub fn new() -> Result<Self> {
        HOLDS.fetch_add(1, Ordering::SeqCst);
        let hold = Self(());
        install()?;
        Ok(hold)
    }

    /// The first signal that came meanwhile.
    pub fn signal(&self) -> Option<Signal> {
        Signal::try_from(NOTED.load(Ordering::SeqCst)).ok()
    }

    /// How many signals came.
    pub fn count(&self) -> usize {
        COUNT.load(Ordering::SeqCst)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        HOLDS.fetch_sub(1, Ordering::SeqCst);
    }
}

fn install() -> Result<()> {
    static INSTALLED: Mutex<bool> = Mutex::new(false);
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if *installed {
        return Ok(());
    }
    let (ours, theirs) = UnixStream::pair().context("making the signal pipe")?;
    theirs.set_nonblocking(true)?;
    // Only this place sets it, once.
    let _ = WAKE.set(theirs);
    thread::Builder::new()
        .name("take-down".to_owned())
        .spawn(move || serve(ours))
        .context("starting the signal thread")?;
    for signal in SIGNALS {
        let action = SigAction::new(
            SigHandler::Handler(on_signal),
            SaFlags::SA_RESTART,
            SigSet::empty(),
        );
        // SAFETY: the handler only stores, loads and writes to a pipe.
        unsafe { sigaction(signal, &action) }.context("handling signals")?;
    }
    *installed = true;
    Ok(())
}

extern "C" fn on_signal(number: libc::c_int) {
    let errno = Errno::last_raw();
    COUNT.fetch_add(1, Ordering::SeqCst);
    // The first one is kept.
    let _ = NOTED.compare_exchange(0, number, Ordering::SeqCst, Ordering::SeqCst);
    if let Some(mut wake) = WAKE.get() {
        // A full pipe has woken the thread already.
        let _ = wake.write(&[0]);
    }
    Errno::set_raw(errno);
}

fn serve(mut pipe: UnixStream) {
    let mut byte = [0];
    while pipe.read_exact(&mut byte).is_ok() {
        if HOLDS.load(Ordering::SeqCst) == 0 {
            take_down_all();
            end();
        }
    }
}

/// Takes down everything registered, last first.
fn take_down_all() {
    let registered = REGISTERED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    let things = registered.unwrap_or_default();
    for thing in things.iter().rev().filter_map(Weak::upgrade) {
        thing.take_down();
    }
}

/// Ends the process by the noted signal.
fn end() {
    let Ok(signal) = Signal::try_from(NOTED.load(Ordering::SeqCst)) else {
        return;
    };
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: the default action runs no code of ours.
    if unsafe { sigaction(signal, &default) }.is_ok() {
        // Does not come back.
        let _ = raise(signal);
    }
    std::process::exit(128 + signal as i32);
}
