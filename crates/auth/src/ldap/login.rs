//! A login: find, try the password, read the groups.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ldap3::{Ldap, Scope, SearchEntry, SearchOptions};

use crate::accepted::Marker;
use crate::secret::Secret;

use super::pool::{Pool, Server};
use super::recent::Recent;
use super::settings::{Groups, LdapSettings, group_filter};
use super::{LdapError, LdapIdentity, dn, tls};

/// A directory and how it is asked.
pub(super) struct Login {
    settings: LdapSettings,
    /// Connections of the service account.
    search: Pool,
    /// Connections that passwords are tried on, and that are nobody's otherwise.
    bind: Pool,
    marker: Marker,
    recent: Mutex<Recent>,
}

/// A user's entry.
struct Found {
    dn: String,
    user: String,
    /// The values of the attribute that groups come from.
    groups: Vec<String>,
}

/// Bytes of a name and of a password that are sent to a directory, at most.
const NAME_BYTES_MAX: usize = 256;
const PASSWORD_BYTES_MAX: usize = 4_096;
/// Groups that a user may have. One with more is refused: which ones would count?
const GROUPS_MAX: i32 = 1_000;

/// Result codes (RFC 4511, appendix A).
const SUCCESS: u32 = 0;
const SIZE_LIMIT_EXCEEDED: u32 = 4;
const NO_SUCH_OBJECT: u32 = 32;
/// What directories answer to a password that is wrong, or that is right of somebody who may not log
/// in: constraintViolation, noSuchObject, inappropriateAuthentication, invalidCredentials,
/// insufficientAccessRights, unwillingToPerform.
const NOT_LET_IN: [u32; 6] = [19, NO_SUCH_OBJECT, 48, 49, 50, 53];

impl Login {
    pub(super) fn new(settings: LdapSettings, marker: Marker) -> Result<Self, LdapError> {
        let secret = settings.start_tls || settings.url.starts_with("ldaps://");
        let tls = secret
            .then(|| tls::config(settings.ca_file.as_deref()))
            .transpose()?;
        let server = Server {
            url: settings.url.clone(),
            start_tls: settings.start_tls,
            tls,
            timeout: settings.timeout,
        };
        let service = settings.service.clone();
        Ok(Self {
            search: Pool::new(server.clone(), service, settings.connections),
            bind: Pool::new(server, None, settings.connections),
            settings,
            marker,
            recent: Mutex::default(),
        })
    }

    /// The user whose password this was a moment ago.
    pub(super) fn remembered(&self, user: &str, password: &Secret) -> Option<LdapIdentity> {
        let mark = self.marker.mark(user, password, "");
        self.recent().get(&mark, Instant::now())
    }

    pub(super) async fn login(
        &self,
        user: &str,
        password: &Secret,
    ) -> Result<Option<LdapIdentity>, LdapError> {
        // Nothing of this is sent. An empty password would be a login of nobody, which succeeds.
        let Ok(text) = str::from_utf8(password.expose()) else {
            return Ok(None);
        };
        let password_fits = !text.contains('\0') && (1..=PASSWORD_BYTES_MAX).contains(&text.len());
        if !password_fits || !can_be_a_name(user) {
            return Ok(None);
        }
        let mark = self.marker.mark(user, password, "");
        if let Some(identity) = self.recent().get(&mark, Instant::now()) {
            return Ok(Some(identity));
        }
        let begun = Instant::now();
        let found = self.entry(user).await?;
        let let_in = match &found {
            Some(found) => self.may_bind(&found.dn, text).await?,
            None => {
                // A name that nobody has takes as many questions as a wrong password.
                self.may_bind(&self.nobody(), text).await?;
                false
            }
        };
        let Some(found) = found.filter(|_| let_in) else {
            return Ok(None);
        };
        let identity = self.with_groups(found).await?;
        self.recent().keep(mark, identity.clone(), begun);
        Ok(Some(identity))
    }

    pub(super) async fn find(&self, user: &str) -> Result<Option<LdapIdentity>, LdapError> {
        if !can_be_a_name(user) {
            return Ok(None);
        }
        match self.entry(user).await? {
            Some(found) => self.with_groups(found).await.map(Some),
            None => Ok(None),
        }
    }

