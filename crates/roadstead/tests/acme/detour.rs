//! A port whose connections are led to another one that is found out later.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// Leads connections on; ends with the process.
pub(crate) struct Detour {
    address: SocketAddr,
    to: Arc<Mutex<Option<SocketAddr>>>,
    connections: Arc<AtomicUsize>,
}

impl Detour {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let to = Arc::new(Mutex::new(None));
        let connections = Arc::new(AtomicUsize::new(0));
        let (target, count) = (Arc::clone(&to), Arc::clone(&connections));
        thread::spawn(move || {
            for stream in listener.incoming() {
                // As long as nobody says where, whoever comes is turned away.
                let Some(to) = *target.lock().unwrap() else {
                    continue;
                };
                count.fetch_add(1, Ordering::Relaxed);
                lead(stream.unwrap(), to);
            }
        });
        Self {
            address,
            to,
            connections,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn lead_to(&self, address: SocketAddr) {
        *self.to.lock().unwrap() = Some(address);
    }

    /// How many were led on.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

fn lead(near: TcpStream, to: SocketAddr) {
    let Ok(far) = TcpStream::connect(to) else {
        return;
    };
    for (mut from, mut to) in [
        (near.try_clone().unwrap(), far.try_clone().unwrap()),
        (far, near),
    ] {
        thread::spawn(move || {
            // Either end may break it off.
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
    }
}
