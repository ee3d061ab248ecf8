use proptest::prelude::*;

use super::*;

/// `secret` with cost 4.
const HASH: &str = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW";

fn with_cost(cost: &str) -> String {
    HASH.replacen("04", cost, 1)
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
            problem(5, Some("bob"), HashError::Unknown.into()),
            problem(6, None, HashError::Unknown.into()),
            problem(7, Some("erin"), HashError::BcryptCost(16).into()),
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
    assert_eq!(users.find("a").unwrap().text(), HASH);
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

/// Case 75; R17.
#[test]
fn nobody_costs_what_somebody_costs_in_the_same_shares() {
    let argon2 = "$argon2id$v=19$m=65536,t=3,p=1$c2FsdHNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg";
    let (five, nine) = (with_cost("05"), with_cost("09"));
    let text = format!("a:{nine}\nb:{argon2}\nc:{five}\nd:{nine}\n");
    let users = Users::new(Listing::parse(text.as_bytes())).unwrap();
    let again = Users::new(Listing::parse(text.as_bytes())).unwrap();
    for (start, expected) in [
        ("$2b$05$", 1),
        ("$2b$09$", 2),
        ("$argon2id$v=19$m=65536,t=3,p=1$", 1),
    ] {
        let is_so = |lot: &u64| users.nobody(*lot).text().starts_with(start);
        assert_eq!((0..4).filter(is_so).count(), expected, "{start}");
    }
    for lot in [0, 1, 2, 3, 4, u64::MAX] {
        let nobody = users.nobody(lot);
        assert_eq!(Hash::parse(nobody.text()).as_ref(), Ok(nobody));
        assert_eq!(nobody, again.nobody(lot), "a name keeps its cost");
    }
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
}
