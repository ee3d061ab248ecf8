use roadstead_auth::{Algorithm, Allowed};

use super::*;

const RICH: &str = "version: 0.1
storage: {inmemory: {}}
http: {addr: ':1'}
auth:
  htpasswd: {realm: r, path: /p}
  token:
    realm: https://auth.example/token
    issuer: example
    service: registry
    rootcertbundle: /etc/bundle.pem
    jwks: /etc/jwks.json
    jwksurl: https://auth.example/keys
    signingalgorithms: [ES256, EdDSA, HS256]
    autoredirect: true
    autoredirectpath: /tokens
  silly: {realm: s, service: t}
access:
  egress: {allow: [IdP.internal, 10.1.0.0/16, '::1'], ca: /etc/ca.pem}
  oidc:
    - name: github
      issuer: https://token.actions.githubusercontent.com
      audiences: [registry, other]
    - name: corp
      issuer: https://idp.internal/realms/corp
      clientid: roadstead
      ca: /etc/idp.pem
      signingalgorithms: RS256
      usernameclaim: preferred_username
      groupsclaim: /realm_access/roles
";

/// What the readers make of a file, and what they say of it.
fn parts(text: &str) -> (Parts, String) {
    let report = Report::default();
    let node = yaml::parse(text, &Source::File(Arc::from("c.yml"))).unwrap();
    unserved::sweep(&node, &report);
    let root = Cursor::root(&node, &report);
    let parts = (
        token::read(&root),
        silly::read(&root),
        egress::read(&root),
        oidc::read(&root),
    );
    let problems = report.into_lines().problems;
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    (parts, problems.join("\n"))
}

type Parts = (
    Option<TokenAuth>,
    Option<SillyAuth>,
    roadstead_auth::EgressSettings,
    Vec<roadstead_auth::OidcSettings>,
);

#[test]
fn every_key_of_other_servers_is_read() {
    let ((token, silly, egress, oidc), problems) = parts(RICH);
    assert_eq!(problems, "");
    let token = token.unwrap();
    assert_eq!(token.realm, "https://auth.example/token");
    assert_eq!(token.redirect_path.as_deref(), Some("/tokens"));
    let verification = token.verification;
    assert_eq!(
        (&*verification.issuer, &*verification.service),
        ("example", "registry")
    );
    assert_eq!(
        verification.rootcertbundle.unwrap(),
        Path::new("/etc/bundle.pem")
    );
    assert_eq!(verification.jwks.unwrap(), Path::new("/etc/jwks.json"));
    assert_eq!(
        verification.jwks_url.unwrap().as_str(),
        "https://auth.example/keys"
    );
    assert_eq!(
        verification.algorithms,
        [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Hs256]
    );
    let silly = silly.unwrap();
    assert_eq!((&*silly.realm, &*silly.service), ("s", "t"));
    assert_eq!(egress.allow[0], Allowed::Host("idp.internal".into()));
    assert_eq!(egress.allow[1].to_string(), "10.1.0.0/16");
    assert_eq!(egress.ca.unwrap(), Path::new("/etc/ca.pem"));
    let [github, corp] = &oidc[..] else {
        panic!("{oidc:?}");
    };
    assert_eq!(
        (&*github.name, &*github.audiences),
        ("github", &["registry".into(), "other".into()][..])
    );
    assert_eq!(
        (&*github.username_claim, &github.groups_claim),
        ("sub", &None)
    );
    assert_eq!(github.algorithms.len(), 10);
    assert_eq!(corp.issuer.as_str(), "https://idp.internal/realms/corp");
    assert_eq!(corp.client_id.as_deref(), Some("roadstead"));
    assert_eq!(corp.ca.as_deref(), Some(Path::new("/etc/idp.pem")));
    assert_eq!(corp.algorithms, [Algorithm::Rs256]);
    assert_eq!(&*corp.username_claim, "preferred_username");
    assert_eq!(corp.groups_claim.as_deref(), Some("/realm_access/roles"));
}

#[test]
fn defaults_are_those_of_distribution() {
    let ((token, silly, egress, oidc), problems) =
        parts("auth: {token: {realm: r, issuer: i, service: s, jwks: j, autoredirect: true}}");
    assert_eq!(problems, "");
    let token = token.unwrap();
    assert_eq!(token.redirect_path.as_deref(), Some("/auth/token"));
    assert_eq!(token.verification.algorithms, Algorithm::ALL);
    assert_eq!((silly, egress, oidc), Default::default());
    let (none, problems) = parts("auth: {htpasswd: {realm: r, path: p}}");
    assert_eq!((none, problems), Default::default());
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (text, expected) in [
        ("auth: {token: {}}", "auth.token needs a key"),
        ("auth: {token: }", "auth.token.realm: auth.token needs it"),
        (
            "auth: {token: {realm: r, issuer: i, jwks: j}}",
            "auth.token.service",
        ),
        (
            "auth: {token: {realm: r, service: i, jwks: j}}",
            "auth.token.issuer",
        ),
        (
            "auth: {token: {issuer: r, service: i, jwks: j}}",
            "auth.token.realm",
        ),
        (
            "auth: {token: {jwksurl: 'http://a/'}}",
            "does not begin with https://",
        ),
        (
            "auth: {token: {signingalgorithms: [none]}}",
            "no such algorithm",
        ),
        (
            "auth: {token: {autoredirectpath: tokens}}",
            "must begin with /",
        ),
        (
            "auth: {token: {issuers: i}}",
            "did you mean auth.token.issuer?",
        ),
        ("auth: {silly: {realm: r}}", "auth.silly.service"),
        ("auth: {silly: }", "auth.silly.realm"),
        (
            "access: {egress: {allow: [10.0.0.0/33]}}",
            "expected a host",
        ),
        ("access: {oidc: [{}]}", "access.oidc[].name"),
        ("access: {oidc: [{}]}", "access.oidc[].issuer"),
        ("access: {oidc: [{name: A}]}", "a-z, 0-9 and -"),
        (
            "access: {oidc: [{name: a, issuer: 'http://a', clientid: c}]}",
            "https://",
        ),
        (
            "access: {oidc: [{name: a, issuer: 'https://a'}]}",
            "audiences or a clientid",
        ),
        (
            "access: {oidc: [{name: a, issuer: 'https://a', audiences: ['']}]}",
            "audiences or a clientid",
        ),
        (
            "access: {oidc: [{signingalgorithms: [HS256]}]}",
            "HS256 is not allowed here",
        ),
        (
            "access: {oidc: [{name: a, issuer: 'https://a', clientid: c}, {name: a, issuer: 'https://b', clientid: c}]}",
            "another issuer has this name",
        ),
        (
            "access: {oidc: [{name: a, issuer: 'https://a', clientid: c}, {name: b, issuer: 'https://a', clientid: c}]}",
            "listed twice",
        ),
    ] {
        let (_, problems) = parts(text);
        assert!(problems.contains(expected), "{text}\n{problems}");
    }
}

#[test]
fn what_is_written_reads_back_the_same() {
    let (read, _) = parts(RICH);
    let mut settings = load(None, &BTreeMap::new()).unwrap().settings;
    settings.auth = Auth::Htpasswd {
        realm: "r".into(),
        path: "/p".into(),
    };
    (
        settings.token,
        settings.silly,
        settings.egress,
        settings.oidc,
    ) = read.clone();
    let printed = settings.to_yaml();
    let (again, problems) = parts(&printed);
    assert_eq!(problems, "", "{printed}");
    assert_eq!(again, read, "{printed}");
}
