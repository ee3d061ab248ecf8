//! An order: the account, the proof that a name is ours, the certificate.

use std::time::{Duration, SystemTime};

use instant_acme::{
    Account, AccountBuilder, AuthorizationStatus, ChallengeType, Error, Identifier, NewAccount,
    NewOrder, Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};

use super::Acme;
use super::client::{Client, ClientError};
use super::host::AcmeHost;
use super::records::{ACCOUNT, AccountRecord, CHALLENGES, Challenge, Challenges, Issued, seconds};
use super::store::AcmeStoreError;

/// For a whole order. Less than the lease is held for.
const ORDER_TIMEOUT: Duration = Duration::from_secs(300);

/// For the ACME server to look, and for it to issue.
const PATIENCE: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(500))
    .backoff(1.5)
    .timeout(Duration::from_secs(90));

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(super) enum OrderError {
    #[error("the ACME server refuses it, or cannot be reached")]
    Acme(#[from] Error),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Store(#[from] AcmeStoreError),
    #[error("no request for a certificate can be made")]
    Request(#[from] rcgen::Error),
    #[error("the ACME server offers no challenge of the kind {0:?}")]
    NoChallenge(ChallengeType),
    #[error("the ACME server does not find that the name is ours: {0}")]
    NotProved(String),
    #[error("it was not done within {} minutes", ORDER_TIMEOUT.as_secs() / 60)]
    TimedOut,
}

impl OrderError {
    /// What the ACME server calls it, after `urn:ietf:params:acme:error:` (RFC 8555 §6.7).
    pub(super) fn kind(&self) -> Option<&str> {
        let Self::Acme(Error::Api(problem)) = self else {
            return None;
        };
        let kind = problem.r#type.as_deref()?;
        kind.strip_prefix("urn:ietf:params:acme:error:")
    }
}

impl Acme {
    /// Orders a certificate for a host. The caller has the lease.
    pub(super) async fn order(&self, host: &AcmeHost) -> Result<Issued, OrderError> {
        let ordering = async {
            match self.order_patiently(host).await {
                // The ACME server has lost or closed the account.
                Err(error) if error.kind() == Some("accountDoesNotExist") => {
                    self.forget_account().await?;
                    self.order_patiently(host).await
                }
                ordered => ordered,
            }
        };
        let ordering = tokio::time::timeout(ORDER_TIMEOUT, ordering).await;
        let issued = ordering.unwrap_or(Err(OrderError::TimedOut));
        // Answers that nobody will ask for again; what stays expires.
        let withdrawn = self.withdraw(host).await;
        let issued = issued?;
        if let Err(error) = withdrawn {
            let problem = crate::error::chain(&error);
            tracing::warn!(%host, problem, "the answer to a challenge of ACME could not be removed");
        }
        Ok(issued)
    }

    async fn order_patiently(&self, host: &AcmeHost) -> Result<Issued, OrderError> {
        let account = self.account().await?;
        let identifiers = [Identifier::Dns(host.to_string())];
        let mut order = account.new_order(&NewOrder::new(&identifiers)).await?;
        self.prove(&mut order, host).await?;
        match order.poll_ready(&PATIENCE).await? {
            OrderStatus::Ready | OrderStatus::Valid => {}
            _ => return Err(OrderError::NotProved(why(&mut order).await?)),
        }
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new([host.to_string()])?;
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(&key)?;
        order.finalize_csr(request.der()).await?;
        Ok(Issued {
            chain: order.poll_certificate(&PATIENCE).await?,
            key: key.serialize_pem(),
        })
    }

    /// Lets every replica answer what the order asks for, then says that it may be asked.
    async fn prove(&self, order: &mut Order, host: &AcmeHost) -> Result<(), OrderError> {
        let kind = if self.settings.over_http {
            ChallengeType::Http01
        } else {
            ChallengeType::TlsAlpn01
        };
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            if authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            let mut asked = authorization
                .challenge(kind.clone())
                .ok_or_else(|| OrderError::NoChallenge(kind.clone()))?;
            let key_authorization = asked.key_authorization();
            let now = SystemTime::now();
            let challenge = Challenge {
                host: host.to_string(),
                token: asked.token.clone(),
                key_authorization: key_authorization.as_str().to_owned(),
                digest: key_authorization.digest().as_ref().to_vec(),
                expires: seconds(now + ORDER_TIMEOUT),
            };
            self.change::<Challenges>(CHALLENGES, |all| {
                all.pending.retain(|old| old.expires > seconds(now));
                all.pending.push(challenge.clone());
            })
            .await?;
            asked.set_ready().await?;
        }
        Ok(())
    }

    async fn withdraw(&self, host: &AcmeHost) -> Result<(), AcmeStoreError> {
        let (challenges, _) = self.load::<Challenges>(CHALLENGES).await?;
        let is_ours = |challenge: &Challenge| challenge.host == host.as_str();
        if !challenges.is_some_and(|all| all.pending.iter().any(is_ours)) {
            return Ok(());
        }
        self.change::<Challenges>(CHALLENGES, |all| all.pending.retain(|one| !is_ours(one)))
            .await
    }

    /// The account that all replicas share; a new one where there is none at this directory yet.
    async fn account(&self) -> Result<Account, OrderError> {
        let settings = &self.settings;
        let contact = |email: &Option<String>| {
            email
                .iter()
                .map(|it| format!("mailto:{it}"))
                .collect::<Vec<_>>()
        };
        let contacts = contact(&settings.email);
        let contacts: Vec<&str> = contacts.iter().map(String::as_str).collect();
        let (record, version) = self.load::<AccountRecord>(ACCOUNT).await?;
        let (account, record) = match record.filter(|r| r.directory == settings.directory) {
            Some(record) if record.email == settings.email => {
                return Ok(self.builder()?.from_credentials(record.credentials).await?);
            }
            Some(mut record) => {
                let credentials = serde_json::to_vec(&record.credentials).map_err(Error::from)?;
                let credentials = serde_json::from_slice(&credentials).map_err(Error::from)?;
                let account = self.builder()?.from_credentials(credentials).await?;
                account.update_contacts(&contacts).await?;
                record.email.clone_from(&settings.email);
                (account, record)
            }
            None => {
                let new = NewAccount {
                    contact: &contacts,
                    terms_of_service_agreed: true,
                    only_return_existing: false,
                };
                let directory = settings.directory.clone();
                let (account, credentials) = self
                    .builder()?
                    .create(&new, directory.clone(), None)
                    .await?;
                let email = settings.email.clone();
                (
                    account,
                    AccountRecord {
                        directory,
                        email,
                        credentials,
                    },
                )
            }
        };
        if !self.swap(ACCOUNT, &record, version).await? {
            tracing::warn!("another replica has stored an account for ACME: there are two now");
        }
        Ok(account)
    }

    /// Makes a new account the next time: the ACME server does not know the one that is stored.
    async fn forget_account(&self) -> Result<(), OrderError> {
        let (record, version) = self.load::<AccountRecord>(ACCOUNT).await?;
        if let Some(mut record) = record {
            record.directory = String::new();
            self.swap(ACCOUNT, &record, version).await?;
        }
        Ok(())
    }

    fn builder(&self) -> Result<AccountBuilder, ClientError> {
        let client = Client::new(self.settings.authorities.as_deref())?;
        Ok(Account::builder_with_http(Box::new(client)))
    }
}

/// What the ACME server says of the challenges that failed.
async fn why(order: &mut Order) -> Result<String, Error> {
    let mut reasons = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        let state = authorization.refresh().await?;
        let problems = state.challenges.iter().filter_map(|one| one.error.as_ref());
        reasons.extend(problems.map(ToString::to_string));
    }
    if reasons.is_empty() {
        return Ok("it does not say why".to_owned());
    }
    Ok(reasons.join("; "))
}
