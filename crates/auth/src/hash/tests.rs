use proptest::prelude::*;

use super::*;

/// `secret` with cost 4.
const HASH: &str = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW";
/// `secret`, by the reference program: `echo -n secret | argon2 saltsalt -id -m 6 -t 2 -p 1 -l 16 -e`.
const ARGON2: &str = "$argon2id$v=19$m=64,t=2,p=1$c2FsdHNhbHQ$KiF/ufEje6clcgqtrMF/nQ";

fn with_cost(cost: &str) -> String {
    HASH.replacen("04", cost, 1)
}

fn with(parameters: &str) -> String {
    ARGON2.replacen("m=64,t=2,p=1", parameters, 1)
}

#[test]
fn hashes_of_bcrypt_are_read_and_others_are_not() {
    let good = [
        HASH.to_owned(),
        HASH.replacen("$2b$", "$2a$", 1),
        HASH.replacen("$2b$", "$2y$", 1),
    ];
    for text in good {
        let hash = Hash::parse(&text).unwrap();
        assert_eq!(hash.kind, Kind::Bcrypt { cost: 4 }, "{text}");
        assert_eq!(hash.text(), HASH, "{text}");
    }
    let highest = Hash::parse(&with_cost("14")).unwrap();
    assert_eq!(highest.kind, Kind::Bcrypt { cost: 14 });
    for (text, expected) in [
        (with_cost("15"), HashError::BcryptCost(15)),
        (with_cost("31"), HashError::BcryptCost(31)),
        (with_cost("32"), HashError::Bcrypt),
        (with_cost("99"), HashError::Bcrypt),
        (with_cost("03"), HashError::Bcrypt),
        (with_cost("00"), HashError::Bcrypt),
        (with_cost("+4"), HashError::Bcrypt),
        (with_cost("4"), HashError::Bcrypt),
        (with_cost("004"), HashError::Bcrypt),
        (with_cost("é"), HashError::Bcrypt),
        (HASH.replacen("$2b$", "$2x$", 1), HashError::Unknown),
        (HASH.replacen("$2b$", "$2$", 1), HashError::Unknown),
        (HASH[..59].to_owned(), HashError::Bcrypt),
        (format!("{HASH}a"), HashError::Bcrypt),
        (format!("{HASH}:extra"), HashError::Bcrypt),
        (HASH.replacen('h', "=", 1), HashError::Bcrypt),
        ("$2b$".to_owned(), HashError::Bcrypt),
        ("$2b$04".to_owned(), HashError::Bcrypt),
        ("$2b$04$".to_owned(), HashError::Bcrypt),
        (String::new(), HashError::Unknown),
        ("secret".to_owned(), HashError::Unknown),
        (
            "$apr1$KTn5xQpV$0C1yLJoRcSIHN1pFzvxQp0".to_owned(),
            HashError::Unknown,
        ),
        (
            "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=".to_owned(),
            HashError::Unknown,
        ),
        (
            "$argon2i$v=19$m=64,t=2,p=1$c2FsdHNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg".to_owned(),
            HashError::Unknown,
        ),
    ] {
        assert_eq!(Hash::parse(&text), Err(expected), "{text}");
    }
}

/// RUSTSEC-2026-0199: a character that lies across the border of salt and digest.
#[test]
fn a_wide_character_anywhere_in_a_hash_is_malformed() {
    for at in 4..HASH.len() {
        for wide in ["é", "€", "🚢"] {
            let (before, after) = HASH.split_at(at);
            let after: String = after.chars().skip(wide.len()).collect();
            let text = format!("{before}{wide}{after}");
            assert_eq!(Hash::parse(&text), Err(HashError::Bcrypt), "{at} {wide}");
        }
    }
}

/// Bits that no byte stands for: they make no other hash.
#[test]
fn unused_bits_of_salt_and_digest_are_read_over() {
    let odd = HASH.replacen("tuu", "tux", 1);
    assert_eq!(Hash::parse(&odd), Hash::parse(HASH));
    assert!(bcrypt::verify("secret", Hash::parse(HASH).unwrap().text()).unwrap());
}

