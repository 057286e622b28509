//! The view on a terminal that is a pair of descriptors: whatever happens, it is put back, and nobody waits for it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::FromRawFd as _;
use std::ptr;

use ratatui::layout::Rect;
use ratatui::style::Style;
use rustix::fs::OFlags;
use rustix::termios::{LocalModes, tcgetattr};

use super::*;

const LEFT: &str = "\u{1b}[?1049l";

/// Whoever looks at the terminal, and the terminal.
fn pty() -> (File, OwnedFd) {
    let (mut master, mut slave) = (-1, -1);
    let none = (ptr::null_mut(), ptr::null(), ptr::null());
    // SAFETY: openpty(3) writes the two descriptors through the pointers, and is given nothing to read.
    let failed = unsafe { libc::openpty(&raw mut master, &raw mut slave, none.0, none.1, none.2) };
    assert_eq!(failed, 0);
    // SAFETY: both were opened just now, for nobody else.
    let (master, slave) = unsafe { (File::from_raw_fd(master), OwnedFd::from_raw_fd(slave)) };
    rustix::fs::fcntl_setfl(&slave, OFlags::RDWR | OFlags::NONBLOCK).unwrap();
    (master, slave)
}

fn is_raw(tty: &OwnedFd) -> bool {
    let modes = tcgetattr(tty).unwrap().local_modes;
    !modes.contains(LocalModes::ICANON) && !modes.contains(LocalModes::ECHO)
}

fn screen(tty: &OwnedFd) -> Screen {
    Screen::of(tty.try_clone().unwrap(), tcgetattr(tty).unwrap()).unwrap()
}

fn times() -> Times {
    Times {
        began: Instant::now(),
        end: None,
    }
}

fn read(master: &mut File) -> String {
    let mut bytes = vec![0; 1 << 16];
    let count = master.read(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes[..count]).into_owned()
}

#[test]
fn a_fault_while_drawing_puts_the_terminal_back() {
    let (mut master, tty) = pty();
    let shared = Shared::new().unwrap();
    show(screen(&tty), &shared, &times(), "", |_, _| {
        panic!("a panic of a test")
    });
    assert!(!is_raw(&tty));
    assert!(shared.has_ended.load(Ordering::Relaxed));
    assert!(read(&mut master).contains(LEFT));
}

#[test]
fn a_key_leaves_it_and_closing_puts_the_terminal_back() {
    let (mut master, tty) = pty();
    let shared = Arc::new(Shared::new().unwrap());
    let of_view = Arc::clone(&shared);
    let on = screen(&tty);
    let view = thread::spawn(move || show(on, &of_view, &times(), "all disks", view::draw));
    while !read(&mut master).contains("all disks") {}
    assert!(is_raw(&tty));
    master.write_all(b"\x1b[Aq").unwrap();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.build().unwrap();
    runtime.block_on(shared.left.notified());
    assert!(!view.is_finished(), "it stays until it is closed");
    shared.close();
    view.join().unwrap();
    assert!(!is_raw(&tty));
    assert!(read(&mut master).contains(LEFT));
}

#[test]
fn nobody_waits_for_a_terminal_that_takes_nothing() {
    let (master, tty) = pty();
    let begin = Instant::now();
    let mut screen = screen(&tty);
    screen.enter().unwrap();
    for number in 0..300u32 {
        let full = format!("{number:>9}").repeat(1_000);
        let draw = |frame: &mut Frame<'_>| {
            let Rect { width, height, .. } = frame.area();
            for y in 0..height {
                let buffer = frame.buffer_mut();
                buffer.set_stringn(0, y, &full, usize::from(width), Style::new());
            }
        };
        screen.draw(draw).unwrap();
    }
    drop(screen);
    assert!(!is_raw(&tty));
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
    drop(master);
}

#[test]
fn a_terminal_that_is_gone_ends_the_view() {
    let (master, tty) = pty();
    let shared = Shared::new().unwrap();
    let on = screen(&tty);
    drop(master);
    show(on, &shared, &times(), "", view::draw);
    assert!(shared.has_ended.load(Ordering::Relaxed));
}
