//! Users of a directory, Debian's slapd, through the registry. Where it is not installed, the tests
//! say that they were skipped, except where the environment says `CI=true`.

use std::collections::HashSet;

use ldap3::Mod;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::harness::{Answer, Builder, Image, Registry, SOON, until};
use crate::slapd::{BASE, Slapd};

const ROOT: (&str, &str) = ("root", "the root password");
const ADA: (&str, &str) = ("ada", "ada:пароль");
const BOB: (&str, &str) = ("bob (*)", "bob");
const DEVS: &str = "cn=devs,ou=groups,dc=example,dc=org";
const ADA_DN: &str = "uid=ada,ou=people,dc=example,dc=org";

struct Directory {
    runtime: Runtime,
    slapd: Slapd,
}

impl Directory {
    fn start() -> Option<Self> {
        let runtime = Runtime::new().unwrap();
        let slapd = runtime.block_on(Slapd::start())?;
        Some(Self { runtime, slapd })
    }

    fn leave(&self, group: &str, member: &str) {
        let change = Mod::Delete("member", HashSet::from([member]));
        self.runtime.block_on(self.slapd.modify(group, change));
    }

    /// A registry whose users are of this directory, with root in a file besides.
    fn registry(&self) -> Registry {
        let ldap = json!({
            "url": self.slapd.tls(),
            "cafile": self.slapd.ca(),
            "binddn": format!("cn=roadstead,{BASE}"),
            "bindpassword": "service",
            "user": {
                "base": format!("ou=people,{BASE}"),
                "filter": "(&(objectClass=inetOrgPerson)(uid={user}))",
            },
            "group": {
                "base": format!("ou=groups,{BASE}"),
                "filter": "(&(objectClass=groupOfNames)(member={dn}))",
            },
        });
        let access = json!({
            "ldap": ldap,
            "rules": [
                {"allow": "admin", "to": "user:root", "on": "**"},
                {"allow": ["pull", "push"], "to": "group:devs", "on": "team/**"},
                {"allow": "pull", "to": "group:Ops Team", "on": "ops/**"},
                {"allow": "admin", "to": "group:admins", "on": "**"},
            ],
        });
        let http = json!({"host": "https://registry.example", "relativeurls": true});
        let builder = Builder::new().users(&[ROOT]);
        builder
            .config(json!({"access": access, "http": http}))
            .start()
    }
}

fn seed(registry: &Registry, repository: &str) {
    registry.push_image_as(ROOT, repository, "v1", &Image::new(repository));
}

fn pull(registry: &Registry, repository: &str, (user, password): (&str, &str)) -> u16 {
    let request = registry.get(format!("/v2/{repository}/manifests/v1"));
    request.basic(user, password).send_any().status
}

const SCOPES: &str = "&scope=repository:team/app:pull,push,delete&scope=repository:ops/app:pull";

fn token(registry: &Registry, (user, password): (&str, &str)) -> Answer {
    let target = format!("/auth/token?service=registry.example&offline_token=true{SCOPES}");
    registry.get(target).basic(user, password).send_any()
}

fn refresh(registry: &Registry, refresh_token: &Value) -> Answer {
    let body = format!(
        "grant_type=refresh_token&service=registry.example&refresh_token={}\
         &scope=repository:team/app:pull,push+repository:ops/app:pull",
        refresh_token.as_str().unwrap()
    );
    let request = registry.post("/auth/token");
    let request = request.header("Content-Type", "application/x-www-form-urlencoded");
    request.body(body).send_any()
}

#[test]
fn people_of_a_directory_come_in_with_their_groups() {
    let Some(directory) = Directory::start() else {
        return;
    };
    let registry = directory.registry();
    seed(&registry, "team/app");
    seed(&registry, "ops/app");
    // Twice: asked and remembered.
    for _ in 0..2 {
        assert_eq!(pull(&registry, "team/app", ADA), 200);
        assert_eq!(pull(&registry, "ops/app", ADA), 200);
        assert_eq!(pull(&registry, "team/app", BOB), 200);
        assert_eq!(pull(&registry, "ops/app", BOB), 403);
        assert_eq!(pull(&registry, "other/app", ADA), 403);
    }
    let answer = token(&registry, ADA).expect(200).json();
    let covered = "repository:team/app:pull,push repository:ops/app:pull";
    assert_eq!(answer["scope"], covered);
    let answer = token(&registry, BOB).expect(200).json();
    assert_eq!(answer["scope"], "repository:team/app:pull,push");
    let bearer = format!("Bearer {}", answer["token"].as_str().unwrap());
    let manifest = registry.get("/v2/team/app/manifests/v1");
    manifest.header("Authorization", &bearer).send().expect(200);
    // Other capitals are of the same person, who has one name here.
    let upload = registry
        .post("/v2/team/app/blobs/uploads/")
        .basic("ADA", ADA.1);
    let session = upload.send().expect(202).need("location").to_owned();
    let status = registry.get(session).basic(ADA.0, ADA.1).send();
    status.expect(204);
    // Whom the file knows, the directory is not asked about, and the other way about.
    assert_eq!(pull(&registry, "team/app", ROOT), 200);
    assert_eq!(pull(&registry, "team/app", (ROOT.0, ADA.1)), 401);
    assert!(!registry.log().contains(ADA.1) && !registry.log().contains("service\""));
}

