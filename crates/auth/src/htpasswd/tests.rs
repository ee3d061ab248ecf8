use proptest::prelude::*;

use super::*;

/// `secret` with cost 4.
const HASH: &str = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW";

fn with_cost(cost: &str) -> String {
    HASH.replacen("04", cost, 1)
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
        assert_eq!((hash.cost, hash.text()), (4, HASH), "{text}");
    }
    assert_eq!(Hash::parse(&with_cost("14")).unwrap().cost, 14);
    for (text, expected) in [
        (with_cost("15"), Unusable::TooCostly(15)),
        (with_cost("31"), Unusable::TooCostly(31)),
        (with_cost("32"), Unusable::Malformed),
        (with_cost("99"), Unusable::Malformed),
        (with_cost("03"), Unusable::Malformed),
        (with_cost("00"), Unusable::Malformed),
        (with_cost("+4"), Unusable::Malformed),
        (with_cost("4"), Unusable::Malformed),
        (with_cost("004"), Unusable::Malformed),
        (with_cost("é"), Unusable::Malformed),
        (HASH.replacen("$2b$", "$2x$", 1), Unusable::NotBcrypt),
        (HASH.replacen("$2b$", "$2$", 1), Unusable::NotBcrypt),
        (HASH[..59].to_owned(), Unusable::Malformed),
        (format!("{HASH}a"), Unusable::Malformed),
        (format!("{HASH}:extra"), Unusable::Malformed),
        (HASH.replacen('h', "=", 1), Unusable::Malformed),
        ("$2b$".to_owned(), Unusable::Malformed),
        ("$2b$04".to_owned(), Unusable::Malformed),
        ("$2b$04$".to_owned(), Unusable::Malformed),
        (String::new(), Unusable::NotBcrypt),
        ("secret".to_owned(), Unusable::NotBcrypt),
        (
            "$apr1$KTn5xQpV$0C1yLJoRcSIHN1pFzvxQp0".to_owned(),
            Unusable::NotBcrypt,
        ),
        (
            "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=".to_owned(),
            Unusable::NotBcrypt,
        ),
        (
            "$argon2id$v=19$m=16,t=2,p=1$c2FsdA$aGFzaA".to_owned(),
            Unusable::NotBcrypt,
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
            assert_eq!(Hash::parse(&text), Err(Unusable::Malformed), "{at} {wide}");
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
fn lines_are_read_as_distribution_reads_them() {
    let text = format!(
        "\u{feff}\n# comment\n  \t\nalice:{HASH}\r\n  bob:{HASH}  \n #bob:x\nwith space:{HASH}\nдмитрий:{HASH}"
    );
    let listing = Listing::parse(text.as_bytes());
    assert_eq!(listing.problems, []);
    assert!(!listing.cut_short);
    let mut names: Vec<&str> = listing.hashes.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["alice", "bob", "with space", "дмитрий"]);
}

#[test]
fn a_line_that_cannot_be_used_disables_its_user_alone() {
    let mut text = format!(
        "alice:{HASH}\nno colon\n:{HASH}\nbob:{HASH}\nbob:plain\n{HASH}:carol\nerin:{}\n",
        with_cost("16")
    )
    .into_bytes();
    text.extend_from_slice(b"\xff\xfe:x\n");
    let listing = Listing::parse(&text);
    let problem = |line, user: Option<&str>, kind| LineProblem {
        line,
        user: user.map(str::to_owned),
        kind,
    };
    assert_eq!(
        listing.problems,
        [
            problem(2, None, Unusable::NoColon),
            problem(3, None, Unusable::NoUser),
            problem(5, Some("bob"), Unusable::NotBcrypt),
            problem(6, None, Unusable::NotBcrypt),
            problem(7, Some("erin"), Unusable::TooCostly(16)),
            problem(8, None, Unusable::NotUtf8),
        ]
    );
    assert!(!listing.cut_short);
    let users = Users::new(listing).unwrap();
    assert_eq!(users.count(), 1);
    assert!(users.find("alice").is_some());
    assert!(users.find("bob").is_none());
}

#[test]
fn the_last_of_several_lines_for_a_user_counts() {
    let text = format!("a:{}\na:bad\na:{HASH}\n", with_cost("05"));
    let users = Users::new(Listing::parse(text.as_bytes())).unwrap();
    assert_eq!(users.find("a").unwrap().cost, 4);
}

#[test]
fn a_file_that_ends_in_the_middle_of_a_line_is_cut_short() {
    for (end, cut_short) in [
        (HASH, false),
        (&format!("{HASH}\n"), false),
        (&HASH[..40], true),
        (&format!("{}\n", &HASH[..40]), false),
    ] {
        let text = format!("alice:{HASH}\nbob:{end}");
        assert_eq!(
            Listing::parse(text.as_bytes()).cut_short,
            cut_short,
            "{end}"
        );
    }
}

#[test]
fn nobody_costs_as_much_as_the_costliest_user() {
    let text = format!("a:{HASH}\nb:{}\nc:{}\n", with_cost("11"), with_cost("09"));
    let users = Users::new(Listing::parse(text.as_bytes())).unwrap();
    assert_eq!(users.nobody().cost, 11);
    assert_eq!(
        Hash::parse(users.nobody().text()).as_ref(),
        Ok(users.nobody())
    );
    assert!(Users::new(Listing::parse(b"# nobody\n")).is_none());
    assert!(Users::new(Listing::parse(b"")).is_none());
}

#[test]
fn hashes_are_not_printed() {
    let text = format!("alice:{HASH}\nbob:{}\n", &HASH[..50]);
    let listing = Listing::parse(text.as_bytes());
    let shown: Vec<String> = listing
        .problems
        .iter()
        .map(|problem| format!("{problem:?} {}", problem.kind))
        .collect();
    let shown = format!("{listing:?} {shown:?}");
    let shown = format!("{shown} {:?}", Users::new(listing));
    assert!(!shown.contains("$2b$"), "{shown}");
}

proptest! {
    #[test]
    fn any_file_is_read(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _users = Users::new(Listing::parse(&bytes));
    }

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
        let (before, after) = HASH.split_at(at);
        let _hash = Hash::parse(&format!("{before}{with}{after}"));
        let _hash = Hash::parse(&format!("{before}{with}"));
    }
}
