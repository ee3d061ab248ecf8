use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn ip(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

/// Tries as often as it may at once with a wrong password; how often, and the wait after it.
fn exhaust(backoff: &LoginBackoff, user: &str, address: &str, now: Instant) -> (u32, Duration) {
    let mut tries = 0;
    loop {
        match backoff.check(user, ip(address), now) {
            Ok(attempt) => attempt.failed(now),
            Err(wait) => return (tries, wait),
        }
        tries += 1;
    }
}

#[test]
fn waits_double_from_a_second_to_a_minute() {
    let (backoff, mut now) = (LoginBackoff::new(), Instant::now());
    assert_eq!(exhaust(&backoff, "alice", "192.0.2.1", now), (5, SECOND));
    for seconds in [2, 4, 8, 16, 32, 60, 60, 60] {
        let (_, wait) = exhaust(&backoff, "alice", "192.0.2.1", now);
        now += wait;
        let expected = SECOND * seconds;
        assert_eq!(exhaust(&backoff, "alice", "192.0.2.1", now), (1, expected));
    }
    // Another name is not concerned, nor is another address.
    assert!(backoff.check("bob", ip("192.0.2.1"), now).is_ok());
    assert!(backoff.check("alice", ip("192.0.2.2"), now).is_ok());
    // Nor is anybody after a quarter of an hour.
    assert_eq!(
        exhaust(&backoff, "alice", "192.0.2.1", now + MEMORY),
        (5, SECOND)
    );
}

#[test]
fn the_right_password_clears_the_name_at_its_address() {
    let (backoff, now) = (LoginBackoff::new(), Instant::now());
    for _ in 0..3 {
        for _ in 0..4 {
            backoff
                .check("alice", ip("192.0.2.1"), now)
                .unwrap()
                .failed(now);
        }
        backoff
            .check("alice", ip("192.0.2.1"), now)
            .unwrap()
            .succeeded(now);
    }
    // The address is not cleared: eight more of its twenty are left.
    let names: Vec<String> = (0..8).map(|n| format!("user{n}")).collect();
    for name in &names {
        backoff
            .check(name, ip("192.0.2.1"), now)
            .unwrap()
            .failed(now);
    }
    assert_eq!(
        backoff.check("carol", ip("192.0.2.1"), now).err(),
        Some(SECOND)
    );
    assert!(backoff.check("carol", ip("192.0.2.2"), now).is_ok());
}

#[test]
fn an_address_of_ipv6_is_its_network() {
    let (backoff, now) = (LoginBackoff::new(), Instant::now());
    for number in 0..20 {
        let address = format!("2001:db8::{number:x}");
        let name = format!("user{number}");
        backoff.check(&name, ip(&address), now).unwrap().failed(now);
    }
    assert!(backoff.check("x", ip("2001:db8::ffff"), now).is_err());
    assert!(backoff.check("x", ip("2001:db8:0:1::1"), now).is_ok());
}

#[test]
fn a_name_under_attack_is_not_locked_elsewhere() {
    let (backoff, now) = (LoginBackoff::new(), Instant::now());
    for number in 0..200_u32 {
        let address = format!("198.51.{}.{}", number / 250, number % 250);
        let (tries, _) = exhaust(&backoff, "alice", &address, now);
        // The attacker's later addresses have one try each.
        assert_eq!(tries, if number < 10 { 5 } else { 1 }, "{number}");
    }
    // The user gets in from wherever they have not tried, as often as they like.
    for _ in 0..100 {
        backoff
            .check("alice", ip("192.0.2.1"), now)
            .unwrap()
            .succeeded(now);
    }
    // And others are not concerned.
    assert_eq!(exhaust(&backoff, "bob", "192.0.2.9", now).0, 5);
}

#[test]
fn tries_at_once_are_no_way_round() {
    let (backoff, now) = (LoginBackoff::new(), Instant::now());
    let check = || backoff.check("alice", ip("192.0.2.1"), now);
    let mut attempts: Vec<_> = (0..5).map(|_| check().unwrap()).collect();
    assert_eq!(check().err(), Some(WAIT_MIN));
    // One that came to nothing leaves its place.
    drop(attempts.pop());
    attempts.push(check().unwrap());
    for attempt in attempts {
        attempt.failed(now);
    }
    let later = now + SECOND;
    let one = backoff.check("alice", ip("192.0.2.1"), later).unwrap();
    assert!(backoff.check("alice", ip("192.0.2.1"), later).is_err());
    one.succeeded(later);
    assert_eq!(exhaust(&backoff, "alice", "192.0.2.1", later).0, 5);
}

#[test]
fn without_an_address_the_name_counts() {
    let (backoff, now) = (LoginBackoff::new(), Instant::now());
    for _ in 0..5 {
        backoff.check("alice", None, now).unwrap().failed(now);
    }
    assert!(backoff.check("alice", None, now).is_err());
    for number in 0..100 {
        let name = format!("user{number}");
        backoff.check(&name, None, now).unwrap().failed(now);
    }
    assert!(backoff.check("bob", None, now).is_ok());
}

#[test]
fn memory_is_bounded_and_the_persistent_are_remembered() {
    let (backoff, now) = (LoginBackoff::new(), Instant::now());
    for number in 0..3 * RECORDS_MAX as u128 {
        let address = IpAddr::from((number << 64).to_be_bytes());
        let long = "x".repeat(100);
        backoff
            .check(&format!("{long}{number}"), Some(address), now)
            .unwrap()
            .failed(now);
        if number % 1_000 == 0 {
            exhaust(&backoff, "alice", "192.0.2.1", now);
        }
    }
    let mut state = backoff.lock();
    assert!(state.pairs.0.len() <= RECORDS_MAX);
    assert!(state.addresses.0.len() <= RECORDS_MAX);
    assert!(state.users.0.len() <= RECORDS_MAX);
    let user = backoff.names.hash_one("alice");
    let address = ip("192.0.2.1").map(AddressBlock::of);
    assert!(state.pairs.get((user, address), now).failures >= 5);
}

#[test]
fn what_is_right_leaves_nothing() {
    let (backoff, now) = (LoginBackoff::new(), Instant::now());
    for number in 0..100 {
        let name = format!("user{number}");
        backoff
            .check(&name, ip("192.0.2.1"), now)
            .unwrap()
            .succeeded(now);
    }
    let state = backoff.lock();
    assert_eq!((state.pairs.0.len(), state.addresses.0.len()), (0, 0));
}
