//! `access.ldap`: the directory that users log in by.

use std::path::PathBuf;
use std::time::Duration;

use roadstead_auth::{LdapGroups, LdapSettings, Secret};

use super::cursor::Cursor;
use super::duration;
use super::effective::{Quoted, Writer};
use super::secret::MASK;

const DEFAULT_USER_FILTER: &str = "(uid={user})";
const DEFAULT_USER_ATTRIBUTE: &str = "uid";
const DEFAULT_GROUP_FILTER: &str = "(member={dn})";
const DEFAULT_GROUP_ATTRIBUTE: &str = "cn";
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_CONNECTIONS: i64 = 8;

/// Reads the section, where there is one. Files are read later.
pub(super) fn read(access: &Cursor<'_>) -> Option<LdapSettings> {
    if !access.contains("ldap") {
        return None;
    }
    let section = access.section("ldap");
    let user = section.section("user");
    let required = |section: &Cursor<'_>, name: &str| {
        section.text(name).unwrap_or_else(|| {
            section.refuse(name, "access.ldap needs it");
            String::new()
        })
    };
    let service = match (section.text("binddn"), section.text("bindpassword")) {
        (Some(dn), Some(password)) => Some((dn, Secret::new(password.into_bytes()))),
        (None, None) => None,
        (Some(_), None) => {
            section.refuse("bindpassword", "the account of binddn has a password");
            None
        }
        (None, Some(_)) => {
            section.refuse("binddn", "the password of bindpassword is somebody's");
            None
        }
    };
    let connections = section.integer("connections", DEFAULT_CONNECTIONS, 1..=256);
    let or = |text: Option<String>, default: &str| text.unwrap_or_else(|| default.to_owned());
    let settings = LdapSettings {
        url: required(&section, "url"),
        start_tls: section.flag("starttls", false),
        insecure: section.flag("insecure", false),
        ca_file: section.text("cafile").map(PathBuf::from),
        service,
        user_base: required(&user, "base"),
        user_filter: or(user.text("filter"), DEFAULT_USER_FILTER),
        user_attribute: or(user.text("attribute"), DEFAULT_USER_ATTRIBUTE),
        groups: section
            .contains("group")
            .then(|| groups(&section.section("group"))),
        timeout: section.period("timeout", DEFAULT_TIMEOUT),
        connections: usize::try_from(connections).unwrap_or(1),
    };
    if section.contains("url")
        && let Err(error) = settings.check()
    {
        access.refuse("ldap", &error.to_string());
    }
    Some(settings)
}

fn groups(group: &Cursor<'_>) -> LdapGroups {
    let base = group.text("base").unwrap_or_else(|| {
        group.refuse("base", "access.ldap.group needs it");
        String::new()
    });
    let (filter, attribute) = (group.text("filter"), group.text("attribute"));
    match group.text("memberof") {
        Some(member_of) => {
            if filter.is_some() || attribute.is_some() {
                group.refuse(
                    "memberof",
                    "groups come from this attribute or by a filter, not both",
                );
            }
            LdapGroups::Attribute {
                attribute: member_of,
                base,
            }
        }
        None => LdapGroups::Search {
            base,
            filter: filter.unwrap_or_else(|| DEFAULT_GROUP_FILTER.to_owned()),
            attribute: attribute.unwrap_or_else(|| DEFAULT_GROUP_ATTRIBUTE.to_owned()),
        },
    }
}

