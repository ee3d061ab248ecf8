use std::convert::Infallible;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::Empty;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWriteExt as _, DuplexStream};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::*;

const PACE: Pace = Pace {
    window: Duration::from_secs(60),
    bytes: 61_440,
};

/// What came of a body, and whether the connection is to be closed behind it.
#[derive(Debug, PartialEq)]
struct Came {
    bytes: usize,
    failure: Option<BodyFailure>,
    declared: Option<u64>,
    unread: bool,
}

/// Sends a request by `send`, reads its body for at most `most` bytes, and tells what came.
async fn exchange<F: Future<Output = DuplexStream>>(
    pace: Pace,
    most: usize,
    send: impl FnOnce(DuplexStream) -> F,
) -> Came {
    let (near, far) = tokio::io::duplex(1 << 20);
    let (told, mut came) = mpsc::channel(1);
    let service = service_fn(move |request: Request<Incoming>| {
        let told = told.clone();
        async move {
            let activity = Arc::new(Activity::default());
            let mut body = RequestBody::new(request.into_body(), pace, Arc::clone(&activity));
            let (mut bytes, mut failure, declared) = (0, None, body.content_length());
            while bytes < most {
                match body.next().await {
                    None => break,
                    Some(Ok(chunk)) => bytes += chunk.len(),
                    Some(Err(error)) => {
                        failure = Some(error);
                        break;
                    }
                }
            }
            drop(body);
            let unread = activity.left_unread();
            told.send(Came {
                bytes,
                failure,
                declared,
                unread,
            })
            .await
            .unwrap();
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let serving = http1::Builder::new()
        .half_close(true)
        .serve_connection(TokioIo::new(near), service);
    let serving = tokio::spawn(serving);
    let far = send(far).await;
    let came = came.recv().await.unwrap();
    drop(far);
    let _ = serving.await.unwrap();
    came
}

async fn check(head: &str, body: &str, most: usize, expected: Came) {
    let text = format!("PATCH / HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n{body}");
    let came = exchange(PACE, most, |mut far| async move {
        far.write_all(text.as_bytes()).await.unwrap();
        far.shutdown().await.unwrap();
        far
    });
    assert_eq!(came.await, expected, "{head} {body:?}");
}

#[tokio::test]
async fn what_came_and_how_it_ended_is_told() {
    use BodyFailure::{Disconnected, Malformed};
    let came = |bytes, failure, declared, unread| Came {
        bytes,
        failure,
        declared,
        unread,
    };
    let (length, chunked) = ("Content-Length: 5", "Transfer-Encoding: chunked");
    let (cut, bad) = (Some(Disconnected), Some(Malformed));
    check("X: y", "", 9, came(0, None, Some(0), false)).await;
    check(length, "hello", 9, came(5, None, Some(5), false)).await;
    check(length, "hello", 5, came(5, None, Some(5), false)).await;
    check(length, "hello", 0, came(0, None, Some(5), true)).await;
    check(length, "hell", 9, came(4, cut, Some(5), true)).await;
    check(
        chunked,
        "5\r\nhello\r\n0\r\n\r\n",
        9,
        came(5, None, None, false),
    )
    .await;
    check(
        chunked,
        "5\r\nhello\r\n0\r\nX: y\r\n\r\n",
        9,
        came(5, None, None, false),
    )
    .await;
    check(chunked, "5\r\nhello\r\n", 9, came(5, cut, None, true)).await;
    check(chunked, "5\r\nhello\r\nx\r\n", 9, came(5, bad, None, true)).await;
}

/// Sends `part` every second, `times` times.
async fn dribble(mut far: DuplexStream, part: usize, times: usize) -> DuplexStream {
    let head = format!(
        "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        part * times
    );
    far.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..times {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if far.write_all(&vec![b'x'; part]).await.is_err() {
            break;
        }
    }
    far
}

#[tokio::test(start_paused = true)]
async fn a_body_that_comes_too_slowly_is_given_up_after_the_window() {
    let begun = Instant::now();
    let came = exchange(PACE, usize::MAX, |far| dribble(far, 1_000, 500)).await;
    assert_eq!(came.failure, Some(BodyFailure::TooSlow));
    assert!(came.unread);
    assert!((59_000..=60_000).contains(&came.bytes), "{}", came.bytes);
    assert!(begun.elapsed() < Duration::from_secs(600));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_just_fast_enough_may_take_for_ever() {
    let came = exchange(PACE, usize::MAX, |far| dribble(far, 1_100, 5_000)).await;
    assert_eq!((came.bytes, came.failure), (1_100 * 5_000, None));
}

#[tokio::test(start_paused = true)]
async fn without_a_minimum_a_body_may_be_silent() {
    let pace = Pace { bytes: 0, ..PACE };
    let came = exchange(pace, usize::MAX, |mut far| async move {
        far.write_all(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n")
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_secs(1_000_000)).await;
        far.write_all(b"x").await.unwrap();
        far
    });
    assert_eq!(came.await.failure, None);
}
