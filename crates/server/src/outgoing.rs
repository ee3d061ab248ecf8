//! A socket that gives up on a client that does not take what is sent to it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::pace::{Pace, Patience};

/// A stream whose writes fail with [`io::ErrorKind::TimedOut`] where they are too slow. It stands
/// below TLS, so that every byte that leaves counts once.
pub(crate) struct Outgoing<S> {
    stream: S,
    patience: Patience,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Outgoing<S> {
    pub(crate) fn new(stream: S, pace: Pace) -> Self {
        Self {
            stream,
            patience: Patience::new(pace),
        }
    }

    /// Follows an attempt to send.
    fn follow<T>(
        &mut self,
        cx: &mut Context<'_>,
        attempt: Poll<io::Result<T>>,
        bytes: impl FnOnce(&T) -> usize,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(outcome) = &attempt {
            self.patience.moved(outcome.as_ref().map_or(0, bytes));
            return attempt;
        }
        ready!(self.patience.poll_end(cx));
        let slow = io::Error::new(io::ErrorKind::TimedOut, "the client takes too little");
        Poll::Ready(Err(slow))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Outgoing<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Outgoing<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let attempt = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.follow(cx, attempt, |sent| *sent)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let attempt = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.follow(cx, attempt, |sent| *sent)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let attempt = Pin::new(&mut self.stream).poll_flush(cx);
        self.follow(cx, attempt, |()| 0)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let attempt = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.follow(cx, attempt, |()| 0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const PACE: Pace = Pace {
        window: Duration::from_secs(60),
        bytes: 61_440,
    };

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_given_up() {
        let (near, far) = tokio::io::duplex(1_000);
        let begun = tokio::time::Instant::now();
        let mut outgoing = Outgoing::new(near, PACE);
        let error = outgoing.write_all(&[0; 100_000]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed().as_secs(), 60);
        drop(far);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_little_is_given_up() {
        let (near, mut far) = tokio::io::duplex(1_000);
        let reading = async {
            let mut some = [0; 500];
            while far.read(&mut some).await.unwrap() > 0 {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        let mut outgoing = Outgoing::new(near, PACE);
        tokio::select! {
            () = reading => panic!("all was taken"),
            written = outgoing.write_all(&[0; 1_000_000]) => {
                assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_is_just_fast_enough_gets_everything() {
        let (near, mut far) = tokio::io::duplex(4_000);
        let reading = async move {
            let (mut some, mut taken) = ([0; 1_200], 0);
            loop {
                let length = far.read(&mut some).await.unwrap();
                taken += length;
                if length == 0 {
                    return taken;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        let writing = async move {
            let mut outgoing = Outgoing::new(near, PACE);
            outgoing.write_all(&[0; 300_000]).await.unwrap();
            // Time in which there is nothing to send is no waiting.
            tokio::time::sleep(Duration::from_secs(10_000)).await;
            outgoing.write_all(&[0; 100_000]).await.unwrap();
        };
        let (taken, ()) = tokio::join!(reading, writing);
        assert_eq!(taken, 400_000);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_minimum_it_waits_for_ever() {
        let (near, far) = tokio::io::duplex(1_000);
        let mut outgoing = Outgoing::new(near, Pace { bytes: 0, ..PACE });
        let writing = outgoing.write_all(&[0; 100_000]);
        assert!(
            tokio::time::timeout(Duration::from_secs(100_000), writing)
                .await
                .is_err()
        );
        drop(far);
    }
}
