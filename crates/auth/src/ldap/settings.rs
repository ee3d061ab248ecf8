//! What a directory is told about.

use std::path::PathBuf;
use std::time::Duration;

use ldap3::{ldap_escape, parse_filter};

use crate::secret::Secret;

use super::LdapError;

/// How a directory is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LdapSettings {
    /// `ldaps://HOST[:PORT]`, or `ldap://` with `start_tls`.
    pub url: String,
    /// Whether a connection by `ldap://` is made secret before anything else is said.
    pub start_tls: bool,
    /// Whether passwords may go to the directory in plain text.
    pub insecure: bool,
    /// Certificate authorities (PEM) that the directory's certificate is checked by. `None`: the
    /// system's.
    pub ca_file: Option<PathBuf>,
    /// The service account that looks for users, and its password. `None`: nobody's.
    pub service: Option<(String, Secret)>,
    /// Below which entry users are.
    pub user_base: String,
    /// Which of the entries is the user's; `{user}` stands for the name that was typed.
    pub user_filter: String,
    /// The attribute with the user's name as the registry is to know it.
    pub user_attribute: String,
    /// Where groups come from. `None`: there are none.
    pub groups: Option<Groups>,
    /// The longest that a login may take.
    pub timeout: Duration,
    /// Connections that search, at most, and as many that try passwords.
    pub connections: usize,
}

/// Where a user's groups come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Groups {
    /// From entries that name the user.
    Search {
        /// Below which entry groups are.
        base: String,
        /// Which of the entries are the user's groups; `{dn}` stands for the user's entry, `{user}`
        /// for the user's name.
        filter: String,
        /// The attribute with the group's name.
        attribute: String,
    },
    /// From an attribute of the user's entry that names entries of groups. A group's name is the
    /// first part of its entry's.
    Attribute {
        /// The attribute.
        attribute: String,
        /// Below which entry groups are. Others count for nothing: their names could be anybody's.
        base: String,
    },
}

impl LdapSettings {
    /// Whether a directory can be asked so.
    ///
    /// # Errors
    /// [`LdapError::Settings`], which says what is wrong.
    pub fn check(&self) -> Result<(), LdapError> {
        let refuse = |reason| Err(LdapError::Settings(reason));
        let secret = self.url.starts_with("ldaps://");
        let plain = self.url.starts_with("ldap://");
        if !secret && !plain {
            return refuse("the url of the directory begins with ldaps:// or ldap://");
        }
        if secret && self.start_tls {
            return refuse("StartTLS is for ldap://; ldaps:// is secret from the first byte");
        }
        if plain && !self.start_tls && !self.insecure {
            return refuse(
                "ldap:// without StartTLS sends every password in plain text: use ldaps:// or \
                 StartTLS (insecure says that plain text is meant)",
            );
        }
        // Without an authority the library would come to no host, or to another one.
        let authority = self
            .url
            .split_once("://")
            .map(|(_, rest)| rest.trim_end_matches('/'));
        if authority.is_none_or(|host| host.is_empty() || host.contains(['/', '?', '#', '@'])) {
            return refuse("the url of the directory has a host, perhaps a port, and nothing else");
        }
        if matches!(&self.service, Some((dn, password)) if dn.is_empty() || password.expose().is_empty())
        {
            return refuse("the service account has a name and a password, or there is none");
        }
        if !self.user_filter.contains("{user}") {
            return refuse("the filter of users says where the name goes: {user}");
        }
        if parse_filter(self.user_filter("x")).is_err() {
            return refuse("the filter of users is no LDAP filter: (uid={user})");
        }
        if self.user_attribute.is_empty() {
            return refuse("the attribute with the user's name is missing");
        }
        if self.connections == 0 || self.timeout.is_zero() {
            return refuse("a directory without a connection or without time cannot be asked");
        }
        match &self.groups {
            Some(Groups::Search { filter, .. })
                if !filter.contains("{dn}") && !filter.contains("{user}") =>
            {
                refuse("the filter of groups says whose: {dn} or {user}")
            }
            Some(Groups::Search { filter, .. })
                if parse_filter(group_filter(filter, "x", "x")).is_err() =>
            {
                refuse("the filter of groups is no LDAP filter: (member={dn})")
            }
            Some(Groups::Search { attribute, .. } | Groups::Attribute { attribute, .. })
                if attribute.is_empty() =>
            {
                refuse("the attribute with the groups is missing")
            }
            Some(Groups::Attribute { base, .. }) if base.is_empty() => {
                refuse("below which entry the groups are is missing")
            }
            _ => Ok(()),
        }
    }

    /// The filter for a user, whatever the name has in it (RFC 4515, section 3).
    pub(super) fn user_filter(&self, user: &str) -> String {
        self.user_filter.replace("{user}", &ldap_escape(user))
    }
}

/// The filter for a user's groups.
pub(super) fn group_filter(filter: &str, dn: &str, user: &str) -> String {
    // In one pass: what stands in a name is not a place for another.
    let mut rest = filter;
    let mut text = String::new();
    while let Some(at) = rest.find('{') {
        let (before, after) = rest.split_at(at);
        text.push_str(before);
        rest = if let Some(after) = after.strip_prefix("{dn}") {
            text.push_str(&ldap_escape(dn));
            after
        } else if let Some(after) = after.strip_prefix("{user}") {
            text.push_str(&ldap_escape(user));
            after
        } else {
            text.push('{');
            &after[1..]
        };
    }
    text.push_str(rest);
    text
}
