//! What the recorder tells systemd: that it is ready, that it is alive (`sd_notify(3)`).

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Somebody who is told, or nobody.
#[derive(Debug, Default)]
pub struct Notify(Option<UnixDatagram>);

impl Notify {
    /// To the socket that `NOTIFY_SOCKET` names; nobody where there is none. It is opened before the process gives up making sockets.
    #[must_use]
    pub fn to(name: Option<&OsStr>) -> Self {
        Self(name.and_then(|name| connected(name).ok()))
    }

    pub fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={status}"));
    }

    pub fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    fn tell(&self, text: &str) {
        if let Some(socket) = &self.0 {
            // A manager that does not listen is no reason to stop.
            let _ = socket.send(text.as_bytes());
        }
    }
}

fn connected(name: &OsStr) -> io::Result<UnixDatagram> {
    let address = match name.as_bytes().split_first() {
        Some((b'@', rest)) => SocketAddr::from_abstract_name(rest)?,
        _ => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect_addr(&address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_who_listens_and_bears_with_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let notify = Notify::to(Some(path.as_os_str()));
        notify.ready("recording");
        notify.alive();
        let heard = || {
            let mut buffer = [0; 100];
            let length = manager.recv(&mut buffer).unwrap();
            String::from_utf8(buffer[..length].to_vec()).unwrap()
        };
        assert_eq!(heard(), "READY=1\nSTATUS=recording");
        assert_eq!(heard(), "WATCHDOG=1");
        Notify::to(Some(OsStr::new("/no/such/socket"))).alive();
        Notify::to(None).stopping();
    }
}
