//! A few connections to the directory, made when they are needed and made again when they broke.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ldap3::{Ldap, LdapConnAsync, LdapConnSettings};
use rustls::ClientConfig;
use tokio::sync::Semaphore;

use crate::secret::Secret;

use super::LdapError;

/// Connections of one kind.
pub(super) struct Pool {
    url: String,
    start_tls: bool,
    tls: Option<Arc<ClientConfig>>,
    timeout: Duration,
    /// Who a new connection logs in as.
    service: Option<(String, Secret)>,
    idle: Mutex<Vec<Ldap>>,
    places: Semaphore,
}

/// Where a pool connects to.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) url: String,
    pub(super) start_tls: bool,
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) timeout: Duration,
}

impl Pool {
    pub(super) fn new(
        server: Server,
        service: Option<(String, Secret)>,
        connections: usize,
    ) -> Self {
        Self {
            url: server.url,
            start_tls: server.start_tls,
            tls: server.tls,
            timeout: server.timeout,
            service,
            idle: Mutex::default(),
            places: Semaphore::new(connections),
        }
    }

    /// Asks on a connection, within the time that there is. Where one that was kept turns out to be
    /// broken, a new one is made: a directory closes what it has not heard of for a while.
    ///
    /// # Cancel safety
    /// The connection in use is closed.
    pub(super) async fn ask<T, F>(&self, ask: impl Fn(Ldap) -> F) -> Result<T, LdapError>
    where
        F: Future<Output = Result<T, LdapError>>,
    {
        let place = tokio::time::timeout(self.timeout, self.places.acquire());
        let Ok(Ok(_place)) = place.await else {
            return Err(LdapError::Busy);
        };
        while let Some(kept) = self.kept() {
            match self.in_time(ask(kept.clone())).await {
                Err(LdapError::Connection(_)) => {}
                answer => return self.keep(kept, answer),
            }
        }
        let new = self.in_time(self.connect()).await?;
        let answer = self.in_time(ask(new.clone())).await;
        self.keep(new, answer)
    }

    /// A connection is worth keeping unless it broke or owes an answer.
    fn keep<T>(&self, connection: Ldap, answer: Result<T, LdapError>) -> Result<T, LdapError> {
        if !matches!(answer, Err(LdapError::Connection(_) | LdapError::Timeout)) {
            self.idle().push(connection);
        }
        answer
    }

    fn kept(&self) -> Option<Ldap> {
        let mut idle = self.idle();
        while let Some(mut connection) = idle.pop() {
            if !connection.is_closed() {
                return Some(connection);
            }
        }
        None
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Ldap>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<T, LdapError>>,
    ) -> Result<T, LdapError> {
        tokio::time::timeout(self.timeout, answer)
            .await
            .unwrap_or(Err(LdapError::Timeout))
    }

    async fn connect(&self) -> Result<Ldap, LdapError> {
        let mut settings = LdapConnSettings::new().set_starttls(self.start_tls);
        if let Some(tls) = &self.tls {
            settings = settings.set_config(Arc::clone(tls));
        }
        let connected = LdapConnAsync::with_settings(settings, &self.url).await;
        let (connection, mut ldap) = connected.map_err(LdapError::Connection)?;
        // Ends when the last handle is dropped, or when the directory closes.
        tokio::spawn(async move {
            if let Err(error) = connection.drive().await {
                tracing::debug!(%error, "a connection to the directory broke");
            }
        });
        if let Some((dn, password)) = &self.service {
            let password = str::from_utf8(password.expose())
                .map_err(|_| LdapError::Settings("the service account's password is not UTF-8"))?;
            let bound = ldap.simple_bind(dn, password).await;
            let code = bound.map_err(LdapError::Connection)?.rc;
            if code != 0 {
                return Err(LdapError::ServiceRefused { code });
            }
        }
        Ok(ldap)
    }
}
