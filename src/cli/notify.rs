//! Telling an init system that the mount answers, as sd_notify(3) does.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// What it waits for.
const READY: &[u8] = b"READY=1";

/// Says so at the socket that the environment names, if it names one.
///
/// # Errors
/// If there is one and nobody listens.
pub fn ready(socket: Option<&OsStr>) -> io::Result<()> {
    let Some(socket) = socket.map(OsStrExt::as_bytes).filter(|name| !name.is_empty()) else { return Ok(()) };
    let address = match socket.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(OsStr::from_bytes(socket))?,
    };
    UnixDatagram::unbound()?.send_to_addr(READY, &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_listens_hears_that_it_is_ready() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        ready(Some(path.as_os_str())).unwrap();
        let mut said = [0; 100];
        let len = listener.recv(&mut said).unwrap();
        assert_eq!(&said[..len], READY);
        let name = format!("@coral-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name.as_bytes()[1..]).unwrap();
        let listener = UnixDatagram::bind_addr(&address).unwrap();
        ready(Some(OsStr::new(&name))).unwrap();
        assert_eq!(listener.recv(&mut said).unwrap(), READY.len());
        ready(None).unwrap();
        drop(listener);
        ready(Some(OsStr::new(&name))).unwrap_err();
    }
}