#[test]
fn a_hash_of_argon2id_is_read_within_bounds() {
    assert_eq!(Hash::parse(ARGON2).unwrap().text(), ARGON2);
    for (memory, passes, lanes) in [(64, 2, 1), (262_144, 4, 1), (1_024, 1_024, 16), (8, 1, 1)] {
        let text = with(&format!("m={memory},t={passes},p={lanes}"));
        let kind = Kind::Argon2id {
            memory,
            passes,
            lanes,
        };
        assert_eq!(Hash::parse(&text).unwrap().kind, kind, "{text}");
    }
    for parameters in [
        "m=262145,t=1,p=1",
        "m=262144,t=5,p=1",
        "m=1024,t=1025,p=1",
        "m=1024,t=1,p=17",
        "m=4294967295,t=4294967295,p=1",
    ] {
        let read = Hash::parse(&with(parameters));
        assert_eq!(read, Err(HashError::Argon2Cost), "{parameters}");
    }
    let malformed = [
        with("m=64,t=0,p=1"),
        with("m=64,t=2,p=0"),
        with("m=7,t=2,p=1"),
        with("m=64,t=2,p=9"),
        with("m=64,t=2"),
        with("m=64,t=2,p=1,keyid=Hj5+dsK0"),
        with("m=64,t=2,x=1"),
        with("m=64,t=2,t=2"),
        with("m=-64,t=2,p=1"),
        with("m=99999999999,t=2,p=1"),
        with("m=064,t=2,p=1"),
        ARGON2.replacen("v=19", "v=16", 1),
        ARGON2.replacen("$v=19", "", 1),
        ARGON2.replacen("c2FsdHNhbHQ", "c2FsdA", 1),
        format!("{ARGON2}$x"),
        format!("{ARGON2}:extra"),
        ARGON2[..ARGON2.len() - 8].to_owned(),
        "$argon2id$".to_owned(),
        "$argon2id$v=19$m=64,t=2,p=1".to_owned(),
        "$argon2id$v=19$m=64,t=2,p=1$c2FsdHNhbHQ".to_owned(),
    ];
    for text in malformed {
        assert_eq!(Hash::parse(&text), Err(HashError::Argon2), "{text}");
    }
}

#[test]
fn only_the_password_matches() {
    let long = "x".repeat(73);
    for text in [HASH, ARGON2] {
        let hash = Hash::parse(text).unwrap();
        assert!(hash.matches(b"secret"), "{text}");
        for other in ["", "Secret", "secret ", &long] {
            assert!(!hash.matches(other.as_bytes()), "{text} {other}");
        }
        let nobody = hash.nobody_like();
        assert_eq!((nobody.kind, nobody.work()), (hash.kind, hash.work()));
        assert!(!nobody.matches(b"secret") && !nobody.matches(b""));
        assert_eq!(Hash::parse(nobody.text()).as_ref(), Ok(&nobody));
    }
    let (bcrypt, argon2) = (Hash::parse(HASH).unwrap(), Hash::parse(ARGON2).unwrap());
    for cut_off in [long.as_bytes(), b"a\0a"] {
        assert!(!bcrypt.can_tell(cut_off) && argon2.can_tell(cut_off));
    }
    assert!(bcrypt.can_tell(&long.as_bytes()[..72]));
}

#[test]
fn a_new_password_is_hashed_as_owasp_recommends() {
    let (one, two) = (
        hash_password("пароль".as_bytes()).unwrap(),
        hash_password("пароль".as_bytes()).unwrap(),
    );
    assert_ne!(one, two);
    assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
    let hash = Hash::parse(&one).unwrap();
    assert!(hash.matches("пароль".as_bytes()) && !hash.matches(b"other"));
    assert!(matches!(hash_password(b""), Err(NewHashError::Empty)));
}

#[test]
fn what_costs_more_is_known_to() {
    let work = |text: &str| Hash::parse(text).unwrap().work();
    assert!(work(&with_cost("05")) > work(HASH));
    assert!(work(&with("m=128,t=2,p=1")) > work(ARGON2));
    assert!(work(&with("m=65536,t=3,p=1")) > work(HASH));
    assert!(work(&with_cost("14")) > work(ARGON2));
}

proptest! {
    #[test]
    fn any_text_is_a_hash_that_can_be_checked_or_is_refused(
        text in r"\$2[aby]\$0[0-9]\$[./A-Za-z0-9é€🚢$]{40,60}",
    ) {
        if let Ok(hash) = Hash::parse(&text) {
            prop_assert!(hash.text().parse::<bcrypt::HashParts>().is_ok());
        }
    }

    #[test]
    fn a_hash_with_anything_in_it_does_no_harm(at in 0_usize..60, with in ".{0,4}") {
        for hash in [HASH, ARGON2] {
            let (before, after) = hash.split_at(at);
            for text in [format!("{before}{with}{after}"), format!("{before}{with}")] {
                if let Ok(hash) = Hash::parse(&text) {
                    prop_assert!(hash.work() <= ARGON2_KIB_NS * MAX_WORK.max(1 << 21));
                    let again = Hash::parse(hash.text());
                    prop_assert_eq!(again.as_ref(), Ok(&hash));
                }
            }
        }
    }
}