/// Case 77, R17: a directory takes an empty password for a login of nobody, which is a success.
#[test]
fn no_password_and_no_name_is_more_than_it_is() {
    let Some(directory) = Directory::start() else {
        return;
    };
    let bound = directory.slapd.bind(ADA_DN, "");
    assert_eq!(
        directory.runtime.block_on(bound),
        0,
        "the directory is no trap"
    );
    let registry = directory.registry();
    let form = |user: &str, password: &str| {
        let request = registry.post("/auth/token");
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        let body = format!("grant_type=password&username={user}&password={password}");
        request.body(body).send_any().status
    };
    for (user, password) in [
        ("ada", ""),
        ("ada", "wrong"),
        ("ada", "service"),
        ("nopassword", ""),
        ("nopassword", "x"),
        ("twin", "twin"),
        ("*", ADA.1),
        ("ad*", ADA.1),
        ("x)(|(uid=ada)", ADA.1),
        (ADA_DN, ADA.1),
        ("", ADA.1),
    ] {
        // Wrong ones make whoever asks wait before long.
        let status = registry.get("/v2/").basic(user, password).send().status;
        assert!(matches!(status, 401 | 429), "{user} {password}: {status}");
    }
    assert!(matches!(form("ada", ""), 400 | 401 | 429));
    assert!(matches!(form("nopassword", ""), 400 | 401 | 429));
    assert!(matches!(form("nopassword", "%00"), 400 | 401 | 429));
}

/// Case 79, R16: who has left a group has its rights until the next look at the directory, which is
/// at each refresh and at each login, a minute at most after the last.
#[test]
fn who_leaves_a_group_loses_its_rights() {
    let Some(directory) = Directory::start() else {
        return;
    };
    let registry = directory.registry();
    seed(&registry, "team/app");
    assert_eq!(pull(&registry, "team/app", ADA), 200);
    let of_ada = token(&registry, ADA).expect(200).json()["refresh_token"].clone();
    let answer = refresh(&registry, &of_ada).expect(200).json();
    let covered = "repository:team/app:pull,push repository:ops/app:pull";
    assert_eq!(answer["scope"], covered);
    directory.leave(DEVS, ADA_DN);
    let answer = refresh(&registry, &of_ada).expect(200).json();
    assert_eq!(answer["scope"], "repository:ops/app:pull");
    let by_refresh = (ADA.0, of_ada.as_str().unwrap());
    assert_eq!(pull(&registry, "team/app", by_refresh), 403);
    // A registry that remembers nobody is as one after that minute.
    let registry = registry.restart();
    assert_eq!(pull(&registry, "team/app", ADA), 403);
    let answer = token(&registry, ADA).expect(200).json();
    assert_eq!(answer["scope"], "repository:ops/app:pull");
    // Who is gone altogether is refused.
    directory.runtime.block_on(directory.slapd.delete(ADA_DN));
    refresh(&registry, &of_ada).expect(401);
    let registry = registry.restart();
    assert_eq!(pull(&registry, "team/app", ADA), 401);
    assert_eq!(pull(&registry, "team/app", BOB), 200);
}

#[test]
fn a_directory_that_is_away_keeps_nobody_else_out() {
    let Some(mut directory) = Directory::start() else {
        return;
    };
    let registry = directory.registry();
    seed(&registry, "team/app");
    assert_eq!(pull(&registry, "team/app", ADA), 200);
    let of_ada = token(&registry, ADA).expect(200).json()["refresh_token"].clone();
    directory.slapd.stop();
    let away = registry.get("/v2/").basic(BOB.0, BOB.1).send_any();
    let away = away.expect_error(503, "UNAVAILABLE");
    assert!(away.need("retry-after").parse::<u32>().unwrap() >= 1);
    token(&registry, BOB)
        .expect_error(503, "UNAVAILABLE")
        .need("retry-after");
    refresh(&registry, &of_ada).expect_error(503, "UNAVAILABLE");
    assert_eq!(pull(&registry, "team/app", ROOT), 200);
    assert_eq!(pull(&registry, "team/app", (ROOT.0, "wrong")), 401);
    token(&registry, ROOT).expect(200);
    // A right password of a moment ago is right without another look.
    assert_eq!(pull(&registry, "team/app", ADA), 200);
    directory.slapd.start_again();
    until("the directory is back", SOON, || {
        (pull(&registry, "team/app", BOB) == 200).then_some(())
    });
    refresh(&registry, &of_ada).expect(200);
    // Nor does it keep a registry from starting.
    directory.slapd.stop();
    let registry = registry.restart();
    assert_eq!(pull(&registry, "team/app", ROOT), 200);
    assert_eq!(pull(&registry, "team/app", ADA), 503);
}