/// Writes the section, inside `access`.
pub(super) fn write(ldap: &LdapSettings, yaml: &mut Writer) {
    yaml.section("ldap", |yaml| {
        yaml.line("url", &Quoted(&ldap.url));
        yaml.line("starttls", &ldap.start_tls);
        yaml.line("insecure", &ldap.insecure);
        if let Some(file) = &ldap.ca_file {
            yaml.line("cafile", &Quoted(&file.to_string_lossy()));
        }
        if let Some((dn, _)) = &ldap.service {
            yaml.line("binddn", &Quoted(dn));
            yaml.line("bindpassword", &Quoted(MASK));
        }
        yaml.section("user", |yaml| {
            yaml.line("base", &Quoted(&ldap.user_base));
            yaml.line("filter", &Quoted(&ldap.user_filter));
            yaml.line("attribute", &Quoted(&ldap.user_attribute));
        });
        if let Some(groups) = &ldap.groups {
            yaml.section("group", |yaml| match groups {
                LdapGroups::Attribute { attribute, base } => {
                    yaml.line("base", &Quoted(base));
                    yaml.line("memberof", &Quoted(attribute));
                }
                LdapGroups::Search {
                    base,
                    filter,
                    attribute,
                } => {
                    yaml.line("base", &Quoted(base));
                    yaml.line("filter", &Quoted(filter));
                    yaml.line("attribute", &Quoted(attribute));
                }
            });
        }
        yaml.line("timeout", &duration::format(ldap.timeout));
        yaml.line("connections", &ldap.connections);
    });
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::report::Report;
    use super::super::yaml::{self, Source};
    use super::*;

    /// The section of this text, and what is wrong with it.
    fn section(text: &str) -> (Option<LdapSettings>, Vec<String>) {
        let root =
            yaml::parse(text, &Source::File(Arc::from("c.yml"))).unwrap_or_else(|_| panic!());
        let report = Report::default();
        let read = read(&Cursor::root(&root, &report));
        let problems = report.into_lines().problems;
        (read, problems.iter().map(ToString::to_string).collect())
    }

    const SHORT: &str = "ldap: {url: 'ldaps://a', user: {base: ou=people}}";

    #[test]
    fn a_short_section_has_defaults() {
        let (read, problems) = section(SHORT);
        assert_eq!(problems, Vec::<String>::new());
        let expected = LdapSettings {
            url: "ldaps://a".to_owned(),
            start_tls: false,
            insecure: false,
            ca_file: None,
            service: None,
            user_base: "ou=people".to_owned(),
            user_filter: "(uid={user})".to_owned(),
            user_attribute: "uid".to_owned(),
            groups: None,
            timeout: Duration::from_secs(10),
            connections: 8,
        };
        assert_eq!(read, Some(expected));
        assert_eq!(section("tokens: {}"), (None, Vec::new()));
    }

    #[test]
    fn everything_that_is_set_is_read_and_no_password_is_shown() {
        let text = "ldap: {url: 'ldap://a:1', starttls: true, cafile: /ca.pem, binddn: cn=r, \
                    bindpassword: canary, timeout: 3s, connections: 2, \
                    user: {base: b, filter: '(cn={user})', attribute: cn}, \
                    group: {base: g, memberof: memberOf}}";
        let (read, problems) = section(text);
        assert_eq!(problems, Vec::<String>::new());
        let read = read.unwrap();
        assert!(read.start_tls && read.ca_file == Some(PathBuf::from("/ca.pem")));
        let service = Some(("cn=r".to_owned(), Secret::new(*b"canary")));
        assert_eq!((&read.service, read.connections), (&service, 2));
        let groups = LdapGroups::Attribute {
            attribute: "memberOf".to_owned(),
            base: "g".to_owned(),
        };
        assert_eq!(read.groups, Some(groups));
        assert!(!format!("{read:?}").contains("canary"));
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (text, expected) in [
            ("ldap: {user: {base: b}}", "needs it"),
            ("ldap: {url: 'ldaps://a'}", "needs it"),
            ("ldap: {url: 'ldap://a', user: {base: b}}", "plain text"),
            (
                "ldap: {url: 'ldaps://a', user: {base: b}, binddn: cn=r}",
                "has a password",
            ),
            (
                "ldap: {url: 'ldaps://a', user: {base: b}, bindpassword: canary}",
                "is somebody's",
            ),
            (
                "ldap: {url: 'ldaps://a', user: {base: b}, group: {memberof: m, base: g, filter: f}}",
                "not both",
            ),
            (
                "ldap: {url: 'ldaps://a', user: {base: b, filter: '(uid=ada)'}}",
                "where the name goes",
            ),
            (
                "ldap: {url: 'ldaps://a', user: {base: b}, connections: 0}",
                "from 1 to 256",
            ),
        ] {
            let (_, problems) = section(text);
            assert_eq!(problems.len(), 1, "{text}: {problems:?}");
            assert!(problems[0].contains(expected), "{text}: {problems:?}");
            assert!(!problems[0].contains("canary"), "{problems:?}");
        }
    }
}
