use tokio::io::{AsyncWriteExt as _, DuplexStream};

use super::*;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

fn paced() -> (Paced<DuplexStream>, DuplexStream) {
    let (near, far) = tokio::io::duplex(1 << 20);
    let limits = Limits {
        idle_timeout: Duration::from_secs(75),
        header_timeout: Duration::from_secs(30),
        ..Limits::default()
    };
    (Paced::new(near, &limits), far)
}

/// Reads until the end or an error, and tells how long that took.
async fn seconds_until_timeout(paced: &mut Paced<DuplexStream>) -> u64 {
    let begun = Instant::now();
    let error = paced.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    begun.elapsed().as_secs()
}

async fn read(paced: &mut Paced<DuplexStream>, bytes: usize) {
    paced.read_exact(&mut vec![0; bytes]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_request_is_idle() {
    let (mut paced, _far) = paced();
    assert_eq!(seconds_until_timeout(&mut paced).await, 75);
}

#[tokio::test(start_paused = true)]
async fn a_head_has_its_budget_from_its_first_byte() {
    let (mut paced, mut far) = paced();
    let sending = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(70)).await;
        for byte in GET.iter().take(20) {
            far.write_all(&[*byte]).await.unwrap();
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        far
    });
    assert_eq!(seconds_until_timeout(&mut paced).await, 100);
    sending.abort();
}

#[tokio::test(start_paused = true)]
async fn a_request_has_neither_budget_and_both_begin_anew_after_it() {
    let (mut paced, mut far) = paced();
    let activity = paced.activity();
    for _ in 0..3 {
        far.write_all(GET).await.unwrap();
        read(&mut paced, GET.len()).await;
        let request = activity.request();
        let waiting = tokio::time::timeout(Duration::from_secs(1_000), paced.read_u8());
        assert!(waiting.await.is_err());
        drop(request);
    }
    // One that came and went between two reads counts as well.
    far.write_all(GET).await.unwrap();
    read(&mut paced, GET.len()).await;
    drop(activity.request());
    assert_eq!(seconds_until_timeout(&mut paced).await, 75);
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_ahead_of_a_head_counts_once_it_is_its_turn() {
    let (mut paced, mut far) = paced();
    let activity = paced.activity();
    far.write_all(GET).await.unwrap();
    far.write_all(b"GET /").await.unwrap();
    read(&mut paced, GET.len() + 5).await;
    let request = activity.request();
    let waiting = tokio::time::timeout(Duration::from_secs(1_000), paced.read_u8());
    assert!(waiting.await.is_err());
    drop(request);
    assert_eq!(seconds_until_timeout(&mut paced).await, 30);
}

#[tokio::test(start_paused = true)]
async fn a_whole_head_that_becomes_no_request_has_its_budget_too() {
    let (mut paced, mut far) = paced();
    far.write_all(GET).await.unwrap();
    assert_eq!(seconds_until_timeout(&mut paced).await, 30);
}

#[tokio::test(start_paused = true)]
async fn a_request_with_two_lengths_is_told_by_its_number() {
    let (mut paced, mut far) = paced();
    let activity = paced.activity();
    let two = b"PUT / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
    far.write_all(GET).await.unwrap();
    far.write_all(two).await.unwrap();
    read(&mut paced, GET.len() + two.len()).await;
    assert_eq!(
        [1, 2, 3].map(|number| activity.is_distrusted(number)),
        [false, true, true]
    );
}

#[tokio::test(start_paused = true)]
async fn a_first_line_that_is_too_long_is_answered_and_the_rest_thrown_away() {
    let (mut paced, mut far) = paced();
    let client = tokio::spawn(async move {
        far.write_all(b"GET /").await.unwrap();
        far.write_all(&vec![b'a'; 3 << 20]).await.unwrap();
        far.shutdown().await.unwrap();
        let mut answer = String::new();
        far.read_to_string(&mut answer).await.unwrap();
        answer
    });
    let mut came = Vec::new();
    paced.read_to_end(&mut came).await.unwrap();
    assert!(came.len() <= 32 << 10, "{}", came.len());
    drop(paced);
    assert!(client.await.unwrap().starts_with("HTTP/1.1 414 "));
}

#[tokio::test(start_paused = true)]
async fn after_an_unread_body_it_lingers_a_little() {
    for (sent, taken) in [(1 << 20, true), (64 << 20, false)] {
        let (mut paced, mut far) = paced();
        paced.activity().leave_unread();
        let client = tokio::spawn(async move {
            let sent = far.write_all(&vec![0; sent]).await;
            (sent.is_ok(), far)
        });
        let begun = Instant::now();
        paced.shutdown().await.unwrap();
        assert!(begun.elapsed() <= LINGER);
        drop(paced);
        assert_eq!(client.await.unwrap().0, taken, "{sent}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_unread_is_closed_at_once() {
    let (mut paced, _far) = paced();
    let begun = Instant::now();
    paced.shutdown().await.unwrap();
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_protocol_is_told_by_the_first_bytes() {
    for (sent, expected) in [
        (PREFACE, Protocol::Http2),
        (GET, Protocol::Http1),
        (b"PRI * HTTP/1.1\r\n\r\nabcdefgh", Protocol::Http1),
        (b"P", Protocol::Http1),
        (b"", Protocol::Http1),
    ] {
        let (mut paced, mut far) = paced();
        far.write_all(sent).await.unwrap();
        far.shutdown().await.unwrap();
        assert_eq!(paced.sniff().await.unwrap(), expected);
        paced.speak(expected);
        let mut came = Vec::new();
        paced.read_to_end(&mut came).await.unwrap();
        assert_eq!(came, sent);
    }
    let (mut paced, mut far) = paced();
    far.write_all(b"PRI").await.unwrap();
    let begun = Instant::now();
    assert_eq!(
        paced.sniff().await.unwrap_err().kind(),
        io::ErrorKind::TimedOut
    );
    assert_eq!(begun.elapsed().as_secs(), 30);
}