    /// The one entry of a user.
    async fn entry(&self, user: &str) -> Result<Option<Found>, LdapError> {
        let settings = &self.settings;
        let mut attributes = vec![settings.user_attribute.clone()];
        if let Some(Groups::Attribute { attribute, .. }) = &settings.groups {
            attributes.push(attribute.clone());
        }
        let query = Query {
            base: &settings.user_base,
            filter: &settings.user_filter(user),
            attributes: &attributes,
            // A second one is as good as many.
            limit: 2,
        };
        let entries = self.search.ask(|ldap| query.run(ldap)).await?;
        let mut entries = match entries {
            Entries::All(entries) => entries,
            Entries::TooMany => Vec::new(),
        };
        let (Some(entry), true) = (entries.pop(), entries.is_empty()) else {
            tracing::debug!(user, "the directory has not exactly one entry for the user");
            return Ok(None);
        };
        let names = values(&entry, &settings.user_attribute);
        let Some(name) = own_name(names, user) else {
            tracing::warn!(
                entry = entry.dn,
                "the user's entry has no name that can be used; see access.ldap.user.attribute"
            );
            return Ok(None);
        };
        let groups = match &settings.groups {
            Some(Groups::Attribute { attribute, .. }) => values(&entry, attribute).to_vec(),
            _ => Vec::new(),
        };
        Ok(Some(Found {
            user: name.to_owned(),
            groups,
            dn: entry.dn,
        }))
    }

    /// Whether the directory takes the password for this entry's.
    async fn may_bind(&self, dn: &str, password: &str) -> Result<bool, LdapError> {
        let code = self.bind.ask(|mut ldap| async move {
            let bound = ldap.simple_bind(dn, password).await;
            Ok(bound.map_err(LdapError::Connection)?.rc)
        });
        match code.await? {
            SUCCESS => Ok(true),
            code if NOT_LET_IN.contains(&code) => Ok(false),
            code => Err(LdapError::Refused { code }),
        }
    }

    /// An entry that is nobody's.
    fn nobody(&self) -> String {
        format!("cn=roadstead-nobody,{}", self.settings.user_base)
    }

    async fn with_groups(&self, found: Found) -> Result<LdapIdentity, LdapError> {
        let mut groups = match &self.settings.groups {
            None => Vec::new(),
            Some(Groups::Attribute { base, .. }) => {
                let names = found
                    .groups
                    .iter()
                    .filter_map(|dn| dn::name_below(base, dn));
                names.collect()
            }
            Some(Groups::Search {
                base,
                filter,
                attribute,
            }) => {
                let attributes = [attribute.clone()];
                let query = Query {
                    base,
                    filter: &group_filter(filter, &found.dn, &found.user),
                    attributes: &attributes,
                    limit: GROUPS_MAX,
                };
                match self.search.ask(|ldap| query.run(ldap)).await? {
                    Entries::All(entries) => entries
                        .iter()
                        .flat_map(|entry| values(entry, attribute).iter().cloned())
                        .collect(),
                    Entries::TooMany => {
                        return Err(LdapError::Refused {
                            code: SIZE_LIMIT_EXCEEDED,
                        });
                    }
                }
            }
        };
        groups.retain(|group| !group.is_empty() && !group.chars().any(char::is_control));
        groups.sort_unstable();
        groups.dedup();
        Ok(LdapIdentity {
            user: found.user,
            groups,
        })
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A search below an entry.
struct Query<'a> {
    base: &'a str,
    filter: &'a str,
    attributes: &'a [String],
    /// Entries at most.
    limit: i32,
}

enum Entries {
    All(Vec<SearchEntry>),
    TooMany,
}

impl Query<'_> {
    async fn run(&self, mut ldap: Ldap) -> Result<Entries, LdapError> {
        ldap.with_search_options(SearchOptions::new().sizelimit(self.limit));
        let found = ldap
            .search(self.base, Scope::Subtree, self.filter, self.attributes)
            .await
            .map_err(LdapError::Connection)?;
        let (entries, result) = (found.0, found.1);
        match result.rc {
            // What is elsewhere is not looked for there.
            SUCCESS => {}
            SIZE_LIMIT_EXCEEDED => return Ok(Entries::TooMany),
            code => return Err(LdapError::Refused { code }),
        }
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        if entries.len() > limit {
            return Ok(Entries::TooMany);
        }
        let entries = entries.into_iter().filter(|entry| !entry.is_ref());
        Ok(Entries::All(entries.map(SearchEntry::construct).collect()))
    }
}

/// Whether a directory is asked for it at all.
fn can_be_a_name(user: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&user.len()) && !user.contains('\0')
}

/// The values of an attribute, whose name directories may spell with other capitals.
fn values<'a>(entry: &'a SearchEntry, attribute: &str) -> &'a [String] {
    let mut attributes = entry.attrs.iter();
    let found = attributes.find(|(name, _)| name.eq_ignore_ascii_case(attribute));
    found.map_or(&[], |(_, values)| values)
}

/// The name of a user among those that the entry has: the only one, or the one that was typed, in
/// the entry's own capitals. Not one that a log or a rule could take for something else.
fn own_name<'a>(names: &'a [String], typed: &str) -> Option<&'a str> {
    let name = match names {
        [only] => only,
        several => several
            .iter()
            .find(|name| name.to_lowercase() == typed.to_lowercase())?,
    };
    crate::account_name::check_user_name(name).ok()?;
    Some(name)
}
